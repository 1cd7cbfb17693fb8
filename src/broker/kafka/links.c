#include "broker/kafka/links.h"

#include "base/time.h"
#include "base/trace.h"

#include <stdio.h>
#include <string.h>

enum {
	REFUSED_MS = 2000, /* other keys may be found meanwhile (msk.h) */
	TELL_MS = 500,	   /* of several brokers the first that is tried may be the one away */
};

void links_init(struct links *links)
{
	memset(links, 0, sizeof(*links));
	(void)pthread_mutex_init(&links->lock, NULL);
}

void links_release(struct links *links) { (void)pthread_mutex_destroy(&links->lock); }

/* NULL: there are too many. */
static struct link *link_of(struct links *links, int32_t id, const char *name, int port)
{
	struct link *link = links->list;

	while (link < links->list + links->count &&
	       !(link->id == id && link->port == port && strcmp(link->name, name) == 0))
		link++;
	if (link == links->list + LINKS_MAX)
		return NULL;
	if (link == links->list + links->count) {
		*link = (struct link){ .id = id, .port = port };
		(void)snprintf(link->name, sizeof(link->name), "%s", name);
		links->count++;
	}
	return link;
}

/* With the lock, whenever something came of an attempt. */
static void links_tell(struct links *links)
{
	if (links->up > 0 || !links->failed || links->told || !links->why[0])
		return;
	if (!links->refused && clock_mono_ms() - links->failed_ms < TELL_MS)
		return;
	trace_warn("no broker of the Kafka cluster is reached: %s", links->why);
	links->told = true;
}

static void link_became(struct links *links, struct link *link, const char *state)
{
	/* A login that is renewed is no time away. */
	bool up = strcmp(state, "UP") == 0 || strcmp(state, "REAUTH") == 0;
	bool down = strcmp(state, "DOWN") == 0 || strcmp(state, "INIT") == 0;

	if (up != link->up)
		links->up += up ? 1 : -1;
	if (up) {
		if (links->told)
			trace_info("a broker of the Kafka cluster is reached again: %s:%d",
				   link->name, link->port);
		links->failed = links->told = links->refused = false;
		links->why[0] = '\0';
	} else if (down && link->trying && links->up == 0 && !links->failed) {
		links->failed = true;
		links->failed_ms = clock_mono_ms();
	}
	link->up = up;
	link->trying = !up && !down;
}

void links_change(struct links *links, int32_t id, const char *name, int port, const char *state)
{
	struct link *link;

	(void)pthread_mutex_lock(&links->lock);
	link = link_of(links, id, name, port);
	if (link)
		link_became(links, link, state);
	links_tell(links);
	(void)pthread_mutex_unlock(&links->lock);
}

/* "ssl://kafka:9093/bootstrap: it has no … (after 3ms in state CONNECT)": without the address,
 * which the settings have, and what differs each time, so that one reason is one text. */
static void links_keep_reason(struct links *links, const char *why)
{
	const char *scheme = strstr(why, "://"), *text = scheme ? strstr(scheme, ": ") : NULL;
	const char *end;

	text = text ? text + 2 : why;
	end = strstr(text, " (after ");
	(void)snprintf(links->why, sizeof(links->why), "%.*s",
		       (int)(end ? (size_t)(end - text) : strlen(text)), text);
}

void links_say(struct links *links, bool refused, const char *why)
{
	(void)pthread_mutex_lock(&links->lock);
	links_keep_reason(links, why);
	links->refused = refused;
	if (links->up == 0 && !links->failed) {
		links->failed = true;
		links->failed_ms = clock_mono_ms();
	}
	links_tell(links);
	(void)pthread_mutex_unlock(&links->lock);
}

enum err_code links_refused(struct links *links, struct err *err)
{
	enum err_code code = ERR_OK;

	(void)pthread_mutex_lock(&links->lock);
	if (links->up == 0 && links->failed && links->refused &&
	    clock_mono_ms() - links->failed_ms >= REFUSED_MS)
		code = err_set(err, ERR_AUTH, "the Kafka cluster cannot be entered: %s",
			       links->why);
	(void)pthread_mutex_unlock(&links->lock);
	return code;
}

enum err_code links_check(struct links *links, struct err *err)
{
	enum err_code code = ERR_OK;

	(void)pthread_mutex_lock(&links->lock);
	if (links->up == 0 && links->failed)
		code = err_set(err, ERR_BUSY, "no broker of the Kafka cluster is reached%s%s",
			       links->why[0] ? ": " : "", links->why);
	(void)pthread_mutex_unlock(&links->lock);
	return code;
}

int64_t links_down_ms(struct links *links)
{
	int64_t ms = -1;

	(void)pthread_mutex_lock(&links->lock);
	if (links->up == 0 && links->failed)
		ms = clock_mono_ms() - links->failed_ms;
	(void)pthread_mutex_unlock(&links->lock);
	return ms;
}
