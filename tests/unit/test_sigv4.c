/* Signatures: AWS's vectors (a few here, all where they are at hand), and what must not verify. */
#include "base/json.h"
#include "base/mem.h"
#include "net/sigv4_internal.h"
#include "testing.h"

#include <dirent.h>
#include <fcntl.h>
#include <strings.h>
#include <unistd.h>

#define ID "AKIDEXAMPLE"
#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define DATE "20150830T123600Z"

enum { UNIX_S = 1440938160, TEXT_MAX = 1 << 20 };

static struct err err;

/* As AWS gives them: the request's text, and what its two signatures are. */
struct vector {
	const char *name;
	const char *text;
	bool normalize;
	bool sign_body;
	const char *token;
	const char *header;
	const char *query;
};

static const struct vector vectors[] = {
	{ "get-utf8", "GET /ሴ HTTP/1.1\nHost:example.amazonaws.com\n",
	  true, false, "",
	  "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
	  "10eae3f14a260bd3911cc6d008d3c576d143b05b62f09782a7a4b37f52178e44" },
	{ "get-slashes-unnormalized", "GET //example// HTTP/1.1\nHost:example.amazonaws.com\n",
	  false, false, "",
	  "87cca117541a147f6df867677d98a7d80dff226d2bfca9e4ffa899665623c7e5",
	  "822a5a9ba28072c5ab2bb4a6307d0c88276d40e49fec6b724c03fb4d4ba60fc2" },
	{ "get-slashes-normalized", "GET //example// HTTP/1.1\nHost:example.amazonaws.com\n",
	  true, false, "",
	  "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84",
	  "c1834e8fb0307243711f0f907f6ab7311ed300d87f13792d7ee4da89ab93e082" },
	{ "get-relative-relative-normalized", "GET /example1/example2/../.. HTTP/1.1\nHost:example.amazonaws.com\n",
	  true, false, "",
	  "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
	  "e93c787ed7f371d5c6b165c1b38ede9550f4dce4144713e844b25b7192d3865d" },
	{ "get-space-normalized", "GET /example space/ HTTP/1.1\nHost:example.amazonaws.com\n",
	  true, false, "",
	  "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
	  "7a1f416954786484c9824d93c1f26ef64acb9b1b6c9154d08c9f07d0e394abf6" },
	{ "get-header-key-duplicate", "GET / HTTP/1.1\nHost:example.amazonaws.com\nMy-Header1:value2\nMy-Header1:value2\nMy-Header1:value1\n",
	  true, false, "",
	  "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
	  "3349ee0b81b4b589da0ff28a395c3591e04de515651dd74f298fa992d1507a97" },
	{ "get-header-value-multiline", "GET / HTTP/1.1\nHost:example.amazonaws.com\nMy-Header1:value1\n  value2\n     value3\n",
	  true, false, "",
	  "cfd34249e4b1c8d6b91ef74165d41a32e5fab3306300901bb65a51a73575eefd",
	  "e6f5def831211aca02987a44b96826706278c7bc078112ae0263659c5b2f2d56" },
	{ "get-header-value-trim", "GET / HTTP/1.1\nHost:example.amazonaws.com\nMy-Header1: value1\nMy-Header2: \"a   b   c\"\n",
	  true, false, "",
	  "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
	  "e7bb0fd515e125e1aec2ecc4c0c17484fb06f6846b927c35e46005dd3df3acd4" },
	{ "get-vanilla-query-order-encoded", "GET /?Param-3=Value3&Param=Value2&%E1%88%B4=Value1 HTTP/1.1\nHost:example.amazonaws.com\n",
	  true, false, "",
	  "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
	  "c5f1848ceec943ac2ca68ee720460c23aaae30a2300586597ada94c4a65e4787" },
	{ "get-vanilla-with-session-token", "GET / HTTP/1.1\nHost:example.amazonaws.com\n",
	  true, false, "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267",
	  "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
	  "7ff2b50b376cb4d151970630573d6291dc128cc5c2a12ffb237f73cc53f67b6c" },
	{ "post-x-www-form-urlencoded-parameters", "POST / HTTP/1.1\nContent-Type:application/x-www-form-urlencoded; charset=utf-8\nHost:example.amazonaws.com\nContent-Length:13\n\nParam1=value1",
	  true, true, "",
	  "328d1b9eaadca9f5818ef05e8392801e091653bafec24fcab71e7344e7f51422",
	  "0dbeb9b026c7b6675f266b8427efec9b4fa8b1f6ef1477d717aea231106eab4d" },
};

struct fixture {
	struct sigv4_pair headers[SIGV4_HEADERS_MAX];
	struct sigv4_request request;
	struct slice body;
	char hash[SIGV4_HASH_LEN + 1];
	struct buf out;
};

static const struct sigv4_key key = { { ID, 11 }, { SECRET, 40 }, { NULL, 0 } };
static const struct sigv4_scope scope = { { "us-east-1", 9 }, { "service", 7 } };

static void add_header(struct fixture *f, const char *name, struct slice value)
{
	assert_true(f->request.header_count < SIGV4_HEADERS_MAX);
	f->headers[f->request.header_count++] =
		(struct sigv4_pair){ slice_str(name), value };
}

static void read_target(struct fixture *f, struct slice line)
{
	const char *space = memchr(line.ptr, ' ', line.len), *question;
	struct slice target;

	f->request.method = slice_of(line.ptr, (size_t)(space - line.ptr));
	target = slice_from(line, f->request.method.len + 1);
	target.len -= strlen(" HTTP/1.1");
	question = memchr(target.ptr, '?', target.len);
	f->request.path = question ? slice_of(target.ptr, (size_t)(question - target.ptr)) : target;
	if (question)
		f->request.query = slice_from(target, f->request.path.len + 1);
}

/* Up to the line's end, and on over lines that begin with a blank. */
static size_t header_len(struct slice text)
{
	size_t len = 0;

	while (len < text.len && !(text.ptr[len] == '\n' &&
				   (len + 1 == text.len || text.ptr[len + 1] != ' ')))
		len++;
	return len;
}

static void read_request(struct fixture *f, const struct vector *v)
{
	struct slice text = slice_str(v->text);
	size_t len = header_len(text);

	memset(f, 0, sizeof(*f));
	buf_init(&f->out, TEXT_MAX);
	f->request.headers = f->headers;
	f->request.path_rule = v->normalize ? SIGV4_PATH_TWICE : SIGV4_PATH_TWICE_AS_IS;
	read_target(f, slice_of(text.ptr, len));
	text = slice_from(text, len < text.len ? len + 1 : len);
	while (text.len > 0 && text.ptr[0] != '\n') {
		const char *colon = memchr(text.ptr, ':', text.len);
		size_t name = (size_t)(colon - text.ptr);

		len = header_len(text);
		f->headers[f->request.header_count++] = (struct sigv4_pair){
			slice_of(text.ptr, name), slice_of(colon + 1, len - name - 1) };
		text = slice_from(text, len < text.len ? len + 1 : len);
	}
	f->body = text.len > 0 ? slice_from(text, 1) : text;
	sigv4_hash(f->body, f->hash);
	f->request.payload = slice_str(f->hash);
}

static void check_verifies(const struct fixture *f, int64_t now_s, enum err_code expected)
{
	struct sigv4_claim claim;
	enum err_code code = sigv4_read(&f->request, &claim, &err);

	if (code == ERR_OK) {
		assert_true(slice_is(claim.id, ID));
		assert_true(slice_is(claim.scope.region, "us-east-1"));
		code = sigv4_verify(&f->request, &claim, slice_str(SECRET), now_s, &err);
	}
	if (code != expected)
		fail_msg("%s expected, got %s: %s", err_name(expected), err_name(code),
			 code ? err.msg : "");
}

static void check_header_form(const struct vector *v)
{
	struct fixture f;
	const char *found;

	read_request(&f, v);
	add_header(&f, "X-Amz-Date", slice_str(DATE));
	if (v->token[0])
		add_header(&f, "X-Amz-Security-Token", slice_str(v->token));
	if (v->sign_body)
		add_header(&f, "x-amz-content-sha256", slice_str(f.hash));
	assert_ok(sigv4_sign(&f.request, &key, &scope, &f.out, &err));
	found = strstr(buf_cstr(&f.out), "Signature=");
	if (!found || strcmp(found + strlen("Signature="), v->header) != 0)
		fail_msg("%s: %s instead of %s", v->name, buf_cstr(&f.out), v->header);
	add_header(&f, "Authorization", buf_slice(&f.out));
	check_verifies(&f, UNIX_S, ERR_OK);
	f.request.method = slice_str("DELETE");
	check_verifies(&f, UNIX_S, ERR_AUTH);
	buf_release(&f.out);
}

static void check_query_form(const struct vector *v)
{
	struct sigv4_key with_token = key;
	struct fixture f;
	const char *found;

	read_request(&f, v);
	with_token.token = slice_str(v->token);
	assert_ok(sigv4_presign(&f.request, &with_token, &scope, UNIX_S, 3600, &f.out, &err));
	found = strstr(buf_cstr(&f.out), "X-Amz-Signature=");
	if (!found || strcmp(found + strlen("X-Amz-Signature="), v->query) != 0)
		fail_msg("%s: %s instead of %s", v->name, buf_cstr(&f.out), v->query);
	f.request.query = buf_slice(&f.out);
	check_verifies(&f, UNIX_S + 3600, ERR_OK);
	check_verifies(&f, UNIX_S + 3601, ERR_EXPIRED);
	f.request.method = slice_str("DELETE");
	check_verifies(&f, UNIX_S, ERR_AUTH);
	buf_release(&f.out);
}

static void test_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		check_header_form(&vectors[i]);
		check_query_form(&vectors[i]);
	}
}

/* A file of a vector; the caller frees it. */
static char *vector_file(const char *name, const char *file)
{
	char path[1024];
	char *text = xcalloc(1, 65536);
	size_t len;
	FILE *in;

	(void)snprintf(path, sizeof(path), TEST_SHARED "/data/sigv4/%s/%s", name, file);
	in = fopen(path, "re");
	if (!in)
		fail_msg("cannot read %s", path);
	len = fread(text, 1, 65535, in);
	(void)fclose(in);
	while (len > 0 && strcmp(file, "request.txt") != 0 && text[len - 1] == '\n')
		text[--len] = '\0';
	return text;
}

static bool context_bool(struct json context, const char *name)
{
	struct json member;
	bool value = false;

	return json_member(context, name, &member) && json_get_bool(member, &value) && value;
}

static void check_vector_of(const char *name, struct json_parser *parser)
{
	char *text = vector_file(name, "request.txt");
	char *context_text = vector_file(name, "context.json");
	char *header = vector_file(name, "header-signature.txt");
	char *query = vector_file(name, "query-signature.txt");
	struct json context, credentials, token;
	struct slice value = { 0 };
	char token_text[4096] = "";
	struct vector v = { .name = name, .text = text, .header = header, .query = query };

	assert_ok(json_parse(parser, slice_str(context_text), &context, &err));
	v.normalize = context_bool(context, "normalize");
	v.sign_body = context_bool(context, "sign_body");
	assert_true(json_member(context, "credentials", &credentials));
	if (!context_bool(context, "omit_session_token") &&
	    json_member(credentials, "token", &token) && json_get_string(token, &value))
		(void)snprintf(token_text, sizeof(token_text), "%.*s", SLICE_ARG(value));
	v.token = token_text;
	check_header_form(&v);
	check_query_form(&v);
	free(text);
	free(context_text);
	free(header);
	free(query);
}

static void test_all_vectors(void **state)
{
	struct json_parser *parser;
	struct dirent *entry;
	size_t count = 0;
	DIR *dir = opendir(TEST_SHARED "/data/sigv4");

	(void)state;
	if (!dir)
		skip();
	parser = json_parser_new(65536);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || entry->d_type == DT_REG)
			continue;
		check_vector_of(entry->d_name, parser);
		count++;
	}
	json_parser_free(parser);
	(void)closedir(dir);
	assert_true(count > 30);
}

/* The examples of S3's own documents. */
#define S3_ID "AKIAIOSFODNN7EXAMPLE"
#define S3_SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define S3_HOST "examplebucket.s3.amazonaws.com"

static const struct sigv4_key s3_key = { { S3_ID, 20 }, { S3_SECRET, 40 }, { NULL, 0 } };
static const struct sigv4_scope s3_scope = { { "us-east-1", 9 }, { "s3", 2 } };

struct s3_case {
	const char *method;
	const char *path;
	const char *query;
	const char *header[4];		/* names and values */
	const char *body;
	const char *signature;
};

static void test_s3_examples(void **state)
{
	static const struct s3_case cases[] = {
		{ "GET", "/test.txt", "", { "Range", "bytes=0-9" }, "",
		  "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41" },
		{ "PUT", "/test$file.text", "",
		  { "date", "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class",
		    "REDUCED_REDUNDANCY" },
		  "Welcome to Amazon S3.",
		  "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd" },
		{ "GET", "/", "lifecycle", { NULL }, "",
		  "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543" },
		{ "GET", "/", "prefix=J&max-keys=2", { NULL }, "",
		  "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct s3_case *c = &cases[i];
		struct fixture f = { .request = { .method = slice_str(c->method),
						  .path = slice_str(c->path),
						  .query = slice_str(c->query) } };

		buf_init(&f.out, TEXT_MAX);
		f.request.headers = f.headers;
		sigv4_hash(slice_str(c->body), f.hash);
		f.request.payload = slice_str(f.hash);
		add_header(&f, "Host", slice_str(S3_HOST));
		add_header(&f, "x-amz-date", slice_str("20130524T000000Z"));
		add_header(&f, "x-amz-content-sha256", slice_str(f.hash));
		for (size_t h = 0; h < 4 && c->header[h]; h += 2)
			add_header(&f, c->header[h], slice_str(c->header[h + 1]));
		assert_ok(sigv4_sign(&f.request, &s3_key, &s3_scope, &f.out, &err));
		assert_non_null(strstr(buf_cstr(&f.out), c->signature));
		buf_release(&f.out);
	}
}

static void test_s3_presigned_example(void **state)
{
	static const struct sigv4_pair host = { { "host", 4 }, { S3_HOST, sizeof(S3_HOST) - 1 } };
	struct sigv4_request request = { .method = slice_str("GET"), .headers = &host,
					 .path = slice_str("/test.txt"), .header_count = 1,
					 .payload = slice_str(SIGV4_UNSIGNED) };
	struct buf out;

	(void)state;
	buf_init(&out, TEXT_MAX);
	assert_ok(sigv4_presign(&request, &s3_key, &s3_scope, 1369353600, 86400, &out, &err));
	assert_non_null(strstr(buf_cstr(&out), "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"));
	buf_release(&out);
}

static void check_path(enum sigv4_path rule, const char *wire, const char *expected)
{
	struct sigv4_request request = { .method = slice_str("GET"), .path = slice_str(wire),
					 .payload = slice_str("hash"), .path_rule = rule };
	struct sigv4_pairs pairs;
	char whole[256];
	struct buf out;

	sigv4_pairs_init(&pairs);
	buf_init(&out, TEXT_MAX);
	assert_ok(sigv4_put_canonical(&request, &pairs, NULL, &out, &err));
	(void)snprintf(whole, sizeof(whole), "GET\n%s\n\n\n\n\nhash", expected);
	assert_string_equal(buf_cstr(&out), whole);
	buf_release(&out);
	sigv4_pairs_release(&pairs);
}

static void test_paths(void **state)
{
	struct slice path = slice_str("/bucket/a+b=c%d \xc3\xa4//e/../~x*'()");
	struct buf wire;

	(void)state;
	buf_init(&wire, TEXT_MAX);
	sigv4_encode(&wire, path, true);
	assert_string_equal(buf_cstr(&wire),
			    "/bucket/a%2Bb%3Dc%25d%20%C3%A4//e/../~x%2A%27%28%29");
	check_path(SIGV4_PATH_S3, buf_cstr(&wire), buf_cstr(&wire));
	buf_release(&wire);
	check_path(SIGV4_PATH_S3, "/a+b", "/a%2Bb");
	check_path(SIGV4_PATH_S3, "/a%2bb%2f", "/a%2Bb/");
	check_path(SIGV4_PATH_S3, "", "/");
	check_path(SIGV4_PATH_TWICE, "/a%2Bb", "/a%252Bb");
	check_path(SIGV4_PATH_TWICE, "/a//b/./c/../", "/a/b/");
	check_path(SIGV4_PATH_TWICE, "/../..", "/");
	check_path(SIGV4_PATH_TWICE_AS_IS, "/a//b/../%20", "/a//b/../%2520");
}

static void test_decode(void **state)
{
	static const char *const broken[] = { "%", "%1", "%g0", "a%0", "%%20" };
	struct buf out;

	(void)state;
	buf_init(&out, TEXT_MAX);
	assert_true(sigv4_decode(&out, slice_str("a%2Fb%20%c3%A4")));
	assert_string_equal(buf_cstr(&out), "a/b \xc3\xa4");
	for (size_t i = 0; i < ARRAY_LEN(broken); i++)
		assert_false(sigv4_decode(&out, slice_str(broken[i])));
	buf_release(&out);
}

static void test_dates(void **state)
{
	static const char *const broken[] = {
		"", "20150830", "20150830T123600", "20150830t123600Z", "20150431T000000Z",
		"20150830T250000Z", "2015083aT123600Z", "20150830T123600Z ",
	};
	char text[SIGV4_DATE_LEN + 1];
	int64_t unix_s = 0;

	(void)state;
	sigv4_date(UNIX_S, text);
	assert_string_equal(text, DATE);
	assert_true(sigv4_date_read(slice_str(DATE), &unix_s));
	assert_int_equal(unix_s, UNIX_S);
	for (size_t i = 0; i < ARRAY_LEN(broken); i++)
		assert_false(sigv4_date_read(slice_str(broken[i]), &unix_s));
}

static void sign_one(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	buf_init(&f->out, TEXT_MAX);
	f->request = (struct sigv4_request){ .method = slice_str("PUT"), .headers = f->headers,
					     .path = slice_str("/b/k"),
					     .query = slice_str("b=2&a=1") };
	sigv4_hash(slice_str("body"), f->hash);
	f->request.payload = slice_str(f->hash);
	add_header(f, "host", slice_str("example.com"));
	add_header(f, "x-amz-date", slice_str(DATE));
	add_header(f, "x-amz-meta-a", slice_str("one  two"));
	assert_ok(sigv4_sign(&f->request, &key, &scope, &f->out, &err));
	add_header(f, "authorization", buf_slice(&f->out));
}

/* Each of these is another request than the one that was signed, or no longer a good one. */
static void test_changes_do_not_verify(void **state)
{
	struct fixture f;

	(void)state;
	sign_one(&f);
	check_verifies(&f, UNIX_S, ERR_OK);
	check_verifies(&f, UNIX_S + SIGV4_SKEW_S, ERR_OK);
	check_verifies(&f, UNIX_S + SIGV4_SKEW_S + 1, ERR_EXPIRED);
	check_verifies(&f, UNIX_S - SIGV4_SKEW_S - 1, ERR_EXPIRED);
	f.request.query = slice_str("a=1&b=2");		/* the order is nothing */
	check_verifies(&f, UNIX_S, ERR_OK);
	f.request.query = slice_str("a=1&b=3");
	check_verifies(&f, UNIX_S, ERR_AUTH);
	f.request.query = slice_str("a=1&b=2&c");
	check_verifies(&f, UNIX_S, ERR_AUTH);
	f.request.query = slice_str("b=2&a=1");
	f.request.path = slice_str("/b/k/");
	check_verifies(&f, UNIX_S, ERR_AUTH);
	f.request.path = slice_str("/b/%6b");		/* the same byte */
	check_verifies(&f, UNIX_S, ERR_OK);
	f.request.payload = slice_str(SIGV4_UNSIGNED);
	check_verifies(&f, UNIX_S, ERR_AUTH);
	f.request.payload = slice_str(f.hash);
	f.headers[2].value = slice_str(" one two ");	/* blanks are nothing */
	check_verifies(&f, UNIX_S, ERR_OK);
	f.headers[2].value = slice_str("onetwo");
	check_verifies(&f, UNIX_S, ERR_AUTH);
	f.headers[2].name = slice_str("x-amz-meta-b");
	check_verifies(&f, UNIX_S, ERR_DENIED);
	buf_release(&f.out);
}

static void test_what_must_be_signed(void **state)
{
	struct fixture f;

	(void)state;
	sign_one(&f);
	add_header(&f, "content-type", slice_str("text/plain"));
	check_verifies(&f, UNIX_S, ERR_OK);
	add_header(&f, "X-Amz-Acl", slice_str("public-read"));
	check_verifies(&f, UNIX_S, ERR_DENIED);
	f.request.header_count--;
	f.headers[0].name = slice_str("hos");
	check_verifies(&f, UNIX_S, ERR_DENIED);
	buf_release(&f.out);
}

static void check_authorization(const char *value, enum err_code expected)
{
	struct fixture f;

	sign_one(&f);
	f.headers[3].value = slice_str(value);
	check_verifies(&f, UNIX_S, expected);
	buf_release(&f.out);
}

#define CREDENTIAL "Credential=" ID "/20150830/us-east-1/service/aws4_request"

static void test_broken_claims(void **state)
{
	struct fixture f;

	(void)state;
	check_authorization("Basic YTpi", ERR_SYNTAX);
	check_authorization("AWS4-HMAC-SHA256", ERR_SYNTAX);
	check_authorization("AWS4-HMAC-SHA256X " CREDENTIAL, ERR_SYNTAX);
	check_authorization("AWS4-HMAC-SHA256 " CREDENTIAL ",SignedHeaders=host", ERR_SYNTAX);
	check_authorization("AWS4-HMAC-SHA256 " CREDENTIAL "," CREDENTIAL, ERR_SYNTAX);
	check_authorization("AWS4-HMAC-SHA256 Credential=a/b,SignedHeaders=host,Signature=0",
			    ERR_SYNTAX);
	check_authorization("AWS4-HMAC-SHA256 Credential=" ID "/20150831/us-east-1/service/aws4_request,"
			    "SignedHeaders=host,Signature=0", ERR_SYNTAX);
	check_authorization("AWS4-HMAC-SHA256 " CREDENTIAL ",SignedHeaders=host;x-amz-date;x-amz-meta-a,Signature=0",
			    ERR_AUTH);
	check_authorization("AWS4-HMAC-SHA256 " CREDENTIAL ",SignedHeaders=x-amz-date;host;x-amz-meta-a,Signature=0",
			    ERR_DENIED);
	sign_one(&f);
	f.request.header_count = 3;
	check_verifies(&f, UNIX_S, ERR_ABSENT);
	f.request.query = slice_str("X-Amz-Signature=0");
	check_verifies(&f, UNIX_S, ERR_SYNTAX);
	f.request.query = slice_str("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=604801");
	check_verifies(&f, UNIX_S, ERR_SYNTAX);
	buf_release(&f.out);
}

static void test_what_cannot_be_signed(void **state)
{
	struct fixture f;
	struct buf out;

	(void)state;
	buf_init(&out, TEXT_MAX);
	sign_one(&f);
	f.request.query = slice_str("a=%");
	assert_int_equal(sigv4_sign(&f.request, &key, &scope, &out, &err), ERR_USAGE);
	f.request.query = slice_str("");
	assert_int_equal(sigv4_presign(&f.request, &key, &scope, UNIX_S, 0, &out, &err),
			 ERR_USAGE);
	f.headers[2].name = slice_str("x,y");
	assert_int_equal(sigv4_sign(&f.request, &key, &scope, &out, &err), ERR_USAGE);
	f.headers[2].name = slice_str("");
	assert_int_equal(sigv4_sign(&f.request, &key, &scope, &out, &err), ERR_USAGE);
	f.headers[1].name = slice_str("x-date");
	assert_int_equal(sigv4_sign(&f.request, &key, &scope, &out, &err), ERR_USAGE);
	f.request.header_count = 0;
	assert_int_equal(sigv4_sign(&f.request, &key, &scope, &out, &err), ERR_USAGE);
	buf_release(&f.out);
	buf_release(&out);
}

static void test_file_hash(void **state)
{
	char path[] = "/tmp/pinpipe_sigv4.XXXXXX";
	char hash[SIGV4_HASH_LEN + 1], of_file[SIGV4_HASH_LEN + 1];
	size_t len = 600000;
	char *bytes = xmalloc(len);
	int fd = mkstemp(path);

	(void)state;
	for (size_t i = 0; i < len; i++)
		bytes[i] = (char)(i * 7 + i / 256);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	sigv4_hash(slice_of(bytes + 10, len - 10), hash);
	assert_ok(sigv4_hash_file(fd, 10, len - 10, of_file, &err));
	assert_string_equal(of_file, hash);
	assert_int_equal(sigv4_hash_file(fd, 11, len - 10, of_file, &err), ERR_IO);
	(void)close(fd);
	(void)unlink(path);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_all_vectors),
		cmocka_unit_test(test_s3_examples),
		cmocka_unit_test(test_s3_presigned_example),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_changes_do_not_verify),
		cmocka_unit_test(test_what_must_be_signed),
		cmocka_unit_test(test_broken_claims),
		cmocka_unit_test(test_what_cannot_be_signed),
		cmocka_unit_test(test_file_hash),
	};

	return cmocka_run_group_tests_name("sigv4", tests, NULL, NULL);
}
