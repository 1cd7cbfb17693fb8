#include "cmd/taken.h"

#include "base/mem.h"
#include "base/names.h"
#include "cmd/setup.h"

/* "a,b*" */
static enum err_code taken_parse(struct taken *taken, const char *list, struct err *err)
{
	char *rest = taken->text = xstrdup(list), *name;

	taken->names = xcalloc(strlen(list) / 2 + 2, sizeof(char *));
	while ((name = strsep(&rest, ", "))) {
		if (!*name)
			continue;
		if (name_check_pattern(slice_str(name), err) != ERR_OK) {
			err->code = ERR_USAGE;
			return err_prefix(err, "sink.topics: \"%.80s\"", name);
		}
		taken->names[taken->count++] = name;
	}
	if (taken->named_only && taken->count == 0)
		return err_set(err, ERR_USAGE, "--take named, but sink.topics names none");
	return ERR_OK;
}

enum err_code taken_init(struct taken *taken, const struct config *config, struct err *err)
{
	const char *take = config_text(config, OPT_TAKE), *names = config_text(config, OPT_TOPICS);
	bool ours = setup_topics_are_in_dir(config) && !*names;
	enum err_code code;

	*taken = (struct taken){
		.all = !strcmp(take, "all") || (!strcmp(take, "auto") && ours),
		.named_only = !strcmp(take, "named"),
	};
	code = taken_parse(taken, names, err);
	if (code != ERR_OK)
		taken_release(taken);
	return code;
}

void taken_release(struct taken *taken)
{
	free(taken->names);
	free(taken->text);
	*taken = (struct taken){ 0 };
}
