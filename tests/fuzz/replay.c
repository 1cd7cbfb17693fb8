/* Runs a target over its corpus, once, as a test: what was found and mended stays so. */
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static void replay_file(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	uint8_t *bytes;
	struct stat st;
	ssize_t len;

	FUZZ_MUST(fd >= 0 && fstat(fd, &st) == 0);
	bytes = xmalloc((size_t)st.st_size);
	len = read(fd, bytes, (size_t)st.st_size);
	FUZZ_MUST(len == st.st_size);
	(void)close(fd);
	(void)LLVMFuzzerTestOneInput(bytes, (size_t)len);
	free(bytes);
}

int main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : FUZZ_CORPUS;
	DIR *dir = opendir(path);
	struct dirent *entry;
	size_t count = 0;

	FUZZ_MUST(dir != NULL);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.') {
			replay_file(dirfd(dir), entry->d_name);
			count++;
		}
	(void)closedir(dir);
	FUZZ_MUST(count > 0);
	(void)printf("1..1\nok 1 - %zu inputs\n", count);
	return 0;
}
