#include "broker/kafka/broker_kafka.h"

#include "base/mem.h"
#include "broker/kafka/kafka.h"
#include "broker/kafka/reader_kafka.h"

static struct config_setting *settings_copy(const struct config_setting *settings, size_t count)
{
	struct config_setting *copy = xcalloc(count, sizeof(*copy));

	for (size_t i = 0; i < count; i++)
		copy[i] = (struct config_setting){ .name = xstrdup(settings[i].name),
						   .text = xstrdup(settings[i].text),
						   .place = xstrdup(settings[i].place),
						   .origin = settings[i].origin };
	return copy;
}

/* What was copied is what is let go of. */
static void settings_free(struct broker_kafka_options *options)
{
	for (size_t i = 0; i < options->setting_count; i++) {
		free((void *)(uintptr_t)options->settings[i].name);
		free((void *)(uintptr_t)options->settings[i].text);
		free((void *)(uintptr_t)options->settings[i].place);
	}
	free((void *)(uintptr_t)options->settings);
	free((void *)(uintptr_t)options->member);
}

static enum err_code kafka_verify(struct broker *broker, void (*each)(void *user, const char *what),
				  void *user, struct broker_verdict *ret_verdict, struct err *err)
{
	(void)broker;
	(void)each;
	(void)user;
	(void)err;
	*ret_verdict = (struct broker_verdict){ .looked = false, .sound = true };
	return ERR_OK;
}

static void kafka_free(struct broker *broker)
{
	struct kafka *kafka = (struct kafka *)broker;

	producer_free(kafka->producer);
	if (kafka->admin)
		rd_kafka_destroy(kafka->admin);
	kafka_forget_told(kafka, NULL);
	free(kafka->told);
	links_release(&kafka->admin_links);
	(void)pthread_mutex_destroy(&kafka->lock);
	settings_free(&kafka->options);
	free(kafka);
}

static const struct broker_ops kafka_ops = {
	.name = "kafka",
	.create = kafka_create,
	.describe = kafka_describe,
	.list = kafka_list,
	.remove = kafka_remove,
	.append = kafka_append,
	.cork = kafka_cork,
	.ready = kafka_ready,
	.committed = kafka_committed,
	.commit = kafka_commit,
	.nodes = kafka_nodes,
	.settings = kafka_settings,
	.groups = kafka_groups,
	.describe_group = kafka_describe_group,
	.reset_group = kafka_reset_group,
	.verify = kafka_verify,
	.reader_open = reader_kafka_open,
	.reader_seek = reader_kafka_seek,
	.reader_next = reader_kafka_next,
	.reader_pause = reader_kafka_pause,
	.reader_release = reader_kafka_release,
	.reader_fd = reader_kafka_fd,
	.reader_commit = reader_kafka_commit,
	.reader_close = reader_kafka_close,
	.free = kafka_free,
};

enum err_code broker_kafka_new(const struct broker_kafka_options *options,
			       struct broker **ret_broker, struct err *err)
{
	struct kafka *kafka;

	if (kafka_settings_check(options, err) != ERR_OK)
		return err->code;
	kafka = xcalloc(1, sizeof(*kafka));
	kafka->base.ops = &kafka_ops;
	kafka->options = *options;
	kafka->options.settings = settings_copy(options->settings, options->setting_count);
	kafka->options.member = options->member ? xstrdup(options->member) : NULL;
	links_init(&kafka->admin_links);
	(void)pthread_mutex_init(&kafka->lock, NULL);
	if (options->done && producer_new(kafka, &kafka->producer, err) != ERR_OK) {
		kafka_free(&kafka->base);
		return err->code;
	}
	*ret_broker = &kafka->base;
	return ERR_OK;
}
