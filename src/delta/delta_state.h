/*
 * delta_state.h - a version of a table in memory: what is left of the actions
 * of the log when all of them up to that version are applied (PROTOCOL.md,
 * "Action Reconciliation").
 *
 * For the next checkpoint it remembers what came after the last one: the files
 * from `new_from` on, and `gone`, each with its version, as another process may
 * have written one meanwhile. Only those keep their statistics; all the
 * others are in the last checkpoint, which the next one is made from.
 */
#ifndef DELTA_DELTA_STATE_H
#define DELTA_DELTA_STATE_H

#include "delta/delta_action.h"
#include "delta/delta_map.h"

struct delta_state_file {
	struct delta_add add;
	int64_t version; /* of the commit, or of the checkpoint that it came with */
};

struct delta_state {
	int64_t version;		/* -1: there is no table */
	int64_t timestamp_ms;		/* of that version; 0: not known */
	struct delta_protocol protocol;
	struct delta_metadata *metadata;
	struct delta_state_file *files; /* live, in the order they were added, but for … */
	size_t gap_count;		/* … so many without a path … */
	size_t file_count;		/* … of these: delta_state_close_gaps() */
	size_t file_room;
	struct delta_map by_path;
	uint64_t rows;
	uint64_t bytes;
	struct delta_app *apps;
	size_t app_count;
	size_t app_room;
	struct delta_map by_app;

	int64_t checkpoint;		/* version of the last one that is known; -1: none */
	uint32_t checkpoint_parts;	/* of how many files it is; 0: of one, as we write it */
	size_t new_from;		/* files before this are in it */
	uint64_t tombstones;		/* that are in it, about */
	struct delta_gone {
		struct delta_remove remove;
		int64_t version;
	} * gone; /* removed or replaced since */
	size_t gone_count;
	size_t gone_room;
	struct delta_doubled doubled; /* of the commits that were applied */
	int64_t others_optimized_ms;
	bool keep_stats;		/* a checkpoint will want them */
};

void delta_state_init(struct delta_state *state, bool keep_stats);
void delta_state_release(struct delta_state *state);
/* One commit more. Takes the texts: *actions is empty afterwards. What it removes may leave gaps
 * among the files. */
void delta_state_apply(struct delta_state *state, struct delta_actions *actions, int64_t version);
/* After the last of the commits at hand: files are looked at by their number again. */
void delta_state_close_gaps(struct delta_state *state);
/* A checkpoint of this version, or this state's as it is now, is in the store, of so many parts. */
void delta_state_checkpointed(struct delta_state *state, int64_t version, uint32_t parts);
/* What was known before all was read anew stays so. */
void delta_state_keep_doubled(struct delta_state *state, const struct delta_doubled *old);
/* NULL: never seen; valid until another commit is applied. */
const struct delta_app *delta_state_app(const struct delta_state *state, const char *app_id);
/* -1: never seen. */
int64_t delta_state_app_version(const struct delta_state *state, const char *app_id);

#endif
