/*
 * err.h - the one error type of the program.
 *
 * A function that can fail returns an `enum err_code` and takes a
 * `struct err *err` as its last parameter. The code tells the program what it
 * can do next; the message tells a person what happened. `err` is never NULL
 * and is untouched on success. Nothing here allocates, so an out-of-space or
 * out-of-memory report cannot itself fail.
 *
 * ERR_TABLE is the only place that maps a code to the outside world: the exit
 * status of the command line, the HTTP status, the REST proxy's `error_code`
 * (rest-utils' exception mappers), Kinesis' `__type` (service model
 * 2013-12-02), and whether the same call may be tried again.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>

/*	code              name           exit http rest   kinesis __type                            retry */
#define ERR_TABLE(X) \
	X(ERR_OK,         "ok",             0, 200,     0, "",                                       false) \
	X(ERR_USAGE,      "usage",          2, 400,   400, "InvalidArgumentException",               false) \
	X(ERR_SYNTAX,     "syntax",         1, 400,   400, "SerializationException",                 false) \
	X(ERR_SHAPE,      "shape",          1, 422,   422, "ValidationException",                    false) \
	X(ERR_AUTH,       "auth",           1, 401, 40101, "UnrecognizedClientException",            false) \
	X(ERR_DENIED,     "denied",         1, 403, 40301, "AccessDeniedException",                  false) \
	X(ERR_ABSENT,     "absent",         1, 404,   404, "ResourceNotFoundException",              false) \
	X(ERR_NO_TOPIC,   "no topic",       1, 404, 40401, "ResourceNotFoundException",              false) \
	X(ERR_NO_PARTITION, "no partition", 1, 404, 40402, "ResourceNotFoundException",              false) \
	X(ERR_EXISTS,     "exists",         1, 409, 40002, "ResourceInUseException",                 false) \
	X(ERR_LIMIT,      "limit",          1, 413,   413, "ValidationException",                    false) \
	X(ERR_BUSY,       "busy",          75, 503, 50003, "ProvisionedThroughputExceededException", true) \
	X(ERR_UNKNOWN,    "unknown",       75, 503, 50003, "InternalFailure",                        true) \
	X(ERR_SPACE,      "no space",      75, 503, 50003, "ProvisionedThroughputExceededException", true) \
	X(ERR_TIMEOUT,    "timeout",       75, 504, 50003, "InternalFailure",                        true) \
	X(ERR_STOPPED,    "stopped",       75, 503, 50003, "InternalFailure",                        true) \
	X(ERR_LOCKED,     "locked",        73, 503, 50002, "InternalFailure",                        false) \
	X(ERR_CLOSED,     "closed",         1, 400, 50002, "ResourceInUseException",                 false) \
	X(ERR_EXPIRED,    "expired",        1, 400,   400, "ExpiredIteratorException",               false) \
	X(ERR_UNSUPPORTED, "unsupported",   1, 501, 50002, "InvalidArgumentException",               false) \
	X(ERR_IO,         "io",            74, 500, 50002, "InternalFailure",                        false) \
	X(ERR_CORRUPT,    "corrupt",        1, 500, 50002, "InternalFailure",                        false)

/*
 * The codes that need a word:
 *	ERR_SYNTAX	not JSON at all; ERR_SHAPE: JSON, but not what was asked for
 *	ERR_BUSY	refused before anything was done
 *	ERR_UNKNOWN	may or may not have happened; never reported as success
 *	ERR_SPACE	the disk is full or at its reserve; nothing was kept
 *	ERR_STOPPED	given up because this process is asked to stop
 *	ERR_LOCKED	another process owns the directory
 *	ERR_CLOSED	the end of a partition that takes no more records
 */
enum err_code {
#define X(code, name, exit, http, rest, kinesis, retry) code,
	ERR_TABLE(X)
#undef X
};

enum { ERR_MSG_MAX = 320 };

struct err {
	enum err_code code;
	int sys;		/* errno where it happened, or 0 */
	char msg[ERR_MSG_MAX];	/* one line: no capital, no newline, no full stop */
};

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Fill `err`; all return the code, so `return err_set(...)` reads well. */
enum err_code err_set(struct err *err, enum err_code code, const char *fmt, ...)
	PRINTF(3, 4);
/* The code follows errno: ENOENT ERR_ABSENT, EEXIST ERR_EXISTS, ENOSPC/EDQUOT ERR_SPACE, … */
enum err_code err_errno(struct err *err, const char *fmt, ...) PRINTF(2, 3);
/* Put "where: " before the message that `err` already holds. */
enum err_code err_prefix(struct err *err, const char *fmt, ...) PRINTF(2, 3);

#if defined(__clang_analyzer__) || defined(ANALYSER)
/* An analyser sees one file at a time, so it has to be told that these never return ERR_OK. */
#define err_set(err, code, ...) (err_set((err), (code), __VA_ARGS__), (code))
#define err_errno(...) (err_errno(__VA_ARGS__), ERR_IO)
#endif

const char *err_name(enum err_code code);
int err_exit(enum err_code code);
int err_http(enum err_code code);
int err_rest(enum err_code code);
const char *err_kinesis(enum err_code code);
bool err_retry(enum err_code code);

#endif
