#include "broker/weakness.h"

#include "base/mem.h"
#include "base/trace.h"

#include <assert.h>

const char *weakness_text(enum weakness weakness)
{
	switch (weakness) {
	case WEAKNESS_ONE_COPY:
		return "there is one replica: what was acknowledged is lost with that broker's disk";
	case WEAKNESS_ONE_ENOUGH:
		return "min.insync.replicas is 1: what one broker alone has is acknowledged, and lost with it";
	case WEAKNESS_UNCLEAN:
		return "unclean.leader.election.enable is true: a replica that lags may become "
		       "leader, and what it lacks is lost though it was acknowledged";
	default:
		assert(false);
		return "";
	}
}

static bool weakness_note_node(void *own, const struct broker_node *node)
{
	if (node->host[0] == '\0')
		*(bool *)own = true;
	return true;
}

static bool weakness_note_setting(void *weaknesses, const char *name, const char *value)
{
	unsigned *sum = weaknesses;

	if (value && strcmp(name, "min.insync.replicas") == 0 && strcmp(value, "1") == 0)
		*sum |= WEAKNESS_ONE_ENOUGH;
	if (value && strcmp(name, "unclean.leader.election.enable") == 0 &&
	    strcmp(value, "true") == 0)
		*sum |= WEAKNESS_UNCLEAN;
	return true;
}

static enum err_code weakness_of_copies(struct broker *broker, struct topic_ref topic,
					bool *ret_one, struct err *err)
{
	struct topic_info info;
	enum err_code code = broker_describe(broker, topic, &info, err);

	if (code != ERR_OK)
		return code;
	*ret_one = false;
	for (int32_t i = 0; i < info.partition_count; i++)
		*ret_one |= info.partitions[i].replica_count == 1;
	topic_info_release(&info);
	return ERR_OK;
}

enum err_code weakness_of(struct broker *broker, struct topic_ref topic, unsigned *ret_weaknesses,
			  struct err *err)
{
	bool own = false, one = false;
	unsigned sum = WEAKNESS_NONE;
	enum err_code code = broker_nodes(broker, topic.kind, weakness_note_node, &own, err);

	if (code == ERR_OK && !own)
		code = weakness_of_copies(broker, topic, &one, err);
	if (code == ERR_OK && !own && !one)
		code = broker_settings(broker, topic, weakness_note_setting, &sum, err);
	if (code == ERR_OK)
		*ret_weaknesses = one ? WEAKNESS_ONE_COPY : sum;
	return code;
}

static void weakness_warn_of(enum weakness weakness, const char *const *names,
			     const unsigned *weaknesses, size_t count)
{
	const char *first = NULL;
	char more[32] = "";
	size_t have = 0;

	for (size_t i = 0; i < count; i++)
		if (weaknesses[i] & weakness) {
			first = first ? first : names[i];
			have++;
		}
	if (have > 1)
		(void)snprintf(more, sizeof(more), " and %zu more", have - 1);
	if (first)
		trace_warn("\"%s\"%s: %s", first, more, weakness_text(weakness));
}

void weakness_warn(struct broker *broker, enum topic_kind kind, const char *const *names,
		   size_t count)
{
	unsigned *weaknesses = xcalloc(count, sizeof(*weaknesses));
	struct err err;

	/* One that does not answer is not asked about each. */
	err.code = ERR_OK;
	for (size_t i = 0; i < count && !err_retry(err.code); i++)
		if (weakness_of(broker, (struct topic_ref){ kind, names[i] }, &weaknesses[i],
				&err) != ERR_OK)
			trace_debug("\"%s\": %s", names[i], err.msg);
	for (unsigned bit = 0; bit < WEAKNESSES; bit++)
		weakness_warn_of((enum weakness)(1u << bit), names, weaknesses, count);
	free(weaknesses);
}
