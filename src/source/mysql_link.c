#include "source/mysql_link.h"

#include "base/backoff.h"
#include "base/mem.h"
#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"

#include <errmsg.h>
#include <mysqld_error.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECT_MS = 10000, BACKOFF_FIRST_MS = 50, BACKOFF_MAX_MS = 2000 };

/* What the client may answer a server that asks for another way to log in. */
static const char auth_plugins[] =
	"mysql_native_password,caching_sha2_password,sha256_password,client_ed25519";

struct mysql_link {
	const struct mysql_options *options;
	MYSQL *handle;			/* NULL: not connected */
	int cancel_fd;
	enum err_code cut;		/* why a wait was ended, else ERR_OK */
	bool was_open;
	bool sending;			/* mysql_link_send() is not finished */
	int sending_status;
	int sending_failed;
	struct slice rows;		/* of mysql_link_give(), not read yet */
	bool asked;			/* for them, by the server */
	uint64_t changed;		/* rows, by the last statement */
	unsigned warnings;		/* of the same */
	char where[128];		/* "host:port" */
	char version[64];
};

/* --- waiting ------------------------------------------------------------- */

static int64_t wait_limit_ms(const struct mysql_link *link)
{
	bool connecting = link->version[0] == '\0' || !link->was_open;

	return connecting && link->options->timeout_ms > CONNECT_MS ? CONNECT_MS
								    : link->options->timeout_ms;
}

/* An end or a fault lets whatever is waited for go on, and meet it. */
static int mysql_link_came(int status, short revents)
{
	if (revents & (POLLHUP | POLLERR | POLLNVAL))
		return status & (MYSQL_WAIT_READ | MYSQL_WAIT_WRITE | MYSQL_WAIT_EXCEPT);
	return (revents & POLLIN ? MYSQL_WAIT_READ : 0) |
	       (revents & POLLOUT ? MYSQL_WAIT_WRITE : 0) |
	       (revents & POLLPRI ? MYSQL_WAIT_EXCEPT : 0);
}

/* What the library waits for has come: what it is to be told. Once a wait was cut, the library is
 * only led to its end. */
static int mysql_link_wait(struct mysql_link *link, int status)
{
	struct pollfd fds[] = {
		{ .fd = (int)mariadb.get_socket(link->handle) },
		{ .fd = stop_fd(), .events = POLLIN },
		{ .fd = link->cancel_fd, .events = POLLIN },
	};
	int64_t until_ms = clock_mono_ms() + wait_limit_ms(link);
	int64_t left_ms;

	fds[0].events = (short)((status & MYSQL_WAIT_READ ? POLLIN : 0) |
				(status & MYSQL_WAIT_WRITE ? POLLOUT : 0) |
				(status & MYSQL_WAIT_EXCEPT ? POLLPRI : 0));
	while (link->cut == ERR_OK && (left_ms = until_ms - clock_mono_ms()) > 0) {
		if (poll(fds, ARRAY_LEN(fds), (int)left_ms) <= 0)
			continue;
		if ((fds[1].revents | fds[2].revents) == 0)
			return mysql_link_came(status, fds[0].revents);
		link->cut = ERR_STOPPED;
	}
	if (link->cut == ERR_OK)
		link->cut = ERR_TIMEOUT;
	(void)shutdown(fds[0].fd, SHUT_RDWR);
	return MYSQL_WAIT_TIMEOUT;
}

static void mysql_link_drop(struct mysql_link *link)
{
	if (!link->handle)
		return;
	mariadb.close(link->handle);
	link->handle = NULL;
	link->sending = false;
}

/* --- what went wrong ------------------------------------------------------ */

static const struct mysql_fault {
	unsigned number;
	enum err_code code;
} mysql_faults[] = {
	{ ER_ACCESS_DENIED_ERROR, ERR_USAGE }, { ER_DBACCESS_DENIED_ERROR, ERR_USAGE },
	{ ER_ACCESS_DENIED_NO_PASSWORD_ERROR, ERR_USAGE }, { ER_BAD_DB_ERROR, ERR_USAGE },
	{ ER_HOST_NOT_PRIVILEGED, ERR_USAGE }, { ER_UNKNOWN_CHARACTER_SET, ERR_USAGE },
	{ CR_CANT_READ_CHARSET, ERR_USAGE }, { CR_SSL_CONNECTION_ERROR, ERR_USAGE },
	{ CR_AUTH_PLUGIN_CANNOT_LOAD, ERR_USAGE }, { ER_NOT_SUPPORTED_AUTH_MODE, ERR_USAGE },
	{ ER_HOST_IS_BLOCKED, ERR_DENIED }, { ER_TABLEACCESS_DENIED_ERROR, ERR_DENIED },
	{ ER_COLUMNACCESS_DENIED_ERROR, ERR_DENIED }, { ER_SPECIFIC_ACCESS_DENIED_ERROR, ERR_DENIED },
	{ ER_NO_SUCH_TABLE, ERR_ABSENT }, { ER_BAD_FIELD_ERROR, ERR_SHAPE },
	{ ER_DATA_TOO_LONG, ERR_SHAPE }, { ER_WARN_DATA_OUT_OF_RANGE, ERR_SHAPE },
	{ ER_TRUNCATED_WRONG_VALUE, ERR_SHAPE }, { ER_TRUNCATED_WRONG_VALUE_FOR_FIELD, ERR_SHAPE },
	{ ER_DUP_ENTRY, ERR_SHAPE }, { ER_DUP_ENTRY_WITH_KEY_NAME, ERR_SHAPE },
	{ WARN_DATA_TRUNCATED, ERR_SHAPE }, { ER_BAD_NULL_ERROR, ERR_SHAPE },
	{ ER_TABLE_EXISTS_ERROR, ERR_EXISTS }, { ER_NET_PACKET_TOO_LARGE, ERR_LIMIT },
	{ ER_DISK_FULL, ERR_SPACE }, { ER_RECORD_FILE_FULL, ERR_SPACE },
	{ CR_CONNECTION_ERROR, ERR_BUSY }, { CR_CONN_HOST_ERROR, ERR_BUSY },
	{ CR_UNKNOWN_HOST, ERR_BUSY }, { CR_SERVER_GONE_ERROR, ERR_BUSY },
	{ CR_SERVER_LOST, ERR_BUSY }, { CR_SERVER_HANDSHAKE_ERR, ERR_BUSY },
	{ CR_MALFORMED_PACKET, ERR_BUSY },
	{ ER_CON_COUNT_ERROR, ERR_BUSY }, { ER_TOO_MANY_USER_CONNECTIONS, ERR_BUSY },
	{ ER_USER_LIMIT_REACHED, ERR_BUSY }, { ER_SERVER_SHUTDOWN, ERR_BUSY },
	{ ER_NET_READ_ERROR, ERR_BUSY }, { ER_NET_READ_INTERRUPTED, ERR_BUSY },
	{ ER_NET_WRITE_INTERRUPTED, ERR_BUSY }, { ER_ABORTING_CONNECTION, ERR_BUSY },
	{ ER_NEW_ABORTING_CONNECTION, ERR_BUSY }, { ER_LOCK_WAIT_TIMEOUT, ERR_BUSY },
	{ ER_LOCK_DEADLOCK, ERR_BUSY }, { ER_QUERY_INTERRUPTED, ERR_BUSY },
	{ ER_CONNECTION_KILLED, ERR_BUSY }, { ER_STATEMENT_TIMEOUT, ERR_BUSY },
	{ 3024, ERR_BUSY },	/* MySQL's own: max_execution_time */
	{ 4031, ERR_BUSY },	/* and wait_timeout */
};

static enum err_code mysql_link_class(const struct mysql_link *link, unsigned number)
{
	/* A server that goes or comes breaks off the handshake, too. */
	if (number == CR_SSL_CONNECTION_ERROR && link->was_open)
		return ERR_BUSY;
	for (size_t i = 0; i < ARRAY_LEN(mysql_faults); i++)
		if (mysql_faults[i].number == number)
			return mysql_faults[i].code;
	return ERR_UNSUPPORTED;
}

static const char *mysql_link_hint(unsigned number)
{
	switch (number) {
	case ER_ACCESS_DENIED_ERROR:
	case ER_ACCESS_DENIED_NO_PASSWORD_ERROR:
		return ": are mysql.user and mysql.password (USER, PASSWORD) right?";
	case ER_BAD_DB_ERROR:
	case ER_DBACCESS_DENIED_ERROR:
		return ": is mysql.database (DATABASE) right?";
	case ER_NO_SUCH_TABLE:
		return ": is mysql.database (DATABASE) right? `pinpipe db load` makes the tables";
	case CR_SSL_CONNECTION_ERROR:
		return ": see mysql.tls and mysql.ca_file";
	default:
		return "";
	}
}

static enum err_code mysql_link_fail(struct mysql_link *link, struct err *err)
{
	unsigned number = mariadb.errno(link->handle);

	if (link->cut == ERR_STOPPED)
		return err_set(err, ERR_STOPPED, "asked to stop while the database worked");
	if (link->cut == ERR_TIMEOUT)
		return err_set(err, ERR_BUSY, "the database at \"%s\" did not answer within %lld ms",
			       link->where, (long long)wait_limit_ms(link));
	return err_set(err, mysql_link_class(link, number), "the database at \"%s\" says: %s (%u)%s",
		       link->where, mariadb.error(link->handle), number, mysql_link_hint(number));
}

/* --- rows in the place of a file --------------------------------------------- */

static int mysql_rows_begin(void **ret_link, const char *name, void *link)
{
	(void)name;
	((struct mysql_link *)link)->asked = true;
	*ret_link = link;
	return 0;
}

static int mysql_rows_read(void *user, char *bytes, unsigned bytes_max)
{
	struct mysql_link *link = user;
	size_t len = link->rows.len < bytes_max ? link->rows.len : bytes_max;

	if (len == 0)
		return 0;
	memcpy(bytes, link->rows.ptr, len);
	link->rows = slice_from(link->rows, len);
	return (int)len;
}

static void mysql_rows_end(void *link) { (void)link; }

/* Nothing can go wrong; without it the library would open files. */
static int mysql_rows_error(void *link, char *text, unsigned text_max)
{
	(void)link;
	(void)snprintf(text, text_max, "no such file");
	return CR_UNKNOWN_ERROR;
}

/* --- connecting ----------------------------------------------------------- */

static void mysql_link_set_tls(const struct mysql_link *link)
{
	const struct mysql_options *options = link->options;
	my_bool on = 1, verify = options->tls == MYSQL_TLS_VERIFY;

	if (options->tls == MYSQL_TLS_OFF)
		return;
	(void)mariadb.optionsv(link->handle, MYSQL_OPT_SSL_ENFORCE, &on);
	(void)mariadb.optionsv(link->handle, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
	if (verify && options->ca_file)
		(void)mariadb.optionsv(link->handle, MYSQL_OPT_SSL_CA, options->ca_file);
}

static void mysql_link_set_options(struct mysql_link *link)
{
	unsigned local_infile = link->options->gives_rows;
	unsigned protocol = *link->options->socket ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;

	(void)mariadb.optionsv(link->handle, MYSQL_OPT_NONBLOCK, 0);
	(void)mariadb.optionsv(link->handle, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	/* A server may be told to pass over that (skip-character-set-client-handshake). */
	(void)mariadb.optionsv(link->handle, MYSQL_INIT_COMMAND, "SET NAMES utf8mb4");
	(void)mariadb.optionsv(link->handle, MYSQL_OPT_LOCAL_INFILE, &local_infile);
	(void)mariadb.optionsv(link->handle, MYSQL_OPT_PROTOCOL, &protocol);
	(void)mariadb.optionsv(link->handle, MARIADB_OPT_RESTRICTED_AUTH, auth_plugins);
	mariadb.set_local_infile_handler(link->handle, mysql_rows_begin, mysql_rows_read,
					 mysql_rows_end, mysql_rows_error, link);
	mysql_link_set_tls(link);
}

static enum err_code mysql_link_connect(struct mysql_link *link, struct err *err)
{
	const struct mysql_options *options = link->options;
	bool tcp = !*options->socket;
	MYSQL *connected = NULL;
	enum err_code code;
	int status;

	link->cut = ERR_OK;
	link->handle = mem_or_abort(mariadb.init(NULL));
	mysql_link_set_options(link);
	status = mariadb.real_connect_start(&connected, link->handle, tcp ? options->host : NULL,
					    options->user, options->password, options->database,
					    options->port, tcp ? NULL : options->socket, 0);
	while (status)
		status = mariadb.real_connect_cont(&connected, link->handle,
						   mysql_link_wait(link, status));
	if (connected && options->tls != MYSQL_TLS_OFF && !mariadb.get_ssl_cipher(link->handle)) {
		/* The library goes on without, where no certificate is to be checked. */
		code = err_set(err, ERR_USAGE, "the database at \"%s\" does not speak TLS (mysql.tls)",
			       link->where);
		mysql_link_drop(link);
		return code;
	}
	if (connected) {
		(void)snprintf(link->version, sizeof(link->version), "%s",
			       mariadb.get_server_info(link->handle));
		link->was_open = true;
		return ERR_OK;
	}
	code = mysql_link_fail(link, err);
	mysql_link_drop(link);
	return code;
}

enum err_code mysql_link_open(const struct mysql_options *options, struct mysql_link **ret_link,
			      struct err *err)
{
	struct mysql_link *link;
	enum err_code code = mariadb_api_load(err);

	if (code != ERR_OK)
		return code;
	link = xcalloc(1, sizeof(*link));
	link->options = options;
	link->cancel_fd = eventfd(0, EFD_CLOEXEC);
	if (*options->socket)
		(void)snprintf(link->where, sizeof(link->where), "%s", options->socket);
	else
		(void)snprintf(link->where, sizeof(link->where), "%s:%u", options->host,
			       options->port);
	code = link->cancel_fd < 0 ? err_errno(err, "could not make an eventfd")
				   : mysql_link_connect(link, err);
	if (code == ERR_OK)
		*ret_link = link;
	else
		mysql_link_close(link);
	return code;
}

void mysql_link_close(struct mysql_link *link)
{
	if (!link)
		return;
	mysql_link_drop(link);
	if (link->cancel_fd >= 0)
		(void)close(link->cancel_fd);
	free(link);
}

void mysql_link_cancel(struct mysql_link *link)
{
	(void)eventfd_write(link->cancel_fd, 1);
}

/* --- asking --------------------------------------------------------------- */

/* ERR_OK, and *ret_done at the end. */
static enum err_code mysql_link_next(struct mysql_link *link, MYSQL_RES *result,
				     const struct mysql_reader *reader, bool *ret_done,
				     struct err *err)
{
	MYSQL_ROW values = NULL;
	int status = mariadb.fetch_row_start(&values, result);
	struct mysql_row row;

	while (status)
		status = mariadb.fetch_row_cont(&values, result, mysql_link_wait(link, status));
	*ret_done = !values;
	if (!values && (mariadb.errno(link->handle) || link->cut != ERR_OK))
		return mysql_link_fail(link, err);
	if (!values)
		return ERR_OK;
	row = (struct mysql_row){
		.fields = mariadb.fetch_fields(result), .values = values,
		.lengths = mariadb.fetch_lengths(result), .count = mariadb.num_fields(result),
	};
	return reader->row(reader->user, &row, err);
}

static enum err_code pass_by(void *user, const struct mysql_row *row, struct err *err)
{
	(void)user;
	(void)row;
	(void)err;
	return ERR_OK;
}

/* On failure nothing of the answer is left: the connection goes with it. */
static enum err_code mysql_link_read(struct mysql_link *link, const struct mysql_reader *reader,
				     struct err *err)
{
	MYSQL_RES *result = mariadb.use_result(link->handle);
	enum err_code code = ERR_OK;
	bool done = !result;

	if (!result && mariadb.errno(link->handle))
		code = mysql_link_fail(link, err);
	if (result && reader->begin)
		reader->begin(reader->user, mariadb.fetch_fields(result),
			      mariadb.num_fields(result));
	while (code == ERR_OK && !done)
		code = mysql_link_next(link, result, reader, &done, err);
	if (code != ERR_OK)
		(void)shutdown((int)mariadb.get_socket(link->handle), SHUT_RDWR);
	if (result)
		mariadb.free_result(result);
	if (code != ERR_OK)
		mysql_link_drop(link);
	return code;
}

static enum err_code mysql_link_try(struct mysql_link *link, struct slice sql,
				    const struct mysql_reader *reader, struct err *err)
{
	enum err_code code = link->handle ? ERR_OK : mysql_link_connect(link, err);
	int failed = 0;
	int status;

	if (code != ERR_OK)
		return code;
	link->cut = ERR_OK;
	status = mariadb.real_query_start(&failed, link->handle, sql.ptr, sql.len);
	while (status)
		status = mariadb.real_query_cont(&failed, link->handle,
						 mysql_link_wait(link, status));
	if (!failed)
		return mysql_link_read(link, reader, err);
	code = mysql_link_fail(link, err);
	mysql_link_drop(link);
	return code;
}

/* Until a time, or the process is asked to stop. */
static enum err_code mysql_link_pause(struct mysql_link *link, int64_t ms, struct err *err)
{
	struct pollfd fds[] = {
		{ .fd = stop_fd(), .events = POLLIN },
		{ .fd = link->cancel_fd, .events = POLLIN },
	};

	if (poll(fds, ARRAY_LEN(fds), (int)ms) > 0)
		return err_set(err, ERR_STOPPED, "asked to stop while the database was away");
	return ERR_OK;
}

enum err_code mysql_link_ask(struct mysql_link *link, struct slice sql,
			     const struct mysql_reader *reader, struct err *err)
{
	struct backoff backoff = { .first_ms = BACKOFF_FIRST_MS, .max_ms = BACKOFF_MAX_MS };
	int64_t give_up_ms = 0;
	enum err_code code;

	for (;;) {
		int64_t wait_ms = backoff_next_ms(&backoff);

		code = mysql_link_try(link, sql, reader, err);
		if (code != ERR_BUSY)
			return code;
		/* However long the server had worked before. */
		if (give_up_ms == 0)
			give_up_ms = clock_mono_ms() + link->options->retry_ms;
		if (clock_mono_ms() + wait_ms >= give_up_ms)
			return link->options->retry_ms ?
				       err_prefix(err, "tried for %lld ms",
						  (long long)link->options->retry_ms) : code;
		if (backoff.tries == 1)
			trace_warn("%s; trying again", err->msg);
		code = mysql_link_pause(link, wait_ms, err);
		if (code != ERR_OK)
			return code;
	}
}

/* --- changing ------------------------------------------------------------- */

enum err_code mysql_link_give(struct mysql_link *link, struct slice sql, struct slice rows,
			      struct err *err)
{
	if (!link->handle)
		return err_set(err, ERR_BUSY, "the connection to \"%s\" is gone", link->where);
	link->cut = ERR_OK;
	link->sending = true;
	link->sending_failed = 0;
	link->rows = rows;
	link->asked = false;
	link->sending_status = mariadb.real_query_start(&link->sending_failed, link->handle,
							sql.ptr, sql.len);
	/* All of it is with the server before anything else is done here. */
	while (link->sending_status & MYSQL_WAIT_WRITE ||
	       (link->sending_status && link->rows.len > 0))
		link->sending_status = mariadb.real_query_cont(
			&link->sending_failed, link->handle,
			mysql_link_wait(link, link->sending_status));
	return ERR_OK;
}

enum err_code mysql_link_send(struct mysql_link *link, struct slice sql, struct err *err)
{
	return mysql_link_give(link, sql, slice_of(NULL, 0), err);
}

enum err_code mysql_link_finish(struct mysql_link *link, struct err *err)
{
	static const struct mysql_reader nobody = { .row = pass_by };
	enum err_code code = ERR_OK;

	if (!link->sending)
		return ERR_OK;
	link->sending = false;
	while (link->sending_status)
		link->sending_status = mariadb.real_query_cont(
			&link->sending_failed, link->handle,
			mysql_link_wait(link, link->sending_status));
	if (!link->sending_failed) {
		link->changed = mariadb.affected_rows(link->handle);
		link->warnings = mariadb.warning_count(link->handle);
		return mysql_link_read(link, &nobody, err);
	}
	code = mysql_link_fail(link, err);
	if (code == ERR_BUSY || code == ERR_STOPPED)
		mysql_link_drop(link);
	return code;
}

enum err_code mysql_link_do(struct mysql_link *link, struct slice sql, struct err *err)
{
	enum err_code code = mysql_link_send(link, sql, err);

	return code == ERR_OK ? mysql_link_finish(link, err) : code;
}

bool mysql_link_was_asked(const struct mysql_link *link) { return link->asked; }

bool mysql_link_took(const struct mysql_link *link, uint64_t rows)
{
	return link->changed == rows && link->warnings == 0;
}

const char *mysql_link_version(const struct mysql_link *link) { return link->version; }

const char *mysql_link_cipher(const struct mysql_link *link)
{
	return link->handle ? mariadb.get_ssl_cipher(link->handle) : NULL;
}
