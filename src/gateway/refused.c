#include "gateway/refused.h"

#include "base/fnv.h"
#include "base/time.h"

#include <stdlib.h>

enum { HOUR_MS = 3600000, BODY_MAX = 64 << 10, WORDS_MAX = 200 };

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

void refused_note(struct refused *refused, const char *client, int status, struct slice body)
{
	struct slice words = slice_str("");
	struct json root, message;
	struct err unused;

	if (refused_is_known(refused, fnv1a_text(FNV1A_BEGIN ^ (uint64_t)status, client)))
		return;
	if (json_parse(refused->json, body, &root, &unused) == ERR_OK &&
	    json_type(root) == JSON_OBJECT && json_member(root, "message", &message))
		(void)json_get_string(message, &words);
	news_tell(&refused->news, "%s was refused, status %d: %.*s%s (told once of a client)",
		  client, status, (int)(words.len < WORDS_MAX ? words.len : WORDS_MAX), words.ptr,
		  words.len > WORDS_MAX ? "…" : "");
}
