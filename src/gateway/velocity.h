/*
 * velocity.h - a JSON value as text, the way the API Gateway's templates
 * (Apache Velocity over Java objects) print it with $input.path and $elem:
 *
 *	string		its characters, without quotes or escapes
 *	number		as Java prints it: 12, 1.5, 100000.0, 1.0E10
 *	true, null	"true", "null"
 *	array		["a",{"b":1}]		JSON, whatever is in it: the array of the gateway's JSON library
 *	object		{k=v, k2=v2}		java.util.Map.toString(), in the order of the text
 *
 * Objects do not come back as JSON: people must send strings there, as with
 * the original. The JSON of an array is as it was sent, without blanks.
 */
#ifndef GATEWAY_VELOCITY_H
#define GATEWAY_VELOCITY_H

#include "base/json.h"

/* The text of a value of n bytes has at most VELOCITY_GROWTH_MAX * n. */
enum { VELOCITY_GROWTH_MAX = 4 };

void velocity_put(struct buf *out, struct json value);

#endif
