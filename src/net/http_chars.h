/*
 * http_chars.h - the small grammar that heads, chunks, targets and the values
 * of headers share (RFC 9110 5.6): lines, tokens, blanks, escapes.
 */
#ifndef NET_HTTP_CHARS_H
#define NET_HTTP_CHARS_H

#include "net/http_parse.h"

/* One line from `at`, without its CRLF. HTTP_REFUSED: a CR or LF that is not part of a CRLF. */
enum http_step http_line(struct slice bytes, size_t at, struct slice *ret_line);

bool http_is_token(char c);
bool http_is_alnum(char c);
/* 0 to 15, or -1. */
int http_hex_value(char c);
/* Percent-decodes into `to`, which has room for text.len; with `plus`, "+" is a space. False: a bad escape. */
bool http_unescape(struct slice text, bool plus, char *to, size_t *ret_len);

bool slice_is_nocase(struct slice a, const char *b);
/* Without the spaces and tabs around it. */
struct slice slice_trim(struct slice a);

#endif
