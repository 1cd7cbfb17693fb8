/*
 * registry.h - what the processes of a data directory count, in one mapped file there. /metrics,
 * `pinpipe status` and whatever else looks are views of it.
 *
 *	DIR/registry.LAYOUT	a page	"PINPIPER", layout, slots in use
 *				slots	one a process (struct registry_slot)
 *
 *  1. A slot is of a role: "gateway", "sink", … A process takes the one that the last of its role
 *     has left, and counts on there: totals outlive their process, however that ended.
 *  2. Who has a slot holds a lock on a byte of the file, which ends with the process: nobody is
 *     taken for another one that got its number. A slot that is not held, and does not say that it
 *     was left, is of a process that was killed.
 *  3. An update is a store to the mapped page, no more. Its blocks are there from the beginning, so
 *     a disk that is full later is no matter. Nothing is ever synced: a power cut may take the
 *     counts back to an older state, or all of them.
 *  4. It is never in the way. Without room, without the right to write, or if all slots are taken,
 *     the process counts in its own memory, and only its own view has that.
 *  5. The layout names each counter and its place. A program of another one (a newer version) has a
 *     file of its own, where its totals begin anew: while both run, as amid a takeover, neither
 *     sees the other, or loses what the other might still need. Who makes such a file removes those
 *     of other layouts that no process has a slot of. A file that is damaged is replaced.
 *
 * Threads: registry_join() and registry_leave() one, registry_tick() one; the rest any. Rows that
 * were asked for before a process has joined count for nobody.
 */
#ifndef BASE_REGISTRY_H
#define BASE_REGISTRY_H

#include "base/metrics.h"

#include <stdbool.h>
#include <stddef.h>

enum {
	REGISTRY_SLOTS_MAX = 64,
	REGISTRY_ROLE_MAX = 24,
	REGISTRY_TEXT_MAX = 248,
	REGISTRY_ROWS_MAX = SERIES_KINDS + 2 * SERIES_NAMES_MAX,
	REGISTRY_MOMENTS = 7, /* so the oldest is a minute old, … */
	REGISTRY_MOMENT_MS = 10000,
};

/* What a process says of itself. */
enum registry_word {
	REGISTRY_DOING,	 /* what it is at */
	REGISTRY_UNWELL, /* why it does not get on; "": it does */
	REGISTRY_PLACE,	 /* where it listens, or what it works on */
	REGISTRY_END,	 /* why it ended, where that was an error */
	REGISTRY_WORDS
};

struct registry_text {
	_Atomic uint32_t turn; /* odd: it is being written */
	char text[REGISTRY_TEXT_MAX];
};

struct series {
	_Atomic uint32_t kind; /* plus 1; 0: there is no row here, nor behind it */
	char name[SERIES_NAME_MAX];
	_Atomic int64_t values[SERIES_VALUES];
};

struct registry_moment {
	_Atomic int64_t at_ms; /* monotonic clock; 0: none */
	_Atomic int64_t values[METRIC_COUNT];
	struct histogram histograms[HISTOGRAM_COUNT];
};

struct registry_slot {
	char role[REGISTRY_ROLE_MAX];
	_Atomic int64_t pid;	  /* as its own container counts */
	_Atomic int64_t began_ms; /* wall clock, as the next one */
	_Atomic int64_t ended_ms; /* 0: it has not said that it ends */
	_Atomic int64_t starts;
	_Atomic int64_t kills; /* starts that found it ended without a word */
	struct registry_text words[REGISTRY_WORDS];
	_Atomic int64_t values[METRIC_COUNT];
	struct histogram histograms[HISTOGRAM_COUNT];
	struct registry_moment moments[REGISTRY_MOMENTS];
	struct series rows[REGISTRY_ROWS_MAX]; /* the first: "other" of each kind */
};

/* --- for who counts -------------------------------------------------------------- */

/* Where this process counts. */
struct registry_slot *registry_mine(void);
/* `dir` must be there; that it cannot be joined is told as a warning. Once is enough: then it does
 * nothing. */
void registry_join(const char *dir, const char *role);
/* Whether it could be, without a word if not. */
bool registry_may_join(const char *dir);
/* It ends, and well as far as the registry is concerned. Without registry_join() nothing. */
void registry_leave(void);
void registry_say(enum registry_word word, const char *fmt, ...) PRINTF(2, 3);
/* To be called about once a second, by one thread: keeps what rates are reckoned from. */
void registry_tick(void);

/* --- for who looks ---------------------------------------------------------------- */

struct registry_process {
	const struct registry_slot *slot;
	bool alive;
};

struct registry_view {
	size_t count;
	struct registry_process list[REGISTRY_SLOTS_MAX + 1];
	void *map;
	size_t map_bytes;
};

/* ERR_ABSENT: nothing ever ran there, or only programs of another layout. */
MUST_USE enum err_code registry_view_open(const char *dir, struct registry_view *ret_view,
					  struct err *err);
/* Of the directory that this process has joined, or of itself alone. */
void registry_view_here(struct registry_view *view);
void registry_view_close(struct registry_view *view);

/* The process of a role: the one that lives, else the last one. NULL: there was none. */
const struct registry_process *registry_find(const struct registry_view *view, const char *role);
/* Whose rows of a kind count. */
const struct registry_slot *registry_keeper(const struct registry_view *view, enum series_kind kind,
					    bool *ret_alive);
/* The rows of a kind, one after the other, "other" if it counted; NULL: there is no more. */
const struct series *registry_next_row(const struct registry_slot *slot, enum series_kind kind,
				       const struct series *after);
const struct series *registry_find_row(const struct registry_slot *slot, enum series_kind kind,
				       const char *name);
/* Records that a row lacks, -1: nobody knows. Those of batch are what the sink has landed since,
 * and what that lacks. */
int64_t registry_lag(const struct registry_view *view, enum series_kind kind,
		     const struct series *row);
void registry_text(const struct registry_slot *slot, enum registry_word word,
		   char ret[REGISTRY_TEXT_MAX]);

/* All of a counter, of dead and living; of a gauge, of the living. `role`: of those alone; NULL: of
 * all. */
int64_t registry_total(const struct registry_view *view, enum metric metric, const char *role);
void registry_times(const struct registry_view *view, enum histogram_id id,
		    struct histogram_counts *ret_counts);
/* What was counted in the last minute, or since the process began if that is less, of those that
 * live. The first: in so many ms. */
int64_t registry_recent(const struct registry_view *view, enum metric metric, int64_t *ret_ms);
void registry_recent_times(const struct registry_view *view, enum histogram_id id,
			   struct histogram_counts *ret_counts);
bool metric_is_gauge(enum metric metric);

/* Prometheus' text. */
void metrics_put_text(const struct registry_view *view, struct buf *out);

#endif
