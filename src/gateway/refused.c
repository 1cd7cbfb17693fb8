#include "gateway/refused.h"

#include "base/fnv.h"
#include "base/time.h"

#include <stdio.h>
#include <stdlib.h>

enum { HOUR_MS = 3600000, BODY_MAX = 64 << 10, WORDS_MAX = 200, ASKED_MAX = 100 };

void refused_init(struct refused *refused)
{
	*refused = (struct refused){ .json = json_parser_new(BODY_MAX) };
}

void refused_release(struct refused *refused)
{
	json_parser_free(refused->json);
	refused->json = NULL;
}

static bool refused_is_known(struct refused *refused, uint64_t hash)
{
	int64_t now_ms = clock_mono_ms();

	for (size_t i = 0; i < REFUSED_KEPT; i++)
		if (refused->clients[i].hash == hash && now_ms < refused->clients[i].until_ms)
			return true;
	refused->clients[refused->next] = (struct refused_client){ hash, now_ms + HOUR_MS };
	refused->next = (refused->next + 1) % REFUSED_KEPT;
	return false;
}

/* Words that name it themselves are enough. */
static bool refused_is_named(struct slice asked, struct slice words)
{
	return asked.len == 0 || memmem(words.ptr, words.len, asked.ptr, asked.len);
}

void refused_note(struct refused *refused, const char *client, int status, struct slice asked,
		  struct slice body)
{
	struct slice words = slice_str("");
	struct json root, message;
	char named[ASKED_MAX + 8] = "";
	struct err unused;

	if (refused_is_known(refused, fnv1a_text(FNV1A_BEGIN ^ (uint64_t)status, client)))
		return;
	if (json_parse(refused->json, body, &root, &unused) == ERR_OK &&
	    json_type(root) == JSON_OBJECT && json_member(root, "message", &message))
		(void)json_get_string(message, &words);
	if (!refused_is_named(asked, words))
		(void)snprintf(named, sizeof(named),
			       "\"%.*s%s\": ", (int)(asked.len < ASKED_MAX ? asked.len : ASKED_MAX),
			       asked.ptr, asked.len > ASKED_MAX ? "…" : "");
	news_tell(&refused->news, "%s was refused, status %d: %s%.*s%s (told once of a client)",
		  client, status, named, (int)(words.len < WORDS_MAX ? words.len : WORDS_MAX),
		  words.ptr, words.len > WORDS_MAX ? "…" : "");
}
