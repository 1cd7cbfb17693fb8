/*
 * config.h - every option of the program, declared once in config_options.h:
 * key, flag, type, default, help. The parser of pinpipe.yaml, the environment
 * (PINPIPE_<KEY, dots as _>), the flags, `--help`, `pinpipe config` and
 * docs/reference.md all come from that table.
 *
 * Which value wins: flag, then environment, then file, then default. An
 * unknown key is an error with the nearest known one as a hint.
 * db_creds.yaml holds the original's keys (HOST, USER, PASSWORD, DATABASE,
 * PORT, URL, STREAMING_URL), which set the options of the same meaning.
 *
 * Ownership: texts live as long as the config. Threads: read-only once loaded.
 */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

enum config_type {
	CONFIG_TEXT,
	CONFIG_PATH,
	CONFIG_SECRET,		/* text, masked wherever it is printed; no flag sets it */
	CONFIG_BOOL,		/* true, false, yes, no, 1, 0; a flag alone means true */
	CONFIG_INT,
	CONFIG_BYTES,		/* 4096, 64KiB, 1MiB, 2GiB */
	CONFIG_MS,		/* 250ms, 10s, 5m, 24h, 7d; a bare number is seconds */
	CONFIG_CHOICE,		/* one of the words in `choices`, separated by | */
};

enum config_origin { CONFIG_FROM_DEFAULT, CONFIG_FROM_FILE, CONFIG_FROM_ENV, CONFIG_FROM_FLAG };

enum option {
#define X(id, key, flag, type, value, choices, help) OPT_##id,
#include "base/config_options.h"
#undef X
	OPTION_COUNT
};

struct config;

/* A config of defaults. */
MUST_USE struct config *config_new(void);
void config_free(struct config *config);

/* Each layer refuses what it cannot read with ERR_USAGE: which key, which place, what would be right. */
MUST_USE enum err_code config_load_file(struct config *config, const char *path, struct err *err);
MUST_USE enum err_code config_load_creds(struct config *config, const char *path, struct err *err);
MUST_USE enum err_code config_load_env(struct config *config, struct err *err);
/* Flags of a command, which takes those in `accepts` (ended by OPTION_COUNT) and those of every command.
 * `positional` (may be NULL) receives what is no flag; more than `positional_max` is an error. */
MUST_USE enum err_code config_load_flags(struct config *config, const enum option *accepts,
					 int argc, char **argv, const char **positional,
					 size_t positional_max, size_t *ret_positional,
					 struct err *err);
/* All layers in their order; the file is --config, or pinpipe.yaml if that is there. */

const char *config_text(const struct config *config, enum option option);	/* "" if empty */
int64_t config_int(const struct config *config, enum option option);	/* INT, BYTES, MS */
bool config_bool(const struct config *config, enum option option);
enum config_origin config_origin(const struct config *config, enum option option);
/* False: still the default. */
bool config_is_set(const struct config *config, enum option option);
void config_set_text(struct config *config, enum option option, const char *text);

const char *option_key(enum option option);
const char *option_flag(enum option option);
const char *option_help(enum option option);
const char *option_default(enum option option);
const char *option_choices(enum option option);
enum config_type option_type(enum option option);
/* "--help" lines for these options. */
void config_put_help(struct buf *out, const enum option *options);

#endif
