/*
 * crc32c.h - CRC-32C (Castagnoli, RFC 3720 section 12.1), by the CPU's
 * instruction where there is one.
 */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continue `crc` (0 to begin) over `len` bytes. crc32c(0, "123456789", 9) is 0xe3069283. */
uint32_t crc32c(uint32_t crc, const void *ptr, size_t len);

#endif
