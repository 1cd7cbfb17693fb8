#include "base/failpoint.h"

#include "base/mem.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

enum { POINTS_MAX = 32, NAME_MAX_LEN = 48 };

struct point {
	char name[NAME_MAX_LEN];
	char action[16];
	uint64_t at;
	uint64_t passes;
	bool on_and_on;		/* "@3+" */
};

static struct point points[POINTS_MAX];
static size_t point_count;
static const char *ticket_dir;	/* NULL: none */
static char command[32];	/* the program's first argument: "gateway" */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void read_command(void)
{
	char line[256] = "";
	FILE *file = fopen("/proc/self/cmdline", "re");
	size_t n = file ? fread(line, 1, sizeof(line) - 1, file) : 0;
	size_t word = strlen(line) + 1;

	if (file)
		(void)fclose(file);
	if (word < n)
		(void)snprintf(command, sizeof(command), "%s", line + word);
}

static void read_points(void)
{
	const char *env = getenv("PINPIPE_FAILPOINTS");
	char *text = env ? xstrdup(env) : NULL;
	char *save = NULL;

	ticket_dir = getenv("PINPIPE_FAILPOINT_TICKETS");
	read_command();
	for (char *item = text ? strtok_r(text, ";", &save) : NULL;
	     item && point_count < POINTS_MAX; item = strtok_r(NULL, ";", &save)) {
		struct point *point = &points[point_count];
		char plus = 0;
		unsigned long long at = 0;
		int n = sscanf(item, "%47[^:]:%15[^@]@%llu%c", point->name, point->action, &at,
			       &plus);

		if (n < 3) {
			fprintf(stderr, "fatal: PINPIPE_FAILPOINTS: cannot read \"%s\"\n", item);
			abort();
		}
		point->at = at;
		point->on_and_on = plus == '+';
		point_count++;
	}
	free(text);
}

static int failpoint_act(const char *action)
{
	struct timespec pause = { 0 };
	long ms;

	if (strcmp(action, "kill") == 0)
		(void)kill(getpid(), SIGKILL);
	if (strcmp(action, "stop") == 0)
		return raise(SIGSTOP);	/* to this thread first: it goes no further */
	if (strcmp(action, "eio") == 0)
		return EIO;
	if (strcmp(action, "enospc") == 0)
		return ENOSPC;
	if (sscanf(action, "delay%ld", &ms) == 1) {
		pause.tv_sec = ms / 1000;
		pause.tv_nsec = ms % 1000 * 1000000;
		(void)nanosleep(&pause, NULL);
		return 0;
	}
	fprintf(stderr, "fatal: PINPIPE_FAILPOINTS: no action \"%s\"\n", action);
	abort();
}

/* The action of a ticket for the point; NULL: there is none. */
static const char *take_ticket(const char *name)
{
	static const char *const actions[] = { "kill", "stop", "eio", "enospc" };
	char path[PATH_MAX], taken[PATH_MAX];

	for (size_t i = 0; ticket_dir && i < ARRAY_LEN(actions); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s:%s", ticket_dir, name, actions[i]);
		(void)snprintf(taken, sizeof(taken), "%s/taken/%s:%s@%s.%ld", ticket_dir, name,
			       actions[i], command, (long)getpid());
		if (rename(path, taken) == 0)
			return actions[i];
	}
	return NULL;
}

int failpoint_hit(const char *name)
{
	const char *action = NULL;

	(void)pthread_once(&once, read_points);
	(void)pthread_mutex_lock(&lock);
	for (size_t i = 0; i < point_count; i++) {
		struct point *point = &points[i];

		if (strcmp(point->name, name) != 0)
			continue;
		point->passes++;
		if (point->passes == point->at || (point->on_and_on && point->passes > point->at))
			action = point->action;
	}
	(void)pthread_mutex_unlock(&lock);
	if (!action)
		action = take_ticket(name);
	return action ? failpoint_act(action) : 0;
}
