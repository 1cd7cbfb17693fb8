#include "flow/supervise.h"

#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"

enum { TICK_MS = 20, STEADY_TIMES = 4 };

static int64_t next_backoff(struct service *service, struct restart_delay delay)
{
	int64_t lived_ms = clock_mono_ms() - service->started_ms;

	if (!service->backoff_ms || lived_ms >= STEADY_TIMES * service->backoff_ms)
		service->backoff_ms = delay.first_ms;
	else
		service->backoff_ms *= 2;
	if (service->backoff_ms > delay.most_ms)
		service->backoff_ms = delay.most_ms;
	return service->backoff_ms;
}

/* It ended without being asked to. */
static enum err_code plan_next_start(struct service *service, struct restart_delay delay,
				     struct err *err)
{
	int status = service->process.status;
	int64_t wait_ms;

	if (status == 2)
		return err_set(err, ERR_USAGE, "%s cannot run with this configuration (see above)",
			       service->name);
	if (status == 0 && service->period_ms) {
		service->backoff_ms = 0;
		service->due_ms = service->started_ms + service->period_ms;
		return ERR_OK;
	}
	wait_ms = next_backoff(service, delay);
	service->due_ms = clock_mono_ms() + wait_ms;
	trace_warn("%s ended with status %d; starting it again in %lld ms", service->name, status,
		   (long long)wait_ms);
	return ERR_OK;
}

static enum err_code supervise_turn(struct service *service, struct restart_delay delay,
				    struct err *err)
{
	enum err_code code;

	if (service->process.pid) {
		if (!process_ended(&service->process))
			return ERR_OK;
		code = plan_next_start(service, delay, err);
		if (code != ERR_OK)
			return code;
	}
	if (clock_mono_ms() < service->due_ms)
		return ERR_OK;
	code = process_start(&service->process, service->args,
			     service->quiet ? PROCESS_STDOUT_NONE : PROCESS_STDOUT_OURS, err);
	if (code != ERR_OK && !err_retry(code))
		return err_prefix(err, "could not start %s", service->name);
	service->started_ms = clock_mono_ms();
	service->starts++;
	if (code != ERR_OK) {
		trace_warn("could not start %s: %s", service->name, err->msg);
		service->due_ms = service->started_ms + next_backoff(service, delay);
	}
	return ERR_OK;
}

static enum err_code stop_all(struct service *services, size_t count, struct err *err)
{
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < count; i++) {
		struct service *service = &services[i];

		if (!service->process.pid)
			continue;
		trace_debug("stopping %s", service->name);
		process_stop(&service->process, service->drain_ms);
		if (service->process.status != 0 && service->process.status != 128 + 15)
			code = err_set(err, ERR_IO, "%s ended with status %d", service->name,
				       service->process.status);
	}
	return code;
}

enum err_code supervise(struct service *services, size_t count, struct restart_delay delay,
			struct err *err)
{
	enum err_code code = ERR_OK;
	struct err ignored;

	for (size_t i = 0; i < count; i++)
		services[i].process.out_fd = -1;
	while (code == ERR_OK && !stop_requested()) {
		for (size_t i = 0; i < count && code == ERR_OK; i++)
			code = supervise_turn(&services[i], delay, err);
		if (code == ERR_OK)
			clock_sleep_ms(TICK_MS);
	}
	if (code != ERR_OK) {
		(void)stop_all(services, count, &ignored);
		return code;
	}
	return stop_all(services, count, err);
}
