/*
 * json_simdjson.h - what the JSON files need of simdjson and of C++, in types
 * that C and C++ share. Only json*.c and json_simdjson.cc include it.
 *
 * Of simdjson it is the first stage, the one that runs at the speed of memory:
 * it checks UTF-8, control characters and that strings are closed, and finds
 * the tokens. Its second stage makes values of them all, most of which nobody
 * asks for: a record goes into the log as it was written. json_check.c is in
 * its place.
 */
#ifndef BASE_JSON_SIMDJSON_H
#define BASE_JSON_SIMDJSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SIMD_PADDING = 64, SIMD_NUMBER_MAX = 32 };

struct simd_parser;

/* The offset in the text of every { } [ ] : , and of the first byte of every other token, in
 * order; after the last one the length of the text. (simdjson's structural indexes.) */
struct simd_tokens {
	const uint32_t *at;
	uint32_t count;
};

/* For texts of at most `capacity` bytes. Running out of memory ends the program. */
struct simd_parser *simd_parser_new(size_t capacity);
void simd_parser_free(struct simd_parser *parser);	/* accepts NULL */
/* `text` has SIMD_PADDING readable bytes after it. False: it is no JSON. */
bool simd_find_tokens(struct simd_parser *parser, const char *text, size_t len,
		      struct simd_tokens *ret_tokens);

/* A number in JSON's grammar; false: its magnitude is too large for a double. */
bool simd_get_double(const char *text, size_t len, double *ret);
/* Shortest text that reads back as `value`, which is finite; returns its length. The second one
 * always has the form d.ddde-05. */
size_t simd_put_double(double value, char out[SIMD_NUMBER_MAX]);
size_t simd_put_scientific(double value, char out[SIMD_NUMBER_MAX]);

#ifdef __cplusplus
}
#endif

#endif
