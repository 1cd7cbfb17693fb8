/*
 * connector.h - the properties file of a Confluent S3 sink connector, taken as
 * it is: what means the same here sets the option, what would make other objects
 * is refused, and what has no meaning here is named, once.
 */
#ifndef CMD_CONNECTOR_H
#define CMD_CONNECTOR_H

#include "base/config.h"

/*
 * Of the file that sink.connector names, if it does. What is set is above pinpipe.yaml, below the
 * environment and flags. ERR_USAGE: what cannot be done, or read.
 */

/* Where the lake is and how it is reached, which all commands must agree on. */
MUST_USE enum err_code connector_take_lake(struct config *config, struct err *err);
/* The rest, which is the sink's alone. */
MUST_USE enum err_code connector_load(struct config *config, struct err *err);

#endif
