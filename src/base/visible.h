/*
 * visible.h - text of others for a terminal, where some bytes are orders: they
 * move the cursor, rename the window, answer in the user's name.
 */
#ifndef BASE_VISIBLE_H
#define BASE_VISIBLE_H

#include "base/buf.h"

/*
 * The text with control characters as \x1b: C0, DEL, C1 (U+0080 to U+009F,
 * which is CSI and the like to a terminal of either kind), and every byte that
 * is no UTF-8. `lines`: tabs and line feeds are kept.
 */
void visible_put(struct buf *out, struct slice text, bool lines);

#endif
