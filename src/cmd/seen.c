#include "cmd/seen.h"

#include "base/registry.h"
#include "cmd/setup.h"

#include <string.h>

/* Services are asked by requests, which others pay for. */
enum { LAG_MS = 1000, LAG_FAR_MS = 15000 };

static const char *brokers_of(const struct config *config)
{
	size_t count;
	const struct config_setting *settings = config_settings(config, OPTION_GROUP_KAFKA, &count);

	for (size_t i = 0; i < count; i++)
		if (strcmp(settings[i].name, "bootstrap.servers") == 0)
			return settings[i].text;
	return "";
}

/* What is on both ends of its work, by name where it is a service. */
static void say_place(const struct config *config)
{
	const char *lake = config_text(config, OPT_LAKE);
	bool kafka = strcmp(config_text(config, OPT_BROKER), "kafka") == 0;
	bool spark = strcmp(config_text(config, OPT_ENGINE), "spark") == 0;

	registry_say(REGISTRY_PLACE, "%s%s; lake %s%s", kafka ? "Kafka " : "log of --dir",
		     kafka ? brokers_of(config) : "", *lake ? lake : "in --dir",
		     spark ? "; Spark" : "");
}

void seen_join(const struct config *config, const char *role)
{
	registry_join(config_text(config, OPT_DIR), role);
	say_place(config);
}

enum err_code seen_begin(struct seen *seen, const struct config *config, const char *role,
			 struct err *err)
{
	const char *listen = config_text(config, OPT_METRICS_LISTEN);

	*seen = (struct seen){ .pulse = NULL };
	seen_join(config, role);
	return *listen ? metrics_server_new(config, listen, &seen->server, err) : ERR_OK;
}

void seen_follow(struct seen *seen, const struct config *config,
		 const struct pulse_options *options)
{
	struct pulse_options all = { .table_count = 0 };

	if (options)
		all = *options;
	all.lag_every_ms = setup_topics_are_in_dir(config) ? LAG_MS : LAG_FAR_MS;
	seen->pulse = pulse_new(&all);
}

void seen_end(struct seen *seen)
{
	pulse_free(seen->pulse);
	metrics_server_free(seen->server);
	*seen = (struct seen){ .pulse = NULL };
}
