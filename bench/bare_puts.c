/*
 * bare_puts.c - the limit for a sink whose lake is a bucket: every 1,000 lines of a
 * file as an object, by libcurl, over so many connections at once. Each request
 * is signed as the sink's are, its body hashed, and creates or fails.
 *
 *	bare_puts URL CONNECTIONS FILE
 *
 * URL: http://host:port/bucket/prefix. The key is that of AWS_ACCESS_KEY_ID and
 * AWS_SECRET_ACCESS_KEY.
 */
#include "base/mem.h"
#include "net/sigv4.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

enum { OBJECT_LINES = 1000, HEADER_BYTES = 512, THREADS_MAX = 256 };

struct object {
	struct slice body;
	size_t number;
};

static struct {
	const char *url;
	struct slice host, path;
	struct object *objects;
	size_t count;
	atomic_size_t next;
} puts_of;

static void die(const char *what)
{
	(void)fprintf(stderr, "bare_puts: %s\n", what);
	exit(1);
}

/* --- one request ------------------------------------------------------------------ */

static struct slice env(const char *name)
{
	const char *value = getenv(name);

	if (!value)
		die(name);
	return slice_str(value);
}

static void add_header(struct curl_slist **list, const char *name, const char *value)
{
	char line[HEADER_BYTES];

	(void)snprintf(line, sizeof(line), "%s: %s", name, value);
	*list = curl_slist_append(*list, line);
}

static struct curl_slist *signed_headers(const char *path, const char *date, const char *hash)
{
	const struct sigv4_pair pairs[] = {
		{ slice_str("host"), puts_of.host },
		{ slice_str("if-none-match"), slice_str("*") },
		{ slice_str("x-amz-content-sha256"), slice_str(hash) },
		{ slice_str("x-amz-date"), slice_str(date) },
	};
	const struct sigv4_request request = {
		.method = slice_str("PUT"), .path = slice_str(path), .headers = pairs,
		.header_count = ARRAY_LEN(pairs), .payload = slice_str(hash),
		.path_rule = SIGV4_PATH_S3,
	};
	const struct sigv4_key key = { env("AWS_ACCESS_KEY_ID"), env("AWS_SECRET_ACCESS_KEY"),
				       { NULL, 0 } };
	const struct sigv4_scope scope = { slice_str("us-east-1"), slice_str("s3") };
	struct curl_slist *list = NULL;
	struct buf signature;
	struct err err;

	buf_init(&signature, HEADER_BYTES);
	if (sigv4_sign(&request, &key, &scope, &signature, &err) != ERR_OK)
		die(err.msg);
	add_header(&list, "authorization", buf_cstr(&signature));
	add_header(&list, "if-none-match", "*");
	add_header(&list, "x-amz-content-sha256", hash);
	add_header(&list, "x-amz-date", date);
	list = curl_slist_append(list, "Expect:");
	buf_release(&signature);
	return list;
}

static size_t ignore(char *bytes, size_t size, size_t count, void *user)
{
	(void)bytes;
	(void)user;
	return size * count;
}

static void put(CURL *curl, const struct object *object)
{
	char url[HEADER_BYTES], path[HEADER_BYTES], date[SIGV4_DATE_LEN + 1];
	char hash[SIGV4_HASH_LEN + 1];
	struct curl_slist *headers;
	long status = 0;

	(void)snprintf(url, sizeof(url), "%s/%08zu.json", puts_of.url, object->number);
	(void)snprintf(path, sizeof(path), "%.*s/%08zu.json", SLICE_ARG(puts_of.path),
		       object->number);
	sigv4_date((int64_t)time(NULL), date);
	sigv4_hash(object->body, hash);
	headers = signed_headers(path, date, hash);
	(void)curl_easy_setopt(curl, CURLOPT_URL, url);
	(void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "PUT");
	(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)object->body.len);
	(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, object->body.ptr);
	(void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore);
	if (curl_easy_perform(curl) != CURLE_OK)
		die("a request failed");
	(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200)
		die("a put was refused");
	curl_slist_free_all(headers);
}

static void *put_some(void *user)
{
	CURL *curl = curl_easy_init();
	size_t i;

	(void)user;
	while ((i = atomic_fetch_add(&puts_of.next, 1)) < puts_of.count)
		put(curl, &puts_of.objects[i]);
	curl_easy_cleanup(curl);
	return NULL;
}

/* --- the objects --------------------------------------------------------------------- */

static void add_object(const char *from, const char *end)
{
	size_t n = puts_of.count++;

	puts_of.objects = xreallocarray(puts_of.objects, n + 1, sizeof(*puts_of.objects));
	puts_of.objects[n] = (struct object){ slice_of(from, (size_t)(end - from)), n };
}

static size_t cut(struct slice text)
{
	const char *end = text.ptr + text.len, *first = text.ptr, *at = text.ptr;
	size_t lines = 0;

	while (at < end && (at = memchr(at, '\n', (size_t)(end - at)))) {
		at++;
		if (++lines % OBJECT_LINES != 0 && at != end)
			continue;
		add_object(first, at);
		first = at;
	}
	return lines;
}

static struct slice map(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *text;

	if (fd < 0 || fstat(fd, &st) < 0)
		die(path);
	text = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (text == MAP_FAILED)
		die("mmap");
	return slice_of(text, (size_t)st.st_size);
}

static double now_s(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Prints the lines, and the seconds that their puts took. */
int main(int argc, char **argv)
{
	pthread_t threads[THREADS_MAX];
	long connections;
	size_t lines;
	double began;
	const char *path = NULL;

	if (argc != 4) {
		(void)fprintf(stderr, "usage: bare_puts URL CONNECTIONS FILE\n");
		return 2;
	}
	connections = strtol(argv[2], NULL, 10);
	if (strncmp(argv[1], "http://", 7) != 0 || !(path = strchr(argv[1] + 7, '/')) ||
	    connections < 1 || connections > THREADS_MAX)
		die("a wrong argument");
	puts_of.url = argv[1];
	puts_of.host = slice_of(argv[1] + 7, (size_t)(path - argv[1] - 7));
	puts_of.path = slice_str(path);
	lines = cut(map(argv[3]));
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
	began = now_s();
	for (long i = 0; i < connections; i++)
		if (pthread_create(&threads[i], NULL, put_some, NULL) != 0)
			die("no thread");
	for (long i = 0; i < connections; i++)
		(void)pthread_join(threads[i], NULL);
	printf("%zu %.3f\n", lines, now_s() - began);
	return 0;
}
