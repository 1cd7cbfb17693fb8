/*
 * Signatures. The input is a request, piece by piece: a byte of its path's rule and how many pairs
 * its query has, one of what is changed in it, then method, path, query and headers, each ended by
 * a zero byte. What was signed verifies, in a header and in the query, and what was changed does
 * not; whatever a request claims by itself is read without harm.
 */
#include "fuzz.h"
#include "net/http_chars.h"
#include "net/sigv4.h"

#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define DATE "20150830T123600Z"

enum { UNIX_S = 1440938160, HEADERS = 6, TEXT_MAX = 1 << 18 };

static const struct sigv4_key key = { { "AKID/EXAMPLE", 12 }, { SECRET, 40 }, { "T/+=", 4 } };
static const struct sigv4_scope scope = { { "us-east-1", 9 }, { "s3", 2 } };

struct fuzzed {
	struct sigv4_pair headers[HEADERS + 4];
	struct sigv4_request request;
	struct buf path;
	struct buf query;
	struct buf signed_by;
};

static struct slice take_text(struct slice *input)
{
	const char *end = input->len ? memchr(input->ptr, '\0', input->len) : NULL;
	struct slice text = slice_of(input->ptr, end ? (size_t)(end - input->ptr) : input->len);

	*input = slice_from(*input, end ? text.len + 1 : text.len);
	return text;
}

static void add_header(struct fuzzed *f, struct slice name, struct slice value)
{
	f->headers[f->request.header_count++] = (struct sigv4_pair){ name, value };
}

static bool is_name(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if (!http_is_token(name.ptr[i]))
			return false;
	return name.len > 0 && name.len < 256;
}

/* Of any bytes: encoded, as a client sends them. */
static void take_request(struct fuzzed *f, struct slice *input, uint8_t rule)
{
	struct slice name, value;
	size_t pairs = rule >> 2 & 3;

	*f = (struct fuzzed){ .request = { .headers = f->headers,
					   .path_rule = (enum sigv4_path)(rule % 3) } };
	buf_init(&f->path, TEXT_MAX);
	buf_init(&f->query, TEXT_MAX);
	buf_init(&f->signed_by, TEXT_MAX);
	f->request.method = take_text(input);
	buf_add_char(&f->path, '/');
	sigv4_encode(&f->path, take_text(input), true);
	for (size_t i = 0; i < pairs; i++) {
		sigv4_encode(&f->query, take_text(input), false);
		buf_add_char(&f->query, i % 2 ? '&' : '=');
	}
	add_header(f, slice_str("Host"), slice_str("example.com"));
	for (size_t i = 0; i < HEADERS && input->len > 0; i++) {
		name = take_text(input);
		value = take_text(input);
		/* None that the two forms have of their own. */
		if (is_name(name) && memchr("bcd", name.ptr[0], 3))
			add_header(f, name, value);
	}
	f->request.path = buf_slice(&f->path);
	f->request.query = buf_slice(&f->query);
	f->request.payload = slice_str(SIGV4_UNSIGNED);
}

static void release(struct fuzzed *f)
{
	buf_release(&f->path);
	buf_release(&f->query);
	buf_release(&f->signed_by);
}

static enum err_code verify(const struct fuzzed *f)
{
	struct sigv4_claim claim;
	struct err err;
	enum err_code code = sigv4_read(&f->request, &claim, &err);

	if (code == ERR_OK)
		code = sigv4_verify(&f->request, &claim, slice_str(SECRET), UNIX_S, &err);
	return code;
}

/* Another byte somewhere makes it another request; the first headers are signed. */
static void check_changed(struct fuzzed *f, uint8_t what, size_t headers)
{
	struct sigv4_request was = f->request;
	struct sigv4_pair *changed = &f->headers[what / 5 % headers];
	struct sigv4_pair header = *changed;
	struct buf text;

	buf_init(&text, TEXT_MAX);
	switch (what % 5) {
	case 0:
		buf_add_slice(&text, was.method);
		buf_add_char(&text, 'x');
		f->request.method = buf_slice(&text);
		break;
	case 1:
		buf_add_slice(&text, was.path);
		buf_add_char(&text, 'x');
		f->request.path = buf_slice(&text);
		break;
	case 2:
		buf_add_str(&text, "x&");
		buf_add_slice(&text, was.query);
		f->request.query = buf_slice(&text);
		break;
	case 3:
		f->request.payload = slice_str("0");
		break;
	default:
		buf_add_slice(&text, header.value);
		buf_add_char(&text, 'x');
		changed->value = buf_slice(&text);
	}
	FUZZ_MUST(verify(f) != ERR_OK);
	f->request = was;
	*changed = header;
	FUZZ_MUST(verify(f) == ERR_OK);
	buf_release(&text);
}

static void check_header_form(struct slice input)
{
	struct fuzzed f;
	struct err err;
	uint8_t rule = fuzz_take(&input), what = fuzz_take(&input);

	take_request(&f, &input, rule);
	add_header(&f, slice_str("x-amz-date"), slice_str(DATE));
	FUZZ_MUST(sigv4_sign(&f.request, &key, &scope, &f.signed_by, &err) == ERR_OK);
	add_header(&f, slice_str("authorization"), buf_slice(&f.signed_by));
	FUZZ_MUST(verify(&f) == ERR_OK);
	check_changed(&f, what, f.request.header_count - 1);
	release(&f);
}

static void check_query_form(struct slice input)
{
	struct fuzzed f;
	struct err err;
	uint8_t rule = fuzz_take(&input), what = fuzz_take(&input);

	take_request(&f, &input, rule);
	if (f.query.len > 0 && memmem(f.query.ptr, f.query.len, "X-Amz-", 6))
		goto out;		/* half presigned already */
	FUZZ_MUST(sigv4_presign(&f.request, &key, &scope, UNIX_S, 60, &f.signed_by, &err) ==
		  ERR_OK);
	f.request.query = buf_slice(&f.signed_by);
	FUZZ_MUST(verify(&f) == ERR_OK);
	check_changed(&f, what, f.request.header_count);
out:
	release(&f);
}

/* What comes is not ours: claims of any form. */
static void check_claim(struct slice input)
{
	struct fuzzed f;
	uint8_t rule = fuzz_take(&input);
	struct slice claimed = take_text(&input), query = take_text(&input);

	take_request(&f, &input, rule);
	add_header(&f, slice_str("x-amz-date"), slice_str(DATE));
	if (rule & 0x80)
		add_header(&f, slice_str("authorization"), claimed);
	f.request.query = query;
	FUZZ_MUST(verify(&f) != ERR_OK);
	release(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *copy = fuzz_padded(data, len, 0);
	struct slice input = slice_of(copy, len);
	struct buf decoded;

	buf_init(&decoded, TEXT_MAX);
	(void)sigv4_decode(&decoded, input);
	buf_release(&decoded);
	check_header_form(input);
	check_query_form(input);
	check_claim(input);
	free(copy);
	return 0;
}
