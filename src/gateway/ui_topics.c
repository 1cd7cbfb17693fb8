/* ui_topics.c - which topics and streams there are. The broker is the gateway's own, so no command
 * is asked. */
#include "base/arena.h"
#include "gateway/state.h"
#include "gateway/ui.h"

enum { TOPICS_MAX = 1000, TOPICS_BYTES_MAX = 2 << 20 };

struct ui_topic_list {
	struct arena memory;
	const char *names[TOPICS_MAX];
	size_t count;
};

static bool ui_topics_add(void *user, const char *name)
{
	struct ui_topic_list *list = user;

	list->names[list->count++] = arena_str(&list->memory, slice_str(name));
	return list->count < TOPICS_MAX;
}

/* One that was removed meanwhile is left out. */
static void ui_topics_put(struct call *call, enum topic_kind kind, const char *name)
{
	struct buf *reply = call->reply;
	struct topic_info info;
	struct err err;

	if (broker_describe(gateway_broker(call->gateway), (struct topic_ref){ kind, name }, &info,
			    &err) != ERR_OK)
		return;
	buf_add_str(reply, reply->len > 1 ? ",{\"name\":" : "{\"name\":");
	json_put_string(reply, slice_str(name));
	buf_addf(reply, ",\"kind\":\"%s\",\"partitions\":%d}",
		 kind == TOPIC_STREAM ? "stream" : "topic", (int)info.partition_count);
	topic_info_release(&info);
}

static enum err_code ui_topics_of(struct call *call, enum topic_kind kind, struct err *err)
{
	struct ui_topic_list list = { .count = 0 };
	enum err_code code;

	arena_init(&list.memory, TOPICS_BYTES_MAX);
	code = broker_list(gateway_broker(call->gateway), kind, ui_topics_add, &list, err);
	for (size_t i = 0; i < list.count && code == ERR_OK; i++)
		ui_topics_put(call, kind, list.names[i]);
	arena_release(&list.memory);
	return code;
}

void ui_topics(struct call *call)
{
	struct err err;

	buf_add_char(call->reply, '[');
	if (ui_topics_of(call, TOPIC_LOG, &err) != ERR_OK ||
	    ui_topics_of(call, TOPIC_STREAM, &err) != ERR_OK)
		call_fail(call, &err);
	else
		buf_add_char(call->reply, ']');
}
