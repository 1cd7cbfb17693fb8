/* status_text.h - a status (flow/status.h) for a person, on one screen, and for a program. */
#ifndef CMD_STATUS_TEXT_H
#define CMD_STATUS_TEXT_H

#include "flow/status.h"

void status_put_text(struct buf *out, const struct status *status, const char *dir);
/* One object, on a line. */
void status_put_json(struct buf *out, const struct status *status, const char *dir);

#endif
