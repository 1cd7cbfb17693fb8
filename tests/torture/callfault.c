/*
 * callfault.c - a library for LD_PRELOAD that makes the k-th system call of a kind fail.
 *
 * CALLFAULT_DIR   calls on files below this directory count, and calls on any socket
 * CALLFAULT_PAGE  a file of PAGE bytes, which tells what was counted (struct page)
 * CALLFAULT       "sync:eio@3": the third sync fails, once; "sync:eio@3+": from the third on.
 *                 Instead of an error: short (half is done), delay<ms> (it works, late)
 * CALLFAULT_AHEAD_S  the time of day is so many seconds ahead, so that what is there is old
 *
 * A sync that is made to fail loses what was written to that file since its last good sync, as
 * Linux does: the pages count as clean afterwards, so that the next sync "works" (fsyncgate). Here
 * the bytes from before come back, or zeros.
 *
 * A file that is renamed or linked before what was written to it is synced counts as careless: a
 * power cut could leave the new name with nothing behind it.
 *
 * The real calls are made by number: nothing is looked up, and nothing here calls itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum kind { WRITE, SYNC, OPEN, RENAME, LINK, UNLINK, MKDIR, READ, ACCEPT, RECV, SEND, KINDS };
enum { SHORT = -1, PAGE = 4096, WHERE_MAX = 512, UNSYNCED_MAX = 4096 };

static const char *const kind_names[KINDS] = {
	"write", "sync", "open",   "rename", "link", "unlink",
	"mkdir", "read", "accept", "recv",   "send",
};
static const struct {
	const char *name;
	int number;
} errors[] = {
	{ "eio", EIO },
	{ "enospc", ENOSPC },
	{ "emfile", EMFILE },
	{ "econnreset", ECONNRESET },
	{ "econnaborted", ECONNABORTED },
	{ "short", SHORT },
};

struct page {
	_Atomic uint64_t calls[KINDS];
	_Atomic uint64_t taken;
	_Atomic uint64_t careless;
	char where[WHERE_MAX];	       /* what the first failed call was on */
	char careless_name[WHERE_MAX]; /* the first new name */
};

struct range {
	dev_t dev;
	ino_t ino;
	off_t at;
	size_t len;
	char *before; /* what was there, aligned for direct writing, or zeros */
};

static struct page nowhere, *page = &nowhere;
static char directory[PATH_MAX];
static size_t directory_len;
static enum kind fault_kind = KINDS;
static uint64_t fault_at;
static bool is_for_ever;
static int fault_error; /* an errno, SHORT, or 0: only late */
static long delay_ms;
static struct range unsynced[UNSYNCED_MAX];
static size_t unsynced_count;
static time_t ahead_s;
static pthread_mutex_t unsynced_lock = PTHREAD_MUTEX_INITIALIZER;

static void read_fault(const char *text)
{
	char kind[16], action[16], plus = 0;
	unsigned long long at;

	if (sscanf(text, "%15[^:]:%15[^@]@%llu%c", kind, action, &at, &plus) < 3)
		abort();
	for (int i = 0; i < KINDS; i++)
		if (strcmp(kind, kind_names[i]) == 0)
			fault_kind = (enum kind)i;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (strcmp(action, errors[i].name) == 0)
			fault_error = errors[i].number;
	if (fault_kind == KINDS || (fault_error == 0 && sscanf(action, "delay%ld", &delay_ms) != 1))
		abort();
	fault_at = at;
	is_for_ever = plus == '+';
}

__attribute__((constructor)) static void begin(void)
{
	const char *dir = getenv("CALLFAULT_DIR"), *counts = getenv("CALLFAULT_PAGE");
	const char *fault = getenv("CALLFAULT"), *ahead = getenv("CALLFAULT_AHEAD_S");
	int fd = counts ? (int)syscall(SYS_openat, AT_FDCWD, counts, O_RDWR | O_CLOEXEC, 0) : -1;

	if (fd >= 0) {
		void *map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		page = map == MAP_FAILED ? &nowhere : map;
		(void)close(fd);
	}
	if (dir && realpath(dir, directory))
		directory_len = strlen(directory);
	if (fault && *fault)
		read_fault(fault);
	ahead_s = ahead ? (time_t)strtoll(ahead, NULL, 10) : 0;
}

static bool is_below(const char *path)
{
	return directory_len > 0 && strncmp(path, directory, directory_len) == 0 &&
	       (path[directory_len] == '/' || path[directory_len] == 0);
}

static bool fd_path(int fd, char path[PATH_MAX])
{
	char link[64];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = syscall(SYS_readlink, link, path, PATH_MAX - 1);
	path[n < 0 ? 0 : n] = 0;
	return n > 0;
}

/* The action for this call of the kind, after its delay; 0: do it. */
static int count(enum kind kind, const char *where)
{
	uint64_t number = atomic_fetch_add(&page->calls[kind], 1) + 1;
	struct timespec pause = { .tv_sec = delay_ms / 1000, .tv_nsec = delay_ms % 1000 * 1000000 };

	if (kind != fault_kind || number < fault_at || (number > fault_at && !is_for_ever))
		return 0;
	if (atomic_fetch_add(&page->taken, 1) == 0)
		(void)snprintf(page->where, WHERE_MAX, "%s", where);
	if (delay_ms > 0)
		(void)nanosleep(&pause, NULL);
	return fault_error;
}

static bool is_ours(int fd, char path[PATH_MAX]) { return fd_path(fd, path) && is_below(path); }

static int count_fd(enum kind kind, int fd)
{
	char path[PATH_MAX];

	return is_ours(fd, path) ? count(kind, path) : 0;
}

static int count_path(enum kind kind, int dir_fd, const char *name)
{
	char path[2 * PATH_MAX] = "";
	size_t len;

	if (name[0] != '/') {
		if (dir_fd == AT_FDCWD ? !getcwd(path, PATH_MAX) : !fd_path(dir_fd, path))
			return 0;
		len = strlen(path);
		path[len] = '/';
		path[len + 1] = 0;
	}
	strncat(path, name, PATH_MAX - 1);
	return is_below(path) ? count(kind, path) : 0;
}

static int failed(int error)
{
	errno = error;
	return -1;
}

static size_t half(size_t len) { return len > 1 ? len / 2 : len; }

/* Before a write: what is there now. */
static char *look_at(int fd, off_t at, size_t len)
{
	size_t room = (len + PAGE - 1) / PAGE * PAGE;
	char *before = aligned_alloc(PAGE, room ? room : PAGE);

	if (!before)
		abort();
	memset(before, 0, room);
	/* Fails for a file that is only written; such a one was new. */
	(void)syscall(SYS_pread64, fd, before, len, at);
	return before;
}

/* What was written is remembered until the file's next sync. */
static void remember(int fd, off_t at, ssize_t len, char *before)
{
	struct stat st;

	if (len <= 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		free(before);
		return;
	}
	(void)pthread_mutex_lock(&unsynced_lock);
	if (unsynced_count == UNSYNCED_MAX)
		abort();
	unsynced[unsynced_count++] =
		(struct range){ st.st_dev, st.st_ino, at, (size_t)len, before };
	(void)pthread_mutex_unlock(&unsynced_lock);
}

static void forget(int fd, bool is_lost)
{
	struct stat st;
	size_t kept = 0;

	if (fstat(fd, &st) < 0)
		return;
	(void)pthread_mutex_lock(&unsynced_lock);
	/* The last write first, so that what was before all of them comes back. */
	for (size_t i = unsynced_count; is_lost && i-- > 0;)
		if (unsynced[i].dev == st.st_dev && unsynced[i].ino == st.st_ino)
			(void)syscall(SYS_pwrite64, fd, unsynced[i].before, unsynced[i].len,
				      unsynced[i].at);
	for (size_t i = 0; i < unsynced_count; i++) {
		if (unsynced[i].dev == st.st_dev && unsynced[i].ino == st.st_ino)
			free(unsynced[i].before);
		else
			unsynced[kept++] = unsynced[i];
	}
	unsynced_count = kept;
	(void)pthread_mutex_unlock(&unsynced_lock);
}

/* A signal handler writes to others than ours, and must not allocate. */
ssize_t write(int fd, const void *bytes, size_t len)
{
	char path[PATH_MAX], *before;
	int fault;
	off_t at;
	ssize_t n;

	if (!is_ours(fd, path))
		return syscall(SYS_write, fd, bytes, len);
	fault = count(WRITE, path);
	at = lseek(fd, 0, SEEK_CUR);
	before = look_at(fd, at, len);
	n = fault > 0 ? failed(fault)
		      : syscall(SYS_write, fd, bytes, fault == SHORT ? half(len) : len);
	remember(fd, at, n, before);
	return n;
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off_t at)
{
	int fault = count_fd(WRITE, fd);
	char *before = look_at(fd, at, len);
	size_t part = fault == SHORT ? half(len) : len;
	ssize_t n = fault > 0 ? failed(fault) : syscall(SYS_pwrite64, fd, bytes, part, at);

	remember(fd, at, n, before);
	return n;
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
	return pwrite64(fd, bytes, len, at);
}

static int sync_by(long number, int fd)
{
	int fault = count_fd(SYNC, fd);
	int rc;

	if (fault > 0) {
		forget(fd, true);
		return failed(fault);
	}
	rc = (int)syscall(number, fd);
	forget(fd, false);
	return rc;
}

int fdatasync(int fd) { return sync_by(SYS_fdatasync, fd); }
int fsync(int fd) { return sync_by(SYS_fsync, fd); }

static int open_at(int dir_fd, const char *name, int flags, mode_t mode)
{
	int fault = count_path(OPEN, dir_fd, name);

	return fault > 0 ? failed(fault) : (int)syscall(SYS_openat, dir_fd, name, flags, mode);
}

#define MODE_OF(flags, mode) \
	do { \
		va_list ap; \
		va_start(ap, flags); \
		mode = (flags) & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0; \
		va_end(ap); \
	} while (0)

int openat64(int dir_fd, const char *name, int flags, ...)
{
	mode_t mode;

	MODE_OF(flags, mode);
	return open_at(dir_fd, name, flags, mode);
}

int openat(int dir_fd, const char *name, int flags, ...)
{
	mode_t mode;

	MODE_OF(flags, mode);
	return open_at(dir_fd, name, flags, mode);
}

int open64(const char *name, int flags, ...)
{
	mode_t mode;

	MODE_OF(flags, mode);
	return open_at(AT_FDCWD, name, flags, mode);
}

int open(const char *name, int flags, ...)
{
	mode_t mode;

	MODE_OF(flags, mode);
	return open_at(AT_FDCWD, name, flags, mode);
}

/* What the compiler's checked headers call instead. */
int __openat64_2(int dir_fd, const char *name, int flags);
int __open64_2(const char *name, int flags);

int __openat64_2(int dir_fd, const char *name, int flags)
{
	return open_at(dir_fd, name, flags, 0);
}

int __open64_2(const char *name, int flags) { return open_at(AT_FDCWD, name, flags, 0); }

static void look_for_care(int from_fd, const char *from, const char *to)
{
	struct stat st;

	/* How far a reader is may be known late: it reads again what it need not. An index that is
	 * not whole is made again, and so are the numbers of outdated rows, and the counters. */
	if (strncmp(to, "groups/", 7) == 0 || strncmp(to, "registry.", 9) == 0 ||
	    strstr(to, ".index") || strstr(to, "/cache/current/") ||
	    fstatat(from_fd, from, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	(void)pthread_mutex_lock(&unsynced_lock);
	for (size_t i = 0; i < unsynced_count; i++) {
		if (unsynced[i].dev != st.st_dev || unsynced[i].ino != st.st_ino)
			continue;
		if (atomic_fetch_add(&page->careless, 1) == 0)
			(void)snprintf(page->careless_name, WHERE_MAX, "%s", to);
		break;
	}
	(void)pthread_mutex_unlock(&unsynced_lock);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	int fault = count_path(RENAME, to_fd, to);

	look_for_care(from_fd, from, to);
	return fault > 0 ? failed(fault)
			 : (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	return renameat2(from_fd, from, to_fd, to, 0);
}

int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	int fault = count_path(LINK, to_fd, to);

	look_for_care(from_fd, from, to);
	return fault > 0 ? failed(fault)
			 : (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
}

int unlinkat(int dir_fd, const char *name, int flags)
{
	int fault = count_path(UNLINK, dir_fd, name);

	return fault > 0 ? failed(fault) : (int)syscall(SYS_unlinkat, dir_fd, name, flags);
}

int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }

int mkdirat(int dir_fd, const char *name, mode_t mode)
{
	int fault = count_path(MKDIR, dir_fd, name);

	return fault > 0 ? failed(fault) : (int)syscall(SYS_mkdirat, dir_fd, name, mode);
}

int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }

ssize_t read(int fd, void *bytes, size_t len)
{
	int fault = count_fd(READ, fd);

	return fault > 0 ? failed(fault)
			 : syscall(SYS_read, fd, bytes, fault == SHORT ? half(len) : len);
}

ssize_t pread64(int fd, void *bytes, size_t len, off_t at)
{
	int fault = count_fd(READ, fd);

	return fault > 0 ? failed(fault)
			 : syscall(SYS_pread64, fd, bytes, fault == SHORT ? half(len) : len, at);
}

ssize_t pread(int fd, void *bytes, size_t len, off_t at) { return pread64(fd, bytes, len, at); }

int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
	int fault = count(ACCEPT, "socket");

	return fault > 0 ? failed(fault) : (int)syscall(SYS_accept4, fd, address, len, flags);
}

ssize_t recv(int fd, void *bytes, size_t len, int flags)
{
	int fault = count(RECV, "socket");
	size_t part = fault == SHORT ? half(len) : len;

	return fault > 0 ? failed(fault)
			 : syscall(SYS_recvfrom, fd, bytes, part, flags, NULL, NULL);
}

ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
	int fault = count(SEND, "socket");
	size_t part = fault == SHORT ? half(len) : len;

	return fault > 0 ? failed(fault) : syscall(SYS_sendto, fd, bytes, part, flags, NULL, 0);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	int fault = count(SEND, "socket");

	if (fault > 0)
		return failed(fault);
	if (fault == SHORT)
		return syscall(SYS_sendto, fd, message->msg_iov->iov_base,
			       half(message->msg_iov->iov_len), flags, NULL, 0);
	return syscall(SYS_sendmsg, fd, message, flags);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int result = (int)syscall(SYS_clock_gettime, clock, now);

	if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		now->tv_sec += ahead_s;
	return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	struct timespec exact;

	(void)zone;
	(void)clock_gettime(CLOCK_REALTIME, &exact);
	*now = (struct timeval){ exact.tv_sec, exact.tv_nsec / 1000 };
	return 0;
}

time_t time(time_t *ret)
{
	struct timespec exact;

	(void)clock_gettime(CLOCK_REALTIME, &exact);
	if (ret)
		*ret = exact.tv_sec;
	return exact.tv_sec;
}
