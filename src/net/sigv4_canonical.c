#include "net/sigv4_internal.h"

#include "base/mem.h"
#include "net/http_chars.h"

#include <strings.h>

static bool sigv4_is_plain(char c)
{
	return http_is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

void sigv4_encode(struct buf *out, struct slice bytes, bool keep_slash)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < bytes.len; i++) {
		unsigned char c = (unsigned char)bytes.ptr[i];
		char hex[3] = { '%', digits[c >> 4], digits[c & 15] };

		if (sigv4_is_plain((char)c) || (c == '/' && keep_slash))
			buf_add_char(out, (char)c);
		else
			buf_add(out, hex, sizeof(hex));
	}
}

bool sigv4_decode(struct buf *out, struct slice text)
{
	char *to = buf_room(out, text.len);
	size_t len;

	if (!to)
		return true;		/* the buffer is full, and says so */
	if (!http_unescape(text, false, to, &len))
		return false;
	buf_grew(out, len);
	return true;
}

void sigv4_pairs_init(struct sigv4_pairs *pairs)
{
	buf_init(&pairs->bytes, SIGV4_CANONICAL_MAX);
	pairs->count = 0;
}

void sigv4_pairs_release(struct sigv4_pairs *pairs)
{
	buf_release(&pairs->bytes);
}

enum err_code sigv4_pairs_add(struct sigv4_pairs *pairs, struct slice name, struct slice value,
			      struct err *err)
{
	struct sigv4_place place = { .name = pairs->bytes.len };

	(void)buf_room(&pairs->bytes, 1);	/* so that there is something to point into */
	if (pairs->count == SIGV4_PAIRS_MAX)
		return err_set(err, ERR_LIMIT, "a query has more than %d pairs", SIGV4_PAIRS_MAX);
	sigv4_encode(&pairs->bytes, name, false);
	place.value = pairs->bytes.len;
	place.name_len = place.value - place.name;
	sigv4_encode(&pairs->bytes, value, false);
	place.value_len = pairs->bytes.len - place.value;
	if (buf_full(&pairs->bytes))
		return err_set(err, ERR_LIMIT, "a query is too long to be signed");
	pairs->list[pairs->count++] = place;
	return ERR_OK;
}

static enum err_code sigv4_pairs_add_text(struct sigv4_pairs *pairs, struct slice pair,
					  const char *without, struct err *err)
{
	const char *equals = memchr(pair.ptr, '=', pair.len);
	size_t name_len = equals ? (size_t)(equals - pair.ptr) : pair.len;
	struct buf bytes;
	enum err_code code = ERR_OK;
	struct slice name, value;
	size_t split;

	buf_init(&bytes, SIGV4_CANONICAL_MAX);
	if (!sigv4_decode(&bytes, slice_of(pair.ptr, name_len)))
		goto broken;
	split = bytes.len;
	if (equals && !sigv4_decode(&bytes, slice_from(pair, name_len + 1)))
		goto broken;
	name = slice_of(bytes.ptr, split);
	value = slice_of(split < bytes.len ? bytes.ptr + split : NULL, bytes.len - split);
	if (!without || !slice_is(name, without))
		code = sigv4_pairs_add(pairs, name, value, err);
	buf_release(&bytes);
	return code;
broken:
	buf_release(&bytes);
	return err_set(err, ERR_USAGE, "a query has a \"%%\" without two hexadecimal digits");
}

enum err_code sigv4_pairs_read(struct sigv4_pairs *pairs, struct slice query, const char *without,
			       struct err *err)
{
	enum err_code code = ERR_OK;

	while (query.len > 0 && code == ERR_OK) {
		const char *end = memchr(query.ptr, '&', query.len);
		size_t len = end ? (size_t)(end - query.ptr) : query.len;

		if (len > 0)
			code = sigv4_pairs_add_text(pairs, slice_of(query.ptr, len), without, err);
		query = slice_from(query, end ? len + 1 : len);
	}
	return code;
}

static int sigv4_compare_bytes(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t len = a_len < b_len ? a_len : b_len;
	int order = len ? memcmp(a, b, len) : 0;

	return order ? order : (a_len > b_len) - (a_len < b_len);
}

static int sigv4_compare_places(const void *a, const void *b, void *bytes)
{
	const struct sigv4_place *x = a, *y = b;
	const char *text = bytes;
	int order = sigv4_compare_bytes(text + x->name, x->name_len, text + y->name, y->name_len);

	return order ? order : sigv4_compare_bytes(text + x->value, x->value_len,
						   text + y->value, y->value_len);
}

void sigv4_pairs_sort(struct sigv4_pairs *pairs)
{
	if (pairs->count > 1)
		qsort_r(pairs->list, pairs->count, sizeof(pairs->list[0]), sigv4_compare_places,
			pairs->bytes.ptr);
}

void sigv4_pairs_put(const struct sigv4_pairs *pairs, struct buf *out)
{
	for (size_t i = 0; i < pairs->count; i++) {
		const struct sigv4_place *place = &pairs->list[i];

		if (i > 0)
			buf_add_char(out, '&');
		buf_add(out, pairs->bytes.ptr + place->name, place->name_len);
		buf_add_char(out, '=');
		buf_add(out, pairs->bytes.ptr + place->value, place->value_len);
	}
}

/* "" and "." are nothing, and ".." takes the last one back. */
static void sigv4_put_segment(struct buf *out, struct slice segment)
{
	if (segment.len == 0 || slice_is(segment, "."))
		return;
	if (!slice_is(segment, "..")) {
		buf_add_char(out, '/');
		buf_add_slice(out, segment);
		return;
	}
	while (out->len > 0 && out->ptr[--out->len] != '/')
		;
}

static void sigv4_normalize(struct buf *out, struct slice path)
{
	bool ends_in_slash = path.len > 0 && path.ptr[path.len - 1] == '/';

	while (path.len > 0) {
		const char *end = memchr(path.ptr, '/', path.len);
		size_t len = end ? (size_t)(end - path.ptr) : path.len;

		sigv4_put_segment(out, slice_of(path.ptr, len));
		path = slice_from(path, end ? len + 1 : len);
	}
	if (ends_in_slash || out->len == 0)
		buf_add_char(out, '/');
}

static enum err_code sigv4_put_path(const struct sigv4_request *request, struct buf *out,
				    struct err *err)
{
	struct slice path = request->path.len > 0 ? request->path : slice_str("/");
	enum err_code code = ERR_OK;
	struct buf bytes;

	buf_init(&bytes, SIGV4_CANONICAL_MAX);
	if (request->path_rule == SIGV4_PATH_TWICE)
		sigv4_normalize(&bytes, path);
	else if (request->path_rule == SIGV4_PATH_TWICE_AS_IS)
		buf_add_slice(&bytes, path);
	else if (!sigv4_decode(&bytes, path))
		code = err_set(err, ERR_USAGE,
			       "a path has a \"%%\" without two hexadecimal digits");
	if (code == ERR_OK && buf_full(&bytes))
		code = err_set(err, ERR_LIMIT, "a path is too long to be signed");
	if (code == ERR_OK)
		sigv4_encode(out, buf_slice(&bytes), true);
	buf_release(&bytes);
	return code;
}

bool sigv4_names_have(struct slice names, struct slice name)
{
	while (names.len > 0) {
		const char *end = memchr(names.ptr, ';', names.len);
		size_t len = end ? (size_t)(end - names.ptr) : names.len;

		if (len == name.len && strncasecmp(names.ptr, name.ptr, len) == 0)
			return true;
		names = slice_from(names, end ? len + 1 : len);
	}
	return false;
}

const struct sigv4_pair *sigv4_header(const struct sigv4_request *request, const char *name)
{
	for (size_t i = 0; i < request->header_count; i++)
		if (slice_is_nocase(request->headers[i].name, name))
			return &request->headers[i];
	return NULL;
}

static int sigv4_compare_names(struct slice a, struct slice b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = len ? strncasecmp(a.ptr, b.ptr, len) : 0;

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* Others could not be told apart in the list of names. */
static bool sigv4_is_name(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if (!http_is_token(name.ptr[i]))
			return false;
	return name.len > 0;
}

/* Those of one name stay in the order that they have in the request. */
static int sigv4_compare_headers(const void *a, const void *b)
{
	const struct sigv4_pair *x = *(const struct sigv4_pair *const *)a;
	const struct sigv4_pair *y = *(const struct sigv4_pair *const *)b;
	int order = sigv4_compare_names(x->name, y->name);

	return order ? order : (x > y) - (x < y);
}

static enum err_code sigv4_sort_headers(const struct sigv4_request *request,
					const struct slice *only,
					const struct sigv4_pair *ret_list[SIGV4_HEADERS_MAX],
					size_t *ret_count, struct err *err)
{
	size_t count = 0;

	for (size_t i = 0; i < request->header_count; i++) {
		if (only && !sigv4_names_have(*only, request->headers[i].name))
			continue;
		if (count == SIGV4_HEADERS_MAX)
			return err_set(err, ERR_LIMIT, "more than %d headers are to be signed",
				       SIGV4_HEADERS_MAX);
		if (!sigv4_is_name(request->headers[i].name))
			return err_set(err, ERR_USAGE, "a header has a name that none can have");
		ret_list[count++] = &request->headers[i];
	}
	if (count > 1)
		qsort(ret_list, count, sizeof(ret_list[0]), sigv4_compare_headers);
	*ret_count = count;
	return ERR_OK;
}

static void sigv4_put_name(struct buf *out, struct slice name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];

		buf_add_char(out, (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c));
	}
}

static bool sigv4_is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void sigv4_put_value(struct buf *out, struct slice value)
{
	bool blank = false, begun = false;

	for (size_t i = 0; i < value.len; i++) {
		if (sigv4_is_blank(value.ptr[i])) {
			blank = begun;
			continue;
		}
		if (blank)
			buf_add_char(out, ' ');
		buf_add_char(out, value.ptr[i]);
		blank = false;
		begun = true;
	}
}

enum err_code sigv4_put_names(const struct sigv4_request *request, const struct slice *only,
			      struct buf *out, struct err *err)
{
	const struct sigv4_pair *list[SIGV4_HEADERS_MAX];
	size_t count;
	enum err_code code = sigv4_sort_headers(request, only, list, &count, err);

	for (size_t i = 0; code == ERR_OK && i < count; i++) {
		if (i > 0 && sigv4_compare_names(list[i]->name, list[i - 1]->name) == 0)
			continue;
		if (i > 0)
			buf_add_char(out, ';');
		sigv4_put_name(out, list[i]->name);
	}
	return code;
}

static enum err_code sigv4_put_headers(const struct sigv4_request *request,
				       const struct slice *only, struct buf *out, struct err *err)
{
	const struct sigv4_pair *list[SIGV4_HEADERS_MAX];
	size_t count;
	enum err_code code = sigv4_sort_headers(request, only, list, &count, err);

	for (size_t i = 0; code == ERR_OK && i < count; i++) {
		if (i > 0 && sigv4_compare_names(list[i]->name, list[i - 1]->name) == 0) {
			buf_add_char(out, ',');
		} else {
			if (i > 0)
				buf_add_char(out, '\n');
			sigv4_put_name(out, list[i]->name);
			buf_add_char(out, ':');
		}
		sigv4_put_value(out, list[i]->value);
	}
	return code;
}

enum err_code sigv4_put_canonical(const struct sigv4_request *request,
				  const struct sigv4_pairs *query, const struct slice *only,
				  struct buf *out, struct err *err)
{
	enum err_code code;

	buf_add_slice(out, request->method);
	buf_add_char(out, '\n');
	code = sigv4_put_path(request, out, err);
	if (code != ERR_OK)
		return code;
	buf_add_char(out, '\n');
	sigv4_pairs_put(query, out);
	buf_add_char(out, '\n');
	code = sigv4_put_headers(request, only, out, err);
	if (code != ERR_OK)
		return code;
	buf_add_str(out, "\n\n");
	code = sigv4_put_names(request, only, out, err);
	if (code != ERR_OK)
		return code;
	buf_add_char(out, '\n');
	buf_add_slice(out, request->payload);
	if (buf_full(out))
		return err_set(err, ERR_LIMIT, "a request is too long to be signed");
	return ERR_OK;
}
