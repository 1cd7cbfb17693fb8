/*
 * connector.h - the properties file of a Confluent S3 sink connector, taken as
 * it is: what means the same here sets the option, what would make other objects
 * is refused, and what has no meaning here is named, once.
 */
#ifndef CMD_CONNECTOR_H
#define CMD_CONNECTOR_H

#include "base/config.h"

/* Above pinpipe.yaml, below the environment and flags. ERR_USAGE: what cannot be done, or read. */
MUST_USE enum err_code connector_load(struct config *config, const char *path, struct err *err);

#endif
