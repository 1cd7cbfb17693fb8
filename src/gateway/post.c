#include "gateway/post.h"

#include "base/mem.h"
#include "gateway/presence.h"
#include "gateway/state.h"

enum {
	POSTS_IDLE_MAX = 1024,
	OUTCOMES_KEPT = 16,
	COPIES_BYTES_MAX = 32 << 20, /* of all posts; a single one may be larger */
};

struct post_copy {
	size_t bytes;
	struct append_record records[]; /* then their headers, then what both point to */
};

struct post *post_take(struct ingest *ingest, size_t total)
{
	struct post *post = ingest->idle;

	if (post) {
		ingest->idle = post->next;
		ingest->idle_count--;
	} else {
		post = xcalloc(1, sizeof(*post));
	}
	if (total > post->room) {
		free(post->outcomes);
		post->room = total > OUTCOMES_KEPT ? total : OUTCOMES_KEPT;
		post->outcomes = xcalloc(post->room, sizeof(*post->outcomes));
	}
	post->gateway = ingest->gateway;
	post->total = total;
	post->again = false;
	return post;
}

void post_set_known(struct post *post, struct presence_topic *topic)
{
	if (post->known)
		post->known->users--;
	post->known = topic;
	if (topic)
		topic->users++;
}

void post_done(struct ingest *ingest, struct post *post)
{
	free(post->left_out);
	post->left_out = NULL;
	post_set_known(post, NULL);
	if (post->copy) {
		ingest->copied_bytes -= post->copy->bytes;
		free(post->copy);
		post->copy = NULL;
	}
	if (ingest->idle_count == POSTS_IDLE_MAX || post->room > OUTCOMES_KEPT) {
		free(post->outcomes);
		free(post);
		return;
	}
	post->next = ingest->idle;
	ingest->idle = post;
	ingest->idle_count++;
}

static size_t copy_bytes(const struct append *append)
{
	size_t bytes = append->count * sizeof(struct append_record);

	for (size_t i = 0; i < append->count; i++) {
		const struct append_record *record = &append->records[i];

		bytes += record->key.len + record->value.len +
			 record->header_count * sizeof(struct record_header);
		for (size_t h = 0; h < record->header_count; h++)
			bytes += record->headers[h].name.len + record->headers[h].value.len;
	}
	return bytes;
}

/* Null stays null: it is another value than empty. */
static struct slice copy_slice(char **at, struct slice from)
{
	struct slice to = { 0 };

	if (!from.ptr)
		return to;
	if (from.len)
		memcpy(*at, from.ptr, from.len);
	to = slice_of(*at, from.len);
	*at += from.len;
	return to;
}

static void copy_headers(struct append_record *record, struct record_header **headers, char **at)
{
	const struct record_header *from = record->headers;

	record->headers = *headers;
	for (size_t h = 0; h < record->header_count; h++)
		*(*headers)++ = (struct record_header){
			.name = copy_slice(at, from[h].name),
			.value = copy_slice(at, from[h].value),
		};
}

static size_t header_count(const struct append *append)
{
	size_t count = 0;

	for (size_t i = 0; i < append->count; i++)
		count += append->records[i].header_count;
	return count;
}

enum err_code post_keep(struct post *post, struct err *err)
{
	struct ingest *ingest = &post->gateway->ingest;
	struct append *append = &post->append;
	struct record_header *headers;
	struct post_copy *copy;
	size_t bytes;
	char *at;

	if (post->copy)
		return ERR_OK;
	bytes = copy_bytes(append);
	if (ingest->copied_bytes > 0 && ingest->copied_bytes + bytes > COPIES_BYTES_MAX)
		return err_set(err, ERR_BUSY,
			       "too many records wait for their topic to be made: try again later");
	copy = xcalloc(1, sizeof(*copy) + bytes);
	copy->bytes = bytes;
	headers = (struct record_header *)(copy->records + append->count);
	at = (char *)(headers + header_count(append));
	for (size_t i = 0; i < append->count; i++) {
		struct append_record *record = &copy->records[i];

		*record = append->records[i];
		record->key = copy_slice(&at, record->key);
		record->value = copy_slice(&at, record->value);
		copy_headers(record, &headers, &at);
	}
	ingest->copied_bytes += bytes;
	append->records = copy->records;
	post->copy = copy;
	return ERR_OK;
}
