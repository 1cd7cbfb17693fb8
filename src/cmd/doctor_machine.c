#include "base/beside.h"
#include "base/mem.h"
#include "base/time.h"
#include "base/zone.h"
#include "cmd/doctor.h"
#include "sql/duck.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <unistd.h>

enum {
	FILES_BESIDE = 128, /* open files of the gateway that are no connections */
	SYNCS = 5,
	SYNC_BYTES = 4096,
	SYNC_SLOW_US = 20000, /* of a disk that spins */
	INODES_SHARE = 100,   /* as the log's own reserve has it */
	YEAR_2024_S = 1704067200,
};
#define MIB 1048576.0

/* --- the program --------------------------------------------------------- */

static void doctor_program(struct doctor *doctor)
{
	char dir[PATH_MAX];
	struct utsname system;
	struct err err;

	if (beside_dir(dir, &err) != ERR_OK || uname(&system) < 0) {
		doctor_tell(doctor, DOCTOR_FAIL, "program", "is /proc mounted?",
			    "could not find where this program is");
		return;
	}
	doctor_tell(doctor, DOCTOR_OK, "program", NULL,
		    "pinpipe " PINPIPE_VERSION " in \"%s\", %s %s on %s", dir, system.sysname,
		    system.release, system.machine);
}

static void doctor_library(struct doctor *doctor)
{
	struct duck_options options = { .memory_bytes_max = 64 << 20, .threads = 1 };
	struct duck duck;
	struct err err;

	if (duck_open(&options, &duck, &err) != ERR_OK) {
		doctor_tell_err(
			doctor, "SQL engine",
			"libduckdb.so belongs into lib/pinpipe beside the program's bin: install it anew",
			&err);
		return;
	}
	duck_close(&duck);
	doctor_tell(doctor, DOCTOR_OK, "SQL engine", NULL, "DuckDB's library is there, and runs");
}

/* --- the machine --------------------------------------------------------- */

/* Of the machine, or of the container. */
static uint64_t memory_bytes(void)
{
	uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	FILE *file = fopen("/sys/fs/cgroup/memory.max", "re");
	uint64_t limit;

	if (file && fscanf(file, "%" SCNu64, &limit) == 1 && limit < bytes)
		bytes = limit;
	if (file)
		(void)fclose(file);
	return bytes;
}

/* Stream and batch may both fill their engine's memory, and maintain its own. */
static void doctor_memory(struct doctor *doctor)
{
	uint64_t there = memory_bytes();
	uint64_t wanted = 2 * (uint64_t)config_int(doctor->config, OPT_ENGINE_MEMORY) +
			  (uint64_t)config_int(doctor->config, OPT_MAINTAIN_MEMORY) +
			  (uint64_t)config_int(doctor->config, OPT_INFLIGHT_MAX);
	bool fits = wanted <= there;

	doctor_tell(doctor, fits ? DOCTOR_OK : DOCTOR_WARN, "memory",
		    fits ? NULL : "lower engine.memory, or the kernel may end a process under load",
		    "%.0f MiB, of which %.0f may be taken at most; %ld processors",
		    (double)there / MIB, (double)wanted / MIB, sysconf(_SC_NPROCESSORS_ONLN));
}

/* The gateway raises its own limit as far as it may. */
static void doctor_files(struct doctor *doctor)
{
	int64_t wanted = config_int(doctor->config, OPT_CONNECTIONS_MAX) + FILES_BESIDE;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	if (limit.rlim_max >= (rlim_t)wanted)
		doctor_tell(doctor, DOCTOR_OK, "open files", NULL,
			    "up to %ju, %" PRId64 " may be wanted", (uintmax_t)limit.rlim_max,
			    wanted);
	else
		doctor_tell(
			doctor, DOCTOR_WARN, "open files",
			"raise the limit (ulimit -Hn, LimitNOFILE=), or lower gateway.connections_max",
			"up to %ju, of which %" PRId64 " may be wanted", (uintmax_t)limit.rlim_max,
			wanted);
}

static void doctor_clock(struct doctor *doctor)
{
	struct timex state = { 0 };
	bool synced = adjtimex(&state) != -1 && !(state.status & STA_UNSYNC);

	if (clock_wall_ms() / 1000 < YEAR_2024_S)
		doctor_tell(doctor, DOCTOR_FAIL, "clock", "set it: timedatectl set-ntp true",
			    "it is in the past");
	else if (synced)
		doctor_tell(doctor, DOCTOR_OK, "clock", NULL, "kept right by a time service");
	else
		doctor_tell(
			doctor, DOCTOR_NOTE, "clock",
			"a service such as chrony or systemd-timesyncd keeps it right; AWS refuses requests of"
			" a clock that is off by minutes",
			"no time service tells that it is right");
}

static void doctor_zone(struct doctor *doctor, enum option option)
{
	const char *name = config_text(doctor->config, option);
	struct zone zone;
	struct err err;

	if (strcmp(name, "UTC") == 0)
		return;
	if (zone_init(&zone, name, &err) != ERR_OK)
		doctor_tell_err(doctor, option_key(option), "is the package tzdata there?", &err);
	else
		doctor_tell(doctor, DOCTOR_OK, option_key(option), NULL, "%s is known", name);
}

/* --- the directory of the data ------------------------------------------- */

/* The path itself, or of what is not there yet the part that is. */
static void part_that_is_there(const char *path, char ret_part[PATH_MAX])
{
	(void)snprintf(ret_part, PATH_MAX, "%s", path);
	while (access(ret_part, F_OK) < 0) {
		char *slash = strrchr(ret_part, '/');

		if (!slash)
			(void)snprintf(ret_part, PATH_MAX, ".");
		else if (slash == ret_part)
			slash[1] = '\0';
		else
			*slash = '\0';
	}
}

/* False: nothing can be written there, so the rest need not be looked at. */
static bool doctor_directory(struct doctor *doctor, const char *dir, const char *part)
{
	bool there = strcmp(dir, part) == 0;
	struct stat st = { 0 };

	if (access(part, W_OK | X_OK) < 0) {
		doctor_tell(doctor, DOCTOR_FAIL, "data",
			    "run this as the user that the service has (sudo -u), give it"
			    " the directory, or name another one with --dir",
			    "\"%s\" may not be written to by this user: %s", part, strerror(errno));
		return false;
	}
	(void)stat(part, &st);
	if (there && geteuid() == 0 && st.st_uid != 0)
		doctor_tell(
			doctor, DOCTOR_WARN, "data",
			"run commands as that user (sudo -u), or what root makes there it cannot change",
			"\"%s\" is of user %ju, and this is root", dir, (uintmax_t)st.st_uid);
	else
		doctor_tell(doctor, DOCTOR_OK, "data", NULL, "\"%s\" %s", dir,
			    there ? "may be written to" : "is not there yet, and can be made");
	return true;
}

static void doctor_file_system(struct doctor *doctor, const char *part)
{
	static const struct kind {
		long magic;
		const char *name, *advice;
	} kinds[] = {
		{ TMPFS_MAGIC, "memory (tmpfs)",
		  "what is acknowledged is gone after a restart: take a disk" },
		{ OVERLAYFS_SUPER_MAGIC, "a container's layer (overlay)",
		  "what is acknowledged goes with the container: mount a volume" },
		{ NFS_SUPER_MAGIC, "NFS",
		  "the log wants a local disk: locks and syncs are the server's" },
		{ 0xFF534D42, "CIFS",
		  "the log wants a local disk: locks and syncs are the server's" },
		{ 0x65735546, "FUSE",
		  "the log wants a local disk, unless syncs and locks of this one are real" },
	};
	struct statfs fs;

	if (statfs(part, &fs) < 0)
		return;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if ((unsigned long)fs.f_type == (unsigned long)kinds[i].magic) {
			doctor_tell(doctor, DOCTOR_WARN, "file system", kinds[i].advice,
				    "the data are on %s", kinds[i].name);
			return;
		}
	doctor_tell(doctor, DOCTOR_OK, "file system", NULL, "a local one");
}

static void doctor_space(struct doctor *doctor, const char *part)
{
	uint64_t reserve = (uint64_t)config_int(doctor->config, OPT_DISK_RESERVE);
	enum doctor_verdict verdict = DOCTOR_OK;
	struct statvfs vfs;
	uint64_t left;

	if (statvfs(part, &vfs) < 0)
		return;
	left = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	if (left < 4 * reserve)
		verdict = left < reserve ? DOCTOR_FAIL : DOCTOR_WARN;
	doctor_tell(doctor, verdict, "disk",
		    verdict == DOCTOR_OK
			    ? NULL
			    : "make room: below log.disk_reserve_bytes clients get 503",
		    "%.0f MiB are free, the reserve is %.0f", (double)left / MIB,
		    (double)reserve / MIB);
	if (vfs.f_files == 0)
		return; /* it makes inodes as it goes */
	if (vfs.f_favail < vfs.f_files / INODES_SHARE)
		doctor_tell(doctor, DOCTOR_FAIL, "inodes",
			    "take away files: below a hundredth clients get 503",
			    "%ju of %ju are free", (uintmax_t)vfs.f_favail, (uintmax_t)vfs.f_files);
	else
		doctor_tell(doctor, DOCTOR_OK, "inodes", NULL, "%ju of %ju are free",
			    (uintmax_t)vfs.f_favail, (uintmax_t)vfs.f_files);
}

/* The quickest of a few, in microseconds, or below 0: it could not be tried. */
static int64_t quickest_sync_us(int fd)
{
	static const char bytes[SYNC_BYTES];
	int64_t quickest_us = -1;

	for (int i = 0; i < SYNCS; i++) {
		int64_t begun_us = clock_mono_us(), took_us;

		if (pwrite(fd, bytes, sizeof(bytes), (off_t)i * SYNC_BYTES) != SYNC_BYTES ||
		    fdatasync(fd) < 0)
			return -1;
		took_us = clock_mono_us() - begun_us;
		if (quickest_us < 0 || took_us < quickest_us)
			quickest_us = took_us;
	}
	return quickest_us;
}

/* Each group of records waits for one. */
static void doctor_sync(struct doctor *doctor, const char *part)
{
	int fd = open(part, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	int64_t us = fd < 0 ? -1 : quickest_sync_us(fd);

	if (fd >= 0)
		(void)close(fd);
	if (us < 0)
		doctor_tell(doctor, DOCTOR_NOTE, "sync", NULL, "could not be tried: %s",
			    strerror(errno));
	else
		doctor_tell(
			doctor, us > SYNC_SLOW_US ? DOCTOR_WARN : DOCTOR_OK, "sync",
			us > SYNC_SLOW_US
				? "an acknowledgement takes as long: a faster disk, or records in larger"
				  " requests"
				: NULL,
			"the disk takes %.2f ms for one", (double)us / 1000);
}

void doctor_look_at_machine(struct doctor *doctor)
{
	const char *dir = config_text(doctor->config, OPT_DIR);
	char part[PATH_MAX];

	doctor_program(doctor);
	doctor_library(doctor);
	doctor_memory(doctor);
	doctor_files(doctor);
	doctor_clock(doctor);
	doctor_zone(doctor, OPT_BATCH_ZONE);
	doctor_zone(doctor, OPT_TIMEZONE);
	part_that_is_there(dir, part);
	if (!doctor_directory(doctor, dir, part))
		return;
	doctor_file_system(doctor, part);
	doctor_space(doctor, part);
	doctor_sync(doctor, part);
}
