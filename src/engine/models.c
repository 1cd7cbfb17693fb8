/* A directory of models, and what they say of each other. */
#include "base/arena.h"
#include "base/mem.h"
#include "engine/model_read.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <strings.h>

enum {
	MODELS_BYTES_MAX = 64 << 20,
	MODELS_MAX = 1000, /* of a kind */
	NAME_LEN_MAX = 100,
};

static int is_model(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && len > 4 && strcmp(entry->d_name + len - 4, ".sql") == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* --- those with faults ------------------------------------------------------------- */

static void models_add_broken(struct models *models, struct broken_model broken)
{
	broken.table.model = (struct model){ .name = broken.name, .file = broken.file };
	models->broken[models->broken_count++] = broken;
}

/* *ret_sound false: faults of it were told, it is none. */
static enum err_code load_one(struct models *models, struct model_faults *faults, const char *dir,
			      const char *file_name, enum model_kind kind, void *ret,
			      bool *ret_sound, struct err *err)
{
	char path[PATH_MAX];
	struct broken_model broken;
	const struct model_source source = {
		.memory = models->memory,
		.faults = faults,
		.path = path,
		.name = slice_of(file_name, strlen(file_name) - 4),
	};
	enum err_code code;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, file_name);
	code = model_read(&source, kind, ret, ret_sound, &broken, err);
	if (code == ERR_OK && !*ret_sound)
		models_add_broken(models, broken);
	return code;
}

/* Every model of a directory, in order of name: `size` bytes each into *ret_models. */
static enum err_code load_dir(struct models *models, struct model_faults *faults,
			      const char *parent, enum model_kind kind, void **ret_models,
			      size_t *ret_count, struct err *err)
{
	static const char *const dirs[] = {
		[MODEL_CLEAN] = "clean", [MODEL_ANALYSIS] = "analyses"
	};
	size_t size = kind == MODEL_CLEAN ? sizeof(*models->clean) : sizeof(*models->analyses);
	bool sound = false;
	size_t count = 0;
	char dir[PATH_MAX];
	struct dirent **entries = NULL;
	enum err_code code = ERR_OK;
	char *list = NULL;
	int n;

	(void)snprintf(dir, sizeof(dir), "%s/%s", parent, dirs[kind]);
	n = scandir(dir, &entries, is_model, by_name);
	if (n < 0)
		return err_errno(err, "could not read the models in \"%s\"", dir);
	if (n > MODELS_MAX)
		code = err_set(err, ERR_LIMIT, "\"%s\" holds %d models, %d are allowed", dir, n,
			       MODELS_MAX);
	else
		list = *ret_models = arena_alloc(models->memory, (size_t)n * size);
	for (int i = 0; i < n; i++) {
		if (code == ERR_OK)
			code = load_one(models, faults, dir, entries[i]->d_name, kind,
					list + count * size, &sound, err);
		count += code == ERR_OK && sound;
		free(entries[i]);
	}
	free(entries);
	*ret_count = count;
	return code;
}

static bool has_field(const struct clean_model *model, const char *name)
{
	for (size_t i = 0; i < model->field_count; i++)
		if (strcmp(model->fields[i].name, name) == 0)
			return true;
	return false;
}

static bool is_key(const struct models *models, const char *name)
{
	for (size_t i = 0; i < models->clean_count; i++)
		if (models->clean[i].key && strcmp(models->clean[i].key, name) == 0)
			return true;
	return false;
}

static void find_foreign(const struct models *models, struct clean_model *model)
{
	struct model_foreign *foreign;
	size_t room = 0;

	for (size_t i = 0; i < models->clean_count; i++)
		room += models->clean[i].field_count;
	model->foreign = foreign = arena_alloc(models->memory, room * sizeof(*foreign));
	for (size_t i = 0; i < models->clean_count; i++) {
		const struct clean_model *other = &models->clean[i];

		for (size_t f = 0; other != model && f < other->field_count; f++)
			if (!has_field(model, other->fields[f].name) &&
			    !is_key(models, other->fields[f].name))
				foreign[model->foreign_count++] =
					(struct model_foreign){ .field = other->fields[f].name,
								.table = other->model.name };
	}
}

static struct clean_shared find_shared(const struct models *models,
				       const char *(*pattern)(const struct clean_model *),
				       const struct clean_model *model)
{
	const struct clean_model **shared =
		arena_alloc(models->memory, models->clean_count * sizeof(struct clean_model *));
	size_t count = 0;

	for (size_t i = 0; i < models->clean_count; i++)
		if (strcmp(pattern(&models->clean[i]), pattern(model)) == 0)
			shared[count++] = &models->clean[i];
	return (struct clean_shared){ .models = shared, .count = count };
}

static const char *topic_of(const struct clean_model *model) { return model->topic; }
static const char *stream_of(const struct clean_model *model) { return model->stream; }

/* A sound one that is left out in spite of that. */
static void set_aside(struct models *models, struct model_faults *faults,
		      const struct clean_model *model, const char *why)
{
	models_add_broken(models, (struct broken_model){
					  .kind = MODEL_CLEAN,
					  .name = model->model.name,
					  .file = model->model.file,
					  .topic = model->topic,
					  .stream = model->stream,
					  .fault = arena_str(models->memory, slice_str(why)) });
	faults->count++;
	faults->tell(faults->user, why);
}

/* Both models' views, and on some systems their tables, would have one name. */
static bool names_clash(const char *a, const char *b)
{
	static const char *const views[] = { "", "_all", "_live" };
	char view[NAME_LEN_MAX + 8];

	for (size_t i = 0; i < ARRAY_LEN(views); i++) {
		(void)snprintf(view, sizeof(view), "%s%s", a, views[i]);
		if (strcasecmp(view, b) == 0)
			return true;
	}
	return false;
}

/* The one of `models` whose name clashes with that of a model, or NULL. */
static const struct clean_model *find_clash(const struct models *models,
					    const struct clean_model *model)
{
	const char *name = model->model.name;

	for (const struct clean_model *other = models->clean;
	     other < models->clean + models->clean_count; other++)
		if (names_clash(other->model.name, name) || names_clash(name, other->model.name))
			return other;
	return NULL;
}

/* Of two that clash, the later one is at fault. */
static enum err_code check_clashes(struct models *models, struct model_faults *faults,
				   struct err *err)
{
	struct models sound = { .clean = models->clean };

	for (size_t i = 0; i < models->clean_count; i++) {
		struct clean_model model = models->clean[i];
		const struct clean_model *other = find_clash(&sound, &model);

		if (!other) {
			sound.clean[sound.clean_count++] = model;
			continue;
		}
		err_set(err, ERR_USAGE,
			"%s:1: table \"%s\" and table \"%s\" would be one to SQL;"
			" rename one of the files",
			model.model.file, model.model.name, other->model.name);
		if (!faults)
			return err->code;
		set_aside(models, faults, &model, err->msg);
	}
	models->clean_count = sound.clean_count;
	return ERR_OK;
}

/* The broken one whose records come by the same topic or stream, or NULL. */
static const struct broken_model *find_beside(const struct models *models,
					      const struct clean_model *model)
{
	const struct broken_model *end = models->broken + models->broken_count;

	for (const struct broken_model *b = models->broken; b < end; b++)
		if (b->topic &&
		    (strcmp(b->topic, model->topic) == 0 || strcmp(b->stream, model->stream) == 0))
			return b;
	return NULL;
}

/* True: some were, who may have others beside them. */
static bool hold_some(struct models *models, struct model_faults *faults)
{
	size_t count = 0, before = models->clean_count;
	struct err err;

	for (size_t i = 0; i < before; i++) {
		struct clean_model model = models->clean[i];
		const struct broken_model *beside = find_beside(models, &model);

		if (!beside) {
			models->clean[count++] = model;
			continue;
		}
		err_set(&err, ERR_USAGE,
			"%s:1: waits, as it shares its topic or stream with"
			" \"%s\", which is broken or waits",
			model.model.file, beside->name);
		set_aside(models, faults, &model, err.msg);
	}
	models->clean_count = count;
	return count < before;
}

/* Whose a record is, of a topic that several models share, is not known while one of them is
 * broken: the others wait for it. */
static void hold_those_beside(struct models *models, struct model_faults *faults)
{
	while (hold_some(models, faults))
		;
}

enum err_code models_load_sound(const char *dir, struct model_faults *faults,
				struct models *ret_models, struct err *err)
{
	struct models models = { .memory = xmalloc(sizeof(*models.memory)) };
	void *found = NULL;
	enum err_code code;

	arena_init(models.memory, MODELS_BYTES_MAX);
	models.broken = arena_alloc(models.memory, 2 * MODELS_MAX * sizeof(*models.broken));
	code = load_dir(&models, faults, dir, MODEL_CLEAN, &found, &models.clean_count, err);
	models.clean = found;
	if (code == ERR_OK)
		code = load_dir(&models, faults, dir, MODEL_ANALYSIS, &found,
				&models.analysis_count, err);
	models.analyses = found;
	if (code == ERR_OK)
		code = check_clashes(&models, faults, err);
	if (code != ERR_OK) {
		models_free(&models);
		return code;
	}
	hold_those_beside(&models, faults);
	for (size_t i = 0; i < models.clean_count; i++) {
		struct clean_model *clean = &models.clean[i];

		find_foreign(&models, clean);
		clean->topic_shared = find_shared(&models, topic_of, clean);
		clean->stream_shared = find_shared(&models, stream_of, clean);
	}
	*ret_models = models;
	return ERR_OK;
}

void models_free(struct models *models)
{
	if (models->memory)
		arena_release(models->memory);
	free(models->memory);
	*models = (struct models){ 0 };
}

const struct clean_model *models_clean(const struct models *models, const char *name)
{
	for (size_t i = 0; i < models->clean_count; i++)
		if (strcmp(models->clean[i].model.name, name) == 0)
			return &models->clean[i];
	return NULL;
}

const struct analysis_model *models_analysis(const struct models *models, const char *name)
{
	for (size_t i = 0; i < models->analysis_count; i++)
		if (strcmp(models->analyses[i].model.name, name) == 0)
			return &models->analyses[i];
	return NULL;
}

const char *models_fault(const struct models *models, enum model_kind kind, const char *name)
{
	for (size_t i = 0; i < models->broken_count; i++)
		if (models->broken[i].kind == kind && strcmp(models->broken[i].name, name) == 0)
			return models->broken[i].fault;
	return NULL;
}

size_t models_broken(const struct models *models, enum model_kind kind)
{
	size_t count = 0;

	for (size_t i = 0; i < models->broken_count; i++)
		count += models->broken[i].kind == kind;
	return count;
}
