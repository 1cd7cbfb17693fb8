#include "broker/local/catalog.h"

#include "base/buf.h"
#include "base/crc32c.h"
#include "base/failpoint.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/trace.h"
#include "broker/local/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static const char file_name[] = "topics";
static const char copy_name[] = "topics.copy";
static const char new_name[] = "topics.new";
static const char the_list[] = "the list of topics";
static const char first_word[] = "pinpipe topics ";
enum {
	CATALOG_BYTES_MAX = 16 * 1024 * 1024,
	CRC_LINE = 13, /* "crc 01234567\n" */
	VERSION = 2,
};

static void put_topic(struct buf *out, const struct topic *topic)
{
	buf_addf(out, "topic %s %016" PRIx64 " %" PRId64 " %" PRId32 " %s\n",
		 topic_kind_text(topic->kind), topic->uid, topic->created_ms,
		 topic->partition_count, topic->name);
	for (int32_t i = 0; i < topic->partition_count; i++) {
		const struct partition *p = &topic->partitions[i];

		buf_addf(out,
			 "partition %" PRId32 " %s %" PRId32 " %" PRId32 " %" PRIu64 " %" PRIu64
			 " %016" PRIx64 "%016" PRIx64 " %016" PRIx64 "%016" PRIx64 "\n",
			 p->id, p->open ? "open" : "closed", p->parents[0], p->parents[1], p->floor,
			 p->created_s, p->hash_first.high, p->hash_first.low, p->hash_last.high,
			 p->hash_last.low);
	}
}

static void put_catalog(struct buf *out, const struct topics *topics, uint64_t log_id)
{
	buf_addf(out, "%s%d\nlog %016" PRIx64 "\n", first_word, VERSION, log_id);
	for (size_t i = 0; i < topics->count; i++)
		if (topics->items[i]->phase != TOPIC_GOING)
			put_topic(out, topics->items[i]);
	for (size_t i = 0; i < topics->floors.count; i++) {
		const struct topic_floor *floor = &topics->floors.items[i];

		buf_addf(out, "gone %s %" PRIu64 " %" PRIu64 " %s\n", topic_kind_text(floor->kind),
			 floor->others, floor->created_s, floor->name);
		for (size_t k = 0; k < floor->count; k++)
			buf_addf(out, "floor %" PRIu64 "\n", floor->ordinals[k]);
	}
	buf_addf(out, "crc %08" PRIx32 "\n", crc32c(0, out->ptr, out->len));
}

static enum err_code catalog_replace(int dir_fd, const char *name, struct slice text,
				     struct err *err)
{
	return file_replace(dir_fd, name, new_name, text, true, the_list, err);
}

/* The copy first: so it lacks nothing that a client was told is there. */
static enum err_code replace_both(int dir_fd, struct slice text, struct err *err)
{
	enum err_code code = catalog_replace(dir_fd, copy_name, text, err);

	if (code != ERR_OK)
		return code;
	errno = FAILPOINT("catalog-rename");
	if (errno != 0)
		code = err_errno(err, "could not replace the list of topics");
	else
		code = catalog_replace(dir_fd, file_name, text, err);
	if (code != ERR_OK) {
		catalog_mend(dir_fd);
		return code;
	}
	errno = FAILPOINT("catalog-renamed");
	if (errno != 0)
		code = err_errno(err, "could not sync the list of topics");
	else
		code = dir_sync(dir_fd, err);
	return code == ERR_OK ? code : (err->code = ERR_UNKNOWN);
}

enum err_code catalog_save(int dir_fd, const struct topics *topics, uint64_t log_id,
			   struct err *err)
{
	enum err_code code;
	struct buf text;

	errno = FAILPOINT("catalog-write");
	if (errno != 0)
		return err_errno(err, "could not write the list of topics");
	buf_init(&text, CATALOG_BYTES_MAX);
	put_catalog(&text, topics, log_id);
	if (buf_full(&text))
		code = err_set(err, ERR_LIMIT, "there are too many topics");
	else
		code = replace_both(dir_fd, buf_slice(&text), err);
	buf_release(&text);
	return code;
}

static bool is_there(int dir_fd, const char *name) { return faccessat(dir_fd, name, F_OK, 0) == 0; }

bool catalog_is_there(int dir_fd)
{
	return is_there(dir_fd, file_name) || is_there(dir_fd, copy_name);
}

/* An empty list must not take the place of one that was lost. */
enum err_code catalog_need_no_log(int dir_fd, struct err *err)
{
	uint64_t *bases;
	size_t count;
	enum err_code code = segment_list(dir_fd, &bases, &count, err);

	if (code != ERR_OK)
		return code;
	free(bases);
	if (count > 0)
		return err_set(err, ERR_CORRUPT,
			       "the log's list of topics is not there, its "
			       "segments are");
	return ERR_OK;
}

/* Under its name unless another process was faster. */
static enum err_code make_first(int dir_fd, uint64_t log_id, struct slice text, struct err *err)
{
	char name[64];
	enum err_code code;

	(void)snprintf(name, sizeof(name), "%s.%016" PRIx64, new_name, log_id);
	code = file_write(dir_fd, name, text, true, the_list, err);
	if (code == ERR_OK && linkat(dir_fd, name, dir_fd, file_name, 0) < 0 && errno != EEXIST)
		code = err_errno(err, "could not make the list of topics");
	(void)unlinkat(dir_fd, name, 0);
	return code == ERR_OK ? dir_sync(dir_fd, err) : code;
}

enum err_code catalog_make(int dir_fd, struct err *err)
{
	struct topics none;
	struct buf text;
	uint64_t log_id = 0;
	enum err_code code;

	if (catalog_is_there(dir_fd))
		return ERR_OK;
	code = catalog_need_no_log(dir_fd, err);
	if (code != ERR_OK)
		return code;
	topics_init(&none);
	while (log_id == 0)
		(void)!getrandom(&log_id, sizeof(log_id), 0);
	errno = FAILPOINT("catalog-write");
	if (errno != 0)
		return err_errno(err, "could not write the list of topics");
	buf_init(&text, CATALOG_BYTES_MAX);
	put_catalog(&text, &none, log_id);
	code = make_first(dir_fd, log_id, buf_slice(&text), err);
	buf_release(&text);
	return code;
}

static bool parse_topic(const char *line, struct topics *topics, struct topic **ret_topic)
{
	char kind_word[8], name[TOPIC_NAME_MAX + 1];
	struct topic_ref ref = { .name = name };
	int64_t created_ms;
	int32_t partitions;
	uint64_t uid;

	if (sscanf(line, "topic %7s %16" SCNx64 " %" SCNd64 " %" SCNd32 " %249s", kind_word, &uid,
		   &created_ms, &partitions, name) != 5 ||
	    !topic_kind_parse(kind_word, &ref.kind) || partitions < 1 ||
	    partitions > PARTITIONS_MAX)
		return false;
	*ret_topic = topic_new(ref, partitions);
	(*ret_topic)->uid = uid;
	(*ret_topic)->created_ms = created_ms;
	if (topics_insert(topics, *ret_topic))
		return true;
	topic_free(*ret_topic);
	return false;
}

static bool parse_partition(const char *line, struct topic *topic)
{
	struct partition p = { .topic = topic };
	char word[8];

	if (!topic ||
	    sscanf(line,
		   "partition %" SCNd32 " %7s %" SCNd32 " %" SCNd32 " %" SCNu64 " %" SCNu64
		   " %16" SCNx64 "%16" SCNx64 " %16" SCNx64 "%16" SCNx64,
		   &p.id, word, &p.parents[0], &p.parents[1], &p.floor, &p.created_s,
		   &p.hash_first.high, &p.hash_first.low, &p.hash_last.high,
		   &p.hash_last.low) != 10 ||
	    p.id < 0 || p.id >= topic->partition_count)
		return false;
	p.open = strcmp(word, "open") == 0;
	p.first = p.next = p.floor;
	topic->partitions[p.id] = p;
	return true;
}

static bool parse_gone(const char *line, struct topics *topics)
{
	struct topic_floor floor = { 0 };
	char kind_word[8];

	if (sscanf(line, "gone %7s %" SCNu64 " %" SCNu64 " %249s", kind_word, &floor.others,
		   &floor.created_s, floor.name) != 4 ||
	    !topic_kind_parse(kind_word, &floor.kind))
		return false;
	floors_add(&topics->floors, &floor);
	return true;
}

static bool parse_floor(const char *line, struct topics *topics)
{
	uint64_t ordinal;

	if (topics->floors.count == 0 || sscanf(line, "floor %" SCNu64, &ordinal) != 1)
		return false;
	floors_add_ordinal(&topics->floors, ordinal);
	return true;
}

static bool catalog_parse_line(const char *line, struct topics *topics, struct topic **topic,
			       uint64_t *log_id)
{
	switch (line[0]) {
	case 'l':
		return sscanf(line, "log %16" SCNx64, log_id) == 1;
	case 't':
		return parse_topic(line, topics, topic);
	case 'p':
		return parse_partition(line, *topic);
	case 'g':
		return parse_gone(line, topics);
	case 'f':
		return parse_floor(line, topics);
	default:
		return false;
	}
}

/* Of a text that is whole, be it of a version that this program knows or not; else 0. */
static int catalog_version(struct slice text)
{
	size_t first = sizeof(first_word) - 1;
	char last_line[CRC_LINE + 1];
	int version = 0;

	if (text.len < first + 2 + CRC_LINE || memcmp(text.ptr, first_word, first) != 0)
		return 0;
	(void)snprintf(last_line, sizeof(last_line), "crc %08" PRIx32 "\n",
		       crc32c(0, text.ptr, text.len - CRC_LINE));
	if (memcmp(text.ptr + text.len - CRC_LINE, last_line, CRC_LINE) != 0)
		return 0;
	for (const char *at = text.ptr + first; *at >= '0' && *at <= '9' && version < 1000; at++)
		version = version * 10 + *at - '0';
	return version;
}

/* Of a text that is whole. */
static bool catalog_parse(char *text, size_t len, struct topics *topics, uint64_t *ret_log_id)
{
	struct topic *topic = NULL;
	char *line;

	text[len - CRC_LINE] = '\0';
	line = strchr(text, '\n');
	for (line = line ? line + 1 : text; *line;) {
		char *end = strchr(line, '\n');

		if (!end)
			return false;
		*end = '\0';
		if (!catalog_parse_line(line, topics, &topic, ret_log_id))
			return false;
		line = end + 1;
	}
	return true;
}

/* A text that is whole, or an error. */
static enum err_code read_whole(int dir_fd, const char *name, struct buf *text, struct err *err)
{
	enum err_code code = file_read(dir_fd, name, text, the_list, err);

	int version;

	if (code != ERR_OK)
		return code;
	version = catalog_version(buf_slice(text));
	if (version == 0)
		return err_set(err, ERR_CORRUPT, "\"%s\" is damaged", name);
	if (version > VERSION)
		return err_set(err, ERR_UNSUPPORTED,
			       "\"%s\" was written by a newer version of pinpipe", name);
	return ERR_OK;
}

static enum err_code catalog_load_file(int dir_fd, const char *name, struct topics *topics,
				       uint64_t *ret_log_id, struct err *err)
{
	enum err_code code;
	struct buf text;

	buf_init(&text, CATALOG_BYTES_MAX);
	code = read_whole(dir_fd, name, &text, err);
	if (code == ERR_OK && !catalog_parse(text.ptr, text.len, topics, ret_log_id)) {
		topics_release(topics);
		code = err_set(err, ERR_CORRUPT, "\"%s\" is damaged", name);
	}
	buf_release(&text);
	return code;
}

enum err_code catalog_load(int dir_fd, struct topics *topics, uint64_t *ret_log_id, struct err *err)
{
	struct err first, second;

	if (catalog_load_file(dir_fd, file_name, topics, ret_log_id, &first) == ERR_OK)
		return ERR_OK;
	if (first.code == ERR_UNSUPPORTED) {
		*err = first;
		return first.code;
	}
	if (catalog_load_file(dir_fd, copy_name, topics, ret_log_id, &second) != ERR_OK)
		return err_set(err, first.code, "the list of topics cannot be read: %s; %s",
			       first.msg, second.msg);
	trace_warn("the list of topics cannot be read, its copy is taken: %s", first.msg);
	return ERR_OK;
}

enum err_code catalog_check(int dir_fd, struct err *err)
{
	const char *const names[] = { file_name, copy_name };
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < ARRAY_LEN(names) && code == ERR_OK; i++) {
		struct buf text;
		struct err why;

		buf_init(&text, CATALOG_BYTES_MAX);
		code = read_whole(dir_fd, names[i], &text, &why);
		if (code == ERR_ABSENT && i > 0)
			code = ERR_OK;
		if (code != ERR_OK)
			*err = why;
		buf_release(&text);
	}
	return code;
}

enum err_code catalog_upgrade(int dir_fd, const struct topics *topics, uint64_t log_id,
			      struct err *err)
{
	enum err_code code;
	struct buf text;
	int version;

	buf_init(&text, CATALOG_BYTES_MAX);
	code = read_whole(dir_fd, file_name, &text, err);
	version = code == ERR_OK ? catalog_version(buf_slice(&text)) : 0;
	buf_release(&text);
	if (version == VERSION)
		return ERR_OK;
	code = catalog_save(dir_fd, topics, log_id, err);
	return code == ERR_UNKNOWN ? (err->code = ERR_IO) : code;
}

enum err_code catalog_copy(int from_fd, int to_fd, struct err *err)
{
	const char *const names[] = { copy_name, file_name };
	enum err_code code;
	struct buf text;

	buf_init(&text, CATALOG_BYTES_MAX);
	code = read_whole(from_fd, file_name, &text, err);
	if (code != ERR_OK) {
		struct err why;

		buf_clear(&text);
		if (read_whole(from_fd, copy_name, &text, &why) == ERR_OK)
			code = ERR_OK;
	}
	for (size_t i = 0; i < ARRAY_LEN(names) && code == ERR_OK; i++)
		code = file_write(to_fd, names[i], buf_slice(&text), true, the_list, err);
	buf_release(&text);
	return code;
}

/* `name` becomes what is whole in the other file. */
static void catalog_mend_file(int dir_fd, const char *name, struct slice text)
{
	struct err err;

	if (catalog_replace(dir_fd, name, text, &err) == ERR_OK && dir_sync(dir_fd, &err) == ERR_OK)
		trace_debug("\"%s\" was written anew", name);
	else
		trace_warn("\"%s\" could not be written anew: %s", name, err.msg);
}

void catalog_mend(int dir_fd)
{
	struct buf text, copy;
	enum err_code code, copy_code;
	struct err ignored;
	bool good, copy_good;

	buf_init(&text, CATALOG_BYTES_MAX);
	buf_init(&copy, CATALOG_BYTES_MAX);
	code = read_whole(dir_fd, file_name, &text, &ignored);
	copy_code = read_whole(dir_fd, copy_name, &copy, &ignored);
	good = code == ERR_OK;
	copy_good = copy_code == ERR_OK;
	if (code == ERR_UNSUPPORTED || copy_code == ERR_UNSUPPORTED)
		trace_debug("the list of topics is not ours to mend");
	else if (good && !(copy_good && slice_eq(buf_slice(&text), buf_slice(&copy))))
		catalog_mend_file(dir_fd, copy_name, buf_slice(&text));
	else if (!good && copy_good)
		catalog_mend_file(dir_fd, file_name, buf_slice(&copy));
	buf_release(&text);
	buf_release(&copy);
}
