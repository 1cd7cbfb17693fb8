/* What the REST proxy tells of topics is what their broker says: of a cluster of several nodes. */
#include "base/mem.h"
#include "gateway_fixture.h"

#include <assert.h>

/* A broker that looks like a cluster. */
struct cluster {
	struct broker base;
	struct broker *inner;
	enum err_code settings;
};
static_assert(offsetof(struct cluster, base) == 0, "base must be first");

static struct broker *cluster_inner(struct broker *broker)
{
	return ((struct cluster *)broker)->inner;
}

static enum err_code cluster_create(struct broker *broker, struct topic_ref topic,
				    const struct topic_options *options, struct err *err_)
{
	return broker_create(cluster_inner(broker), topic, options, err_);
}

/* Partition 0 is led by one of three, the other by nobody. */
static enum err_code cluster_describe(struct broker *broker, struct topic_ref topic,
				      struct topic_info *ret_info, struct err *err_)
{
	static const struct replica replicas[] = { { 7, false }, { 12, true }, { 3, true } };
	enum err_code code = broker_describe(cluster_inner(broker), topic, ret_info, err_);

	if (code != ERR_OK || topic.kind != TOPIC_LOG)
		return code;
	ret_info->partitions[0].leader = 12;
	ret_info->partitions[0].replicas = replicas;
	ret_info->partitions[0].replica_count = 3;
	ret_info->partitions[1].leader = NODE_NONE;
	ret_info->partitions[1].replicas = replicas;
	ret_info->partitions[1].replica_count = 1;
	return code;
}

static enum err_code cluster_nodes(struct broker *broker, enum topic_kind kind,
				   bool (*each)(void *user, const struct broker_node *node),
				   void *user, struct err *err_)
{
	static const struct broker_node nodes[] = { { 3, "a", 9092 },
						    { 7, "b", 9092 },
						    { 12, "c", 9092 } };

	(void)broker;
	(void)kind;
	(void)err_;
	for (size_t i = 0; i < 3 && each(user, &nodes[i]); i++)
		continue;
	return ERR_OK;
}

static enum err_code cluster_settings(struct broker *broker, struct topic_ref topic,
				      bool (*each)(void *user, const char *name, const char *value),
				      void *user, struct err *err_)
{
	struct cluster *cluster = (struct cluster *)broker;

	(void)topic;
	if (cluster->settings != ERR_OK)
		return err_set(err_, cluster->settings, "the cluster says no");
	(void)(each(user, "cleanup.policy", "compact") && each(user, "password", NULL) &&
	       each(user, "retention.ms", "-1"));
	return ERR_OK;
}

static void cluster_cork(struct broker *broker, bool corked)
{
	broker_cork(cluster_inner(broker), corked);
}

static enum err_code cluster_ready(struct broker *broker, enum topic_kind kind, size_t bytes,
				   struct err *err_)
{
	return broker_ready(cluster_inner(broker), kind, bytes, err_);
}

static void cluster_free(struct broker *broker) { broker_free(cluster_inner(broker)); }

static const struct broker_ops cluster_ops = {
	.name = "cluster",
	.create = cluster_create,
	.describe = cluster_describe,
	.nodes = cluster_nodes,
	.settings = cluster_settings,
	.cork = cluster_cork,
	.ready = cluster_ready,
	.free = cluster_free,
};

static void expect_get(struct fixture *fixture, const char *path, int status, const char *body)
{
	char line[128];

	(void)snprintf(line, sizeof(line), "GET %s", path);
	check(fixture, send_request(fixture, line, "text/plain", ""), status, false, body);
}

static void test_metadata_is_the_brokers_own(void **state)
{
	struct cluster cluster = { .base = { &cluster_ops } };
	struct gateway_options options = defaults();
	const struct topic_ref topic = { TOPIC_LOG, "wide" };
	const struct topic_options two = { .partitions = 2 };
	struct fixture fixture;

	(void)state;
	options.auto_create = AUTO_CREATE_NONE;
	assert_ok(gateway_new(&options, &fixture.gateway, &err));
	cluster.inner = broker_memory_new(BROKER_BYTES_MAX, gateway_done, fixture.gateway);
	assert_ok(broker_create(cluster.inner, topic, &two, &err));
	start(&fixture, &cluster.base);
	expect_get(&fixture, "/brokers", 200, "{\"brokers\":[3,7,12]}");
	expect_get(&fixture, "/topics/wide/partitions/0", 200,
		   "{\"partition\":0,\"leader\":12,\"replicas\":["
		   "{\"broker\":7,\"leader\":false,\"in_sync\":false},"
		   "{\"broker\":12,\"leader\":true,\"in_sync\":true},"
		   "{\"broker\":3,\"leader\":false,\"in_sync\":true}]}");
	expect_get(&fixture, "/topics/wide/partitions/1", 200,
		   "{\"partition\":1,\"leader\":-1,\"replicas\":["
		   "{\"broker\":7,\"leader\":false,\"in_sync\":false}]}");
	expect_get(
		&fixture, "/topics/wide", 200,
		"{\"name\":\"wide\",\"configs\":{\"cleanup.policy\":\"compact\",\"password\":null,"
		"\"retention.ms\":\"-1\"},\"partitions\":[{\"partition\":0,\"leader\":12,");
	cluster.settings = ERR_DENIED;
	expect_get(&fixture, "/topics/wide", 403, "{\"error_code\":40301,");
	expect_get(&fixture, "/topics/wide/partitions", 200, "[{\"partition\":0,\"leader\":12,");
	cluster.settings = ERR_NO_TOPIC;
	expect_get(&fixture, "/topics/wide", 404, "{\"error_code\":40401,");
	stop(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_metadata_is_the_brokers_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
