#include "flow/compact_plan.h"

enum {
	CLASS_BYTES = 64 << 10, /* what a file of the lowest class is below of */
	CLASS_RATIO = 8,
	CLASS_FILES = 10, /* of one class, that become one */
	CLASSES_MAX = 20,
};

/* The files of a class: how many, and how large together. */
struct class
{
	size_t files;
	uint64_t bytes;
};

static bool plan_is_done(const struct compact_policy *policy, uint64_t size)
{
	return size >= policy->target_bytes / 2;
}

static size_t plan_class_of(uint64_t size)
{
	size_t class = 0;

	for (uint64_t below = CLASS_BYTES; size >= below && class < CLASSES_MAX - 1;
	     below *= CLASS_RATIO)
		class ++;
	return class;
}

static void plan_count_classes(const struct compact_policy *policy, const uint64_t *sizes,
			       size_t count, struct class classes[CLASSES_MAX])
{
	for (size_t i = 0; i < count; i++) {
		struct class *class = &classes[plan_class_of(sizes[i])];

		if (plan_is_done(policy, sizes[i]))
			continue;
		class->files++;
		class->bytes += sizes[i];
	}
}

/* The lowest class that is full, and the highest one that becomes full by it. */
static bool plan_choose_classes(const struct compact_policy *policy,
				const struct class classes[CLASSES_MAX], size_t *ret_lowest,
				size_t *ret_highest)
{
	size_t low = 0, high;

	while (low < CLASSES_MAX && classes[low].files < CLASS_FILES &&
	       (classes[low].files < 2 || classes[low].bytes < policy->target_bytes))
		low++;
	if (low == CLASSES_MAX)
		return false;
	high = low;
	while (high + 1 < CLASSES_MAX && classes[high + 1].files == CLASS_FILES - 1)
		high++;
	*ret_lowest = low;
	*ret_highest = high;
	return true;
}

/* In the order in which they are in the table, up to the bounds: what was added together stays so.
 */
static size_t plan_take(const struct compact_policy *policy, const uint64_t *sizes, size_t count,
			size_t lowest, size_t highest, size_t *ret_chosen)
{
	uint64_t bytes = 0;
	size_t chosen = 0;

	for (size_t i = 0; i < count && chosen < COMPACT_FILES_MAX; i++) {
		size_t class = plan_class_of(sizes[i]);

		if (plan_is_done(policy, sizes[i]) || class < lowest || class > highest)
			continue;
		if (bytes + sizes[i] > policy->target_bytes)
			continue;
		bytes += sizes[i];
		ret_chosen[chosen++] = i;
	}
	return chosen;
}

size_t compact_plan(const struct compact_policy *policy, const uint64_t *sizes, size_t count,
		    size_t *ret_chosen)
{
	struct class classes[CLASSES_MAX] = { 0 };
	size_t lowest = 0, highest = CLASSES_MAX - 1, chosen;

	plan_count_classes(policy, sizes, count, classes);
	if (!policy->all && !plan_choose_classes(policy, classes, &lowest, &highest))
		return 0;
	chosen = plan_take(policy, sizes, count, lowest, highest, ret_chosen);
	return chosen > 1 ? chosen : 0;
}
