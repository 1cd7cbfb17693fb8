/* The table of options: what each is called, and what it allows. */
#include "base/config_private.h"

#include "base/cron.h"
#include "base/mem.h"
#include "base/nearest.h"

#include <ctype.h>
#include <strings.h>

static const struct row {
	const char *key;
	const char *flag;
	enum config_type type;
	const char *value;
	const char *allowed;
	const char *help;
} table[] = {
#define X(id, key, flag, type, value, allowed, help) \
	[OPT_##id] = { key, flag, type, value, allowed, help },
#include "base/config_options.h"
#undef X
};

static const enum option common[] = {
	OPT_CONFIG, OPT_CREDS,	OPT_DIR,    OPT_ID,	 OPT_VERBOSE, OPT_LOG_FORMAT,
	OPT_FORMAT, OPT_MODELS, OPT_BROKER, OPT_STREAMS, OPT_ENGINE,  OPTION_COUNT,
};

/* What stands before the first dot of a key. */
static const char *const sections[] = {
	"broker", "streams", "gateway", "log", "source",   "mysql", "emulate", "sink",	  "table",
	"stream", "engine",  "batch",	"up",  "maintain", "s3",    "raw",     "letters",
};

struct unit {
	const char *name;
	int64_t factor;
};

static const struct unit no_units[] = { { "", 1 }, { 0 } };
static const struct unit byte_units[] = {
	{ "", 1 }, { "B", 1 }, { "KiB", 1LL << 10 }, { "MiB", 1LL << 20 }, { "GiB", 1LL << 30 },
	{ "TiB", 1LL << 40 }, { "PiB", 1LL << 50 }, { 0 },
};
static const struct unit time_units[] = {
	{ "", 1000 }, { "ms", 1 }, { "s", 1000 }, { "m", 60 * 1000 }, { "h", 3600 * 1000 },
	{ "d", 86400LL * 1000 }, { 0 },
};

const char *option_key(enum option option) { return table[option].key; }
const char *option_flag(enum option option) { return table[option].flag; }
const char *option_help(enum option option) { return table[option].help; }
const char *option_default(enum option option) { return table[option].value; }
const char *option_allowed(enum option option) { return table[option].allowed; }
enum config_type option_type(enum option option) { return table[option].type; }

bool option_is_common(enum option option)
{
	for (const enum option *o = common; *o != OPTION_COUNT; o++)
		if (*o == option)
			return true;
	return false;
}

enum option option_of_key(const char *key)
{
	for (int i = 0; i < OPTION_COUNT; i++)
		if (*key && strcmp(table[i].key, key) == 0)
			return (enum option)i;
	return OPTION_COUNT;
}

enum option option_of_flag(struct slice flag)
{
	for (int i = 0; i < OPTION_COUNT; i++)
		if (flag.len > 0 && slice_is(flag, table[i].flag))
			return (enum option)i;
	return OPTION_COUNT;
}

bool option_is_section(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(sections); i++)
		if (strcmp(sections[i], name) == 0)
			return true;
	return false;
}

static const char *key_or_section_at(const void *list, size_t n)
{
	(void)list;
	if (n < OPTION_COUNT)
		return table[n].key;
	n -= OPTION_COUNT;
	if (n < ARRAY_LEN(sections))
		return sections[n];
	n -= ARRAY_LEN(sections);
	return n < OPTION_GROUPS ? option_group_name((enum option_group)n) : NULL;
}

/* "listen" at the top level was meant to be "gateway.listen". */
static const char *key_with_last_part(const char *part)
{
	for (int i = 0; i < OPTION_COUNT; i++) {
		const char *dot = strrchr(table[i].key, '.');

		if (dot && strcmp(dot + 1, part) == 0)
			return table[i].key;
	}
	return NULL;
}

const char *option_nearest_key(const char *key)
{
	const char *dot = strrchr(key, '.');
	const char *found = nearest(key, key_or_section_at, NULL);

	return found ? found : key_with_last_part(dot ? dot + 1 : key);
}

static const struct unit *units_of(enum config_type type)
{
	bool of_time = type == CONFIG_MS || type == CONFIG_SCHEDULE;

	return type == CONFIG_BYTES ? byte_units : of_time ? time_units : no_units;
}

/* Digits and one of the units; false: something else, or more than an int64 holds. */
static bool parse_number(struct slice text, const struct unit *units, int64_t *ret)
{
	int64_t value = 0;
	size_t i = 0;

	for (; i < text.len && isdigit((unsigned char)text.ptr[i]); i++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, text.ptr[i] - '0', &value))
			return false;
	if (i == 0)
		return false;
	for (const struct unit *unit = units; unit->name; unit++)
		if (slice_is(slice_from(text, i), unit->name))
			return !__builtin_mul_overflow(value, unit->factor, ret);
	return false;
}

static bool in_range(const char *allowed, const struct unit *units, int64_t value)
{
	const char *dots = strstr(allowed, "..");
	int64_t least = 0, most = INT64_MAX;

	if (!dots)
		return true;
	if (!parse_number(slice_of(allowed, (size_t)(dots - allowed)), units, &least) ||
	    !parse_number(slice_str(dots + 2), units, &most))
		return false;	/* a bug in the table, which a test would show */
	return least <= value && value <= most;
}

static bool in_choices(const char *allowed, const char *text)
{
	size_t len = strlen(text);

	for (const char *word = allowed; *word; word += *word == '|') {
		size_t word_len = strcspn(word, "|");

		if (word_len == len && memcmp(word, text, len) == 0)
			return true;
		word += word_len;
	}
	return false;
}

static bool parse_bool(const char *text, int64_t *ret)
{
	static const char *const words[][4] = {
		{ "false", "no", "off", "0" }, { "true", "yes", "on", "1" },
	};

	for (int value = 0; value < 2; value++)
		for (size_t i = 0; i < ARRAY_LEN(words[value]); i++)
			if (strcasecmp(words[value][i], text) == 0) {
				*ret = value;
				return true;
			}
	return false;
}

/* What would have been right, as the second half of a sentence. */
static enum err_code option_refuse(const struct row *row, const char *text, struct err *err)
{
	static const char *const what[] = {
		[CONFIG_BOOL] = "true or false",
		[CONFIG_INT] = "a whole number",
		[CONFIG_BYTES] = "a size such as 64KiB or 1GiB",
		[CONFIG_MS] = "a time such as 250ms, 10s or 7d (a number alone: seconds)",
		[CONFIG_CHOICE] = "one of",
		[CONFIG_SCHEDULE] = "a time such as 15m",
	};
	bool ranged = *row->allowed && row->type != CONFIG_CHOICE;

	return err_set(err, ERR_USAGE, "\"%.80s\" is not %s%s%s", text, what[row->type],
		       ranged ? " in the range " : *row->allowed ? " " : "", row->allowed);
}

/* One word without a blank can only be meant as a time; all else, as a cron expression. */
static enum err_code parse_schedule(const struct row *row, const char *text, int64_t *ret_ms,
				    struct err *err)
{
	struct cron cron;

	*ret_ms = 0;
	if (!*text)
		return ERR_OK;
	if (*text == '@' || strpbrk(text, " \t"))
		return cron_parse(&cron, text, err);
	if (parse_number(slice_str(text), time_units, ret_ms) &&
	    in_range(row->allowed, time_units, *ret_ms))
		return ERR_OK;
	return option_refuse(row, text, err);
}

enum err_code option_parse(enum option option, const char *text, int64_t *ret_number,
			   struct err *err)
{
	const struct row *row = &table[option];
	const struct unit *units = units_of(row->type);
	int64_t number = 0;
	bool right = true;
	struct zone zone;

	switch (row->type) {
	case CONFIG_TEXT: case CONFIG_PATH: case CONFIG_SECRET:
		break;
	case CONFIG_BOOL:
		right = parse_bool(text, &number);
		break;
	case CONFIG_CHOICE:
		right = in_choices(row->allowed, text);
		break;
	case CONFIG_SCHEDULE:
		return parse_schedule(row, text, ret_number, err);
	case CONFIG_ZONE:
		*ret_number = 0;
		return zone_init(&zone, text, err);
	case CONFIG_INT: case CONFIG_BYTES: case CONFIG_MS:
		right = parse_number(slice_str(text), units, &number) &&
			in_range(row->allowed, units, number);
		break;
	}
	if (!right)
		return option_refuse(row, text, err);
	*ret_number = number;
	return ERR_OK;
}

/* The file's name is no key in it; but who starts others may have them read the same file. */
void option_env_name(enum option option, char ret_name[OPTION_ENV_MAX])
{
	const char *key = option == OPT_CONFIG ? table[option].flag : table[option].key;

	(void)snprintf(ret_name, OPTION_ENV_MAX, "%s%s", *key ? "PINPIPE_" : "", key);
	for (char *c = ret_name; *c; c++)
		*c = *c == '.' ? '_' : (char)toupper((unsigned char)*c);
}

void option_put_value_name(struct buf *out, enum option option)
{
	static const char *const names[] = {
		[CONFIG_TEXT] = "TEXT", [CONFIG_PATH] = "PATH", [CONFIG_SECRET] = "TEXT",
		[CONFIG_BOOL] = "", [CONFIG_INT] = "N", [CONFIG_BYTES] = "SIZE", [CONFIG_MS] = "TIME",
		[CONFIG_SCHEDULE] = "WHEN", [CONFIG_ZONE] = "ZONE",
	};
	const struct row *row = &table[option];

	buf_add_str(out, row->type == CONFIG_CHOICE ? row->allowed : names[row->type]);
}

static void put_help_line(struct buf *out, enum option option)
{
	const struct row *row = &table[option];
	size_t start = out->len;

	buf_addf(out, "  --%s ", row->flag);
	option_put_value_name(out, option);
	if (out->len - start > 25)
		buf_addf(out, "\n%26s", "");
	else
		buf_addf(out, "%*s", (int)(26 - (out->len - start)), "");
	buf_add_str(out, row->help);
	if (*row->value && row->type != CONFIG_BOOL)
		buf_addf(out, " (default: %s)", row->value);
	buf_add_char(out, '\n');
}

void config_put_help(struct buf *out, const enum option *options)
{
	for (const enum option *o = options; *o != OPTION_COUNT; o++)
		if (*table[*o].flag)
			put_help_line(out, *o);
}

void config_put_common_help(struct buf *out, const enum option *own)
{
	for (const enum option *o = common; *o != OPTION_COUNT; o++) {
		const enum option *told = own;

		while (told && *told != OPTION_COUNT && *told != *o)
			told++;
		if (!told || *told == OPTION_COUNT)
			config_put_help(out, (const enum option[]){ *o, OPTION_COUNT });
	}
}
