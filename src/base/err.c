#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct row {
	const char *name;
	int exit;
	int http;
	int rest;
	const char *kinesis;
	bool retry;
} table[] = {
#define X(code, name, exit, http, rest, kinesis, retry) \
	[code] = { name, exit, http, rest, kinesis, retry },
	ERR_TABLE(X)
#undef X
};

static enum err_code code_of_errno(int sys)
{
	switch (sys) {
	case EAGAIN: case EINTR: case EMFILE: case ENFILE: case ENOBUFS:
		return ERR_BUSY;
	case ENOENT:
		return ERR_ABSENT;
	case EEXIST:
		return ERR_EXISTS;
	case ENOSPC: case EDQUOT: case EFBIG:
		return ERR_SPACE;
	case EACCES: case EPERM:
		return ERR_DENIED;
	case ETIMEDOUT:
		return ERR_TIMEOUT;
	default:
		return ERR_IO;
	}
}

/* In parentheses, so that the macros for analysers leave the definitions alone. */
enum err_code (err_set)(struct err *err, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	err->code = code;
	err->sys = 0;
	va_start(ap, fmt);
	(void)vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	return code;
}

enum err_code (err_errno)(struct err *err, const char *fmt, ...)
{
	int sys = errno;	/* before any call that may change it */
	va_list ap;
	int n;

	err->code = code_of_errno(sys);
	err->sys = sys;
	va_start(ap, fmt);
	n = vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(err->msg))
		(void)snprintf(err->msg + n, sizeof(err->msg) - (size_t)n,
			       ": %s", strerror(sys));
	return err->code;
}

enum err_code err_prefix(struct err *err, const char *fmt, ...)
{
	char rest[ERR_MSG_MAX];
	va_list ap;
	int n;

	memcpy(rest, err->msg, sizeof(rest));
	va_start(ap, fmt);
	n = vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(err->msg))
		(void)snprintf(err->msg + n, sizeof(err->msg) - (size_t)n, ": %s", rest);
	return err->code;
}

const char *err_name(enum err_code code) { return table[code].name; }
int err_exit(enum err_code code) { return table[code].exit; }
int err_http(enum err_code code) { return table[code].http; }
int err_rest(enum err_code code) { return table[code].rest; }
const char *err_kinesis(enum err_code code) { return table[code].kinesis; }
bool err_retry(enum err_code code) { return table[code].retry; }
