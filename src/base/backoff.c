#include "base/backoff.h"

#include <sys/random.h>

int64_t backoff_next_ms(struct backoff *backoff)
{
	int64_t span = backoff->first_ms;
	uint64_t random = 0;

	for (uint32_t i = 0; i < backoff->tries && span < backoff->max_ms; i++)
		span *= 2;
	if (span > backoff->max_ms)
		span = backoff->max_ms;
	backoff->tries++;
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
		return span;
	return 1 + (int64_t)(random % (uint64_t)span);
}
