/* Which objects an input has. */
#include "base/ahead.h"
#include "base/mem.h"
#include "flow/lake_input.h"

static void lake_input_put(struct lake_input *input, const struct lake_object *object)
{
	if (input->object_count == input->object_room) {
		input->object_room = input->object_room * 2 + 64;
		input->objects = xreallocarray(input->objects, input->object_room,
					       sizeof(*input->objects));
	}
	input->objects[input->object_count++] = *object;
	input->bytes += object->text_bytes;
}

void lake_input_add(struct lake_input *input, struct lake_part *part,
		    const struct lake_entry *entry)
{
	struct lake_object object = { .part = part,
				      .start = entry->start,
				      .size = entry->size,
				      .text_bytes = group_text_bytes(entry->packed, entry->size),
				      .packed = entry->packed,
				      .version = entry->version,
				      .from = part->next };

	lake_input_put(input, &object);
}

void lake_input_add_group(struct lake_input *input, struct lake_part *part, struct group *group,
			  bool newest)
{
	struct group *kept = xmalloc(sizeof(*kept));

	*kept = *group;
	*group = (struct group){ 0 };
	part->groups = xreallocarray(part->groups, part->group_count + 1, sizeof(struct group *));
	part->groups[part->group_count++] = kept;
	for (size_t i = 0; i < kept->object_count; i++) {
		const struct group_object *its = &kept->objects[i];
		struct lake_object object = { .part = part,
					      .start = its->start,
					      .size = its->bytes,
					      .text_bytes = its->bytes,
					      .group = kept,
					      .index = i,
					      .newest = newest,
					      .packed = group_is_packed(its->key),
					      .version = UINT64_C(1) << 32 | its->crc,
					      .from = part->next };

		lake_input_put(input, &object);
	}
}

bool lake_input_span(const struct lake_object *object, uint64_t *ret_from, uint64_t *ret_start,
		     uint64_t *ret_end)
{
	const struct group *group = object->group;

	*ret_from = group ? group_from(group) : object->accounted;
	*ret_start = group ? group->first : object->start;
	*ret_end = group ? group->end : object->end;
	return !group || object->index == 0;
}

/* The first object of each partition. */
struct manifest_search {
	struct lake_input *input;
	const struct lake_object **firsts;
	size_t count;
};

static enum err_code search_manifests(void *user, size_t item, struct err *err)
{
	const struct manifest_search *search = user;
	const struct lake_object *first = search->firsts[item];

	return manifests_load(search->input->store, first->part->where, (int64_t)first->start - 1,
			      &first->part->manifests, err);
}

enum err_code lake_input_find_manifests(struct lake_input *input, struct err *err)
{
	struct manifest_search search = { .input = input };
	const struct lake_part *last = NULL;
	enum err_code code;

	search.firsts = xcalloc(input->part_count, sizeof(struct lake_object *));
	for (size_t i = 0; i < input->object_count; i++)
		if (input->objects[i].part != last && !input->objects[i].group) {
			search.firsts[search.count++] = &input->objects[i];
			last = input->objects[i].part;
		}
	code = ahead_all(&(struct ahead_options){ .count = search.count,
						  .at_once = store_at_once(input->store),
						  .work = search_manifests,
						  .user = &search },
			 err);
	free(search.firsts);
	return code;
}
