#include "flow/check_topic.h"

#include "base/ahead.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum {
	WORDS_MAX = 400,
	SQL_BYTES_MAX = 64 << 20,
	TOPICS_MAX = 100000,
	PAGE_KEYS = 1000,
	TABLES_AT_ONCE = 4,
};

__attribute__((format(printf, 2, 3))) void check_fault(struct checking *checking, const char *fmt,
						       ...)
{
	char words[WORDS_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	checking->counts.faults++;
	checking->options->fault(checking->options->user, words);
}

__attribute__((format(printf, 2, 3))) void check_note(struct checking *checking, const char *fmt,
						      ...)
{
	char words[WORDS_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	checking->options->note(checking->options->user, words);
}

/* The number that the last 20 digits of a position are, modulo 2^64. */
static uint64_t check_digits(struct position position)
{
	char text[POSITION_TEXT_MAX];
	size_t len = position_text(position, text);
	uint64_t value = 0;

	for (size_t i = len - POSITION_DIGITS; i < len; i++)
		value = value * 10 + (uint64_t)(text[i] - '0');
	return value;
}

void check_sum_add(struct check_sum *sum, struct position position)
{
	sum->count++;
	sum->sum += check_digits(position);
	if (sum->count == 1 || position_cmp(position, sum->last) > 0)
		sum->last = position;
}

bool check_is_done(const struct check_part *part, struct position position)
{
	return part->any_done && position_cmp(position, part->done) <= 0;
}

/* A stream's generations show in its tables alone. */
static bool has_progress(const struct checking *checking, int32_t partition, uint32_t generation)
{
	struct lake_partition where = { checking->topic, partition, generation };
	struct delta_progress its;
	char app_id[LAKE_APP_ID_MAX];
	struct err err;

	lake_app_id(app_id, checking->kind, where, checking->info.uid);
	for (size_t i = 0; i < checking->table_count; i++)
		if (checking->tables[i].delta &&
		    delta_progress(checking->tables[i].delta, app_id, &its, &err) == ERR_OK &&
		    its.any)
			return true;
	return false;
}

/* The progress of the table that is least far. */
static enum err_code check_find_done(struct checking *checking, struct check_part *part)
{
	const struct partition_info *info = topic_info_partition(&checking->info, part->where.id);
	char app_id[LAKE_APP_ID_MAX];
	uint64_t offset = 0;

	lake_app_id(app_id, checking->kind, part->where, checking->info.uid);
	for (size_t i = 0; i < checking->table_count; i++) {
		const struct delta_table *delta = checking->tables[i].delta;
		struct delta_progress its = { 0 };

		if (delta && delta_progress(delta, app_id, &its, checking->err) != ERR_OK)
			return checking->err->code;
		if (its.any && info && checking->kind == TOPIC_STREAM)
			its.position = position_made_whole(its.position, info->first);
		if (i > 0 && (!part->any_done ||
			      (its.any && position_cmp(its.position, part->done) >= 0)))
			continue;
		part->any_done = its.any;
		part->done = its.position;
		part->lineage = its.lineage;
	}
	if (part->any_done && checking->kind == TOPIC_LOG && lake_offset(part->done, &offset))
		part->done_end = offset + 1;
	return ERR_OK;
}

struct check_part *check_part_of(struct checking *checking, int32_t partition, uint32_t generation)
{
	struct check_part part = { .front = -1 };

	generation = generation > 0 ? generation : 1;
	for (size_t i = 0; i < checking->part_count; i++)
		if (checking->parts[i].where.id == partition &&
		    checking->parts[i].where.generation == generation)
			return &checking->parts[i];
	part.where = (struct lake_partition){ checking->topic, partition, generation };
	checking->code = check_find_done(checking, &part);
	if (checking->code != ERR_OK)
		return NULL;
	checking->parts = xreallocarray(checking->parts, checking->part_count + 1,
					sizeof(*checking->parts));
	checking->parts[checking->part_count] = part;
	return &checking->parts[checking->part_count++];
}

struct check_part *check_newest_part(struct checking *checking, int32_t partition)
{
	uint32_t newest = 1;

	for (size_t i = 0; i < checking->part_count; i++)
		if (checking->parts[i].where.id == partition &&
		    checking->parts[i].where.generation > newest)
			newest = checking->parts[i].where.generation;
	while (checking->kind == TOPIC_STREAM && newest < LAKE_GENERATIONS_MAX &&
	       has_progress(checking, partition, newest + 1))
		newest++;
	return check_part_of(checking, partition, newest);
}

/* How far the sink and the tables are now: whatever they do while this runs comes after it. */
static enum err_code check_open_tables(struct checking *checking)
{
	for (size_t i = 0; i < checking->table_count; i++) {
		struct check_table *table = &checking->tables[i];
		struct delta_options options = { 0 };
		enum err_code code = delta_open(checking->options->store, table->place.root,
						&options, &table->delta, checking->err);

		if (code != ERR_OK && code != ERR_ABSENT)
			return err_prefix(checking->err, "table \"%s\"", table->place.root);
	}
	return ERR_OK;
}

static enum err_code check_describe(struct checking *checking)
{
	struct topic_ref topic = { .kind = checking->kind, .name = checking->topic };
	enum err_code code;

	topic_info_release(&checking->info);
	code = broker_describe(checking->options->broker, topic, &checking->info, checking->err);
	return code == ERR_NO_TOPIC ? ERR_OK : code;
}

static enum err_code check_all(struct checking *checking)
{
	bool log = checking->kind == TOPIC_LOG;
	enum err_code code = check_describe(checking);

	if (code == ERR_OK)
		code = check_find_fronts(checking);
	if (code == ERR_OK)
		code = check_take_letters(checking);
	if (code == ERR_OK && log)
		code = check_objects(checking);
	/* The log is read last: nothing can be in the lake that it has not taken by then. */
	if (code == ERR_OK)
		code = check_describe(checking);
	if (code == ERR_OK)
		code = check_log(checking);
	if (code == ERR_OK && checking->table_count > 0)
		code = check_places(checking);
	return code;
}

static void checking_release(struct checking *checking)
{
	for (size_t i = 0; i < checking->part_count; i++) {
		free(checking->parts[i].sink);
		free(checking->parts[i].covers);
		free(checking->parts[i].runs);
		manifest_release(&checking->parts[i].newest_manifest);
		free(checking->parts[i].newest_key);
	}
	free(checking->parts);
	for (size_t i = 0; i < checking->table_count; i++)
		delta_close(checking->tables[i].delta);
	free(checking->tables);
	topic_info_release(&checking->info);
	buf_release(&checking->insert);
}

/* The models that read this topic or stream. */
static enum err_code check_find_tables(struct checking *checking)
{
	const struct models *models = checking->options->models;

	checking->tables = xcalloc(models->clean_count + 1, sizeof(*checking->tables));
	for (size_t i = 0; i < models->clean_count; i++) {
		struct lake_table place;

		if (lake_table_init(&place, &models->clean[i], checking->kind,
				    checking->options->id, checking->err) != ERR_OK)
			return checking->err->code;
		if (strcmp(place.topic, checking->topic) == 0)
			checking->tables[checking->table_count++].place = place;
	}
	return ERR_OK;
}

/* Its tables are opened: how far they are then is what the rest is held against. */
static enum err_code checking_open(void *user, size_t item, struct err *err)
{
	struct checking *checking = &((struct checking *)user)[item];
	enum err_code code;

	checking->err = err;
	code = check_find_tables(checking);
	return code == ERR_OK ? check_open_tables(checking) : code;
}

static enum err_code check_each(struct checking *list, size_t count, struct ahead *ahead,
				struct check_counts *ret_counts, struct err *err)
{
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < count && code == ERR_OK; i++) {
		code = ahead_take(ahead, i, err);
		list[i].err = err;
		buf_init(&list[i].insert, SQL_BYTES_MAX);
		if (code == ERR_OK)
			code = check_all(&list[i]);
		ret_counts[i] = list[i].counts;
		checking_release(&list[i]);
		list[i] = (struct checking){ 0 };
	}
	return code;
}

enum err_code check_all_topics(const struct check_options *options,
			       const struct check_topics *topics, struct check_counts *ret_counts,
			       struct err *err)
{
	size_t count = topics->count, at_once = store_at_once(options->store);
	struct checking *list = xcalloc(count, sizeof(*list));
	struct ahead *ahead;
	enum err_code code;

	for (size_t i = 0; i < count; i++)
		list[i] = (struct checking){ .options = options,
					     .kind = topics->list[i].kind,
					     .topic = topics->list[i].name };
	ahead = ahead_new(&(struct ahead_options){
		.count = count,
		.at_once = at_once < TABLES_AT_ONCE ? at_once : TABLES_AT_ONCE,
		.work = checking_open,
		.user = list,
	});
	code = check_each(list, count, ahead, ret_counts, err);
	ahead_free(ahead);
	for (size_t i = 0; i < count; i++)
		checking_release(&list[i]);
	free(list);
	return code;
}

/* --- which topics and streams there are ---------------------------------- */

static void check_topics_add(struct check_topics *topics, enum topic_kind kind, struct slice name)
{
	struct check_topic *topic;

	for (size_t i = 0; i < topics->count; i++)
		if (topics->list[i].kind == kind && slice_is(name, topics->list[i].name))
			return;
	topics->list = xreallocarray(topics->list, topics->count + 1, sizeof(*topics->list));
	topic = &topics->list[topics->count++];
	*topic = (struct check_topic){ .kind = kind };
	(void)snprintf(topic->name, sizeof(topic->name), "%.*s", SLICE_ARG(name));
}

struct check_listing {
	const struct check_options *options;
	struct check_topics *topics;
	enum topic_kind kind;
	char after[STORE_KEY_MAX + 1]; /* of the objects: behind which it goes on */
	size_t enough;		       /* keys of one topic … */
	size_t count;		       /* … of which so many went by */
	bool skips;
};

/* Streams are not shared with others. */
static bool check_is_ours(const struct check_listing *listing, const char *name)
{
	const struct check_options *options = listing->options;
	bool ours = !options->some || listing->kind == TOPIC_STREAM;

	for (size_t i = 0; !ours && i < options->topic_count; i++)
		ours = name_matches(options->topics[i], name);
	return ours;
}

static bool check_add_logged(void *user, const char *name)
{
	struct check_listing *listing = user;

	if (check_is_ours(listing, name))
		check_topics_add(listing->topics, listing->kind, slice_str(name));
	return listing->topics->count < TOPICS_MAX;
}

/* A key of a topic is enough, or a page of them where a request has one: the listing goes on behind
 * all of it. */
static bool check_add_landed(void *user, const struct store_entry *entry)
{
	struct check_listing *listing = user;
	const char *name = entry->key + strlen("topics/");
	size_t len = strcspn(name, "/");
	char behind[STORE_KEY_MAX + 1];

	/* '0' comes right after '/'. */
	(void)snprintf(behind, sizeof(behind), "topics/%.*s%s", (int)len, name,
		       name[len] ? "0" : "");
	if (strcmp(behind, listing->after) != 0) {
		listing->count = 0;
		if (name[len] && len <= TOPIC_NAME_MAX)
			check_topics_add(listing->topics, TOPIC_LOG, slice_of(name, len));
	}
	(void)snprintf(listing->after, sizeof(listing->after), "%s", behind);
	listing->skips = ++listing->count >= listing->enough;
	return !listing->skips;
}

static enum err_code check_list_landed(struct store *store, struct check_listing *listing,
				       struct err *err)
{
	enum err_code code;

	listing->enough = store_at_once(store) > 1 ? PAGE_KEYS : 1;
	do {
		char after[sizeof(listing->after)];

		(void)snprintf(after, sizeof(after), "%s", listing->after);
		listing->skips = false;
		code = store_list_some(store, "topics/", after, listing->enough, check_add_landed,
				       listing, err);
	} while (code == ERR_OK && listing->skips);
	return code;
}

static enum err_code check_add_models(const struct check_options *options, enum topic_kind kind,
				      struct check_topics *topics, struct err *err)
{
	struct lake_table *tables = NULL;
	enum err_code code = lake_tables_new(options->models, kind, options->id, &tables, err);

	for (size_t i = 0; code == ERR_OK && i < options->models->clean_count; i++)
		check_topics_add(topics, kind, slice_str(tables[i].topic));
	free(tables);
	return code;
}

enum err_code check_find_topics(const struct check_options *options,
				struct check_topics *ret_topics, struct err *err)
{
	struct check_topics topics = { 0 };
	struct check_listing listing = { .options = options, .topics = &topics };
	enum err_code code = ERR_OK;

	for (int kind = TOPIC_LOG; kind <= TOPIC_STREAM && code == ERR_OK; kind++) {
		listing.kind = (enum topic_kind)kind;
		code = check_add_models(options, listing.kind, &topics, err);
		if (code == ERR_OK)
			code = broker_list(options->broker, listing.kind, check_add_logged,
					   &listing, err);
	}
	if (code == ERR_OK)
		code = check_list_landed(options->store, &listing, err);
	if (code == ERR_OK)
		*ret_topics = topics;
	else
		free(topics.list);
	return code;
}
