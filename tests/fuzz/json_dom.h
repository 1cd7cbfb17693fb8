/*
 * json_dom.h - simdjson's own DOM over a text, written out as fuzz_json.c
 * writes out what json.h says.
 */
#ifndef TESTS_FUZZ_JSON_DOM_H
#define TESTS_FUZZ_JSON_DOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* False: the DOM refuses the text, or it is nested deeper than that. Else *ret
 * lives until the next call. */
bool json_dom(const uint8_t *text, size_t len, size_t depth_max, const char **ret, size_t *ret_len);

#ifdef __cplusplus
}
#endif

#endif
