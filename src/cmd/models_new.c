#include "cmd/models_new.h"

#include "base/dir.h"
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/setup.h"
#include "engine/infer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum { READ_BYTES = 64 << 10, MODEL_BYTES_MAX = 1 << 20, DIR_MODE = 0777 };

static enum err_code read_stdin(struct buf *out, struct err *err)
{
	if (isatty(STDIN_FILENO))
		cmd_tell(
			"reading sample records from the terminal, an object a line, up to Ctrl-D");
	for (;;) {
		char *room = buf_room(out, READ_BYTES);
		ssize_t n;

		if (!room)
			return err_set(err, ERR_LIMIT,
				       "a sample has at most %d bytes: some thousand"
				       " records are plenty",
				       INFER_BYTES_MAX);
		n = read(STDIN_FILENO, room, READ_BYTES);
		if (n > 0)
			buf_grew(out, (size_t)n);
		else if (n == 0)
			return ERR_OK;
		else if (errno != EINTR)
			return err_errno(err, "could not read the sample");
	}
}

/* --- the file ---------------------------------------------------------- */

/* `dir`/clean and `dir`/analyses: a directory of models has both. */
static enum err_code make_dirs(const char *dir, struct err *err)
{
	static const char *const kinds[] = { "clean", "analyses" };
	char path[PATH_MAX + 16];
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < ARRAY_LEN(kinds) && code == ERR_OK; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, kinds[i]);
		if (access(path, F_OK) < 0)
			code = dir_make(path, DIR_MODE, err);
	}
	return code;
}

static enum err_code write_text(const char *path, struct slice text, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
	size_t done = 0;
	ssize_t n = 0;

	while (fd >= 0 && done < text.len && (n >= 0 || errno == EINTR)) {
		n = write(fd, text.ptr + done, text.len - done);
		done += n > 0 ? (size_t)n : 0;
	}
	if (fd < 0 || done < text.len || fsync(fd) < 0)
		(void)err_errno(err, "could not write \"%s\"", path);
	else
		err->code = ERR_OK;
	if (fd >= 0)
		(void)close(fd);
	return err->code;
}

/* Whole or not at all, and never over a file that is there: link() refuses that. */
static enum err_code write_model(const char *dir, const char *name, struct slice text,
				 char path[PATH_MAX], struct err *err)
{
	char beside[PATH_MAX];
	enum err_code code;

	if (snprintf(path, PATH_MAX, "%s/clean/%s.sql", dir, name) >= PATH_MAX ||
	    snprintf(beside, sizeof(beside), "%s/clean/.%s.%d", dir, name, (int)getpid()) >=
		    (int)sizeof(beside))
		return err_set(err, ERR_USAGE, "the path \"%.80s…\" is too long", dir);
	code = make_dirs(dir, err);
	if (code != ERR_OK)
		return code;
	code = write_text(beside, text, err);
	if (code == ERR_OK && link(beside, path) < 0)
		code = errno == EEXIST ? err_set(err, ERR_EXISTS,
						 "\"%s\" is there already; remove it first, or"
						 " take another name",
						 path)
				       : err_errno(err, "could not make \"%s\"", path);
	(void)unlink(beside);
	return code;
}

/* What is wrong with the new file, among those that are there: the name is taken, … */
struct fitting {
	const char *path;
	struct err *err;
};

static void note_fault(void *user, const char *fault)
{
	struct fitting *fitting = user;

	if (slice_starts(slice_str(fault), fitting->path) && fitting->err->code == ERR_OK)
		(void)err_set(fitting->err, ERR_USAGE, "%s", fault);
}

/* Takes the file away again if it does not fit in. Faults of other files are theirs. */
static enum err_code check_model(const char *dir, const char *path, struct err *err)
{
	struct fitting fitting = { path, err };
	struct model_faults faults = { .tell = note_fault, .user = &fitting };
	struct models models;
	enum err_code code;

	err->code = ERR_OK;
	code = models_load_sound(dir, &faults, &models, err);
	if (code == ERR_OK) {
		code = err->code;
		models_free(&models);
	}
	if (code != ERR_OK)
		(void)unlink(path);
	return code;
}

/* --- what it says ------------------------------------------------------ */

/* In a shell's single quotes. */
static void models_new_put_quoted(struct buf *out, struct slice text)
{
	buf_add_char(out, '\'');
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] == '\'')
			buf_add_str(out, "'\\''");
		else
			buf_add_char(out, text.ptr[i]);
	buf_add_char(out, '\'');
}

static void models_new_put_summary(struct buf *out, const char *path,
				   const struct inferred *inferred)
{
	const struct infer_field *key = inferred->key;

	buf_addf(out, "%s: %zu column%s, from %" PRIu64 " record%s\n", path, inferred->count,
		 inferred->count == 1 ? "" : "s", inferred->records, inferred->records == 1 ? "" : "s");
	if (key)
		buf_addf(
			out,
			"key: %s, which every record has and no other record has the same: of the"
			" records with one\n  %s the newest is the current row. Take the line \"-- key:\" out"
			" if they are to stand side by side.\n",
			key->alias, key->alias);
	else
		buf_add_str(
			out,
			"key: none; no field is named like one, in every record and different in"
			" each. Every record becomes\n  a row. To have one, add \"-- key: FIELD\".\n");
	for (size_t i = 0; i < inferred->count; i++) {
		const struct infer_field *field = &inferred->fields[i];

		if (field->present == 0)
			buf_addf(out, "%s: nothing but null in the sample, taken for a string\n",
				 field->alias);
	}
	if (inferred->left_out)
		buf_addf(
			out,
			"%zu fields are left out: their names have line breaks or such, which a header"
			" cannot hold\n",
			inferred->left_out);
}

static void put_curl(struct buf *out, const struct config *config, const char *type,
		     const char *method, const char *path, struct buf *body)
{
	buf_addf(out, "    curl%s -H 'Content-Type: %s'%s \\\n         -d ", method, type,
		 *config_text(config, OPT_API_KEY_HASH) || *config_text(config, OPT_KEYS)
			 ? " -H \"x-api-key: $KEY\""
			 : "");
	models_new_put_quoted(out, buf_slice(body));
	buf_addf(out, " \\\n         %s://%s%s\n",
		 *config_text(config, OPT_TLS_CERT) ? "https" : "http",
		 config_text(config, OPT_LISTEN), path);
}

static void put_posts(struct buf *out, const struct config *config, const struct inferred *inferred,
		      const char *name)
{
	const char *id = config_text(config, OPT_ID);
	const char *models = config_text(config, OPT_MODELS);
	char path[512];
	struct buf example, body;

	buf_init(&example, MODEL_BYTES_MAX);
	buf_init(&body, MODEL_BYTES_MAX);
	infer_put_example(&example, inferred);
	buf_addf(
		out,
		"\nModels are read when a command starts: start `pinpipe up%s%s` again, then post to the"
		" topic (batch path)\n",
		*models ? " --models " : "", models);
	buf_addf(&body, "{\"records\":[{\"value\":%s}]}", buf_cstr(&example));
	(void)snprintf(path, sizeof(path), "/topics/%s.%s", id, name);
	put_curl(out, config, "application/vnd.kafka.json.v2+json", "", path, &body);
	buf_addf(out,
		 "and ask, once sink and batch had their turn (a minute or two, sink.flush_age and"
		 " batch.every)\n    pinpipe sql%s%s 'SELECT * FROM %s'\n",
		 *models ? " --models " : "", models, name);
	buf_clear(&body);
	buf_addf(&body, "{\"StreamName\":\"streaming-%s-%s\",\"Data\":%s,\"PartitionKey\":\"p\"}",
		 id, name, buf_cstr(&example));
	(void)snprintf(path, sizeof(path), "/streams/streaming-%s-%s/record", id, name);
	buf_add_str(out, "or post to the stream\n");
	put_curl(out, config, "application/json", " -X PUT", path, &body);
	buf_addf(out,
		 "and ask within a second\n    pinpipe sql%s%s --from stream 'SELECT * FROM %s'\n",
		 *models ? " --models " : "", models, name);
	buf_release(&example);
	buf_release(&body);
}

/* --- all of it --------------------------------------------------------- */

static enum err_code write_and_say(const struct config *config, const char *name,
				   const struct inferred *inferred, struct err *err)
{
	char dir[PATH_MAX], path[PATH_MAX];
	struct buf text, said;
	enum err_code code;

	buf_init(&text, MODEL_BYTES_MAX);
	buf_init(&said, 8 * MODEL_BYTES_MAX);
	infer_put_model(&text, inferred, name);
	code = buf_full(&text) ? err_set(err, ERR_LIMIT, "the model is larger than %d bytes",
					 MODEL_BYTES_MAX)
			       : setup_models_dir(config, dir, err);
	if (code == ERR_OK)
		code = write_model(dir, name, buf_slice(&text), path, err);
	if (code == ERR_OK)
		code = check_model(dir, path, err);
	if (code == ERR_OK) {
		models_new_put_summary(&said, path, inferred);
		put_posts(&said, config, inferred, name);
		code = cmd_print(&said, err);
	}
	buf_release(&text);
	buf_release(&said);
	return code;
}

enum err_code models_new(const struct config *config, const char *name, struct err *err)
{
	struct inferred inferred;
	struct buf sample;
	enum err_code code;

	if (!infer_name_is_free(name))
		return err_set(err, ERR_USAGE,
			       "\"%s\" is no name for a table: a letter, then letters, digits"
			       " and _, at most 60, and no word of SQL",
			       name);
	buf_init(&sample, INFER_BYTES_MAX);
	code = read_stdin(&sample, err);
	if (code == ERR_OK)
		code = infer_read(buf_slice(&sample), name, &inferred, err);
	buf_release(&sample);
	if (code != ERR_OK)
		return code;
	code = write_and_say(config, name, &inferred, err);
	infer_release(&inferred);
	return code;
}
