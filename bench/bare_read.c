/*
 * bare_read.c - the limit for `pinpipe cat`: read files from start to end and
 * take the CRC-32C of every byte, by the CPU's instruction if it has one.
 *
 *	bare_read PART_KIB FILE...	PART_KIB a read
 */
#include "base/crc32c.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	size_t size = argc > 1 ? strtoul(argv[1], NULL, 10) << 10 : 0;
	char *part = size > 0 ? malloc(size) : NULL;
	uint32_t crc = 0;

	if (!part) {
		(void)fprintf(stderr, "usage: bare_read PART_KIB FILE...\n");
		return 2;
	}
	for (int i = 2; i < argc; i++) {
		int fd = open(argv[i], O_RDONLY);
		ssize_t n = fd < 0 ? -1 : 0;

		while (fd >= 0 && (n = read(fd, part, size)) > 0)
			crc = crc32c(crc, part, (size_t)n);
		if (n < 0) {
			perror(argv[i]);
			exit(1);
		}
		(void)close(fd);
	}
	printf("%08x\n", crc);
	free(part);
	return 0;
}
