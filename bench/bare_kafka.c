#include "bare_kafka.h"

#include <stdio.h>
#include <stdlib.h>

void bare_kafka_die(const char *what)
{
	(void)fprintf(stderr, "%s\n", what);
	exit(1);
}

rd_kafka_t *bare_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, const char *const *settings)
{
	static const char *const promises[] = { "acks", "all", "enable.idempotence", "true", NULL };
	static const char *const none[] = { NULL };
	const char *const *lists[] = { type == RD_KAFKA_PRODUCER ? promises : none, settings };
	rd_kafka_t *client;
	char why[200];

	for (int i = 0; i < 2; i++)
		for (const char *const *word = lists[i]; *word; word += 2)
			if (rd_kafka_conf_set(conf, word[0], word[1], why, sizeof(why)) !=
			    RD_KAFKA_CONF_OK)
				bare_kafka_die(why);
	client = rd_kafka_new(type, conf, why, sizeof(why));
	if (!client)
		bare_kafka_die(why);
	return client;
}
