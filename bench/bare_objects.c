/*
 * bare_objects.c - the limit for the sink: lines of one file into objects of
 * 1,000, each by temporary file, fsync and rename.
 *
 *	bare_objects FILE DIR
 */
#include "base/mem.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OBJECT_LINES = 1000, PATH_BYTES = 4096 };

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void write_object(const char *dir, size_t start, const char *bytes, size_t len)
{
	char temporary[PATH_BYTES], path[PATH_BYTES];
	int fd;

	(void)snprintf(temporary, sizeof(temporary), "%s/.tmp", dir);
	(void)snprintf(path, sizeof(path), "%s/pin+0+%010zu.json", dir, start);
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, bytes, len) != (ssize_t)len || fsync(fd) < 0 || close(fd) < 0 ||
	    rename(temporary, path) < 0)
		die(path);
}

int main(int argc, char **argv)
{
	struct stat st;
	const char *text, *end, *first, *at;
	size_t lines = 0;
	int fd;

	if (argc != 3) {
		fprintf(stderr, "usage: bare_objects FILE DIR\n");
		return 2;
	}
	fd = open(argv[1], O_RDONLY);
	if (fd < 0 || fstat(fd, &st) < 0)
		die(argv[1]);
	text = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (text == MAP_FAILED)
		die("mmap");
	end = text + st.st_size;
	for (first = at = text; at < end && (at = memchr(at, '\n', (size_t)(end - at))); ) {
		at++;
		if (++lines % OBJECT_LINES == 0 || at == end) {
			write_object(argv[2], (lines - 1) / OBJECT_LINES * OBJECT_LINES, first,
				     (size_t)(at - first));
			first = at;
		}
	}
	printf("%zu lines\n", lines);
	return 0;
}
