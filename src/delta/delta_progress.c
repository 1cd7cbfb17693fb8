/*
 * delta_progress.c - positions of 186 bits, and what history they are of, as
 * versions of application ids, of which each has 63 bits.
 *
 *	<app>				the position, below 2^63
 *	<app>#0 <app>#1 <app>#2		or else 62 bits of it in each, the highest first
 *	<app>#lineage0 …#lineage1	63 bits of each half of the lineage
 *
 * The actions of one commit carry one time. By it three parts are known for
 * those of one position, and a lineage for that of this position: what is mixed
 * is no position at all, and what a writer that knows no lineages left behind
 * is none. Once there are three, there are three for ever, also of a position
 * that would fit one.
 */
#include "delta/delta_progress.h"

#include "delta/delta_table.h"

#include <inttypes.h>

enum { PARTS = 3, PART_BITS = 62, WORD_BITS = 64, TOP_BITS = PARTS * PART_BITS - 2 * WORD_BITS };

static const uint64_t part_mask = (UINT64_C(1) << PART_BITS) - 1;
static const char *const part_names[PARTS] = { "#0", "#1", "#2" };
static const char *const lineage_names[2] = { "#lineage0", "#lineage1" };

/* ---- Numbers ---- */

static bool fits_one(struct position position)
{
	return !position.word[0] && !position.word[1] && position.word[2] <= INT64_MAX;
}

static void delta_progress_split(struct position position, uint64_t part[static PARTS])
{
	const uint64_t *word = position.word;

	part[0] = (word[1] >> (PART_BITS - 2) | word[0] << (2 * WORD_BITS - 2 * PART_BITS)) &
		  part_mask;
	part[1] = (word[2] >> PART_BITS | word[1] << (WORD_BITS - PART_BITS)) & part_mask;
	part[2] = word[2] & part_mask;
}

static struct position joined(const struct delta_app *const parts[static PARTS])
{
	uint64_t part[PARTS];
	struct position position;

	for (int i = 0; i < PARTS; i++)
		part[i] = (uint64_t)parts[i]->version;
	position.word[0] = part[0] >> (2 * WORD_BITS - 2 * PART_BITS);
	position.word[1] = part[1] >> (WORD_BITS - PART_BITS) | part[0] << (PART_BITS - 2);
	position.word[2] = part[2] | part[1] << PART_BITS;
	return position;
}

static struct lineage kept_of(struct lineage lineage)
{
	return (struct lineage){ lineage.high & INT64_MAX, lineage.low & INT64_MAX };
}

bool delta_lineage_noted(struct lineage lineage) { return lineage.high || lineage.low; }

bool delta_lineage_is(struct lineage noted, struct lineage lineage)
{
	struct lineage a = kept_of(noted), b = kept_of(lineage);

	return !delta_lineage_noted(a) || !delta_lineage_noted(b) || lineage_eq(a, b);
}

/* ---- Reading ---- */

/* Those of the ids <app><name> that are there, else NULL; returns how many. */
static int find_apps(const struct delta_state *state, const char *app_id, const char *const *names,
		     int count, const struct delta_app **ret_apps)
{
	struct buf id;
	int there = 0;

	buf_init(&id, STORE_KEY_MAX);
	for (int i = 0; i < count; i++) {
		buf_clear(&id);
		buf_addf(&id, "%s%s", app_id, names[i]);
		ret_apps[i] = delta_state_app(state, buf_cstr(&id));
		there += ret_apps[i] != NULL;
	}
	buf_release(&id);
	return there;
}

/* Parts that are all there, none of it more than a part may hold, and all of one commit. */
static bool belong_together(const struct delta_app *const parts[static PARTS])
{
	for (int i = 0; i < PARTS; i++)
		if (!parts[i] || (uint64_t)parts[i]->version > part_mask ||
		    parts[i]->updated_ms != parts[0]->updated_ms)
			return false;
	return true;
}

/* That of a position noted at this time. */
static struct lineage find_lineage(const struct delta_state *state, const char *app_id,
				   int64_t updated_ms)
{
	const struct delta_app *halves[2];

	if (find_apps(state, app_id, lineage_names, 2, halves) < 2 ||
	    halves[0]->updated_ms != updated_ms || halves[1]->updated_ms != updated_ms)
		return (struct lineage){ 0 };
	return (struct lineage){ (uint64_t)halves[0]->version, (uint64_t)halves[1]->version };
}

enum err_code delta_state_progress(const struct delta_state *state, const char *app_id,
				   struct delta_progress *ret_progress, struct err *err)
{
	struct delta_progress progress = { .any = true };
	const struct delta_app *parts[PARTS];
	int64_t updated_ms;

	if (find_apps(state, app_id, part_names, PARTS, parts) == 0) {
		const struct delta_app *one = delta_state_app(state, app_id);

		*ret_progress = (struct delta_progress){ 0 };
		if (!one)
			return ERR_OK;
		progress.position.word[2] = (uint64_t)one->version;
		updated_ms = one->updated_ms;
	} else if (belong_together(parts)) {
		progress.position = joined(parts);
		updated_ms = parts[0]->updated_ms;
	} else {
		return err_set(err, ERR_CORRUPT,
			       "how far \"%s\" is cannot be told: of the three parts "
			       "of its position some are missing, or of different commits",
			       app_id);
	}
	progress.lineage = find_lineage(state, app_id, updated_ms);
	*ret_progress = progress;
	return ERR_OK;
}

enum err_code delta_progress(const struct delta_table *table, const char *app_id,
			     struct delta_progress *ret_progress, struct err *err)
{
	if (!table)
		*ret_progress = (struct delta_progress){ 0 };
	else if (delta_state_progress(&table->state, app_id, ret_progress, err) != ERR_OK)
		return err_prefix(err, "table \"%s\"", table->root);
	return ERR_OK;
}

/* A step has all of its parts in its commit, so a state of nothing else knows it. */
static enum err_code step_of(struct delta_table *table, int64_t version, const char *app_id,
			     struct delta_progress *ret_progress, struct err *err)
{
	struct delta_actions actions;
	struct delta_state state;
	enum err_code code = delta_table_read_commit(table, version, &actions, err);

	if (code != ERR_OK)
		return code;
	delta_state_init(&state, false);
	delta_state_apply(&state, &actions, version);
	code = delta_state_progress(&state, app_id, ret_progress, err);
	delta_state_release(&state);
	return code;
}

enum err_code delta_next_progress(struct delta_table *table, const char *app_id, int64_t since,
				  const struct delta_progress *from,
				  struct delta_progress *ret_progress, struct err *err)
{
	enum err_code code = ERR_OK;
	struct delta_progress step = { 0 };

	*ret_progress = step;
	for (int64_t version = since + 1; version <= table->state.version; version++) {
		code = step_of(table, version, app_id, &step, err);
		if (code != ERR_OK)
			return err_prefix(err, "table \"%s\"", table->root);
		if (!step.any || (from->any && position_cmp(step.position, from->position) == 0))
			continue;
		*ret_progress = step;
		break;
	}
	return code;
}

/* ---- Writing ---- */

bool delta_progress_is(const struct delta_progress *a, const struct delta_progress *b)
{
	if (a->any != b->any)
		return false;
	return !a->any || (position_cmp(a->position, b->position) == 0 &&
			   delta_lineage_is(a->lineage, b->lineage));
}

enum err_code delta_progress_check(const struct delta_step *step, struct err *err)
{
	if (step->now.position.word[0] >> TOP_BITS == 0)
		return ERR_OK;
	return err_set(err, ERR_LIMIT, "\"%s\": a position of more than %d bits", step->app_id,
		       PARTS * PART_BITS);
}

static void put_part(struct buf *out, const char *app_id, const char *name, uint64_t version,
		     int64_t now_ms)
{
	struct delta_txn txn = { .version = (int64_t)version };
	struct buf id;

	buf_init(&id, STORE_KEY_MAX);
	buf_addf(&id, "%s%s", app_id, name);
	txn.app_id = buf_cstr(&id);
	delta_put_txn(out, &txn, now_ms);
	buf_release(&id);
}

void delta_put_step(struct buf *out, const struct delta_state *state, const struct delta_step *step,
		    int64_t now_ms)
{
	const struct delta_app *ignored[PARTS];
	struct lineage lineage = kept_of(step->now.lineage);
	uint64_t part[PARTS];

	delta_progress_split(step->now.position, part);
	if (fits_one(step->now.position) &&
	    find_apps(state, step->app_id, part_names, PARTS, ignored) == 0)
		put_part(out, step->app_id, "", step->now.position.word[2], now_ms);
	else
		for (int i = 0; i < PARTS; i++)
			put_part(out, step->app_id, part_names[i], part[i], now_ms);
	if (!delta_lineage_noted(lineage) &&
	    find_apps(state, step->app_id, lineage_names, 2, ignored) == 0)
		return;
	put_part(out, step->app_id, lineage_names[0], lineage.high, now_ms);
	put_part(out, step->app_id, lineage_names[1], lineage.low, now_ms);
}
