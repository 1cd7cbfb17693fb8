/* Settings of a service's topic under which an acknowledgement means little. */
#include "broker/weakness.h"

#include "base/mem.h"
#include "testing.h"

/* A service with one topic of two partitions, and what it says of that. */
static struct {
	const char *host;
	struct replica replicas[3];
	size_t copies[2];
	const char *in_sync;
	const char *unclean;
} service;

static enum err_code said_nodes(struct broker *broker, enum topic_kind kind,
				bool (*each)(void *user, const struct broker_node *node),
				void *user, struct err *err)
{
	const struct broker_node node = { .id = 1, .host = service.host };

	(void)broker;
	(void)kind;
	(void)err;
	(void)each(user, &node);
	return ERR_OK;
}

static enum err_code said_settings(struct broker *broker, struct topic_ref topic,
				   bool (*each)(void *user, const char *name, const char *value),
				   void *user, struct err *err)
{
	(void)broker;
	(void)topic;
	(void)err;
	(void)(each(user, "min.insync.replicas", service.in_sync) &&
	       each(user, "sasl.jaas.config", NULL) &&
	       each(user, "unclean.leader.election.enable", service.unclean));
	return ERR_OK;
}

static enum err_code said_topic(struct broker *broker, struct topic_ref topic,
				struct topic_info *ret_info, struct err *err)
{
	(void)broker;
	if (strcmp(topic.name, "pin") != 0)
		return err_set(err, ERR_NO_TOPIC, "there is no topic \"%s\"", topic.name);
	*ret_info = (struct topic_info){
		.kind = topic.kind, .name = "pin", .uid = "1", .partition_count = 2
	};
	ret_info->partitions = xcalloc(2, sizeof(*ret_info->partitions));
	for (int32_t i = 0; i < 2; i++)
		ret_info->partitions[i] = (struct partition_info){
			.id = i,
			.open = true,
			.leader = 1,
			.replicas = service.replicas,
			.replica_count = service.copies[i],
		};
	return ERR_OK;
}

static const struct broker_ops ops = {
	.name = "said", .nodes = said_nodes, .settings = said_settings, .describe = said_topic
};

static enum err_code ask(const char *name, unsigned *ret_weaknesses, struct err *err)
{
	struct broker broker = { .ops = &ops };

	return weakness_of(&broker, (struct topic_ref){ TOPIC_LOG, name }, ret_weaknesses, err);
}

static void expect(size_t copies, size_t more_copies, const char *in_sync, const char *unclean,
		   unsigned wanted)
{
	unsigned weaknesses = 99;
	struct err err;

	service.copies[0] = copies;
	service.copies[1] = more_copies;
	service.in_sync = in_sync;
	service.unclean = unclean;
	assert_ok(ask("pin", &weaknesses, &err));
	assert_int_equal(weaknesses, wanted);
}

static int set_up(void **state)
{
	(void)state;
	service.host = "kafka1";
	for (int32_t i = 0; i < 3; i++)
		service.replicas[i] = (struct replica){ .node = i + 1, .in_sync = true };
	return 0;
}

static void test_of_a_service(void **state)
{
	(void)state;
	expect(3, 3, "2", "false", WEAKNESS_NONE);
	expect(3, 1, "2", "false", WEAKNESS_ONE_COPY);
	expect(1, 1, "1", "true", WEAKNESS_ONE_COPY);
	expect(3, 3, "1", "false", WEAKNESS_ONE_ENOUGH);
	expect(3, 3, "2", "true", WEAKNESS_UNCLEAN);
	expect(2, 3, "1", "true", WEAKNESS_ONE_ENOUGH | WEAKNESS_UNCLEAN);
	expect(0, 0, NULL, NULL, WEAKNESS_NONE); /* it need not tell */
}

static void test_of_this_process_there_is_none(void **state)
{
	(void)state;
	service.host = "";
	expect(1, 1, "1", "true", WEAKNESS_NONE);
}

static void test_what_cannot_be_asked(void **state)
{
	static const char *const names[] = { "gone" };
	struct broker broker = { .ops = &ops };
	unsigned weaknesses;
	struct err err;

	(void)state;
	assert_int_equal(ask("gone", &weaknesses, &err), ERR_NO_TOPIC);
	weakness_warn(&broker, TOPIC_LOG, names, 1);
	weakness_warn(&broker, TOPIC_LOG, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_of_a_service, set_up),
		cmocka_unit_test_setup(test_of_this_process_there_is_none, set_up),
		cmocka_unit_test_setup(test_what_cannot_be_asked, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
