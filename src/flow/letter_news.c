#include "flow/letter_news.h"

#include "base/news.h"
#include "base/time.h"
#include "base/trace.h"
#include "flow/dlq_kind.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 512 };

static struct {
	pthread_mutex_t lock;
	struct letter_tally tally;
	int64_t due_ms;
} news = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void tally_add(struct letter_tally *tally, const char *text, uint64_t letters)
{
	size_t i = 0;

	tally->letters += letters;
	while (i < tally->kind_count && strcmp(tally->kinds[i].text, text) != 0)
		i++;
	if (i == LETTER_KINDS)
		return;
	if (i == tally->kind_count) {
		tally->kinds[i].letters = 0;
		(void)snprintf(tally->kinds[i].text, LETTER_KIND_MAX, "%s", text);
		tally->kind_count++;
	}
	tally->kinds[i].letters += letters;
}

void letter_tally_note(struct letter_tally *tally, const char *of, const char *reason)
{
	char text[LETTER_KIND_MAX], kind[ERR_MSG_MAX];
	struct slice words = dlq_kind_of(slice_str(reason), kind);

	(void)snprintf(text, sizeof(text), "%s: %.*s", of, SLICE_ARG(words));
	tally_add(tally, text, 1);
}

static void tally_clear(struct letter_tally *tally)
{
	tally->letters = 0;
	tally->kind_count = 0;
}

void letter_news_add(struct letter_tally *tally)
{
	uint64_t known = 0;

	(void)pthread_mutex_lock(&news.lock);
	for (size_t i = 0; i < tally->kind_count; i++) {
		tally_add(&news.tally, tally->kinds[i].text, tally->kinds[i].letters);
		known += tally->kinds[i].letters;
	}
	news.tally.letters += tally->letters - known;
	(void)pthread_mutex_unlock(&news.lock);
	tally_clear(tally);
}

static void tally_put(struct buf *out, const struct letter_tally *tally)
{
	const struct letter_kind *most = &tally->kinds[0];

	for (size_t i = 1; i < tally->kind_count; i++)
		if (tally->kinds[i].letters > most->letters)
			most = &tally->kinds[i];
	buf_addf(out, "%" PRIu64 " dead letter%s", tally->letters, tally->letters == 1 ? "" : "s");
	if (most->letters < tally->letters)
		buf_addf(out, ", %" PRIu64, most->letters);
	buf_addf(out, " of %s", most->text);
}

bool letter_news_take(struct buf *out)
{
	bool any;

	(void)pthread_mutex_lock(&news.lock);
	any = news.tally.letters > 0;
	if (any)
		tally_put(out, &news.tally);
	tally_clear(&news.tally);
	(void)pthread_mutex_unlock(&news.lock);
	return any;
}

void letter_news_tell(bool now)
{
	struct buf out;

	if (!now && clock_mono_ms() < news.due_ms)
		return;
	buf_init(&out, TEXT_MAX);
	if (letter_news_take(&out)) {
		trace_info("%s; `pinpipe dlq` shows them", buf_cstr(&out));
		news.due_ms = clock_mono_ms() + NEWS_MS;
	}
	buf_release(&out);
}
