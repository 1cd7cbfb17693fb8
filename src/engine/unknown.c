#include "engine/unknown.h"

#include "base/json.h"
#include "base/mem.h"

#include <inttypes.h>

/* Without the half of a letter at the end that a cut would leave. */
static size_t name_length(struct slice name)
{
	size_t len = name.len < UNKNOWN_NAME_BYTES - 1 ? name.len : UNKNOWN_NAME_BYTES - 1;

	while (len < name.len && len > 0 && ((unsigned char)name.ptr[len] & 0xC0) == 0x80)
		len--;
	return len;
}

void unknown_fields_add(struct unknown_fields *unknown, struct slice name, uint64_t records)
{
	struct slice kept = slice_of(name.ptr, name_length(name));
	struct unknown_field *field;

	for (size_t i = 0; i < unknown->count; i++)
		if (slice_is(kept, unknown->list[i].name)) {
			unknown->list[i].records += records;
			return;
		}
	if (unknown->count == UNKNOWN_NAMES_MAX) {
		unknown->others += records;
		return;
	}
	if (!unknown->list)
		unknown->list = xcalloc(UNKNOWN_NAMES_MAX, sizeof(*unknown->list));
	field = &unknown->list[unknown->count++];
	memcpy(field->name, kept.ptr, kept.len);
	field->name[kept.len] = '\0';
	field->records = records;
}

void unknown_fields_merge(struct unknown_fields *into, const struct unknown_fields *from)
{
	for (size_t i = 0; i < from->count; i++)
		unknown_fields_add(into, slice_str(from->list[i].name), from->list[i].records);
	into->others += from->others;
}

void unknown_fields_put(struct buf *out, const struct unknown_fields *unknown)
{
	buf_add_char(out, '{');
	for (size_t i = 0; i < unknown->count; i++) {
		buf_add_str(out, i ? "," : "");
		json_put_string(out, slice_str(unknown->list[i].name));
		buf_addf(out, ":%" PRIu64, unknown->list[i].records);
	}
	if (unknown->others)
		buf_addf(out, ",\"…\":%" PRIu64, unknown->others);
	buf_add_char(out, '}');
}

void unknown_fields_release(struct unknown_fields *unknown)
{
	free(unknown->list);
	*unknown = (struct unknown_fields){ 0 };
}
