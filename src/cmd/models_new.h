/* models_new.h - `pinpipe models new NAME`: a model file out of sample records on stdin. */
#ifndef CMD_MODELS_NEW_H
#define CMD_MODELS_NEW_H

#include "base/config.h"

MUST_USE enum err_code models_new(const struct config *config, const char *name, struct err *err);

#endif
