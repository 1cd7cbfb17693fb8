/*
 * readers_local.c - the open readers of broker_local, and their descriptors.
 *
 * A reader's descriptor is an eventfd. Who is about to say that there is nothing
 * arms it and looks once more, and rings it itself if there is something after
 * all; whoever makes something durable afterwards rings it. In the writer's
 * process that is the thread that commits; in any other one thread for all
 * readers waits on the log's bell.
 */
#include "broker/local/reader_local.h"

#include "base/mem.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { WATCH_MS = 100 };	/* between two looks whether it is to end */

void local_readers_add(struct local_broker *local, struct local_reader *reader)
{
	(void)pthread_mutex_lock(&local->readers_lock);
	reader->next = local->readers;
	local->readers = reader;
	(void)pthread_mutex_unlock(&local->readers_lock);
}

void local_readers_drop(struct local_broker *local, struct local_reader *reader)
{
	struct local_reader **at = &local->readers;

	(void)pthread_mutex_lock(&local->readers_lock);
	while (*at != reader)
		at = &(*at)->next;
	*at = reader->next;
	if (reader->fd >= 0) {
		atomic_fetch_sub(&local->readers_with_fd, 1);
		(void)close(reader->fd);
	}
	(void)pthread_mutex_unlock(&local->readers_lock);
}

void local_reader_ring(struct local_reader *reader)
{
	if (reader->fd >= 0)
		(void)eventfd_write(reader->fd, 1);
}

void local_reader_arm(struct local_reader *reader)
{
	eventfd_t rung;

	(void)eventfd_read(reader->fd, &rung);
	atomic_store(&reader->armed, true);
}

void local_readers_ring(struct local_broker *local)
{
	if (atomic_load(&local->readers_with_fd) == 0)
		return;
	(void)pthread_mutex_lock(&local->readers_lock);
	for (struct local_reader *reader = local->readers; reader; reader = reader->next)
		if (reader->fd >= 0 && atomic_exchange(&reader->armed, false))
			local_reader_ring(reader);
	(void)pthread_mutex_unlock(&local->readers_lock);
}

static void *watch_bell(void *arg)
{
	struct local_broker *local = arg;
	uint32_t seen = watermark_bell(&local->watermark);

	local_readers_ring(local); /* for what came before that */
	while (!atomic_load(&local->watcher_ends)) {
		uint32_t bell = watermark_bell(&local->watermark);

		if (bell == seen)
			watermark_wait(&local->watermark, bell, WATCH_MS);
		else
			local_readers_ring(local);
		seen = bell;
	}
	return NULL;
}

/* With the readers' lock. */
static enum err_code start_watcher(struct local_broker *local, struct err *err)
{
	if (local->options.writer || local->watching)
		return ERR_OK;
	errno = pthread_create(&local->watcher, NULL, watch_bell, local);
	if (errno != 0)
		return err_errno(err, "could not start to watch the log");
	local->watching = true;
	return ERR_OK;
}

void local_readers_end(struct local_broker *local)
{
	if (!local->watching)
		return;
	atomic_store(&local->watcher_ends, true);
	(void)pthread_join(local->watcher, NULL);
}

enum err_code local_reader_fd(struct broker_reader *base, int *ret_fd, struct err *err)
{
	struct local_broker *local = local_of(base->broker);
	struct local_reader *reader = local_reader_of(base);
	enum err_code code = ERR_OK;
	int fd;

	if (reader->fd >= 0) {
		*ret_fd = reader->fd;
		return ERR_OK;
	}
	fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK); /* there may be something now */
	if (fd < 0)
		return errno == EMFILE || errno == ENFILE
			       ? err_set(err, ERR_LIMIT, "there are too many open files")
			       : err_errno(err, "could not make a descriptor for a reader");
	(void)pthread_mutex_lock(&local->readers_lock);
	code = start_watcher(local, err);
	if (code == ERR_OK) {
		reader->fd = fd;
		atomic_fetch_add(&local->readers_with_fd, 1);
	}
	(void)pthread_mutex_unlock(&local->readers_lock);
	if (code != ERR_OK)
		(void)close(fd);
	else
		*ret_fd = fd;
	return code;
}
