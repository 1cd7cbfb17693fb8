#include "flow/check_topic.h"

#include "base/mem.h"
#include "broker/sequence.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { WORDS_MAX = 400, SQL_BYTES_MAX = 64 << 20, TOPICS_MAX = 100000 };

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

static int64_t check_table_done(const struct checking *checking, const struct check_table *table,
				int32_t partition)
{
	char app_id[LAKE_APP_ID_MAX];
	struct delta_progress done;
	struct err err;

	lake_app_id(app_id, checking->kind, checking->topic, partition, checking->info.uid);
	if (!table->delta || delta_progress(table->delta, app_id, &done, &err) != ERR_OK ||
	    !done.any)
		return -1;
	return (int64_t)position_ordinal(done.position);
}

int64_t check_done_of(const struct checking *checking, int32_t partition)
{
	int64_t done = checking->table_count > 0 ? INT64_MAX : -1;

	for (size_t i = 0; i < checking->table_count; i++) {
		int64_t its = check_table_done(checking, &checking->tables[i], partition);

		done = its < done ? its : done;
	}
	return done;
}

/* Of a stream that was made anew, what comes before its first record is the old one's. */
static uint64_t committed_of(const struct checking *checking, int32_t partition)
{
	uint64_t end = (uint64_t)(check_done_of(checking, partition) + 1), first;

	if (checking->kind == TOPIC_LOG)
		return end;
	if (partition >= checking->info.partition_count)
		return UINT64_MAX;
	first = position_ordinal(checking->info.partitions[partition].first);
	return end > first ? end : first;
}

struct check_part *check_part_of(struct checking *checking, int32_t partition)
{
	for (size_t i = 0; i < checking->part_count; i++)
		if (checking->parts[i].partition == partition)
			return &checking->parts[i];
	checking->parts = xreallocarray(checking->parts, checking->part_count + 1,
					sizeof(*checking->parts));
	checking->parts[checking->part_count] = (struct check_part){
		.partition = partition, .front = -1, .committed = committed_of(checking, partition)
	};
	return &checking->parts[checking->part_count++];
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

/* What retention let go of before the sink had it: nobody has it any more. */
static void check_lost(struct checking *checking)
{
	for (int32_t i = 0; i < checking->info.partition_count; i++) {
		uint64_t first = position_ordinal(checking->info.partitions[i].first);
		const struct check_part *part = check_part_of(checking, i);

		if (part->next < first)
			check_fault(checking,
				    "partition %d of \"%s\": offsets %" PRIu64 " to %" PRIu64
				    " left the log and never reached the lake",
				    i, checking->topic, part->next, first - 1);
	}
}

/* What the table's `txn` says is done must be somewhere. */
static void check_progress(struct checking *checking, int32_t partition)
{
	int64_t done = check_done_of(checking, partition);
	uint64_t end = check_part_of(checking, partition)->places_end;

	if (done >= 0 && (uint64_t)done >= end)
		check_fault(checking,
			    "partition %d of \"%s\": the tables say that offsets up to %" PRId64
			    " are done, but what they hold ends before %" PRIu64,
			    partition, checking->topic, done, end);
}

/* The log is asked last: nothing can be in the lake that it has not taken by then. */
static enum err_code count_behind(struct checking *checking)
{
	uint64_t done = checking->counts.rows + checking->settled;
	uint64_t logged = 0;
	enum err_code code = check_describe(checking);

	if (code != ERR_OK || checking->info.partition_count == 0)
		return code;
	if (checking->table_count == 0) /* then it is the objects that count */
		done += checking->counts.lines;
	for (int32_t i = 0; i < checking->info.partition_count; i++) {
		logged += position_ordinal(checking->info.partitions[i].next);
		check_progress(checking, i);
	}
	if (done > logged && checking->counts.faults == 0)
		check_fault(checking,
			    "\"%s\": the lake holds %" PRIu64
			    " records more than were ever in the log",
			    checking->topic, done - logged);
	checking->counts.behind = logged > done ? logged - done : 0;
	if (checking->table_count == 0 && checking->kind == TOPIC_STREAM) {
		checking->counts.unread = logged; /* nothing is made of a stream but tables */
		checking->counts.behind = 0;
	}
	return ERR_OK;
}

static enum err_code check_all(struct checking *checking)
{
	bool log = checking->kind == TOPIC_LOG;
	enum err_code code = check_open_tables(checking);

	if (code == ERR_OK)
		code = check_describe(checking);
	if (code == ERR_OK)
		code = check_find_fronts(checking);
	if (code == ERR_OK)
		code = check_take_letters(checking);
	if (code == ERR_OK && log)
		code = check_objects(checking);
	if (code == ERR_OK && log)
		check_lost(checking);
	if (code == ERR_OK && checking->table_count > 0)
		code = check_places(checking);
	return code == ERR_OK ? count_behind(checking) : code;
}

static void checking_release(struct checking *checking)
{
	for (size_t i = 0; i < checking->part_count; i++)
		free(checking->parts[i].sink);
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

enum err_code check_topic(const struct check_options *options, struct topic_ref topic,
			  struct check_counts *ret_counts, struct err *err)
{
	struct checking checking = {
		.options = options, .kind = topic.kind, .topic = topic.name, .err = err
	};
	enum err_code code;

	buf_init(&checking.insert, SQL_BYTES_MAX);
	code = check_find_tables(&checking);
	if (code == ERR_OK)
		code = check_all(&checking);
	if (code == ERR_OK)
		*ret_counts = checking.counts;
	checking_release(&checking);
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
	struct check_topics *topics;
	enum topic_kind kind;
	char after[STORE_KEY_MAX + 1]; /* "": the listing is at its end */
};

static bool check_add_logged(void *user, const char *name)
{
	struct check_listing *listing = user;

	check_topics_add(listing->topics, listing->kind, slice_str(name));
	return listing->topics->count < TOPICS_MAX;
}

/* One key of a topic is enough: the listing goes on behind all of it. */
static bool check_add_landed(void *user, const struct store_entry *entry)
{
	struct check_listing *listing = user;
	const char *name = entry->key + strlen("topics/");
	size_t len = strcspn(name, "/");

	if (name[len] && len <= TOPIC_NAME_MAX)
		check_topics_add(listing->topics, TOPIC_LOG, slice_of(name, len));
	/* '0' comes right after '/'. */
	(void)snprintf(listing->after, sizeof(listing->after), "topics/%.*s%s", (int)len, name,
		       name[len] ? "0" : "");
	return false;
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
	struct check_listing listing = { .topics = &topics };
	enum err_code code = ERR_OK;

	for (int kind = TOPIC_LOG; kind <= TOPIC_STREAM && code == ERR_OK; kind++) {
		listing.kind = (enum topic_kind)kind;
		code = check_add_models(options, listing.kind, &topics, err);
		if (code == ERR_OK)
			code = broker_list(options->broker, listing.kind, check_add_logged,
					   &listing, err);
	}
	for (bool more = true; more && code == ERR_OK; more = listing.after[0] != '\0') {
		char after[STORE_KEY_MAX + 1];

		(void)snprintf(after, sizeof(after), "%s", listing.after);
		listing.after[0] = '\0';
		code = store_list(options->store, "topics/", after, check_add_landed, &listing,
				  err);
	}
	if (code == ERR_OK)
		*ret_topics = topics;
	else
		free(topics.list);
	return code;
}
