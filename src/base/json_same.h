/*
 * json_same.h - whether two values mean the same, however they are written:
 * members in any order (of a name that is there twice the last one counts),
 * numbers by their value, strings without their escapes. Objects of very many
 * members are not compared: false.
 */
#ifndef BASE_JSON_SAME_H
#define BASE_JSON_SAME_H

#include "base/json.h"

/* They are of two parsers, or of one document. */
bool json_same(struct json a, struct json b);

#endif
