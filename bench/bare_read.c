/*
 * bare_read.c - the limit for `pinpipe cat`: read files from start to end and
 * take the CRC-32C of every byte.
 */
#include "base/crc32c.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { PART_BYTES = 1 << 20 };

int main(int argc, char **argv)
{
	static char part[PART_BYTES];
	uint32_t crc = 0;

	for (int i = 1; i < argc; i++) {
		int fd = open(argv[i], O_RDONLY);
		ssize_t n;

		if (fd < 0) {
			perror(argv[i]);
			return 1;
		}
		while ((n = read(fd, part, PART_BYTES)) > 0)
			crc = crc32c(crc, part, (size_t)n);
		(void)close(fd);
	}
	printf("%08x\n", crc);
	return 0;
}
