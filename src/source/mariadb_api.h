/*
 * mariadb_api.h - MariaDB's C client out of a library that is loaded when it is
 * first asked for: mariadb.init() is mysql_init() of <mysql.h>.
 *
 * Only who has its rows in a database pays for it. Of what may wait, the calls
 * that do not block are taken, so that a wait can be ended (mysql_link.h).
 * Threads: any, once it is loaded; a handle has one thread at a time.
 */
#ifndef SOURCE_MARIADB_API_H
#define SOURCE_MARIADB_API_H

#include "base/err.h"

#include <mysql.h>

/* What this program calls of it. */
#define MARIADB_FUNCTIONS(X) \
	X(affected_rows) \
	X(close) \
	X(errno) \
	X(error) \
	X(fetch_fields) \
	X(fetch_lengths) \
	X(fetch_row_cont) \
	X(fetch_row_start) \
	X(free_result) \
	X(get_server_info) \
	X(get_socket) \
	X(get_ssl_cipher) \
	X(init) \
	X(num_fields) \
	X(optionsv) \
	X(real_connect_cont) \
	X(real_connect_start) \
	X(real_query_cont) \
	X(real_query_start) \
	X(set_local_infile_handler) \
	X(use_result) \
	X(warning_count)

struct mariadb_api {
#define X(name) __typeof__(mysql_##name) *name;
	MARIADB_FUNCTIONS(X)
#undef X
};

extern struct mariadb_api mariadb;

/* ERR_USAGE: the library is not there, or is not MariaDB's; says what was tried. */
MUST_USE enum err_code mariadb_api_load(struct err *err);

#endif
