#include "net/http_internal.h"

#include "base/trace.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

enum { REFRESH_MS = 1000 };

static enum err_code tls_error(struct err *err, const char *what, const char *file)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	err_set(err, ERR_USAGE, "could not use the %s \"%s\": %s", what, file,
		reason ? reason : "unknown reason");
	ERR_clear_error();
	return err->code;
}

/* A client that offers only other protocols is refused in the handshake (RFC 7301). */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
			   const unsigned char *in, unsigned in_len, void *user)
{
	static const unsigned char ours[] = "\x08http/1.1";
	unsigned char *chosen;

	(void)ssl;
	(void)user;
	if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, in, in_len)
	    != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

enum err_code http_cert_until(const char *cert, int64_t *ret_s, struct err *err)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
	int days, seconds;
	X509 *first;

	if (!tls)
		return err_set(err, ERR_IO, "could not start OpenSSL");
	if (SSL_CTX_use_certificate_chain_file(tls, cert) != 1) {
		(void)tls_error(err, "certificate", cert);
	} else {
		first = SSL_CTX_get0_certificate(tls);
		err->code = ERR_OK;
		if (ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(first)) != 1)
			(void)err_set(err, ERR_USAGE, "\"%s\" does not say until when it is good",
				      cert);
		else
			*ret_s = (int64_t)time(NULL) + (int64_t)days * 86400 + seconds;
	}
	SSL_CTX_free(tls);
	return err->code;
}

enum err_code http_tls_open(const char *cert, const char *key, SSL_CTX **ret_tls, struct err *err)
{
	SSL_CTX *tls;
	enum err_code code = ERR_OK;

	if (!cert || !key)
		return err_set(err, ERR_USAGE, "TLS needs both a certificate and its key");
	tls = SSL_CTX_new(TLS_server_method());
	if (!tls)
		return err_set(err, ERR_IO, "could not start OpenSSL");
	(void)SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);
	(void)SSL_CTX_set_options(tls, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION
				       | SSL_OP_CIPHER_SERVER_PREFERENCE);
	(void)SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE
				    | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	(void)SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_alpn_select_cb(tls, choose_protocol, NULL);
	if (SSL_CTX_use_certificate_chain_file(tls, cert) != 1)
		code = tls_error(err, "certificate", cert);
	else if (SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1
		 || SSL_CTX_check_private_key(tls) != 1)
		code = tls_error(err, "key", key);
	if (code != ERR_OK) {
		SSL_CTX_free(tls);
		return code;
	}
	*ret_tls = tls;
	return ERR_OK;
}

void http_tls_close(SSL_CTX *tls)
{
	SSL_CTX_free(tls);
}

static struct http_tls_stamp stamp_of(const struct http_server_options *options)
{
	struct http_tls_stamp stamp;
	struct stat cert = { 0 };
	struct stat key = { 0 };

	/* A file that is away for a moment has changed; reading it will tell. */
	(void)stat(options->tls_cert, &cert);
	(void)stat(options->tls_key, &key);
	memset(&stamp, 0, sizeof(stamp));
	stamp.cert_time = cert.st_mtim;
	stamp.key_time = key.st_mtim;
	stamp.cert_inode = cert.st_ino;
	stamp.key_inode = key.st_ino;
	return stamp;
}

void http_tls_refresh(struct http_server *server)
{
	const struct http_server_options *options = &server->options;
	bool first = server->tls_check_ms == 0;
	struct http_tls_stamp stamp;
	SSL_CTX *fresh;
	struct err err;

	if (!server->tls || server->now_ms < server->tls_check_ms)
		return;
	server->tls_check_ms = server->now_ms + REFRESH_MS;
	stamp = stamp_of(options);
	if (!first && memcmp(&stamp, &server->tls_stamp, sizeof(stamp)) == 0)
		return;
	server->tls_stamp = stamp;	/* of before the reading, so that none is missed */
	if (first)
		return;
	if (http_tls_open(options->tls_cert, options->tls_key, &fresh, &err) != ERR_OK) {
		trace_warn("%s; the certificate that was read before stays in use", err.msg);
		return;
	}
	http_tls_close(server->tls);	/* its connections hold on to it */
	server->tls = fresh;
	trace_info("read the certificate \"%s\" anew", options->tls_cert);
}

/* A handshake begins with a byte below the letters, a request with its method. */
bool http_tls_is_plain(int fd)
{
	char first;

	return recv(fd, &first, 1, MSG_PEEK) == 1 && first >= 'A' && first <= 'Z';
}

SSL *http_tls_accept(SSL_CTX *tls, int fd)
{
	SSL *ssl = SSL_new(tls);

	if (ssl && SSL_set_fd(ssl, fd) == 1) {
		SSL_set_accept_state(ssl);
		return ssl;
	}
	SSL_free(ssl);
	return NULL;
}

static int http_tls_outcome(SSL *ssl, int rc)
{
	switch (SSL_get_error(ssl, rc)) {
	case SSL_ERROR_WANT_READ: case SSL_ERROR_WANT_WRITE:
		return HTTP_IO_AGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		ERR_clear_error();
		return HTTP_IO_FAILED;
	}
}

int http_tls_handshake(SSL *ssl)
{
	int rc;

	ERR_clear_error();
	rc = SSL_accept(ssl);
	if (rc == 1)
		return 1;
	return http_tls_outcome(ssl, rc) == HTTP_IO_AGAIN ? HTTP_IO_AGAIN : HTTP_IO_FAILED;
}

ssize_t http_tls_read(SSL *ssl, char *to, size_t len)
{
	int rc;

	ERR_clear_error();
	rc = SSL_read(ssl, to, len < INT_MAX ? (int)len : INT_MAX);
	return rc > 0 ? rc : http_tls_outcome(ssl, rc);
}

ssize_t http_tls_write(SSL *ssl, const char *from, size_t len)
{
	int rc;

	ERR_clear_error();
	rc = SSL_write(ssl, from, len < INT_MAX ? (int)len : INT_MAX);
	if (rc > 0)
		return rc;
	return http_tls_outcome(ssl, rc) == HTTP_IO_AGAIN ? HTTP_IO_AGAIN : HTTP_IO_FAILED;
}

void http_tls_shutdown(SSL *ssl)
{
	ERR_clear_error();
	(void)SSL_shutdown(ssl);
	ERR_clear_error();
}

void http_tls_free(SSL *ssl)
{
	SSL_free(ssl);
}
