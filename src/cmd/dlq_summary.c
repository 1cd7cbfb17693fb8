#include "cmd/dlq_summary.h"

#include "base/crc32c.h"
#include "base/mem.h"
#include "flow/dlq_kind.h"

#include <string.h>

enum { KINDS_MAX = 10000, SLOTS = 1 << 15 }; /* so a third of the slots at most is in use */
enum { KIND_TOPIC, KIND_STAGE, KIND_REASON, KIND_LETTERS, KIND_COLUMNS };

static const char *summary_columns[] = { "topic", "stage", "reason", "letters" };

void dlq_summary_init(struct dlq_summary *summary)
{
	*summary = (struct dlq_summary){ .slots = xcalloc(SLOTS, sizeof(*summary->slots)) };
	rows_init(&summary->rows, summary_columns, KIND_COLUMNS);
}

void dlq_summary_release(struct dlq_summary *summary)
{
	rows_release(&summary->rows);
	free(summary->slots);
	summary->slots = NULL;
}

static bool is_kind(const struct cell *row, const struct dlq_entry *entry, struct slice reason)
{
	return slice_eq(row[KIND_REASON].text, reason) &&
	       slice_eq(row[KIND_TOPIC].text, entry->topic) &&
	       slice_eq(row[KIND_STAGE].text, entry->stage);
}

/* Where the kind is, or would be. */
static uint32_t *kind_slot(struct dlq_summary *summary, const struct dlq_entry *entry,
			   struct slice reason)
{
	uint32_t at = crc32c(0, reason.ptr, reason.len);

	at = crc32c(at, entry->topic.ptr, entry->topic.len);
	for (at = crc32c(at, entry->stage.ptr, entry->stage.len);; at++) {
		uint32_t *slot = &summary->slots[at % SLOTS];

		if (*slot == 0 ||
		    is_kind(summary->rows.answer.cells + (*slot - 1) * (size_t)KIND_COLUMNS, entry,
			    reason))
			return slot;
	}
}

void dlq_summary_add(struct dlq_summary *summary, const struct dlq_entry *entry)
{
	struct rows *rows = &summary->rows;
	char kind[ERR_MSG_MAX];
	struct slice reason = dlq_kind_of(entry->reason, kind);
	uint32_t *slot = kind_slot(summary, entry, reason);

	if (*slot == 0 && rows->answer.row_count == KINDS_MAX) {
		summary->others++;
		return;
	}
	if (*slot == 0) {
		struct cell *row = rows_add(rows);

		row[KIND_TOPIC] = rows_text(rows, entry->topic);
		row[KIND_STAGE] = rows_text(rows, entry->stage);
		row[KIND_REASON] = rows_text(rows, reason);
		row[KIND_LETTERS] = cell_int(0);
		*slot = (uint32_t)rows->answer.row_count;
	}
	rows->answer.cells[(*slot - 1) * (size_t)KIND_COLUMNS + KIND_LETTERS].i++;
}

enum err_code dlq_summary_print(struct dlq_summary *summary, const struct config *config,
				struct err *err)
{
	if (summary->others > 0) {
		struct cell *row = rows_add(&summary->rows);

		row[KIND_REASON] = cell_text("other reasons");
		row[KIND_LETTERS] = cell_int(summary->others);
	}
	return rows_print(&summary->rows, config, err);
}
