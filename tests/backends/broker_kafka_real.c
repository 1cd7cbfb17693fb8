/* The backend of Kafka on a cluster that is elsewhere, and as empty as at its start: whatever
 * topics and groups it has are removed first. make interop tells which one. */
#include "backends/backends.h"

#include "base/mem.h"
#include "base/time.h"
#include "broker/kafka/kafka.h"

#include <stdio.h>

enum { PATIENCE_MS = 30000, GROUPS_MAX = 64, NAMES_MAX = 256 };

_Noreturn static void give_up(const struct err *err)
{
	(void)fprintf(stderr, "the cluster: %s\n", err->msg);
	abort();
}

struct names {
	char *list[NAMES_MAX];
	size_t count;
};

static bool note_name(void *names_, const char *name)
{
	struct names *names = names_;

	names->list[names->count++] = xstrdup(name);
	return names->count < NAMES_MAX;
}

static void remove_topics(struct broker *broker)
{
	struct names names = { 0 };
	struct err err;

	if (broker_list(broker, TOPIC_LOG, note_name, &names, &err) != ERR_OK)
		give_up(&err);
	for (size_t i = 0; i < names.count; i++) {
		struct topic_ref topic = { TOPIC_LOG, names.list[i] };

		if (broker_remove(broker, topic, &err) != ERR_OK && err.code != ERR_NO_TOPIC)
			give_up(&err);
		free(names.list[i]);
	}
}

/* False: a member of it is still taken for alive. */
static bool remove_group(rd_kafka_t *admin, const char *name)
{
	rd_kafka_DeleteGroup_t *group = rd_kafka_DeleteGroup_new(name);
	const rd_kafka_group_result_t **results;
	rd_kafka_event_t *answer;
	struct kafka_ask ask;
	struct err err;
	size_t count;
	bool gone;

	kafka_ask_init(&ask, admin, RD_KAFKA_ADMIN_OP_DELETEGROUPS);
	rd_kafka_DeleteGroups(admin, &group, 1, ask.options, ask.queue);
	if (kafka_ask_wait(&ask, &answer, &err) != ERR_OK)
		give_up(&err);
	results = rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(answer),
						      &count);
	gone = rd_kafka_error_code(rd_kafka_group_result_error(results[0])) !=
	       RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP;
	rd_kafka_event_destroy(answer);
	kafka_ask_release(&ask);
	rd_kafka_DeleteGroup_destroy(group);
	return gone;
}

static void remove_groups(struct broker *broker)
{
	int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
	struct names names = { 0 };
	rd_kafka_t *admin;
	struct err err;

	if (broker_groups(broker, note_name, &names, &err) != ERR_OK ||
	    kafka_admin((struct kafka *)broker, &admin, &err) != ERR_OK)
		give_up(&err);
	for (size_t i = 0; i < names.count; i++) {
		while (!remove_group(admin, names.list[i]) && clock_mono_ms() < until_ms)
			clock_sleep_ms(50);
		free(names.list[i]);
	}
}

struct broker *broker_kafka_real_new(const char *servers, broker_done_fn *done, void *done_user)
{
	struct config_setting settings[] = {
		{ .name = "bootstrap.servers", .text = servers, .place = "test" },
		{ .name = "session.timeout.ms", .text = "2000", .place = "test" },
		{ .name = "heartbeat.interval.ms", .text = "200", .place = "test" },
	};
	struct broker_kafka_options options = { .settings = settings,
						.setting_count = ARRAY_LEN(settings),
						.done = done,
						.done_user = done_user };
	struct broker *broker;
	struct err err;

	if (broker_kafka_new(&options, &broker, &err) != ERR_OK)
		give_up(&err);
	remove_topics(broker);
	remove_groups(broker);
	return broker;
}
