#include "base/registry_inside.h"

#include "base/time.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- opening ------------------------------------------------------------------------ */

/* `fd` is of a file that was opened for this, so a lock of our own shows, too. */
static bool is_held(int fd, size_t at)
{
	struct flock lock = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)at + 1, .l_len = 1
	};

	return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static void view_take(struct registry_view *view, int fd)
{
	const struct registry_head *head = view->map;
	uint32_t slots = atomic_load(&head->slots);
	const char *first = (const char *)view->map + REGISTRY_PAGE;

	for (uint32_t i = 0; i < slots && registry_bytes(i + 1) <= view->map_bytes; i++) {
		const struct registry_slot *slot =
			(const struct registry_slot *)(first + i * REGISTRY_SLOT_BYTES);

		view->list[view->count++] = (struct registry_process){ slot, is_held(fd, i) };
	}
}

enum err_code registry_view_open(const char *dir, struct registry_view *ret_view, struct err *err)
{
	struct registry_view view = { .count = 0 };
	char name[REGISTRY_NAME_MAX], path[PATH_MAX];
	struct stat st;
	int fd;

	registry_name(name);
	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return err_set(err, ERR_LIMIT, "the path \"%s\" is too long", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_errno(err, "could not open \"%s\"", path);
	view.map = MAP_FAILED;
	if (fstat(fd, &st) == 0 && st.st_size >= REGISTRY_PAGE) {
		view.map_bytes = (size_t)st.st_size;
		view.map = mmap(NULL, view.map_bytes, PROT_READ, MAP_SHARED, fd, 0);
	}
	if (view.map == MAP_FAILED || !registry_head_fits(view.map, view.map_bytes)) {
		if (view.map != MAP_FAILED)
			(void)munmap(view.map, view.map_bytes);
		(void)close(fd);
		return err_set(err, ERR_ABSENT, "\"%s\" is damaged", path);
	}
	view_take(&view, fd);
	(void)close(fd);
	*ret_view = view;
	return ERR_OK;
}

void registry_view_here(struct registry_view *view)
{
	struct err ignored;

	if (registry_dir() && registry_view_open(registry_dir(), view, &ignored) == ERR_OK)
		return;
	*view = (struct registry_view){ .count = 1, .list = { { registry_mine(), true } } };
}

void registry_view_close(struct registry_view *view)
{
	if (view->map)
		(void)munmap(view->map, view->map_bytes);
	*view = (struct registry_view){ .count = 0 };
}

/* --- who, and their rows -------------------------------------------------------------- */

const struct registry_process *registry_find(const struct registry_view *view, const char *role)
{
	const struct registry_process *last = NULL;

	for (size_t i = 0; i < view->count; i++) {
		const struct registry_process *process = &view->list[i];

		if (strncmp(process->slot->role, role, REGISTRY_ROLE_MAX) != 0)
			continue;
		if (process->alive)
			return process;
		if (!last ||
		    atomic_load(&process->slot->began_ms) > atomic_load(&last->slot->began_ms))
			last = process;
	}
	return last;
}

const struct registry_slot *registry_keeper(const struct registry_view *view, enum series_kind kind,
					    bool *ret_alive)
{
	static const char *const roles[] = {
#define X(id, labels, role) [id] = role,
		SERIES_KIND_TABLE(X)
#undef X
	};
	const struct registry_process *process = registry_find(view, roles[kind]);

	/* One that has joined no directory is alone in its view, whatever it is called. */
	if (!process && !view->map && view->count > 0)
		process = &view->list[0];
	*ret_alive = process && process->alive;
	return process ? process->slot : NULL;
}

const struct series *registry_next_row(const struct registry_slot *slot, enum series_kind kind,
				       const struct series *after)
{
	size_t at = after ? (size_t)(after - slot->rows) + 1 : SERIES_KINDS;

	if (after == &slot->rows[kind])
		return NULL;
	for (; at < REGISTRY_ROWS_MAX; at++) {
		uint32_t its = atomic_load_explicit(&slot->rows[at].kind, memory_order_acquire);

		if (its == 0)
			break;
		if (its == (uint32_t)kind + 1)
			return &slot->rows[at];
	}
	return atomic_load(&slot->rows[kind].kind) ? &slot->rows[kind] : NULL;
}

const struct series *registry_find_row(const struct registry_slot *slot, enum series_kind kind,
				       const char *name)
{
	const struct series *row = NULL;

	while (slot && (row = registry_next_row(slot, kind, row)) != NULL)
		if (strncmp(row->name, name, sizeof(row->name) - 1) == 0)
			return row;
	return NULL;
}

void registry_text(const struct registry_slot *slot, enum registry_word word,
		   char ret[REGISTRY_TEXT_MAX])
{
	const struct registry_text *text = &slot->words[word];

	for (int i = 0; i < 1000; i++) {
		uint32_t turn = atomic_load_explicit(&text->turn, memory_order_acquire);

		memcpy(ret, text->text, REGISTRY_TEXT_MAX);
		atomic_thread_fence(memory_order_acquire);
		if (!(turn & 1) && atomic_load(&text->turn) == turn)
			break;
	}
	ret[REGISTRY_TEXT_MAX - 1] = '\0';
}

/* --- sums --------------------------------------------------------------------------------- */

int64_t registry_total(const struct registry_view *view, enum metric metric, const char *role)
{
	int64_t total = 0;

	for (size_t i = 0; i < view->count; i++) {
		const struct registry_process *process = &view->list[i];

		if ((process->alive || !metric_is_gauge(metric)) &&
		    (!role || strncmp(process->slot->role, role, REGISTRY_ROLE_MAX) == 0))
			total += atomic_load(&process->slot->values[metric]);
	}
	return total;
}

void registry_times(const struct registry_view *view, enum histogram_id id,
		    struct histogram_counts *ret_counts)
{
	*ret_counts = (struct histogram_counts){ 0 };
	for (size_t i = 0; i < view->count; i++)
		histogram_sum(ret_counts, &view->list[i].slot->histograms[id], 1);
}

/* NULL: it keeps none. */
static const struct registry_moment *oldest_moment(const struct registry_slot *slot)
{
	const struct registry_moment *oldest = NULL;
	int64_t oldest_ms = INT64_MAX;

	for (int i = 0; i < REGISTRY_MOMENTS; i++) {
		int64_t at_ms = atomic_load(&slot->moments[i].at_ms);

		if (at_ms > 0 && at_ms < oldest_ms) {
			oldest_ms = at_ms;
			oldest = &slot->moments[i];
		}
	}
	return oldest;
}

int64_t registry_recent(const struct registry_view *view, enum metric metric, int64_t *ret_ms)
{
	int64_t sum = 0, longest_ms = 0, now_ms = clock_mono_ms();

	for (size_t i = 0; i < view->count; i++) {
		const struct registry_slot *slot = view->list[i].slot;
		const struct registry_moment *from = oldest_moment(slot);
		int64_t ms;

		if (!view->list[i].alive || !from)
			continue;
		ms = now_ms - atomic_load(&from->at_ms);
		/* One that keeps none, as `up`, does nothing that is asked for by its rate. */
		if (ms > (REGISTRY_MOMENTS + 1) * REGISTRY_MOMENT_MS)
			continue;
		sum += atomic_load(&slot->values[metric]) - atomic_load(&from->values[metric]);
		longest_ms = ms > longest_ms ? ms : longest_ms;
	}
	*ret_ms = longest_ms;
	return sum > 0 ? sum : 0;
}

void registry_recent_times(const struct registry_view *view, enum histogram_id id,
			   struct histogram_counts *ret_counts)
{
	*ret_counts = (struct histogram_counts){ 0 };
	for (size_t i = 0; i < view->count; i++) {
		const struct registry_slot *slot = view->list[i].slot;
		const struct registry_moment *from = oldest_moment(slot);

		if (!view->list[i].alive || !from)
			continue;
		histogram_sum(ret_counts, &from->histograms[id], -1);
		histogram_sum(ret_counts, &slot->histograms[id], 1);
	}
}

int64_t registry_lag(const struct registry_view *view, enum series_kind kind,
		     const struct series *row)
{
	bool alive;
	const struct registry_slot *slot =
		registry_keeper(view, kind == SERIES_BATCH_TABLE ? SERIES_SINK : kind, &alive);
	int64_t of = series_get(row, SERIES_OF), since;
	const struct series *landed;

	if (!alive)
		return -1;
	if (kind != SERIES_BATCH_TABLE)
		return series_get(row, SERIES_LAG);
	if (of <= SERIES_KINDS || of > REGISTRY_ROWS_MAX)
		return -1;
	landed = &slot->rows[of - 1];
	since = series_get(landed, SERIES_RECORDS) + series_get(landed, SERIES_DEAD) -
		series_get(row, SERIES_BASE);
	if (series_get(landed, SERIES_LAG) < 0)
		return -1;
	return (since > 0 ? since : 0) + series_get(landed, SERIES_LAG);
}
