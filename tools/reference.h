/*
 * reference.h - what the tables of the code are printed as, besides the documents
 * of reference.c: manual pages and what shells complete.
 */
#ifndef TOOLS_REFERENCE_H
#define TOOLS_REFERENCE_H

#include "cmd/cmd_table.h"

/* pinpipe(1) where `name` is "pinpipe", pinpipe.yaml(5), or "pinpipe-<command>"; false: no such
 * page. */
bool reference_put_page(struct buf *out, const char *name);
/* Of "bash", "zsh" or "fish"; false: of no other. */
bool reference_put_completion(struct buf *out, const char *shell);

#endif
