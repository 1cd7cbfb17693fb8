#include "flow/lag.h"

#include <string.h>

static const struct group_place *lag_place(const struct group_info *info, enum topic_kind kind,
					   const char *topic, int32_t partition)
{
	for (size_t i = 0; i < info->place_count; i++) {
		const struct group_place *place = &info->places[i];

		if (place->kind == kind && place->partition == partition &&
		    strcmp(place->topic, topic) == 0)
			return place;
	}
	return NULL;
}

enum err_code lag_ask(const struct lag_of *of, const struct group_info *info, const char *topic,
		      int64_t *ret_lag, struct err *err)
{
	struct topic_ref ref = { of->kind, topic };
	struct topic_info now;
	enum err_code code = broker_describe(of->broker, ref, &now, err);
	int64_t lag = 0;

	if (code != ERR_OK)
		return code;
	for (int32_t i = 0; i < now.partition_count; i++) {
		const struct partition_info *partition = &now.partitions[i];
		const struct group_place *place = lag_place(info, of->kind, topic, partition->id);
		bool committed = place && place->committed;

		if (!partition->next_known || lag < 0)
			lag = -1;
		else
			lag += (int64_t)partition_records_from(
				partition, committed ? place->next : partition->first);
	}
	topic_info_release(&now);
	*ret_lag = lag;
	return ERR_OK;
}
