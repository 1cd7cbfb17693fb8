/* topic_admin.h - what `topics` and `streams` share: they differ in the kind only. */
#ifndef CMD_TOPIC_ADMIN_H
#define CMD_TOPIC_ADMIN_H

#include "base/config.h"
#include "broker/broker.h"

/* argv: nothing, or one of create, describe and delete and a name. Returns the exit status. */
int topic_admin(const struct config *config, enum topic_kind kind, int argc,
		const char *const *argv);

#endif
