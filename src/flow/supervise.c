#include "flow/supervise.h"

#include "base/fnv.h"
#include "base/mem.h"
#include "base/registry.h"
#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { TICK_MS = 20, STEADY_TIMES = 4, RAN_MS = 10000, ISO_MAX = 32, NEXT_MAX = 64 };

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

/*
 * A service that says why it cannot run before it ever ran: it would say so again. Only of a lock
 * it is known that it may come free: what an `up` that was killed leaves behind drains first. A job
 * has its next turn, what may pass (a bucket that is away) is tried again, and what a signal ended
 * has said nothing.
 */
static bool never_ran(const struct service *service)
{
	int status = service->process.status;
	int64_t now_ms = clock_mono_ms();

	if (service->ran || service->period_ms || service->schedule || status == 0 ||
	    (status >= 128 && !service->takes_over))
		return false;
	if (status == err_exit(ERR_BUSY))
		return false;
	return status != err_exit(ERR_LOCKED) || now_ms - service->first_ms >= service->drain_ms;
}

static int64_t next_start(struct service *service, struct restart_delay delay)
{
	int status = service->process.status;
	int64_t now_ms = clock_mono_ms();
	int64_t turn_ms = service->started_ms + service->period_ms;
	int64_t due_ms;

	if (status == 0 && service->period_ms) {
		service->backoff_ms = 0;
		return turn_ms;
	}
	due_ms = now_ms + next_backoff(service, delay);
	/* A job that failed at its work has its next turn, as one that did it. */
	if (service->period_ms && status < 128 && due_ms < turn_ms)
		return turn_ms;
	return due_ms;
}

static void say_next(const struct service *service)
{
	struct buf out;

	buf_init(&out, ISO_MAX);
	time_put_iso(&out, service->schedule->due_ms);
	trace_info("the next %s is due at %s", service->name, buf_cstr(&out));
	buf_release(&out);
}

/* What it said of its end, if it came so far as to have a place in the registry; or "". */
static void why_it_ended(const struct service *service, char why[REGISTRY_TEXT_MAX])
{
	struct registry_view view;

	why[0] = '\0';
	registry_view_here(&view);
	for (size_t i = 0; i < view.count; i++) {
		const struct registry_slot *slot = view.list[i].slot;

		if (strcmp(slot->role, service->name) == 0 &&
		    atomic_load(&slot->pid) == service->pid)
			registry_text(slot, REGISTRY_END, why);
	}
	registry_view_close(&view);
}

/* `next`: what comes of that. */
static void say_end(struct service *service, const char *next)
{
	int status = service->process.status;
	bool job = service->period_ms || service->schedule;
	char why[REGISTRY_TEXT_MAX];
	uint64_t hash;

	why_it_ended(service, why);
	hash = fnv1a_text(FNV1A_BEGIN ^ (uint64_t)status, why) | 1; /* 0: nothing */
	trace_at(job && hash == service->told ? TRACE_DEBUG : TRACE_WARN,
		 "%s ended with status %d%s%s; %s", service->name, status, *why ? ": " : "", why,
		 next);
	service->told = hash;
}

static void say_start_again(struct service *service, int64_t wait_ms)
{
	char next[NEXT_MAX];

	(void)snprintf(next, sizeof(next), "starting it again in %lld ms", (long long)wait_ms);
	say_end(service, next);
}

/* Of a job with a schedule. */
static void plan_next_turn(struct service *service, struct restart_delay delay)
{
	int status = service->process.status;

	service->again = status >= 128 || status == err_exit(ERR_LOCKED) ||
			 status == err_exit(ERR_BUSY);
	if (service->again) {
		int64_t wait_ms = next_backoff(service, delay);

		service->due_ms = clock_mono_ms() + wait_ms;
		say_start_again(service, wait_ms);
		return;
	}
	service->backoff_ms = 0;
	if (status != 0)
		say_end(service, "it has its next turn");
	else
		service->told = 0;
	say_next(service);
}

/* --- what others see of it (base/registry.h) ------------------------------------------ */

static void tell_due(const struct service *service)
{
	struct series *row = series_of(SERIES_SERVICE, service->name);
	int64_t due_ms = clock_wall_ms() + service->due_ms - clock_mono_ms();

	if (service->schedule && !service->again)
		due_ms = service->schedule->due_ms;
	series_set(row, SERVICE_DUE_MS, service->process.pid || service->held ? 0 : due_ms);
}

static void tell_start(const struct service *service)
{
	struct series *row = series_of(SERIES_SERVICE, service->name);

	series_add(row, SERVICE_STARTS, 1);
	series_set(row, SERVICE_PERIOD_MS, service->period_ms);
	tell_due(service);
}

/* What failed before is of another `up`. */
static void tell_first(const struct service *service)
{
	struct series *row = series_of(SERIES_SERVICE, service->name);

	series_set(row, SERIES_BASE, series_get(row, SERVICE_ENDS));
	series_set(row, SERVICE_STATUS, -1);
	series_set(row, SERVICE_SINCE_MS, clock_wall_ms());
	tell_due(service);
}

static void tell_end(const struct service *service)
{
	struct series *row = series_of(SERIES_SERVICE, service->name);

	series_add(row, SERVICE_ENDS, service->process.status != 0);
	series_set(row, SERVICE_STATUS, service->process.status);
	tell_due(service);
}

/* What a signal ended had got going: its next start may find what the kill left behind. Not one
 * that takes over, which the other one kills where it hangs. */
static bool has_run(const struct service *service)
{
	int64_t lived_ms = clock_mono_ms() - service->started_ms;

	if (service->takes_over)
		return lived_ms >= service->drain_ms;
	return lived_ms >= RAN_MS || service->process.status >= 128;
}

/* It ended without being asked to. */
static enum err_code plan_next_start(struct service *service, struct restart_delay delay,
				     struct err *err)
{
	int status = service->process.status;

	service->ran |= has_run(service);
	if (status == 2)
		return err_set(err, ERR_USAGE, "%s cannot run with this configuration (see above)",
			       service->name);
	if (never_ran(service))
		return err_set(err, process_code_of(status),
			       "%s ended with status %d at its start (see above)", service->name,
			       status);
	if (service->schedule) {
		plan_next_turn(service, delay);
		return ERR_OK;
	}
	service->due_ms = next_start(service, delay);
	if (status == 0 && service->period_ms)
		service->told = 0;
	else
		say_start_again(service, service->due_ms - clock_mono_ms());
	return ERR_OK;
}

static bool is_due(struct service *service)
{
	if (service->held)
		return false;
	if (service->schedule && !service->again)
		return schedule_is_due(service->schedule, clock_wall_ms());
	return service->early || clock_mono_ms() >= service->due_ms;
}

static enum err_code supervise_turn(struct service *service, struct restart_delay delay,
				    struct err *err)
{
	enum err_code code;

	if (service->look) {
		service->look(service->user);
		return ERR_OK;
	}
	if (service->process.pid) {
		if (!process_ended(&service->process))
			return ERR_OK;
		if (service->taken_over && service->process.status == 0) {
			trace_info("the %s was taken over", service->name);
			tell_end(service);
			stop_request();
			return ERR_OK;
		}
		code = plan_next_start(service, delay, err);
		tell_end(service);
		if (code != ERR_OK)
			return code;
	}
	if (!is_due(service))
		return ERR_OK;
	if (service->schedule)
		schedule_run(service->schedule, clock_wall_ms());
	code = process_start(&service->process, service->args,
			     service->quiet ? PROCESS_STDOUT_NONE : PROCESS_STDOUT_OURS, err);
	if (code != ERR_OK && !err_retry(code))
		return err_prefix(err, "could not start %s", service->name);
	service->started_ms = clock_mono_ms();
	service->pid = service->process.pid;
	service->early = false;
	if (service->starts++ == 0)
		service->first_ms = service->started_ms;
	tell_start(service);
	if (code != ERR_OK) {
		trace_warn("could not start %s: %s", service->name, err->msg);
		service->due_ms = service->started_ms + next_backoff(service, delay);
		service->again = true;
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
		if (service->process.status == 0 || service->process.status == 128 + SIGTERM)
			continue;
		/* It failed at its work, as it may at any turn: it has ended all the same. */
		if (service->period_ms || service->schedule)
			say_end(service, "it has its next turn");
		else
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

	for (size_t i = 0; i < count; i++) {
		services[i].process.out_fd = -1;
		if (services[i].schedule && !schedule_is_due(services[i].schedule, clock_wall_ms()))
			say_next(&services[i]);
		if (!services[i].look)
			tell_first(&services[i]);
	}
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
	trace_info("asked to stop: draining");
	for (size_t i = 0; i < count; i++)
		if (services[i].stopping)
			services[i].stopping(services[i].user);
	return stop_all(services, count, err);
}
