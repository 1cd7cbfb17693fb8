#include "delta/delta_action.h"

#include "base/mem.h"

#include <stdio.h>

void delta_settings_release(struct delta_settings *settings)
{
	for (size_t i = 0; i < settings->count; i++) {
		free(settings->items[i].key);
		free(settings->items[i].value);
	}
	free(settings->items);
}

void delta_metadata_free(struct delta_metadata *metadata)
{
	if (!metadata)
		return;
	free(metadata->id);
	free(metadata->name);
	free(metadata->description);
	free(metadata->provider);
	free(metadata->schema);
	free(metadata->partitioned_by);
	delta_settings_release(&metadata->options);
	delta_settings_release(&metadata->settings);
	free(metadata);
}

void delta_actions_release(struct delta_actions *actions)
{
	delta_metadata_free(actions->metadata);
	for (size_t i = 0; i < actions->add_count; i++) {
		free(actions->adds[i].path);
		free(actions->adds[i].stats);
	}
	for (size_t i = 0; i < actions->remove_count; i++)
		free(actions->removes[i].path);
	for (size_t i = 0; i < actions->app_count; i++)
		free(actions->apps[i].id);
	free(actions->adds);
	free(actions->removes);
	free(actions->apps);
	*actions = (struct delta_actions){ 0 };
}

void delta_add_feature(char features[static DELTA_FEATURES_SIZE], struct slice name)
{
	size_t len = strlen(features);

	(void)snprintf(features + len, DELTA_FEATURES_SIZE - len, "%s%.*s", len ? " " : "",
		       (int)(name.len < DELTA_FEATURES_SIZE ? name.len : DELTA_FEATURES_SIZE),
		       name.ptr ? name.ptr : "");
}

/* Room for one more in an array that doubles whenever its count is a power of two. */
static void *delta_action_grow(void *items, size_t count, size_t size)
{
	if (count & (count - 1))
		return items;
	return xreallocarray(items, count ? count * 2 : 1, size);
}

#define NEW(items, count) \
	((items) = delta_action_grow((items), (count), sizeof(*(items))), \
	 memset(&(items)[count], 0, sizeof(*(items))), &(items)[(count)++])

struct delta_add *delta_actions_new_add(struct delta_actions *actions)
{
	return NEW(actions->adds, actions->add_count);
}

struct delta_remove *delta_actions_new_remove(struct delta_actions *actions)
{
	return NEW(actions->removes, actions->remove_count);
}

struct delta_app *delta_actions_new_app(struct delta_actions *actions)
{
	return NEW(actions->apps, actions->app_count);
}

struct delta_setting *delta_settings_new(struct delta_settings *settings)
{
	return NEW(settings->items, settings->count);
}

const char *delta_setting(const struct delta_metadata *metadata, const char *key)
{
	for (size_t i = 0; i < metadata->settings.count; i++)
		if (strcmp(metadata->settings.items[i].key, key) == 0)
			return metadata->settings.items[i].value;
	return NULL;
}
