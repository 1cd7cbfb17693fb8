#include "flow/dlq_kind.h"

#include <ctype.h>
#include <string.h>

static bool dlq_kind_is_word(char c) { return isalnum((unsigned char)c) || c == '_' || c == '-'; }

/* The word at `at` is a number by itself, as a byte's place is; "32-bit" and "f00d" are words. */
static bool dlq_kind_is_number(struct slice reason, size_t at, size_t *ret_end)
{
	size_t end = at;

	if (at > 0 && dlq_kind_is_word(reason.ptr[at - 1]))
		return false;
	while (end < reason.len && reason.ptr[end] >= '0' && reason.ptr[end] <= '9')
		end++;
	*ret_end = end;
	return end > at && (end == reason.len || !dlq_kind_is_word(reason.ptr[end]));
}

/* Where the record's value begins that a reason ends with: `"id" is no 32-bit integer: abc`. */
static size_t dlq_kind_value_at(struct slice reason)
{
	static const char mark[] = ": ";
	const char *is_no = memmem(reason.ptr, reason.len, " is no ", 7);
	size_t from = is_no ? (size_t)(is_no - reason.ptr) : reason.len;
	const char *at = memmem(reason.ptr + from, reason.len - from, mark, sizeof(mark) - 1);

	return at ? (size_t)(at - reason.ptr) + sizeof(mark) - 1 : reason.len;
}

struct slice dlq_kind_of(struct slice reason, char kind[ERR_MSG_MAX])
{
	static const char dots[] = "…";
	size_t words = dlq_kind_value_at(reason);
	size_t len = 0;

	for (size_t i = 0, end; i < words && len < ERR_MSG_MAX - sizeof(dots);) {
		if (dlq_kind_is_number(reason, i, &end)) {
			kind[len++] = '#';
			i = end;
		} else {
			kind[len++] = reason.ptr[i++];
		}
	}
	if (words < reason.len) {
		memcpy(kind + len, dots, sizeof(dots) - 1);
		len += sizeof(dots) - 1;
	}
	return slice_of(kind, len);
}
