/* sigv4_verify.c - what an arrived request says of its signature, and whether it is true. */
#include "net/sigv4_internal.h"

#include "base/mem.h"
#include "net/http_chars.h"

#include <openssl/crypto.h>
#include <strings.h>

/* Cuts what is before the last '/' off; false: there is none. */
static bool sigv4_cut_last(struct slice *text, struct slice *ret_last)
{
	const char *slash = text->len ? memrchr(text->ptr, '/', text->len) : NULL;

	if (!slash)
		return false;
	*ret_last = slice_from(*text, (size_t)(slash + 1 - text->ptr));
	text->len = (size_t)(slash - text->ptr);
	return true;
}

/* "ID/20150830/us-east-1/s3/aws4_request"; an id may hold any '/'. */
static enum err_code sigv4_read_credential(struct slice text, struct sigv4_claim *claim,
					   struct err *err)
{
	struct slice terminator;
	bool ok = sigv4_cut_last(&text, &terminator) &&
		  sigv4_cut_last(&text, &claim->scope.service) &&
		  sigv4_cut_last(&text, &claim->scope.region) && sigv4_cut_last(&text, &claim->day);

	claim->id = text;
	if (!ok || !slice_is(terminator, SIGV4_TERMINATOR) || text.len == 0)
		return err_set(err, ERR_SYNTAX,
			       "the credential of the signature is not \"ID/day/region/service/" SIGV4_TERMINATOR "\"");
	return ERR_OK;
}

/* What both forms of a claim have to be. */
static enum err_code sigv4_check_claim(const struct sigv4_claim *claim, struct err *err)
{
	int64_t unix_s;

	if (claim->names.len == 0 || claim->signature.len == 0)
		return err_set(err, ERR_SYNTAX, "the signature or the names of its headers are missing");
	if (!sigv4_date_read(claim->date, &unix_s))
		return err_set(err, ERR_SYNTAX, "the date of the signature is not like \"20150830T123600Z\"");
	if (!slice_eq(claim->day, slice_of(claim->date.ptr, SIGV4_DAY_LEN)))
		return err_set(err, ERR_SYNTAX, "the day of the credential is not that of the date");
	return ERR_OK;
}

/* One of "Credential=…, SignedHeaders=…, Signature=…". */
static enum err_code sigv4_read_part(struct slice part, struct sigv4_claim *claim,
				     struct slice *credential, struct err *err)
{
	static const char *const names[] = { "Credential=", "SignedHeaders=", "Signature=" };
	struct slice *const places[] = { credential, &claim->names, &claim->signature };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (!slice_starts(part, names[i]))
			continue;
		if (places[i]->ptr)
			return err_set(err, ERR_SYNTAX, "the signature says \"%s\" twice", names[i]);
		*places[i] = slice_from(part, strlen(names[i]));
		return ERR_OK;
	}
	return err_set(err, ERR_SYNTAX, "the header \"Authorization\" has an unknown part");
}

static enum err_code sigv4_read_header(const struct sigv4_request *request, struct slice text,
				       struct sigv4_claim *claim, struct err *err)
{
	const struct sigv4_pair *date = sigv4_header(request, "x-amz-date");
	struct slice credential = { 0 };
	enum err_code code = ERR_OK;

	text = slice_from(text, strlen(SIGV4_ALGORITHM));
	if (text.len > 0 && text.ptr[0] != ' ' && text.ptr[0] != '\t')
		return err_set(err, ERR_SYNTAX, "the signature is of an unknown algorithm");
	while (text.len > 0 && code == ERR_OK) {
		const char *end = memchr(text.ptr, ',', text.len);
		size_t len = end ? (size_t)(end - text.ptr) : text.len;

		code = sigv4_read_part(slice_trim(slice_of(text.ptr, len)), claim, &credential,
				       err);
		text = slice_from(text, end ? len + 1 : len);
	}
	if (code != ERR_OK)
		return code;
	if (date)
		claim->date = slice_trim(date->value);
	code = sigv4_read_credential(credential, claim, err);
	return code == ERR_OK ? sigv4_check_claim(claim, err) : code;
}

/* The decoded value of a pair of the query, in the claim's room; null: there is none. */
static enum err_code sigv4_query_value(struct slice query, const char *name,
				       struct sigv4_claim *claim, size_t *used,
				       struct slice *ret_value, struct err *err)
{
	size_t name_len = strlen(name);
	struct buf value;

	*ret_value = (struct slice){ 0 };
	while (query.len > 0) {
		const char *end = memchr(query.ptr, '&', query.len);
		size_t len = end ? (size_t)(end - query.ptr) : query.len;

		if (len > name_len && !memcmp(query.ptr, name, name_len) &&
		    query.ptr[name_len] == '=') {
			buf_init(&value, sizeof(claim->room) - *used);
			if (!sigv4_decode(&value, slice_of(query.ptr + name_len + 1,
							   len - name_len - 1)) ||
			    buf_full(&value) || ret_value->ptr) {
				buf_release(&value);
				return err_set(err, ERR_SYNTAX, "\"%s\" of the query is not what it should be", name);
			}
			if (value.len > 0)
				memcpy(claim->room + *used, value.ptr, value.len);
			*ret_value = slice_of(claim->room + *used, value.len);
			*used += value.len;
			buf_release(&value);
		}
		query = slice_from(query, end ? len + 1 : len);
	}
	return ERR_OK;
}

static bool sigv4_read_expires(struct slice text, int64_t *ret_expires_s)
{
	int64_t expires_s = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9' || expires_s > SIGV4_EXPIRES_MAX_S)
			return false;
		expires_s = expires_s * 10 + (text.ptr[i] - '0');
	}
	*ret_expires_s = expires_s;
	return expires_s >= 1 && expires_s <= SIGV4_EXPIRES_MAX_S;
}

static enum err_code sigv4_read_query(const struct sigv4_request *request,
				      struct sigv4_claim *claim, struct err *err)
{
	struct slice algorithm, credential = { 0 }, expires = { 0 };
	const struct {
		const char *name;
		struct slice *value;
	} pairs[] = {
		{ "X-Amz-Algorithm", &algorithm }, { "X-Amz-Credential", &credential },
		{ "X-Amz-Date", &claim->date }, { "X-Amz-Expires", &expires },
		{ "X-Amz-SignedHeaders", &claim->names }, { "X-Amz-Signature", &claim->signature },
	};
	enum err_code code = ERR_OK;
	size_t used = 0;

	for (size_t i = 0; i < ARRAY_LEN(pairs) && code == ERR_OK; i++)
		code = sigv4_query_value(request->query, pairs[i].name, claim, &used,
					 pairs[i].value, err);
	if (code != ERR_OK)
		return code;
	if (!algorithm.ptr && !claim->signature.ptr)
		return err_set(err, ERR_ABSENT, "the request is not signed");
	if (!slice_is(algorithm, SIGV4_ALGORITHM))
		return err_set(err, ERR_SYNTAX, "the signature is of an unknown algorithm");
	if (!sigv4_read_expires(expires, &claim->expires_s))
		return err_set(err, ERR_SYNTAX, "\"X-Amz-Expires\" is not 1 to %d seconds",
			       SIGV4_EXPIRES_MAX_S);
	code = sigv4_read_credential(credential, claim, err);
	return code == ERR_OK ? sigv4_check_claim(claim, err) : code;
}

enum err_code sigv4_read(const struct sigv4_request *request, struct sigv4_claim *ret_claim,
			 struct err *err)
{
	const struct sigv4_pair *header = sigv4_header(request, "authorization");

	*ret_claim = (struct sigv4_claim){ 0 };
	if (!header)
		return sigv4_read_query(request, ret_claim, err);
	if (!slice_starts(header->value, SIGV4_ALGORITHM))
		return err_set(err, ERR_SYNTAX, "the signature is of an unknown algorithm");
	return sigv4_read_header(request, header->value, ret_claim, err);
}

static enum err_code sigv4_check_covered(const struct sigv4_request *request,
					 const struct sigv4_claim *claim, struct err *err)
{
	struct buf names;
	enum err_code code;
	bool same;

	if (!sigv4_header(request, "host") || !sigv4_names_have(claim->names, slice_str("host")))
		return err_set(err, ERR_DENIED, "the header \"host\" is not signed");
	for (size_t i = 0; i < request->header_count; i++) {
		struct slice name = request->headers[i].name;

		if (name.len > strlen("x-amz-") && !strncasecmp(name.ptr, "x-amz-", 6) &&
		    !sigv4_names_have(claim->names, name))
			return err_set(err, ERR_DENIED, "the header \"%.*s\" is not signed",
				       SLICE_ARG(name));
	}
	/* The list itself is signed as it is made here: sorted, each once, all of them there. */
	buf_init(&names, SIGV4_CANONICAL_MAX);
	code = sigv4_put_names(request, &claim->names, &names, err);
	same = slice_eq(buf_slice(&names), claim->names);
	buf_release(&names);
	if (code == ERR_OK && !same)
		code = err_set(err, ERR_DENIED, "the names of the signed headers are not those of the request");
	return code;
}

static enum err_code sigv4_check_time(const struct sigv4_claim *claim, int64_t now_s,
				      struct err *err)
{
	int64_t date_s = 0;
	int64_t end_s;

	if (!sigv4_date_read(claim->date, &date_s))
		return err_set(err, ERR_EXPIRED, "the signature has no date");
	end_s = date_s + (claim->expires_s ? claim->expires_s : SIGV4_SKEW_S);
	if (now_s > end_s)
		return err_set(err, ERR_EXPIRED, "the signature of %.*s is too old",
			       SLICE_ARG(claim->date));
	if (now_s < date_s - SIGV4_SKEW_S)
		return err_set(err, ERR_EXPIRED, "the signature of %.*s is of a time to come",
			       SLICE_ARG(claim->date));
	return ERR_OK;
}

enum err_code sigv4_verify(const struct sigv4_request *request, const struct sigv4_claim *claim,
			   struct slice secret, int64_t now_s, struct err *err)
{
	char signature[SIGV4_HASH_LEN + 1];
	struct sigv4_pairs pairs;
	enum err_code code = sigv4_check_covered(request, claim, err);

	if (code == ERR_OK)
		code = sigv4_check_time(claim, now_s, err);
	if (code != ERR_OK)
		return code;
	sigv4_pairs_init(&pairs);
	code = sigv4_pairs_read(&pairs, request->query,
				claim->expires_s ? "X-Amz-Signature" : NULL, err);
	if (code == ERR_OK)
		code = sigv4_compute(request, &pairs, &claim->names, claim->date, secret,
				     &claim->scope, signature, err);
	sigv4_pairs_release(&pairs);
	if (code == ERR_OK && (claim->signature.len != SIGV4_HASH_LEN ||
			       CRYPTO_memcmp(claim->signature.ptr, signature, SIGV4_HASH_LEN)))
		return err_set(err, ERR_AUTH, "the signature is not that of this request and key");
	return code == ERR_OK ? ERR_OK : err_set(err, ERR_AUTH, "the request cannot be verified");
}
