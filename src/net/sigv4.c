#include "net/sigv4_internal.h"

#include "base/file.h"
#include "base/mem.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <time.h>

enum { SIGV4_SUM_LEN = 32, SIGV4_READ_BYTES = 256 << 10 };

static void sigv4_hex(const unsigned char sum[SIGV4_SUM_LEN], char ret_hex[SIGV4_HASH_LEN + 1])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < SIGV4_SUM_LEN; i++) {
		ret_hex[2 * i] = digits[sum[i] >> 4];
		ret_hex[2 * i + 1] = digits[sum[i] & 15];
	}
	ret_hex[SIGV4_HASH_LEN] = '\0';
}

void sigv4_hash(struct slice body, char ret_hash[SIGV4_HASH_LEN + 1])
{
	unsigned char sum[SIGV4_SUM_LEN];
	const char *bytes = body.len > 0 ? body.ptr : "";
	int ok = EVP_Digest(bytes, body.len, sum, NULL, EVP_sha256(), NULL);

	assert(ok == 1);		/* nothing in it can fail but memory */
	(void)ok;
	sigv4_hex(sum, ret_hash);
}

enum err_code sigv4_hash_file(int fd, uint64_t offset, uint64_t len,
			      char ret_hash[SIGV4_HASH_LEN + 1], struct err *err)
{
	EVP_MD_CTX *context = mem_or_abort(EVP_MD_CTX_new());
	char *bytes = xmalloc(SIGV4_READ_BYTES);
	unsigned char sum[SIGV4_SUM_LEN];
	enum err_code code = ERR_OK;
	int ok = EVP_DigestInit_ex(context, EVP_sha256(), NULL);

	while (len > 0 && code == ERR_OK) {
		size_t want = len < SIGV4_READ_BYTES ? (size_t)len : SIGV4_READ_BYTES;
		int sys = 0;

		if (file_read_at(fd, bytes, want, offset, &sys) < want)
			code = err_set(err, ERR_IO, "a body could not be read from its file: %s",
				       sys ? strerror(sys) : "it is shorter than it was");
		else
			ok &= EVP_DigestUpdate(context, bytes, want);
		offset += want;
		len -= want;
	}
	ok &= EVP_DigestFinal_ex(context, sum, NULL);
	assert(ok == 1);
	if (code == ERR_OK)
		sigv4_hex(sum, ret_hash);
	free(bytes);
	EVP_MD_CTX_free(context);
	return code;
}

void sigv4_date(int64_t unix_s, char ret_date[SIGV4_DATE_LEN + 1])
{
	time_t s = (time_t)unix_s;
	struct tm tm = { 0 };

	(void)gmtime_r(&s, &tm);
	if (strftime(ret_date, SIGV4_DATE_LEN + 1, "%Y%m%dT%H%M%SZ", &tm) != SIGV4_DATE_LEN)
		memcpy(ret_date, "19700101T000000Z", SIGV4_DATE_LEN + 1);
}

/* Of `len` digits; -1: they are none. */
static int sigv4_number(const char *text, size_t len)
{
	int number = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		number = number * 10 + (text[i] - '0');
	}
	return number;
}

bool sigv4_date_read(struct slice date, int64_t *ret_unix_s)
{
	char again[SIGV4_DATE_LEN + 1];
	struct tm tm = { 0 };
	int64_t unix_s;

	if (date.len != SIGV4_DATE_LEN || date.ptr[8] != 'T' || date.ptr[15] != 'Z')
		return false;
	tm.tm_year = sigv4_number(date.ptr, 4) - 1900;
	tm.tm_mon = sigv4_number(date.ptr + 4, 2) - 1;
	tm.tm_mday = sigv4_number(date.ptr + 6, 2);
	tm.tm_hour = sigv4_number(date.ptr + 9, 2);
	tm.tm_min = sigv4_number(date.ptr + 11, 2);
	tm.tm_sec = sigv4_number(date.ptr + 13, 2);
	unix_s = (int64_t)timegm(&tm);
	/* What is no date, as of the 31st of April, becomes another one. */
	sigv4_date(unix_s, again);
	if (!slice_is(date, again))
		return false;
	*ret_unix_s = unix_s;
	return true;
}

static void sigv4_mac(const unsigned char *key, size_t key_len, struct slice text,
		      unsigned char ret_sum[SIGV4_SUM_LEN])
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	const char *bytes = text.len > 0 ? text.ptr : "";
	const void *done = HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)bytes,
				text.len, sum, &len);

	assert(done && len == SIGV4_SUM_LEN);
	(void)done;
	memcpy(ret_sum, sum, SIGV4_SUM_LEN);
}

static void sigv4_signing_key(struct slice secret, struct slice day,
			      const struct sigv4_scope *scope,
			      unsigned char ret_key[SIGV4_SUM_LEN])
{
	size_t len = strlen("AWS4") + secret.len;
	char *first = xmalloc(len + 1);

	memcpy(first, "AWS4", strlen("AWS4"));
	if (secret.len > 0)
		memcpy(first + strlen("AWS4"), secret.ptr, secret.len);
	sigv4_mac((unsigned char *)first, len, day, ret_key);
	sigv4_mac(ret_key, SIGV4_SUM_LEN, scope->region, ret_key);
	sigv4_mac(ret_key, SIGV4_SUM_LEN, scope->service, ret_key);
	sigv4_mac(ret_key, SIGV4_SUM_LEN, slice_str(SIGV4_TERMINATOR), ret_key);
	OPENSSL_cleanse(first, len);
	free(first);
}

static void sigv4_put_scope(struct buf *out, struct slice day, const struct sigv4_scope *scope)
{
	buf_addf(out, "%.*s/%.*s/%.*s/" SIGV4_TERMINATOR, SLICE_ARG(day),
		 SLICE_ARG(scope->region), SLICE_ARG(scope->service));
}

static void sigv4_signature(struct slice canonical, struct slice date, struct slice secret,
			    const struct sigv4_scope *scope, char ret_hex[SIGV4_HASH_LEN + 1])
{
	struct slice day = slice_of(date.ptr, SIGV4_DAY_LEN);
	unsigned char key[SIGV4_SUM_LEN], sum[SIGV4_SUM_LEN];
	char hash[SIGV4_HASH_LEN + 1];
	struct buf text;

	sigv4_hash(canonical, hash);
	buf_init(&text, SIGV4_CANONICAL_MAX);
	buf_addf(&text, SIGV4_ALGORITHM "\n%.*s\n", SLICE_ARG(date));
	sigv4_put_scope(&text, day, scope);
	buf_addf(&text, "\n%s", hash);
	sigv4_signing_key(secret, day, scope, key);
	sigv4_mac(key, sizeof(key), buf_slice(&text), sum);
	sigv4_hex(sum, ret_hex);
	OPENSSL_cleanse(key, sizeof(key));
	buf_release(&text);
}

enum err_code sigv4_compute(const struct sigv4_request *request, struct sigv4_pairs *pairs,
			    const struct slice *only, struct slice date, struct slice secret,
			    const struct sigv4_scope *scope, char ret_hex[SIGV4_HASH_LEN + 1],
			    struct err *err)
{
	struct buf canonical;
	enum err_code code;

	sigv4_pairs_sort(pairs);
	buf_init(&canonical, SIGV4_CANONICAL_MAX);
	code = sigv4_put_canonical(request, pairs, only, &canonical, err);
	if (code == ERR_OK)
		sigv4_signature(buf_slice(&canonical), date, secret, scope, ret_hex);
	buf_release(&canonical);
	return code;
}

static enum err_code sigv4_need_host(const struct sigv4_request *request, struct err *err)
{
	if (sigv4_header(request, "host"))
		return ERR_OK;
	return err_set(err, ERR_USAGE, "a request without the header \"host\" cannot be signed");
}

enum err_code sigv4_sign(const struct sigv4_request *request, const struct sigv4_key *key,
			 const struct sigv4_scope *scope, struct buf *out, struct err *err)
{
	const struct sigv4_pair *date = sigv4_header(request, "x-amz-date");
	char signature[SIGV4_HASH_LEN + 1];
	struct sigv4_pairs pairs;
	enum err_code code = sigv4_need_host(request, err);
	int64_t unix_s;

	if (code != ERR_OK)
		return code;
	if (!date || !sigv4_date_read(date->value, &unix_s))
		return err_set(err, ERR_USAGE, "a request without a date cannot be signed");
	sigv4_pairs_init(&pairs);
	code = sigv4_pairs_read(&pairs, request->query, NULL, err);
	if (code == ERR_OK)
		code = sigv4_compute(request, &pairs, NULL, date->value, key->secret, scope,
				     signature, err);
	sigv4_pairs_release(&pairs);
	if (code != ERR_OK)
		return code;
	buf_addf(out, SIGV4_ALGORITHM " Credential=%.*s/", SLICE_ARG(key->id));
	sigv4_put_scope(out, slice_of(date->value.ptr, SIGV4_DAY_LEN), scope);
	buf_add_str(out, ", SignedHeaders=");
	code = sigv4_put_names(request, NULL, out, err);
	buf_addf(out, ", Signature=%s", signature);
	return code;
}

static enum err_code sigv4_pairs_add_str(struct sigv4_pairs *pairs, const char *name,
					 struct slice value, struct err *err)
{
	return sigv4_pairs_add(pairs, slice_str(name), value, err);
}

/* What a presigned query has beside its own pairs and the signature. */
static enum err_code sigv4_add_claim(struct sigv4_pairs *pairs,
				     const struct sigv4_request *request,
				     const struct sigv4_key *key, const struct sigv4_scope *scope,
				     struct slice date, int64_t expires_s, struct err *err)
{
	enum err_code code;
	struct buf text;
	size_t names;

	buf_init(&text, SIGV4_CANONICAL_MAX);
	buf_add_slice(&text, key->id);
	buf_add_char(&text, '/');
	sigv4_put_scope(&text, slice_of(date.ptr, SIGV4_DAY_LEN), scope);
	code = sigv4_pairs_add_str(pairs, "X-Amz-Algorithm", slice_str(SIGV4_ALGORITHM), err);
	if (code == ERR_OK)
		code = sigv4_pairs_add_str(pairs, "X-Amz-Credential", buf_slice(&text), err);
	if (code == ERR_OK)
		code = sigv4_pairs_add_str(pairs, "X-Amz-Date", date, err);
	if (code == ERR_OK && key->token.len > 0)
		code = sigv4_pairs_add_str(pairs, "X-Amz-Security-Token", key->token, err);
	buf_clear(&text);
	buf_add_i64(&text, expires_s);
	if (code == ERR_OK)
		code = sigv4_pairs_add_str(pairs, "X-Amz-Expires", buf_slice(&text), err);
	names = text.len;
	if (code == ERR_OK)
		code = sigv4_put_names(request, NULL, &text, err);
	if (code == ERR_OK)
		code = sigv4_pairs_add_str(pairs, "X-Amz-SignedHeaders",
					   slice_from(buf_slice(&text), names), err);
	buf_release(&text);
	return code;
}

enum err_code sigv4_presign(const struct sigv4_request *request, const struct sigv4_key *key,
			    const struct sigv4_scope *scope, int64_t unix_s, int64_t expires_s,
			    struct buf *out, struct err *err)
{
	char signature[SIGV4_HASH_LEN + 1], date[SIGV4_DATE_LEN + 1];
	struct sigv4_pairs pairs;
	enum err_code code = sigv4_need_host(request, err);

	if (code == ERR_OK && (expires_s < 1 || expires_s > SIGV4_EXPIRES_MAX_S))
		code = err_set(err, ERR_USAGE, "a signature may last 1 to %d seconds",
			       SIGV4_EXPIRES_MAX_S);
	if (code != ERR_OK)
		return code;
	sigv4_date(unix_s, date);
	sigv4_pairs_init(&pairs);
	code = sigv4_pairs_read(&pairs, request->query, NULL, err);
	if (code == ERR_OK)
		code = sigv4_add_claim(&pairs, request, key, scope, slice_str(date), expires_s,
				       err);
	if (code == ERR_OK)
		code = sigv4_compute(request, &pairs, NULL, slice_str(date), key->secret, scope,
				     signature, err);
	if (code == ERR_OK) {
		sigv4_pairs_put(&pairs, out);
		buf_addf(out, "&X-Amz-Signature=%s", signature);
	}
	sigv4_pairs_release(&pairs);
	return code;
}
