/*
 * mysql_link.h - a connection to a MySQL or MariaDB server: one statement at a
 * time, utf8mb4, values as text.
 *
 * Contract
 *	1. mysql_link_ask() makes good what passes: a server that has gone, a
 *	   statement that was killed, a lock. It waits (backoff.h), connects again
 *	   and asks again, until `retry_ms` have gone by; its reader is then told to
 *	   begin anew. What does not pass, as a wrong password, fails at once.
 *	2. mysql_link_send(), mysql_link_give() and mysql_link_finish() ask once: for
 *	   who changes something.
 *	3. No wait for the server is longer than `timeout_ms`, and every wait ends
 *	   when the process is asked to stop or mysql_link_cancel() is called:
 *	   ERR_STOPPED.
 *	4. Codes: ERR_USAGE the options (user, password, database, TLS) are not
 *	   right; ERR_BUSY the server cannot be reached, or not now; ERR_ABSENT no
 *	   such table; ERR_DENIED not allowed to; ERR_SHAPE rows or columns are not
 *	   as the statement has them; ERR_SPACE; else ERR_UNSUPPORTED.
 *
 * The server is never trusted with a file of this machine (one that asks for any
 * gets the rows of mysql_link_give(), or none) nor with a password in clear text.
 * Threads: one at a time; mysql_link_cancel() from any.
 */
#ifndef SOURCE_MYSQL_LINK_H
#define SOURCE_MYSQL_LINK_H

#include "base/slice.h"
#include "source/mariadb_api.h"

#include <stdint.h>

enum mysql_tls {
	MYSQL_TLS_OFF,
	MYSQL_TLS_REQUIRED,	/* encrypted, whoever it is */
	MYSQL_TLS_VERIFY,	/* and its certificate is good for `host` */
};

struct mysql_options {
	const char *host;	/* over TCP; or */
	const char *socket;	/* the path of a Unix socket, if not "" */
	uint16_t port;
	const char *user;
	const char *password;
	const char *database;
	enum mysql_tls tls;
	const char *ca_file;	/* NULL: the system's */
	bool gives_rows;	/* mysql_link_give() may be called */
	int64_t timeout_ms;
	int64_t retry_ms;
};

struct mysql_row {
	const MYSQL_FIELD *fields;
	char *const *values;	/* NULL: null */
	const unsigned long *lengths;
	unsigned count;
};

/* Who takes the rows of an answer. An error of row() ends the asking with that error. */
struct mysql_reader {
	/* Before the first row, and again if it is asked again. */
	void (*begin)(void *user, const MYSQL_FIELD *fields, unsigned count);
	enum err_code (*row)(void *user, const struct mysql_row *row, struct err *err);
	void *user;
};

static inline struct slice mysql_row_value(const struct mysql_row *row, unsigned i)
{
	return slice_of(row->values[i], row->values[i] ? row->lengths[i] : 0);
}

struct mysql_link;

/* Connects, once. The options are borrowed for as long as the link lives. */
MUST_USE enum err_code mysql_link_open(const struct mysql_options *options,
				       struct mysql_link **ret_link, struct err *err);
void mysql_link_close(struct mysql_link *link);		/* accepts NULL */
/* Ends the wait of another thread, and every later one. */
void mysql_link_cancel(struct mysql_link *link);

MUST_USE enum err_code mysql_link_ask(struct mysql_link *link, struct slice sql,
				      const struct mysql_reader *reader, struct err *err);
/* The server works on the statement until mysql_link_finish(); `sql` must last as long. */
MUST_USE enum err_code mysql_link_send(struct mysql_link *link, struct slice sql, struct err *err);
/* The same with LOAD DATA LOCAL, whose file are the `rows`; they must last as long. */
MUST_USE enum err_code mysql_link_give(struct mysql_link *link, struct slice sql,
				       struct slice rows, struct err *err);
/* Of nothing sent: ERR_OK. */
MUST_USE enum err_code mysql_link_finish(struct mysql_link *link, struct err *err);
/* Both. */
MUST_USE enum err_code mysql_link_do(struct mysql_link *link, struct slice sql, struct err *err);

/* Once that is finished: whether the server asked for the rows, … */
bool mysql_link_was_asked(const struct mysql_link *link);
/* … and took so many of them, without a warning. */
bool mysql_link_took(const struct mysql_link *link, uint64_t rows);

/* "10.11.19-MariaDB" */
const char *mysql_link_version(const struct mysql_link *link);
/* NULL: not encrypted. */
const char *mysql_link_cipher(const struct mysql_link *link);

#endif
