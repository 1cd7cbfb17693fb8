#include "flow/live.h"

#include "base/failpoint.h"
#include "base/mem.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of the files in messages: they have no path. */
static const char file_name[] = "what the log holds beyond the table";

enum err_code live_file_open(struct live *live, struct live_file *ret_file, struct err *err)
{
	int fd = open(live->temp_dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	/* Who only looks need not be allowed to write there; nor can every file system do that. */
	if (fd < 0)
		fd = memfd_create("pinpipe", MFD_CLOEXEC);
	if (fd < 0)
		return err_errno(err, "could not make a file for what the log holds");
	ret_file->fd = fd;
	(void)snprintf(ret_file->path, sizeof(ret_file->path), "/proc/self/fd/%d", fd);
	return ERR_OK;
}

enum err_code live_file_take(struct live_tail *tail, struct live_file *file, enum err_code code,
			     struct clean_result *result)
{
	if (code != ERR_OK || result->rows == 0) {
		(void)close(file->fd);
	} else {
		tail->files = xreallocarray(tail->files, tail->count + 1, sizeof(*tail->files));
		tail->files[tail->count++] = (struct store_fetched){ .fd = file->fd,
								     .size = result->bytes,
								     .path = xstrdup(file_name) };
	}
	clean_result_release(result);
	return code;
}

enum err_code live_clean(struct live *live, const struct lake_table *place,
			 struct micro_batch *batch, struct live_tail *tail, struct err *err)
{
	struct clean_result result = { 0 };
	struct poison poison = { 0 };
	struct live_file file;
	enum err_code code;

	if (batch->count == 0)
		return ERR_OK;
	code = live_file_open(live, &file, err);
	if (code != ERR_OK)
		return code;
	(void)pthread_mutex_lock(&live->turn);
	code = micro_batch_clean(
		&(struct micro_batch_cleaning){ batch, live->engine, place, file.path }, &poison,
		&result, err);
	(void)pthread_mutex_unlock(&live->turn);
	micro_batch_clear(batch);
	return live_file_take(tail, &file, code, &result);
}

enum err_code live_read_log(struct live *live, struct log_place *places, size_t count,
			    enum err_code (*take)(struct log_place *place,
						  const struct reader_event *event,
						  struct err *err),
			    struct err *err)
{
	/* What retention does after the table was looked at cannot be awaited otherwise. */
	if (FAILPOINT("live-log"))
		return err_set(err, ERR_IO, "injected fault");
	return log_read(live->broker, places, count, take, err);
}

void live_note_loss(struct live_tail *tail, const struct reader_event *gap)
{
	tail->moved |= gap_is_loss(gap->gap) && gap->gap != GAP_DAMAGED;
}

void live_tail_release(struct live_tail *tail)
{
	store_fetched_release_all(tail->files, tail->count);
	free(tail->files);
	*tail = (struct live_tail){ 0 };
}

enum err_code live_read(struct live *live, const struct lake_table *place,
			struct delta_table *delta, struct live_tail *ret_tail, struct err *err)
{
	struct live_tail tail = { 0 };
	enum err_code code = place->kind == TOPIC_STREAM
				     ? live_read_stream(live, place, delta, &tail, err)
				     : live_read_batch(live, place, delta, &tail, err);

	if (code == ERR_OK)
		*ret_tail = tail;
	else
		live_tail_release(&tail);
	return code;
}
