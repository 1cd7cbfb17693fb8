/* What is not kept any more (raw_kept.h), and so is not looked for. */
#include "flow/check_topic.h"
#include "flow/raw_kept.h"

#include <inttypes.h>

static struct position check_position_after(struct position position)
{
	for (int i = 2; i >= 0 && ++position.word[i] == 0;)
		i--;
	return position;
}

/* Which letters a table had, nobody can say: rows up to there are not held against anything. */
static void check_note_letters(struct checking *checking, struct check_part *part,
			       const struct letters_kept *letters)
{
	char partition[PARTITION_TEXT_MAX], text[POSITION_TEXT_MAX];
	size_t len = partition_text(checking->kind, part->where.id, partition);
	struct position upto;

	if (!letters_kept_upto(letters, slice_of(partition, len), part->where.generation, NULL,
			       &upto))
		return;
	(void)position_text(upto, text);
	check_note(checking,
		   "partition %s of \"%s\": dead letters up to offset %s are no longer kept "
		   "(letters.retention), so records up to there are not counted",
		   partition, checking->topic, text);
	upto = check_position_after(upto);
	if (position_cmp(upto, part->since) > 0)
		part->since = upto;
}

/* Records [first, first + count), of which those are to be found in the tables that are kept, as
 * far as the tables are. */
static void expect_run(struct check_part *part, uint64_t since, uint64_t first, uint64_t count)
{
	uint64_t end = first + count;

	if (end > part->done_end)
		end = part->done_end;
	if (first < since)
		first = since;
	if (first >= end)
		return;
	count = end - first;
	part->expected.count += count;
	/* The sum of first … end - 1; one of two neighbours is even. */
	part->expected.sum +=
		first * count + (count % 2 ? (count - 1) / 2 * count : count / 2 * (count - 1));
	if (position_cmp(lake_position(end - 1), part->expected.last) > 0)
		part->expected.last = lake_position(end - 1);
}

static void check_expect(struct check_part *part)
{
	uint64_t since = 0;

	if (!lake_offset(part->since, &since))
		return;
	for (size_t i = 0; i < part->run_count; i++)
		expect_run(part, since, part->runs[i].first, part->runs[i].count);
	for (size_t i = 0; i < part->sink_count; i++)
		expect_run(part, since, part->sink[i], 1);
}

static enum err_code check_find_kept_of(struct checking *checking, struct check_part *part,
					const struct letters_kept *letters)
{
	enum err_code code = ERR_OK;

	if (checking->kind == TOPIC_LOG)
		code = raw_kept_find(checking->options->store, part->where, &part->kept,
				     checking->err);
	if (code != ERR_OK)
		return code;
	if (part->kept > 0)
		check_note(checking,
			   "partition %d of \"%s\": objects are kept from offset %" PRIu64
			   " on, older ones are no longer kept (raw.retention)",
			   part->where.id, checking->topic, part->kept);
	part->since = lake_position(part->kept);
	check_note_letters(checking, part, letters);
	if (checking->kind == TOPIC_LOG)
		check_expect(part);
	return ERR_OK;
}

enum err_code check_find_kept(struct checking *checking)
{
	struct letters_kept letters = { 0 };
	enum err_code code = letters_kept_find(checking->options->store, checking->topic, &letters,
					       checking->err);

	for (size_t i = 0; i < checking->part_count && code == ERR_OK; i++)
		code = check_find_kept_of(checking, &checking->parts[i], &letters);
	letters_kept_release(&letters);
	return code;
}
