/*
 * json_simdjson.h - what json.c needs of simdjson, in types that C and C++
 * share. Only json.c and json_simdjson.cc include it.
 *
 * A parsed text is simdjson's two products, which are read here in place:
 *
 *	tape	one 64-bit word a value (numbers two), a tag in the top byte:
 *		r        root, at both ends
 *		{ [      low 32 bits: index after the matching end; next 24: count,
 *		         saturated
 *		} ]      the end
 *		"        low 56 bits: offset into `strings`: 32-bit length, bytes, NUL
 *		l u d    the next word is the int64, uint64 or double
 *		t f n    true, false, null
 *	tokens	the offset in the text of every { } [ ] : , and of the first byte
 *		of every other token, in order; after the last one the length
 *
 * Both are simdjson's documented structures (doc/tape.md; stage 1's
 * structural indexes).
 */
#ifndef BASE_JSON_SIMDJSON_H
#define BASE_JSON_SIMDJSON_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SIMD_PADDING = 64, SIMD_NUMBER_MAX = 32 };

enum simd_verdict {
	SIMD_OK,
	SIMD_EMPTY,
	SIMD_TOO_DEEP,
	SIMD_NOT_JSON,
};

struct simd_parser;

struct simd_doc {
	const uint64_t *tape;
	const uint8_t *strings;
	const uint32_t *tokens;
	uint32_t token_count;
};

struct simd_parser *simd_parser_new(size_t bytes_max, size_t depth_max);
void simd_parser_free(struct simd_parser *parser);
/* `text` has JSON_PADDING_BYTES readable bytes after it. Running out of memory ends the program. */
enum simd_verdict simd_parse(struct simd_parser *parser, const char *text, size_t len,
			     struct simd_doc *ret_doc);

/* Shortest text that reads back as `value`, which is finite; returns its length. The second one
 * always has the form d.ddde-05. */
size_t simd_put_double(double value, char out[SIMD_NUMBER_MAX]);
size_t simd_put_scientific(double value, char out[SIMD_NUMBER_MAX]);

#ifdef __cplusplus
}
#endif

#endif
