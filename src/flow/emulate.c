/*
 * emulate.c - one loop over an HTTP client.
 *
 * A parcel is a request: records of one table, gathered, sent, and what was
 * not acknowledged of them sent again. Each table has a third of the parcels.
 *
 *	FREE ──drawn──► FILLING ──batch full──► FLYING ──answered──► FREE
 *	                                          ▲  │ some are left
 *	                                          └─ WAITING (backoff)
 */
#include "flow/emulate.h"

#include "base/backoff.h"
#include "base/mem.h"
#include "base/stop.h"
#include "base/time.h"
#include "flow/post_protocol.h"

#include <assert.h>

enum {
	ROWS_BYTES_MAX = 8 << 20,	/* of a parcel; a batch that reaches half of it is sent */
	BODY_BYTES_MAX = 8 * ROWS_BYTES_MAX,	/* escaped, a row can be six times as long */
	REPLY_BYTES_MAX = 4 << 20,
	BACKOFF_FIRST_MS = 50,
	BACKOFF_MAX_MS = 5000,
	CONNECT_MS = 5000,
	EXCHANGE_MS = 30000,
	IDLE_MS = 100,			/* how often a loop without work looks up */
	SOURCE_WAIT_MS = 1,		/* for a row, before the answers are looked after again */
	ABSENT_MAX = 100000,		/* draws in a row without a row */
};

enum parcel_state { FREE, FILLING, FLYING, WAITING };

struct drawn {
	uint64_t key;
	uint32_t at;		/* in rows */
	uint32_t len;
	bool unknown;		/* an earlier try may have kept it */
};

struct parcel {
	struct emulate *emulate;
	enum source_table table;
	enum parcel_state state;
	struct drawn *drawn;	/* batch_size of them */
	uint32_t count;
	struct buf rows;
	struct buf body;
	struct http_exchange exchange;
	struct backoff backoff;
	int64_t give_up_ms;
	int64_t due_ms;		/* while WAITING */
	struct parcel *next_free;
};

struct lane {
	char *url;
	char *stream;		/* the last part of the URL, without the protocol's suffix */
	struct parcel *filling;	/* or NULL */
	struct parcel *free;
};

/* Choices that the source was told of. */
struct ahead {
	struct post_choice choices[SOURCE_WANT_MAX];
	uint32_t at, count;
};

struct emulate {
	const struct emulate_options *options;
	const struct post_protocol *protocol;
	struct http_client *client;
	struct http_client_options client_options;
	struct json_parser *parser;
	struct post_order order;
	struct ahead now, then;		/* drawn, and wanted of the source */
	uint64_t drawn_ahead;		/* posts, of `posts` */
	struct lane lanes[SOURCE_TABLES];
	struct parcel *parcels;
	uint32_t parcel_count;
	uint32_t busy;			/* neither FREE nor FILLING */
	uint32_t waiting;
	struct post_record *records;	/* of the parcel being sent */
	enum post_outcome *outcomes;	/* of the parcel being settled */
	const char *headers[3];
	char *api_key_header;
	struct post_choice choice;	/* the next post */
	bool chosen;
	int64_t begun_us;
	int64_t next_us;		/* when the next post is due */
	int64_t stop_by_ms;		/* 0: nobody asked */
	int64_t shown_ms;
	struct emulate_result *result;
	enum err_code failed;		/* not ERR_OK: end at once, why is in err */
	struct err err;
};

static void give_up_on(struct emulate *emulate, const struct parcel *parcel,
		       const struct drawn *drawn)
{
	struct emulate_count *count = &emulate->result->tables[parcel->table];

	if (drawn->unknown)
		count->unknown++;
	else
		count->refused++;
}

static void note_failure(struct emulate *emulate, const struct parcel *parcel,
			 const struct err *why)
{
	struct err *first = &emulate->result->first_failure;

	if (first->msg[0])
		return;
	*first = *why;
	(void)err_prefix(first, "%s", source_table_name[parcel->table]);
}

static void put_back(struct parcel *parcel)
{
	struct lane *lane = &parcel->emulate->lanes[parcel->table];

	parcel->state = FREE;
	parcel->count = 0;
	buf_clear(&parcel->rows);
	parcel->next_free = lane->free;
	lane->free = parcel;
	parcel->emulate->busy--;
}

static void give_up(struct parcel *parcel)
{
	for (uint32_t i = 0; i < parcel->count; i++)
		give_up_on(parcel->emulate, parcel, &parcel->drawn[i]);
	put_back(parcel);
}

/* Where nobody answers, who asked for an end does not wait for one who may. */
static bool was_answered(const struct parcel *parcel) { return parcel->exchange.status > 0; }

static void wait_or_give_up(struct parcel *parcel)
{
	struct emulate *emulate = parcel->emulate;
	int64_t retry_after_ms = parcel->exchange.retry_after_s * 1000LL;
	int64_t wait_ms = backoff_next_ms(&parcel->backoff);
	int64_t give_up_ms = parcel->give_up_ms;

	if (emulate->stop_by_ms && emulate->stop_by_ms < give_up_ms)
		give_up_ms = emulate->stop_by_ms;
	/* The jitter stays: all who were refused together heard the same Retry-After. */
	parcel->due_ms = clock_mono_ms() + wait_ms + retry_after_ms;
	if (parcel->due_ms > give_up_ms || (emulate->stop_by_ms && !was_answered(parcel))) {
		give_up(parcel);
		return;
	}
	parcel->state = WAITING;
	emulate->waiting++;
}

/* Runs when an exchange is done: counts what is settled and keeps the rest. */
static void emulate_settle(struct http_exchange *exchange)
{
	struct parcel *parcel = exchange->user;
	struct emulate *emulate = parcel->emulate;
	struct emulate_count *count = &emulate->result->tables[parcel->table];
	struct err why = { 0 };
	uint32_t left = 0;

	post_read(emulate->protocol, emulate->parser, exchange, parcel->count, emulate->outcomes,
		  &why);
	for (uint32_t i = 0; i < parcel->count; i++) {
		struct drawn *drawn = &parcel->drawn[i];
		enum post_outcome outcome = emulate->outcomes[i];

		drawn->unknown |= outcome == POST_UNKNOWN;
		if (outcome == POST_ACKNOWLEDGED)
			count->acknowledged++;
		else if (outcome == POST_REFUSED)
			give_up_on(emulate, parcel, drawn);
		else
			parcel->drawn[left++] = *drawn;
	}
	if (why.msg[0])
		note_failure(emulate, parcel, &why);
	if (left < parcel->count)
		backoff_reset(&parcel->backoff);
	parcel->count = left;
	if (left == 0)
		put_back(parcel);
	else
		wait_or_give_up(parcel);
}

static void emulate_fail(struct emulate *emulate, enum err_code code, const struct err *err)
{
	if (emulate->failed != ERR_OK)
		return;
	emulate->failed = code;
	emulate->err = *err;
}

/* The parcel must count as busy. */
static void send_parcel(struct parcel *parcel)
{
	struct emulate *emulate = parcel->emulate;
	struct lane *lane = &emulate->lanes[parcel->table];
	enum err_code code;
	struct err err;

	for (uint32_t i = 0; i < parcel->count; i++) {
		const struct drawn *drawn = &parcel->drawn[i];

		emulate->records[i] = (struct post_record){
			.value = slice_of(parcel->rows.ptr + drawn->at, drawn->len),
			.key = drawn->key,
		};
	}
	buf_clear(&parcel->body);
	emulate->protocol->put_body(&parcel->body, lane->stream, emulate->records, parcel->count);
	assert(!buf_full(&parcel->body));
	parcel->exchange.body = buf_slice(&parcel->body);
	parcel->state = FLYING;
	code = http_client_start(emulate->client, &parcel->exchange, &err);
	if (code == ERR_OK)
		return;
	give_up(parcel);
	emulate_fail(emulate, code, &err);
}

static void send_first(struct lane *lane)
{
	struct parcel *parcel = lane->filling;
	struct emulate *emulate = parcel->emulate;

	lane->filling = NULL;
	emulate->busy++;
	backoff_reset(&parcel->backoff);
	parcel->give_up_ms = clock_mono_ms() + emulate->options->retry_ms;
	send_parcel(parcel);
}

static void send_partly_filled(struct emulate *emulate)
{
	for (size_t i = 0; i < SOURCE_TABLES; i++)
		if (emulate->lanes[i].filling)
			send_first(&emulate->lanes[i]);
}

/* Those whose time has come. Returns when the next one's comes. */
static int64_t send_waiting(struct emulate *emulate)
{
	int64_t now = clock_mono_ms();
	int64_t next_ms = INT64_MAX;

	if (emulate->waiting == 0)
		return next_ms;
	for (uint32_t i = 0; i < emulate->parcel_count; i++) {
		struct parcel *parcel = &emulate->parcels[i];

		if (parcel->state != WAITING)
			continue;
		if (emulate->stop_by_ms &&
		    (parcel->due_ms > emulate->stop_by_ms || !was_answered(parcel))) {
			emulate->waiting--;
			give_up(parcel);
		} else if (parcel->due_ms <= now) {
			emulate->waiting--;
			emulate->result->retried += parcel->count;
			send_parcel(parcel);
		} else if (parcel->due_ms < next_ms) {
			next_ms = parcel->due_ms;
		}
	}
	return next_ms;
}

static bool has_room(const struct emulate *emulate)
{
	for (size_t i = 0; i < SOURCE_TABLES; i++)
		if (!emulate->lanes[i].filling && !emulate->lanes[i].free)
			return false;
	return true;
}

static void pack(struct emulate *emulate, enum source_table table, uint64_t key, struct slice row)
{
	struct lane *lane = &emulate->lanes[table];
	struct parcel *parcel = lane->filling;

	if (!parcel) {
		parcel = lane->free;
		lane->free = parcel->next_free;
		lane->filling = parcel;
		parcel->state = FILLING;
	}
	parcel->drawn[parcel->count++] = (struct drawn){
		.key = key, .at = (uint32_t)parcel->rows.len, .len = (uint32_t)row.len,
	};
	buf_add_slice(&parcel->rows, row);
	assert(!buf_full(&parcel->rows));
	if (parcel->count == emulate->options->batch_size || parcel->rows.len >= ROWS_BYTES_MAX / 2)
		send_first(lane);
}

static int64_t pause_us(const struct emulate *emulate)
{
	switch (emulate->options->pace) {
	case EMULATE_AS_ORIGINAL:
		return emulate->choice.pause_s * 1000000;
	case EMULATE_AT_RATE:
		return (int64_t)(1000000 / emulate->options->rate);
	case EMULATE_UNPACED:
		break;
	}
	return 0;
}

static enum source_by drawn_by(const struct emulate *emulate)
{
	return emulate->options->order == POST_ORDER_ROWS ? SOURCE_BY_PLACE : SOURCE_BY_KEY;
}

/* Draws as far ahead as the source may be told, for it may be far away. A draw of a row that the
 * source lacks counts here, so at the end more may have to be drawn. */
static enum err_code draw_ahead(struct emulate *emulate, struct ahead *ahead, struct err *err)
{
	uint64_t posts = emulate->options->posts, done = emulate->drawn_ahead;
	uint64_t left = posts > done ? posts - done : posts - emulate->result->posts;
	uint64_t rows[SOURCE_WANT_MAX];

	ahead->at = 0;
	ahead->count = posts == 0 || left > SOURCE_WANT_MAX ? SOURCE_WANT_MAX : (uint32_t)left;
	for (uint32_t i = 0; i < ahead->count; i++) {
		ahead->choices[i] = post_order_next(&emulate->order);
		rows[i] = ahead->choices[i].row;
	}
	emulate->drawn_ahead += ahead->count;
	return source_want(emulate->options->source, drawn_by(emulate), rows, ahead->count, err);
}

/* While the source fetches what comes then, what it has now is used. */
static enum err_code next_choice(struct emulate *emulate, struct err *err)
{
	uint64_t posts = emulate->options->posts;
	enum err_code code = ERR_OK;

	if (emulate->now.at == emulate->now.count) {
		emulate->now = emulate->then;
		emulate->then.count = emulate->then.at = 0;
		if (emulate->now.count == 0)
			code = draw_ahead(emulate, &emulate->now, err);
		if (code == ERR_OK && (posts == 0 || emulate->drawn_ahead < posts))
			code = draw_ahead(emulate, &emulate->then, err);
	}
	if (code == ERR_OK)
		emulate->choice = emulate->now.choices[emulate->now.at++];
	return code;
}

/* Which post comes next, and when. One that comes late does not move those after it, unless it is
 * a second late. */
static void emulate_choose(struct emulate *emulate)
{
	int64_t now_us = clock_mono_us();
	struct err err;

	if (next_choice(emulate, &err) != ERR_OK) {
		emulate_fail(emulate, err.code, &err);
		return;
	}
	emulate->chosen = true;
	if (emulate->next_us < now_us - 1000000)
		emulate->next_us = now_us;
	emulate->next_us += pause_us(emulate);
}

/* The source's row of this choice, or of the next one that it has. */
static enum err_code draw_row(struct emulate *emulate, uint64_t *ret_key,
			      struct source_post *ret_post, struct err *err)
{
	struct source *source = emulate->options->source;

	for (uint32_t i = 0; i < ABSENT_MAX; i++) {
		enum err_code code = source_row(source, emulate->choice.row, ret_post, err);

		*ret_key = emulate->choice.row;
		if (code != ERR_ABSENT || emulate->options->order == POST_ORDER_COURSE)
			return code;
		emulate->result->absent++;
		code = next_choice(emulate, err);
		if (code != ERR_OK)
			return code;
	}
	return err_prefix(err, "%d draws in a row gave no row (--order rows posts each row once)",
			  ABSENT_MAX);
}

static enum err_code find_row(struct emulate *emulate, uint64_t *ret_key,
			      struct source_post *ret_post, struct err *err)
{
	if (emulate->options->order == POST_ORDER_ROWS)
		return source_post_at(emulate->options->source, emulate->choice.row, ret_key,
				      ret_post, err);
	return draw_row(emulate, ret_key, ret_post, err);
}

static void emulate_post(struct emulate *emulate)
{
	struct source_post post;
	struct err err;
	uint64_t key = 0;
	enum err_code code = find_row(emulate, &key, &post, &err);

	if (code != ERR_OK) {
		emulate_fail(emulate, code, &err);
		return;
	}
	emulate->chosen = false;
	emulate->result->posts++;
	for (int i = 0; i < SOURCE_TABLES; i++) {
		struct slice row = source_post_row(&post, (enum source_table)i);

		if (row.ptr)
			pack(emulate, (enum source_table)i, key, row);
	}
}

static bool wants_more(const struct emulate *emulate)
{
	uint64_t posts = emulate->options->posts;

	return !emulate->stop_by_ms && emulate->failed == ERR_OK &&
	       (posts == 0 || emulate->result->posts < posts);
}

/* Posts what is due and fits. Returns how long the loop may wait. */
static int64_t post_due(struct emulate *emulate)
{
	while (wants_more(emulate) && has_room(emulate)) {
		int64_t left_us;

		if (!emulate->chosen)
			emulate_choose(emulate);
		if (!emulate->chosen)
			break;
		left_us = emulate->next_us - clock_mono_us();
		if (left_us > 0)
			return left_us / 1000 + 1;
		if (!source_ready(emulate->options->source, drawn_by(emulate), emulate->choice.row,
				  SOURCE_WAIT_MS))
			return 0;
		emulate_post(emulate);
	}
	return IDLE_MS;
}

static void show(struct emulate *emulate, bool now)
{
	int64_t now_us = clock_mono_us();

	if (!emulate->options->progress || (!now && now_us / 1000 - emulate->shown_ms < 100))
		return;
	emulate->shown_ms = now_us / 1000;
	emulate->result->seconds = (double)(now_us - emulate->begun_us) / 1e6;
	emulate->options->progress(emulate->options->user, emulate->result);
}

static void look_for_stop(struct emulate *emulate)
{
	if (stop_requested() && !emulate->stop_by_ms)
		emulate->stop_by_ms = clock_mono_ms() + EMULATE_STOP_MS;
}

/* Past the time to stop: what is still under way counts as unknown. */
static bool abandon_late(struct emulate *emulate)
{
	if (!emulate->stop_by_ms || clock_mono_ms() < emulate->stop_by_ms)
		return false;
	for (uint32_t i = 0; i < emulate->parcel_count; i++) {
		struct parcel *parcel = &emulate->parcels[i];

		for (uint32_t n = 0; n < parcel->count && parcel->state == FLYING; n++)
			parcel->drawn[n].unknown = true;
		if (parcel->state == FLYING || parcel->state == WAITING)
			give_up(parcel);
	}
	return true;
}

static enum err_code emulate_loop(struct emulate *emulate, struct err *err)
{
	for (;;) {
		int64_t due_ms = send_waiting(emulate);
		int64_t wait_ms = post_due(emulate);
		int64_t until_ms;
		enum err_code code;

		if (!wants_more(emulate))
			send_partly_filled(emulate);
		if (emulate->busy == 0 && !wants_more(emulate))
			break;
		until_ms = due_ms == INT64_MAX ? IDLE_MS : due_ms - clock_mono_ms();
		if (until_ms < wait_ms)
			wait_ms = until_ms > 0 ? until_ms : 0;
		if (wait_ms > IDLE_MS)
			wait_ms = IDLE_MS;
		code = http_client_turn(emulate->client, wait_ms, err);
		if (code != ERR_OK)
			return code;
		show(emulate, false);
		look_for_stop(emulate);
		if (abandon_late(emulate))
			break;
	}
	if (emulate->failed != ERR_OK)
		*err = emulate->err;
	return emulate->failed;
}

static enum err_code emulate_check(const struct emulate_options *options,
				   const struct post_protocol *protocol, struct err *err)
{
	if (options->batch_size == 0 || options->batch_size > protocol->records_max)
		return err_set(err, ERR_USAGE, "the batch size must be 1 to %u here", protocol->records_max);
	if (options->connections == 0 || options->connections > EMULATE_CONNECTIONS_MAX)
		return err_set(err, ERR_USAGE, "connections must be 1 to %d", EMULATE_CONNECTIONS_MAX);
	if (options->pace == EMULATE_AT_RATE && !(options->rate > 0))
		return err_set(err, ERR_USAGE, "the rate must be above 0");
	return ERR_OK;
}

/* `<url><table><suffix>`, and of it what stands between the last slash and the suffix. */
static void make_lane(struct emulate *emulate, enum source_table table)
{
	struct lane *lane = &emulate->lanes[table];
	const char *url = emulate->options->url;
	const char *slash = strrchr(url, '/');
	struct buf text;

	buf_init(&text, strlen(url) + 64);
	buf_addf(&text, "%s%s", slash ? slash + 1 : url, source_table_name[table]);
	lane->stream = xstrdup(buf_cstr(&text));
	buf_clear(&text);
	buf_addf(&text, "%s%s%s", url, source_table_name[table], emulate->protocol->suffix);
	lane->url = xstrdup(buf_cstr(&text));
	buf_release(&text);
}

static void make_parcel(struct emulate *emulate, struct parcel *parcel, enum source_table table)
{
	struct lane *lane = &emulate->lanes[table];

	parcel->emulate = emulate;
	parcel->table = table;
	parcel->drawn = xcalloc(emulate->options->batch_size, sizeof(*parcel->drawn));
	parcel->backoff.first_ms = BACKOFF_FIRST_MS;
	parcel->backoff.max_ms = BACKOFF_MAX_MS;
	buf_init(&parcel->rows, ROWS_BYTES_MAX);
	buf_init(&parcel->body, BODY_BYTES_MAX);
	buf_init(&parcel->exchange.reply, REPLY_BYTES_MAX);
	parcel->exchange.method = emulate->protocol->method;
	parcel->exchange.url = lane->url;
	parcel->exchange.headers = emulate->headers;
	parcel->exchange.done = emulate_settle;
	parcel->exchange.user = parcel;
	parcel->next_free = lane->free;
	lane->free = parcel;
}

static void make_headers(struct emulate *emulate)
{
	const char *key = emulate->options->api_key;

	emulate->headers[0] = emulate->protocol->content_type;
	if (!key)
		return;
	emulate->api_key_header = xmalloc(strlen(key) + 16);
	(void)snprintf(emulate->api_key_header, strlen(key) + 16, "x-api-key: %s", key);
	emulate->headers[1] = emulate->api_key_header;
}

static void make_parcels(struct emulate *emulate)
{
	uint32_t each = (emulate->options->connections + SOURCE_TABLES - 1) / SOURCE_TABLES;

	make_headers(emulate);
	for (size_t i = 0; i < SOURCE_TABLES; i++)
		make_lane(emulate, (enum source_table)i);
	emulate->parcel_count = each * SOURCE_TABLES;
	emulate->parcels = xcalloc(emulate->parcel_count, sizeof(*emulate->parcels));
	for (uint32_t i = 0; i < emulate->parcel_count; i++)
		make_parcel(emulate, &emulate->parcels[i], (enum source_table)(i % SOURCE_TABLES));
	emulate->records = xcalloc(emulate->options->batch_size, sizeof(*emulate->records));
	emulate->outcomes = xcalloc(emulate->options->batch_size, sizeof(*emulate->outcomes));
	emulate->parser = json_parser_new(REPLY_BYTES_MAX);
}

static void emulate_release(struct emulate *emulate)
{
	http_client_free(emulate->client);
	for (uint32_t i = 0; i < emulate->parcel_count; i++) {
		free(emulate->parcels[i].drawn);
		buf_release(&emulate->parcels[i].rows);
		buf_release(&emulate->parcels[i].body);
		buf_release(&emulate->parcels[i].exchange.reply);
	}
	for (size_t i = 0; i < SOURCE_TABLES; i++) {
		free(emulate->lanes[i].url);
		free(emulate->lanes[i].stream);
	}
	free(emulate->parcels);
	free(emulate->records);
	free(emulate->outcomes);
	free(emulate->api_key_header);
	json_parser_free(emulate->parser);
}

enum err_code emulate_run(const struct emulate_options *options, struct emulate_result *ret_result,
			  struct err *err)
{
	struct emulate emulate = {
		.options = options,
		.result = ret_result,
		.client_options = {
			.connections_max = options->connections, .connect_ms = CONNECT_MS,
			.total_ms = EXCHANGE_MS, .ca_file = options->ca_file,
			.user_agent = "pinpipe/" PINPIPE_VERSION,
		},
		.begun_us = clock_mono_us(),
	};
	enum err_code code;
	uint64_t rows = 0;

	*ret_result = (struct emulate_result){ 0 };
	emulate.protocol = !options->streaming ? &post_topic
			 : options->batch_size > 1 ? &post_records : &post_record;
	emulate.next_us = emulate.begun_us;
	code = emulate_check(options, emulate.protocol, err);
	if (code == ERR_OK)
		code = options->order == POST_ORDER_ROWS ?
		       source_posts(options->source, &rows, err) :
		       source_count(options->source, &rows, err);
	if (code == ERR_OK)
		code = post_order_init(&emulate.order, options->order, options->seed, rows, err);
	if (code == ERR_OK)
		code = http_client_new(&emulate.client_options, options->url, &emulate.client, err);
	if (code == ERR_OK) {
		make_parcels(&emulate);
		code = emulate_loop(&emulate, err);
		show(&emulate, true);
	}
	ret_result->seconds = (double)(clock_mono_us() - emulate.begun_us) / 1e6;
	emulate_release(&emulate);
	return code;
}
