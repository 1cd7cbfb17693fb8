/*
 * ui_assets.h - the files of the page, which are in the program: those of web/
 * and the library of the charts, packed when it is built (tools/embed_page).
 *
 * Names are not those of versions, so browsers ask each time whether a file is
 * still the same, which its ETag tells.
 */
#ifndef GATEWAY_UI_ASSETS_H
#define GATEWAY_UI_ASSETS_H

#include "base/slice.h"

struct ui_file {
	const char *name;
	const char *type;
	const char *tag; /* of the file as it is, with its quotes */
	const char *packed_tag;
	struct slice packed; /* as a gzip file */
	size_t bytes;	     /* unpacked */
};

extern const struct ui_file ui_files[];
extern const size_t ui_file_count;

#endif
