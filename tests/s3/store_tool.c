/*
 * A store from the command line, for tests that play faults to it (test_store.py): calls one after
 * the other, with "--" between them. Each prints a line with the name of its code, and on stderr
 * why; get and list print what they gave before it.
 *
 *	store_tool URL put KEY TEXT -- create KEY TEXT -- create-file KEY PATH
 *		-- create-pieces KEY PATH [SIZE] -- get KEY [FROM LEN] -- stat KEY
 *		-- list PREFIX AFTER -- remove KEY -- fetch KEY -- can-create
 *
 * With PINPIPE_TEST_BARE nothing stacks on the backend; PINPIPE_TEST_PATH_STYLE, _SSE, _KMS_KEY and
 * _CALL_MS are options. With PINPIPE_TEST_STOP it is asked to stop before the first call.
 */
#include "base/file.h"
#include "base/mem.h"
#include "base/stop.h"
#include "base/trace.h"
#include "store/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ARGS_MAX = 8, OBJECT_MAX = 256 << 20 };

struct tool_call {
	struct store *store;
	const char *args[ARGS_MAX]; /* "" where there are fewer */
};

static enum err_code tool_put(const struct tool_call *call, struct err *err)
{
	struct store_words words = { 0 };
	struct store_put put = {
		.key = call->args[1],
		.mode = strcmp(call->args[0], "put") == 0 ? STORE_REPLACE : STORE_CREATE,
		.words = &words,
	};
	enum err_code code = store_words_add(&words, "of", slice_str("the tool"), err);

	if (strcmp(call->args[0], "create-file") == 0)
		put.path = call->args[2];
	else
		put.body = slice_str(call->args[2]);
	return code == ERR_OK ? store_put_as(call->store, &put, err) : code;
}

struct tool_source {
	struct store_source base;
	int fd;
};

static enum err_code tool_read(struct store_source *source, uint64_t from, size_t len,
			       struct buf *out, struct err *err)
{
	char *room = buf_room(out, len);
	int sys = 0;

	if (!room || file_read_at(((struct tool_source *)source)->fd, room, len, from, &sys) < len)
		return err_set(err, ERR_CORRUPT, "the file ends");
	buf_grew(out, len);
	return ERR_OK;
}

/* The size is the one that is said, if one is. */
static enum err_code tool_create_pieces(const struct tool_call *call, struct err *err)
{
	struct tool_source source = { .base.read = tool_read };
	struct store_put put = { .key = call->args[1],
				 .mode = STORE_CREATE,
				 .source = &source.base };
	enum err_code code;
	struct stat st;

	source.fd = open(call->args[2], O_RDONLY | O_CLOEXEC);
	if (source.fd < 0 || fstat(source.fd, &st) < 0)
		return err_errno(err, "could not open \"%s\"", call->args[2]);
	source.base.size = *call->args[3] ? strtoull(call->args[3], NULL, 10)
					  : (uint64_t)st.st_size;
	code = store_put_as(call->store, &put, err);
	(void)close(source.fd);
	return code;
}

static enum err_code tool_get(const struct tool_call *call, struct err *err)
{
	uint64_t from = strtoull(call->args[2], NULL, 10);
	uint64_t len = *call->args[3] ? strtoull(call->args[3], NULL, 10) : UINT64_MAX;
	struct buf out;
	enum err_code code;

	buf_init(&out, OBJECT_MAX);
	code = store_get(call->store, call->args[1], from, len, &out, err);
	if (code == ERR_OK)
		(void)printf("%.*s\n", (int)out.len, buf_cstr(&out));
	buf_release(&out);
	return code;
}

static enum err_code tool_stat(const struct tool_call *call, struct err *err)
{
	struct store_stat stat = { 0 };
	enum err_code code = store_stat(call->store, call->args[1], &stat, err);

	if (code != ERR_OK)
		return code;
	(void)printf("%llu bytes", (unsigned long long)stat.size);
	for (size_t i = 0; i < stat.words.count; i++)
		(void)printf(", %s=%s", stat.words.list[i].name, stat.words.list[i].value);
	(void)printf("\n");
	return ERR_OK;
}

static bool tool_show(void *user, const struct store_entry *entry)
{
	(void)user;
	(void)printf("%s %llu\n", entry->key, (unsigned long long)entry->size);
	return true;
}

static enum err_code tool_list(const struct tool_call *call, struct err *err)
{
	return store_list(call->store, call->args[1], call->args[2], tool_show, NULL, err);
}

static enum err_code tool_remove(const struct tool_call *call, struct err *err)
{
	return store_remove(call->store, call->args[1], err);
}

static enum err_code tool_fetch(const struct tool_call *call, struct err *err)
{
	struct store_fetched fetched = { 0 };
	const struct store_entry entry = { .key = call->args[1] };
	enum err_code code = store_fetch(call->store, &entry, &fetched, err);

	if (code == ERR_OK)
		(void)printf("%llu bytes\n", (unsigned long long)fetched.size);
	store_fetched_release(&fetched);
	return code;
}

static enum err_code tool_can_create(const struct tool_call *call, struct err *err)
{
	(void)err;
	(void)printf("%s\n", store_can(call->store, STORE_CAN_CREATE_ONLY) ? "yes" : "no");
	return ERR_OK;
}

static const struct {
	const char *name;
	enum err_code (*run)(const struct tool_call *call, struct err *err);
} tools[] = {
	{ "put", tool_put },
	{ "create", tool_put },
	{ "create-file", tool_put },
	{ "get", tool_get },
	{ "stat", tool_stat },
	{ "list", tool_list },
	{ "remove", tool_remove },
	{ "fetch", tool_fetch },
	{ "can-create", tool_can_create },
	{ "create-pieces", tool_create_pieces },
};

static void tool_call(const struct tool_call *call)
{
	struct err err = { 0 };
	enum err_code code = ERR_USAGE;

	(void)err_set(&err, ERR_USAGE, "no such call");
	for (size_t i = 0; i < ARRAY_LEN(tools); i++)
		if (strcmp(tools[i].name, call->args[0]) == 0)
			code = tools[i].run(call, &err);
	(void)printf("%s\n", err_name(code));
	if (code != ERR_OK)
		(void)fprintf(stderr, "%s\n", err.msg);
}

static enum err_code tool_open(const char *url, struct store **ret_store, struct err *err)
{
	const char *call_ms = getenv("PINPIPE_TEST_CALL_MS");
	const struct store_options options = {
		.call_ms = call_ms ? strtoll(call_ms, NULL, 10) : 0,
		.path_style = getenv("PINPIPE_TEST_PATH_STYLE"),
		.sse = getenv("PINPIPE_TEST_SSE"),
		.kms_key = getenv("PINPIPE_TEST_KMS_KEY"),
	};

	return getenv("PINPIPE_TEST_BARE") ? store_s3_new(url, &options, ret_store, err)
					   : store_open(url, &options, ret_store, err);
}

int main(int argc, char **argv)
{
	struct tool_call call = { 0 };
	struct err err;

	if (argc < 3)
		return 2;
	if (tool_open(argv[1], &call.store, &err) != ERR_OK) {
		(void)fprintf(stderr, "%s\n", err.msg);
		return err_exit(err.code);
	}
	if (getenv("PINPIPE_TEST_STOP"))
		stop_request();
	for (int at = 2; at < argc; at++) {
		for (size_t i = 0; i < ARGS_MAX; i++)
			call.args[i] = "";
		for (size_t i = 0; at < argc && strcmp(argv[at], "--") != 0; at++)
			if (i < ARGS_MAX)
				call.args[i++] = argv[at];
		tool_call(&call);
	}
	store_free(call.store);
	return 0;
}
