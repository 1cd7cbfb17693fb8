#include "flow/poison.h"

#include "base/trace.h"

#include <stdio.h>

enum { REASON_MAX = 280 };

static enum err_code blame(struct poison *poison, size_t at, struct err *err)
{
	char reason[ERR_MSG_MAX];
	enum err_code code;

	if (poison->found == POISON_MAX)
		return err_prefix(err, "more than %d records make the SQL fail", POISON_MAX);
	(void)snprintf(reason, sizeof(reason), "poison: %.*s", REASON_MAX, err->msg);
	code = poison->attempt(poison->user, 0, 0, err);
	if (code == ERR_OK)
		code = poison->bury(poison->user, at, reason, err);
	poison->found += code == ERR_OK;
	return code;
}

/* Cleaning [from, to) failed, as *err says. */
static enum err_code halve(struct poison *poison, size_t from, size_t to, struct err *err)
{
	size_t middle = from + (to - from) / 2;
	size_t ends[] = { from, middle, to };

	if (to - from == 1)
		return blame(poison, from, err);
	for (size_t i = 0; i < 2; i++) {
		enum err_code code = poison->attempt(poison->user, ends[i], ends[i + 1], err);

		if (code == ERR_SHAPE)		/* of anything else no record is to blame */
			code = halve(poison, ends[i], ends[i + 1], err);
		if (code != ERR_OK)
			return code;
	}
	return ERR_OK;
}

enum err_code poison_find(struct poison *poison, size_t count, struct err *err)
{
	struct err whole = *err;
	size_t before = poison->found;
	enum err_code code = ERR_OK;

	trace_warn("%s; looking for the records", err->msg);
	if (count > 0)
		code = halve(poison, 0, count, err);
	if (code != ERR_OK || poison->found > before)
		return code;
	*err = whole;
	return poison_not_found(err);
}

enum err_code poison_not_found(struct err *err)
{
	return err_prefix(err, "no record by itself is to blame");
}
