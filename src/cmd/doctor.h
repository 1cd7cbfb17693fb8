/*
 * doctor.h - what `pinpipe doctor` looks at. Each look tells what it found in
 * a row, and where that is not as it should be what to do. A look leaves nothing
 * behind: an object that it puts into the lake to see that it may is taken away.
 */
#ifndef CMD_DOCTOR_H
#define CMD_DOCTOR_H

#include "cmd/rows.h"

enum doctor_verdict {
	DOCTOR_OK,
	DOCTOR_NOTE, /* good to know */
	DOCTOR_WARN, /* it works, until … */
	DOCTOR_FAIL, /* it does not */
};
enum { DOCTOR_VERDICTS = DOCTOR_FAIL + 1 };

struct doctor {
	const struct config *config;
	struct rows rows;
	size_t counts[DOCTOR_VERDICTS];
};

/* `advice` NULL: nothing is to be done. */
__attribute__((format(printf, 5, 6))) void doctor_tell(struct doctor *doctor,
						       enum doctor_verdict verdict,
						       const char *check, const char *advice,
						       const char *found, ...);
/* What failed with this error. */
void doctor_tell_err(struct doctor *doctor, const char *check, const char *advice,
		     const struct err *err);

/* The program, this machine, and the directory of the data. */
void doctor_look_at_machine(struct doctor *doctor);
/* What the configuration names: the gateway's address, models, lake, and services. */
void doctor_look_at_services(struct doctor *doctor);

/* In cmd_gateway.c: whether a gateway could listen. As gateway_try(). */
MUST_USE enum err_code cmd_gateway_try(const struct config *config, struct err *err);
/* How many keys gateway.keys and gateway.api_key_sha256 name. ERR_USAGE: they are not right. */
MUST_USE enum err_code cmd_gateway_count_keys(const struct config *config, size_t *ret_count,
					      struct err *err);

#endif
