#include "broker/local/remake_inside.h"

#include "base/dir.h"
#include "base/failpoint.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/time.h"
#include "broker/local/catalog.h"
#include "broker/local/segment.h"
#include "broker/local/watermark.h"
#include "broker/sequence.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static const char log_name[] = "log";
static const char part_name[] = "log.part";

enum {
	BATCH_BYTES = 256 << 10,
	RECORD_BYTES_MAX = 1 << 30,
	SEGMENT_BYTES_MIN = 1 << 20,
};

static uint64_t random_number(void)
{
	uint64_t number = 0;

	while (number == 0)
		(void)!getrandom(&number, sizeof(number), 0);
	return number;
}

/* --- the directory ------------------------------------------------------- */

/* What an earlier try left: files alone. */
static bool remake_clear(const struct remake *remake)
{
	int fd = openat(remake->part_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	bool done = dir != NULL;

	while (dir && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			done = unlinkat(remake->part_fd, entry->d_name, 0) == 0 && done;
	if (dir)
		(void)closedir(dir);
	else if (fd >= 0)
		(void)close(fd);
	return done;
}

static enum err_code remake_lock(struct remake *remake, struct err *err)
{
	struct stat mine, named;

	if (mkdirat(remake->dir_fd, part_name, 0700) < 0 && errno != EEXIST)
		return err_errno(err, "could not make \"%s/%s\"", remake->dir, part_name);
	remake->part_fd = openat(remake->dir_fd, part_name,
				 O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (remake->part_fd < 0)
		return err_errno(err, "could not open \"%s/%s\"", remake->dir, part_name);
	if (flock(remake->part_fd, LOCK_EX | LOCK_NB) < 0 || fstat(remake->part_fd, &mine) < 0 ||
	    fstatat(remake->dir_fd, part_name, &named, AT_SYMLINK_NOFOLLOW) < 0 ||
	    mine.st_ino != named.st_ino)
		return err_set(err, ERR_LOCKED, "another process makes the log in \"%s\"",
			       remake->dir);
	if (!remake_clear(remake))
		return err_set(err, ERR_EXISTS, "\"%s/%s\" holds what no restore has left there",
			       remake->dir, part_name);
	remake->ours = true;
	return ERR_OK;
}

static enum err_code there_is_a_log(const struct remake *remake, struct err *err)
{
	return err_set(err, ERR_EXISTS, "there is a log in \"%s\" already: remove \"%s/%s\", or name "
		       "another directory", remake->dir, remake->dir, log_name);
}

static enum err_code remake_open_place(struct remake *remake, struct err *err)
{
	struct stat there;
	enum err_code code = dir_make(remake->dir, 0700, err);

	if (code != ERR_OK)
		return code;
	remake->dir_fd = open(remake->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (remake->dir_fd < 0)
		return err_errno(err, "could not open \"%s\"", remake->dir);
	if (fstatat(remake->dir_fd, log_name, &there, AT_SYMLINK_NOFOLLOW) == 0)
		return there_is_a_log(remake, err);
	return remake_lock(remake, err);
}

enum err_code remake_begin(const char *dir, uint64_t segment_bytes, struct remake **ret_remake,
			   struct err *err)
{
	struct remake *remake = xcalloc(1, sizeof(*remake));
	enum err_code code = ERR_OK;

	remake->dir_fd = remake->part_fd = remake->segment.fd = -1;
	remake->segment_bytes =
		segment_bytes > SEGMENT_BYTES_MIN ? segment_bytes : SEGMENT_BYTES_MIN;
	remake->log_id = random_number();
	remake->life = random_number();
	remake->now_ms = clock_wall_ms();
	remake->segment.header = (struct segment_header){ .base = SEGMENT_HEADER_BYTES,
							  .log_id = remake->log_id,
							  .created_ms = remake->now_ms };
	buf_init(&remake->segment.bytes, SIZE_MAX / 2);
	topics_init(&remake->topics);
	if (snprintf(remake->dir, sizeof(remake->dir), "%s", dir) >= (int)sizeof(remake->dir))
		code = err_set(err, ERR_USAGE, "the directory's name is too long");
	if (code == ERR_OK)
		code = remake_open_place(remake, err);
	if (code == ERR_OK)
		*ret_remake = remake;
	else
		remake_free(remake);
	return code;
}

void remake_free(struct remake *remake)
{
	if (!remake)
		return;
	for (size_t i = 0; i < remake->list_count; i++) {
		for (int32_t k = 0; k < remake->list_counts[i]; k++)
			buf_release(&remake->lists[i][k].records);
		free(remake->lists[i]);
	}
	free(remake->lists);
	free(remake->list_counts);
	topics_release(&remake->topics);
	buf_release(&remake->segment.bytes);
	if (remake->segment.fd >= 0)
		(void)close(remake->segment.fd);
	if (remake->ours && remake_clear(remake))
		(void)unlinkat(remake->dir_fd, part_name, AT_REMOVEDIR);
	if (remake->part_fd >= 0)
		(void)close(remake->part_fd);
	if (remake->dir_fd >= 0)
		(void)close(remake->dir_fd);
	free(remake);
}

/* --- topics ----------------------------------------------------------------- */

/* In a second that no position which is used up has. One that is an ordinal alone is of a second
 * that nobody knows, so its shard goes on above that as well. */
static void begin_shards(const struct remake *remake, const struct remake_topic *topic,
			 struct position *born)
{
	uint64_t made = (uint64_t)(remake->now_ms / 1000);

	for (int32_t i = 0; i < topic->partitions; i++)
		if (!position_is_ordinal(topic->above[i]) &&
		    position_created_s(topic->above[i]) >= made)
			made = position_created_s(topic->above[i]) + 1;
	for (int32_t i = 0; i < topic->partitions; i++) {
		struct position above = topic->above[i];
		uint64_t ordinal = position_is_ordinal(above) ? position_ordinal(above) : 0;

		born[i] = position_of_sequence(made, (uint32_t)i, ordinal + (ordinal > 0));
	}
}

static void begin_offsets(const struct remake_topic *topic, struct position *born)
{
	for (int32_t i = 0; i < topic->partitions; i++)
		born[i] = position_of_offset(topic->born[i]);
}

static void add_parts(struct remake *remake, const struct remake_topic *topic, struct topic *made)
{
	struct remake_part *parts = xcalloc((size_t)topic->partitions, sizeof(*parts));
	size_t count = ++remake->list_count;

	for (int32_t i = 0; i < topic->partitions; i++) {
		struct remake_part *part = &parts[i];

		part->remake = remake;
		part->partition = &made->partitions[i];
		part->next = made->partitions[i].floor;
		if (topic->topic.kind == TOPIC_LOG && topic->first[i] > part->next)
			part->next = topic->first[i];
		part->written = part->next;
		buf_init(&part->records, RECORD_BYTES_MAX);
	}
	remake->lists = xreallocarray(remake->lists, count, sizeof(*remake->lists));
	remake->list_counts = xreallocarray(remake->list_counts, count,
					    sizeof(*remake->list_counts));
	remake->lists[count - 1] = parts;
	remake->list_counts[count - 1] = topic->partitions;
}

enum err_code remake_topic(struct remake *remake, const struct remake_topic *topic,
			   struct remake_part **ret_parts, struct err *err)
{
	struct position *born = xcalloc((size_t)topic->partitions, sizeof(*born));
	struct topic_options options = { .partitions = topic->partitions, .born = born };
	enum err_code code;
	struct topic *made;

	assert(remake->segment.fd < 0 && remake->made.segments == 0);
	if (topic->topic.kind == TOPIC_STREAM)
		begin_shards(remake, topic, born);
	else
		begin_offsets(topic, born);
	if (topic->uid != 0 && topics_find_uid(&remake->topics, topic->uid))
		code = err_set(err, ERR_CORRUPT, "\"%s\" has the identity of another topic",
			       topic->topic.name);
	else
		code = topics_create(&remake->topics, topic->topic, &options, &made, err);
	free(born);
	if (code != ERR_OK)
		return code;
	if (topic->uid != 0)
		made->uid = topic->uid;
	add_parts(remake, topic, made);
	*ret_parts = remake->lists[remake->list_count - 1];
	return ERR_OK;
}

struct remake_part *remake_part(struct remake_part *parts, int32_t i) { return &parts[i]; }

/* --- records ----------------------------------------------------------------- */

static void put_pair(struct buf *out, struct slice first, struct slice second)
{
	unsigned char bytes[RECORD_HEADER_BYTES];

	record_header_encode(first, second, bytes);
	buf_add(out, bytes, sizeof(bytes));
	buf_add(out, first.ptr, first.ptr ? first.len : 0);
	buf_add(out, second.ptr, second.ptr ? second.len : 0);
}

static void remake_put_record(struct buf *out, const struct append_record *record)
{
	unsigned char bytes[RECORD_HEADER_BYTES + RECORD_EXTRA_BYTES];
	size_t extra = record_extra_bytes(record);

	if (extra > 0) {
		record_extra_encode(record, extra, bytes);
		buf_add(out, bytes, sizeof(bytes));
		for (size_t i = 0; i < record->header_count; i++)
			put_pair(out, record->headers[i].name, record->headers[i].value);
	}
	put_pair(out, record->key, record->value);
}

enum err_code remake_add(struct remake_part *part, uint64_t ordinal, uint64_t life,
			 const struct append_record *record, struct err *err)
{
	enum err_code code = ERR_OK;

	assert(ordinal == part->next);
	if (life == 0)
		life = part->remake->life;
	if (part->gap > 0 || (part->count > 0 && (part->life != life ||
						  part->records.len >= BATCH_BYTES)))
		code = remake_write_part(part, 0, err);
	if (code != ERR_OK)
		return code;
	part->life = life;
	part->last_at = part->records.len;
	remake_put_record(&part->records, record);
	if (buf_full(&part->records) || ordinal >= INT64_MAX)
		return err_set(err, ERR_LIMIT, "the record at offset %" PRIu64 " of \"%s\" is none "
			       "that a log can hold", ordinal, part->partition->topic->name);
	remake_sum_add(&part->added, ordinal,
		       slice_of(part->records.ptr + part->last_at,
				part->records.len - part->last_at));
	part->count++;
	part->next++;
	part->remake->made.records++;
	return ERR_OK;
}

enum err_code remake_gap(struct remake_part *part, uint64_t next, enum gap_reason reason,
			 struct err *err)
{
	/* Each takes a batch for 2^32 of them; a number that is out of all proportion is damage. */
	static const uint64_t most = UINT64_C(1) << 44;
	enum err_code code = ERR_OK;

	if (next <= part->next)
		return ERR_OK;
	if (next - part->next > most)
		return err_set(err, ERR_CORRUPT, "partition %" PRId32 " of \"%s\" goes from offset %"
			       PRIu64 " to %" PRIu64, part->partition->id,
			       part->partition->topic->name, part->next, next);
	if (part->gap > 0 && part->reason != reason)
		code = remake_write_part(part, 0, err);
	if (part->life == 0)
		part->life = part->remake->life;
	part->reason = reason;
	part->gap += next - part->next;
	part->added.gaps += next - part->next;
	part->next = next;
	return code;
}

/* What stays in memory of each partition is little. */
enum err_code remake_part_done(struct remake_part *part, struct err *err)
{
	enum err_code code = part->count > 1 ? remake_write_part(part, 1, err) : ERR_OK;
	struct buf last;

	if (code != ERR_OK)
		return code;
	buf_init(&last, RECORD_BYTES_MAX);
	buf_add_slice(&last, buf_slice(&part->records));
	buf_release(&part->records);
	part->records = last;
	return ERR_OK;
}

enum err_code remake_note(struct remake *remake, const char *name, struct slice text,
			  struct err *err)
{
	return file_write(remake->part_fd, name, text, true, "a note beside the log", err);
}

/* --- the end ------------------------------------------------------------------ */

static int by_life(const void *a, const void *b)
{
	const struct remake_part *x = *(struct remake_part *const *)a;
	const struct remake_part *y = *(struct remake_part *const *)b;

	return (x->life > y->life) - (x->life < y->life);
}

/* What was kept back of every partition, one life after the other. */
static enum err_code write_rest(struct remake *remake, struct err *err)
{
	struct remake_part **parts = NULL;
	enum err_code code = ERR_OK;
	size_t count = 0;

	for (size_t i = 0; i < remake->list_count; i++)
		for (int32_t k = 0; k < remake->list_counts[i]; k++) {
			parts = xreallocarray(parts, count + 1, sizeof(struct remake_part *));
			parts[count++] = &remake->lists[i][k];
		}
	if (count > 0)
		qsort(parts, count, sizeof(struct remake_part *), by_life);
	for (size_t i = 0; i < count && code == ERR_OK; i++)
		code = remake_write_part(parts[i], 0, err);
	free(parts);
	return code;
}

static enum err_code remake_name(struct remake *remake, struct err *err)
{
	(void)FAILPOINT("remake-named");
	if (renameat2(remake->dir_fd, part_name, remake->dir_fd, log_name, RENAME_NOREPLACE) < 0) {
		if (errno == EEXIST)
			return there_is_a_log(remake, err);
		if (errno != EINVAL ||
		    renameat(remake->dir_fd, part_name, remake->dir_fd, log_name) < 0)
			return err_errno(err, "could not name \"%s/%s\"", remake->dir, log_name);
	}
	remake->ours = false;
	if (fsync(remake->dir_fd) < 0)
		return err_errno(err, "could not sync \"%s\"", remake->dir);
	return ERR_OK;
}

enum err_code remake_end(struct remake *remake, struct remade *ret_remade, struct err *err)
{
	uint64_t watermark = 0;
	enum err_code code = write_rest(remake, err);

	if (code == ERR_OK)
		code = remake_write_end(remake, &watermark, err);
	if (code == ERR_OK)
		code = watermark_write(remake->part_fd, remake->log_id, watermark, err);
	if (code == ERR_OK)
		code = remake_verify(remake, watermark, err);
	if (code == ERR_OK)
		code = catalog_save(remake->part_fd, &remake->topics, remake->log_id, err);
	if (code == ERR_OK)
		code = remake_name(remake, err);
	if (code == ERR_OK)
		*ret_remade = remake->made;
	return code;
}
