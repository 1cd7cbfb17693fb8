/* openapi.h - deploy/openapi.json, which the build puts into the program (tools/embed). */
#ifndef GATEWAY_OPENAPI_H
#define GATEWAY_OPENAPI_H

#include "base/slice.h"

extern const struct slice openapi_json;

#endif
