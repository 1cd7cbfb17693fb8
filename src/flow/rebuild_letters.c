#include "flow/rebuild_letters.h"

#include <stdio.h>

bool rebuild_letter_is_of(const struct dlq_source *source, const struct dlq_entry *entry)
{
	return slice_is(entry->stage, source->stage) &&
	       (!entry->table.ptr || slice_is(entry->table, source->table));
}

/* --- what is done with -------------------------------------------------------- */

/* Up to where a partition's letters count. */
struct letters_done {
	bool all; /* nobody can say, or care: the stream is not there any more */
	bool any; /* up to `position`; else before it */
	struct position position;
};

static bool is_done_with(const struct letters_done *done, struct position position)
{
	int cmp = position_cmp(position, done->position);

	return done->all || cmp < 0 || (done->any && cmp == 0);
}

static enum err_code add_progress(const struct delta_table *delta, const char *app_id,
				  const struct partition_info *like, struct letters_done *done,
				  struct err *err)
{
	struct delta_progress its;
	enum err_code code = delta_progress(delta, app_id, &its, err);

	if (code != ERR_OK || !its.any)
		return code;
	if (like)
		its.position = position_made_whole(its.position, like->first);
	if (!done->any || position_cmp(its.position, done->position) > 0)
		done->position = its.position;
	done->any = true;
	return ERR_OK;
}

static enum err_code look_at_both(const struct rebuild_letters *letters, const char *app_id,
				  const struct partition_info *like, bool staged,
				  struct letters_done *done, struct err *err)
{
	enum err_code code = add_progress(letters->old, app_id, like, done, err);

	if (code == ERR_OK && staged)
		code = add_progress(letters->staged, app_id, like, done, err);
	return code;
}

/* A stream that was made anew has other positions than the one before it, unless they began again
 * and are told apart by the generation. */
static enum err_code stream_done(const struct rebuild_letters *letters, int32_t partition,
				 uint32_t generation, bool staged, struct letters_done *done,
				 struct err *err)
{
	struct topic_ref topic = lake_table_topic(letters->place);
	const struct partition_info *its;
	char app_id[LAKE_APP_ID_MAX];
	struct topic_info info;
	enum err_code code = broker_describe(letters->broker, topic, &info, err);

	if (code != ERR_OK) {
		done->all = code == ERR_NO_TOPIC;
		return done->all ? ERR_OK : code;
	}
	its = topic_info_partition(&info, partition);
	done->all = !its;
	if (its) {
		done->position = its->born;
		lake_app_id(app_id, TOPIC_STREAM,
			    (struct lake_partition){ topic.name, partition, generation }, info.uid);
		code = look_at_both(letters, app_id, its, staged, done, err);
	}
	topic_info_release(&info);
	return code;
}

/* `staged`: or the table that comes. */
static enum err_code find_done(const struct rebuild_letters *letters, int32_t partition,
			       uint32_t generation, bool staged, struct letters_done *ret,
			       struct err *err)
{
	struct lake_partition where = { letters->place->topic, partition, generation };
	char app_id[LAKE_APP_ID_MAX];

	*ret = (struct letters_done){ 0 };
	if (letters->place->kind == TOPIC_STREAM)
		return stream_done(letters, partition, generation, staged, ret, err);
	lake_app_id(app_id, TOPIC_LOG, where, NULL);
	return look_at_both(letters, app_id, NULL, staged, ret, err);
}

/* --- those that stay ---------------------------------------------------------- */

struct kept_letters {
	const struct rebuild_letters *letters;
	struct dlq_source source;
	bool placed;		  /* a letter came, … */
	struct letters_done done; /* … and of its partition that is done */
	struct dlq_batch *batch;  /* of the source's partition, … */
	struct position last;	  /* … up to here */
	enum err_code code;
	struct err *err;
};

static enum err_code write_kept_letters(struct kept_letters *kept)
{
	enum err_code code = ERR_OK;

	if (kept->batch) {
		dlq_batch_range(kept->batch, NULL, kept->last);
		code = dlq_batch_write(kept->batch, kept->err);
	}
	dlq_batch_free(kept->batch);
	kept->batch = NULL;
	return code;
}

static enum err_code keep_letter(struct kept_letters *kept, const struct dlq_entry *entry)
{
	char reason[ERR_MSG_MAX];
	struct dlq_letter letter = { .position = entry->position,
				     .last = entry->last_position,
				     .timestamp_ms = entry->timestamp_ms,
				     .value = entry->value,
				     .reason = reason };

	(void)snprintf(reason, sizeof(reason), "%.*s", SLICE_ARG(entry->reason));
	if (!kept->batch)
		kept->batch = dlq_batch_new(&kept->letters->staging->base, &kept->source);
	if (dlq_batch_count(kept->batch) == 0 || position_cmp(letter.last, kept->last) > 0)
		kept->last = letter.last;
	return dlq_batch_add(kept->batch, &letter, kept->err);
}

/* Letters come partition by partition. */
static enum err_code turn_to(struct kept_letters *kept, int32_t partition, uint32_t generation)
{
	struct dlq_source *source = &kept->source;

	if (kept->placed && source->partition == partition && source->generation == generation)
		return ERR_OK;
	if (write_kept_letters(kept) != ERR_OK)
		return kept->err->code;
	kept->placed = true;
	source->partition = partition;
	source->generation = generation;
	return find_done(kept->letters, partition, generation, false, &kept->done, kept->err);
}

static bool look_at_old_letter(void *user, const struct dlq_entry *entry)
{
	struct kept_letters *kept = user;
	int32_t partition;

	if (!rebuild_letter_is_of(&kept->source, entry) || !entry->placed ||
	    !partition_parse(kept->source.topic.kind, entry->partition, &partition) ||
	    reach_has(kept->letters->reach, partition, entry->generation, entry->position))
		return true;
	kept->code = turn_to(kept, partition, entry->generation);
	if (kept->code == ERR_OK && is_done_with(&kept->done, entry->position))
		kept->code = keep_letter(kept, entry);
	return kept->code == ERR_OK;
}

enum err_code rebuild_letters_keep(const struct rebuild_letters *letters, struct err *err)
{
	struct kept_letters kept = { .letters = letters,
				     .source = dlq_source_of(letters->place, 0),
				     .code = ERR_OK,
				     .err = err };
	enum err_code code = dlq_list(letters->staging->store, letters->place->topic,
				      look_at_old_letter, &kept, err);

	if (code == ERR_OK)
		code = kept.code;
	if (code == ERR_OK)
		code = write_kept_letters(&kept);
	dlq_batch_free(kept.batch);
	return code;
}

/* --- those that go ------------------------------------------------------------- */

struct dropped_letters {
	const struct rebuild_letters *letters;
	struct buf *out;
	int32_t partition;
	uint32_t generation; /* 0: none so far; … */
	struct letters_done done; /* … and what of it is done */
};

static enum err_code look_at_done(struct dropped_letters *dropped, const struct dlq_object *object,
				  struct err *err)
{
	if (dropped->generation == object->generation && dropped->partition == object->partition)
		return ERR_OK;
	dropped->partition = object->partition;
	dropped->generation = object->generation;
	return find_done(dropped->letters, object->partition, object->generation, true,
			 &dropped->done, err);
}

/* An object of a commit that the table, as it will be, is past. A stream's say where they begin,
 * but for those that stayed when all was cleaned again. */
static bool is_past(const struct letters_done *done, enum topic_kind kind,
		    const struct dlq_object *object)
{
	if (done->all)
		return true;
	if (object->begins)
		return done->any || kind == TOPIC_STREAM;
	return position_cmp(object->from, done->position) < 0 ||
	       (object->has_from && is_done_with(done, object->from));
}

/* What begins behind progress may be another's, which will come to count. */
static enum err_code drop_one(void *user, const struct dlq_object *object, struct err *err)
{
	struct dropped_letters *dropped = user;
	const struct rebuild_letters *letters = dropped->letters;
	enum err_code code = look_at_done(dropped, object, err);

	if (code != ERR_OK || !is_past(&dropped->done, letters->place->kind, object) ||
	    staging_keeps(letters->staging, object->key))
		return code;
	buf_add_str(dropped->out, object->key);
	buf_add_char(dropped->out, '\n');
	if (buf_full(dropped->out))
		return err_set(err, ERR_LIMIT, "the table has too many objects of dead letters");
	return ERR_OK;
}

enum err_code rebuild_letters_drop(const struct rebuild_letters *letters, struct buf *out,
				   struct err *err)
{
	struct dropped_letters dropped = { .letters = letters, .out = out };

	return dlq_objects(letters->staging->store, letters->place, drop_one, &dropped, err);
}
