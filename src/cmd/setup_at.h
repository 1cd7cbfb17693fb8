/* setup_at.h - the versions of tables that a question names, for sql_side_attach() alone. */
#ifndef CMD_SETUP_AT_H
#define CMD_SETUP_AT_H

#include "cmd/sql_side.h"

/* ERR_USAGE: it names one, and the engine takes no view of such a name. */
MUST_USE enum err_code setup_at_check(const struct config *config, const char *question,
				      struct err *err);
/* Their names become views of the side's results. Returns the question without them in
 * *ret_others; of any question (NULL) there are none. */
MUST_USE enum err_code setup_at(const char *question, struct sql_side *side,
				const char **ret_others, struct err *err);

#endif
