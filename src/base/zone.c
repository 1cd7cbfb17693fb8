#include "base/zone.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A name that leads out of tzdata, or is a rule of POSIX ("CET-1"), would be taken by the C library,
 * or be UTC in silence. */
static bool zone_is_name(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len < ZONE_NAME_MAX && name[0] != '/' && !strstr(name, "..") &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/") ==
		       len;
}

static bool zone_is_there(const char *name)
{
	const char *dir = getenv("TZDIR");
	char path[PATH_MAX], magic[4] = "";
	ssize_t n;
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s", dir ? dir : "/usr/share/zoneinfo", name) >=
	    (int)sizeof(path))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, magic, sizeof(magic));
	(void)close(fd);
	return n == (ssize_t)sizeof(magic) && memcmp(magic, "TZif", sizeof(magic)) == 0;
}

enum err_code zone_init(struct zone *zone, const char *name, struct err *err)
{
	if (!zone_is_name(name) || (strcmp(name, "UTC") != 0 && !zone_is_there(name)))
		return err_set(err, ERR_USAGE,
			       "\"%.80s\" is no time zone that this system has (its package tzdata): "
			       "names are such as Europe/Berlin or UTC", name);
	*zone = (struct zone){ 0 };
	(void)snprintf(zone->name, sizeof(zone->name), "%s", name);
	return ERR_OK;
}

static void zone_set(const char *text)
{
	int failed = text ? setenv("TZ", text, 1) : unsetenv("TZ");

	if (failed)
		abort();	/* out of memory */
	tzset();
}

void zone_enter(struct zone *zone)
{
	const char *before = getenv("TZ");
	char text[ZONE_NAME_MAX + 1];

	zone->before = before ? xstrdup(before) : NULL;
	(void)snprintf(text, sizeof(text), ":%s", zone->name);
	zone_set(strcmp(zone->name, "UTC") == 0 ? "UTC0" : text);
}

void zone_leave(struct zone *zone)
{
	zone_set(zone->before);
	free(zone->before);
	zone->before = NULL;
}

int64_t zone_local(int64_t utc_s)
{
	time_t seconds = (time_t)utc_s;
	struct tm tm;

	return localtime_r(&seconds, &tm) ? utc_s + tm.tm_gmtoff : utc_s;
}
