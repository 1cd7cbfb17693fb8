/*
 * A connection to the server, over a socket pair: its bytes in pieces, its end closed before or
 * after the answers or at once, answers late and in any order, read late, larger than the socket
 * takes, or in pieces whose maker waits when he is told to. What is handed over is what
 * http_feed.h finds in the bytes, no more and no other; every request has one answer, in order;
 * after a refusal nothing is read; nothing stays behind.
 *
 *	input	a seed, the largest piece (as a power of two), two bytes of enum whim,
 *		then what the client sends
 *	path	/no... is not admitted, if it must wait for its body; /last... ends the connection
 */
#include "http_feed.h"
#include "net/http_internal.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	GOT_BYTES_MAX = 16 << 20,
	PIPELINE_MAX = 4,
	PIECES_MAX = 32,		/* what is left then comes at once */
	STEPS_MAX = 20000,		/* of a run; more means that it hangs */
	BODY_BYTES_MAX = 80 << 10,	/* OUT_BYTES_HIGH and a few */
	HOUR_MS = 3600 * 1000,
	NUMBER_BYTES = 24,		/* at the head of an answer: whose it is */
};

enum whim {
	WHIM_END_EARLY = 1,		/* the client ends its side with its last byte */
	WHIM_READ_LATE = 2,		/* and reads only then */
	WHIM_ABORT = 4,			/* closes with its last byte */
	WHIM_SMALL_SOCKET = 8,
	WHIM_LARGE_BODIES = 16,
	WHIM_LATE_SOME = 32,		/* answers come in a later turn */
	WHIM_LATE_ALL = 64,
	WHIM_LAST_FIRST = 128,		/* and the last of them first */
	WHIM_ADMIT_LATE = 256,
	WHIM_PIECES = 512,		/* some answers come in pieces */
};

struct late {
	struct http_ticket ticket;
	size_t index;
	int status;
	bool whole;			/* not in pieces, which HTTP/1.0 ends by closing */
};

/* An answer in pieces. */
struct making {
	struct http_pieces *pieces;	/* NULL: none */
	char number[NUMBER_BYTES];
	size_t at;
	size_t len;
	bool paused;
};

/* One run. */
struct play {
	unsigned whims;
	uint32_t seed;
	int client;			/* -1: closed */
	size_t handed;			/* requests */
	bool denied;			/* the one after them was not admitted */
	struct late late[PIPELINE_MAX];
	size_t late_count;
	struct making makings[PIPELINE_MAX];
	size_t last;			/* the one whose answer closes, or SIZE_MAX */
	bool ended;			/* the server's side is at its end */
};

static struct http_server *server;
static struct feed_seen wanted;
static struct buf request_text, got;
static char filler[BODY_BYTES_MAX];
static struct play play;

static uint32_t dice(uint32_t sides)
{
	play.seed = play.seed * 1664525 + 1013904223;
	return (play.seed >> 16) % sides;
}

static bool begins(struct slice s, const char *prefix)
{
	return s.len >= strlen(prefix) && memcmp(s.ptr, prefix, strlen(prefix)) == 0;
}

/* ---- The server's side ---- */

/* More pieces, until it is told that they are enough. */
static void making_go_on(void *user)
{
	struct making *making = user;

	FUZZ_MUST(making->pieces != NULL);
	making->paused = false;
	while (making->at < making->len && !making->paused) {
		size_t left = making->len - making->at;
		size_t piece = 1 + dice(left < 9000 ? (uint32_t)left : 9000);

		memset(filler, 'x', NUMBER_BYTES);
		if (making->at < NUMBER_BYTES)
			memcpy(filler, making->number + making->at, NUMBER_BYTES - making->at);
		making->paused = !http_pieces_add(making->pieces, slice_of(filler, piece));
		making->at += piece;
	}
	if (making->at < making->len)
		return;
	http_pieces_end(making->pieces);
	making->pieces = NULL;
}

static void making_gone(void *user)
{
	struct making *making = user;

	FUZZ_MUST(making->pieces != NULL);
	http_pieces_abort(making->pieces);
	making->pieces = NULL;
}

static void answer_in_pieces(struct http_ticket ticket, const struct http_reply *reply,
			     const char number[NUMBER_BYTES], size_t len)
{
	struct making *making = play.makings;
	struct http_pieces_maker maker = { making_go_on, making_gone, NULL, false };

	while (making->pieces)
		FUZZ_MUST(++making < play.makings + PIPELINE_MAX);
	maker.user = making;
	*making = (struct making){ .len = len };
	memcpy(making->number, number, NUMBER_BYTES);
	making->pieces = http_pieces_begin(server, ticket, reply, &maker);
	if (making->pieces)
		making_go_on(making);
}

static void answer(const struct late *one)
{
	struct http_reply reply = {
		.status = one->status, .content_type = "text/plain", .close = one->index == play.last,
	};
	size_t len = play.whims & WHIM_LARGE_BODIES && dice(2) ? dice(BODY_BYTES_MAX) : 32;
	char number[NUMBER_BYTES], text[NUMBER_BYTES];
	int digits = snprintf(text, sizeof(text), "%zu ", one->index);

	len = len < NUMBER_BYTES ? NUMBER_BYTES : len;
	memset(number, 'x', sizeof(number));
	memcpy(number, text, (size_t)digits);
	if (play.whims & WHIM_PIECES && !one->whole && dice(2)) {
		answer_in_pieces(one->ticket, &reply, number, len);
		return;
	}
	memcpy(filler, number, sizeof(number));
	reply.body = slice_of(filler, len);
	http_reply(server, one->ticket, &reply);
}

static void answer_or_wait(struct http_ticket ticket, int status, bool late)
{
	const struct late one = { ticket, play.handed, status, server->head.http_1_0 };

	if (!late) {
		answer(&one);
		return;
	}
	FUZZ_MUST(play.late_count < PIPELINE_MAX);
	play.late[play.late_count++] = one;
}

static void handle(void *user, struct http_server *of, const struct http_request *request)
{
	size_t i = play.handed, from = i > 0 ? wanted.requests[i - 1].end : 0;

	(void)user;
	FUZZ_MUST(of == server && !play.denied && i < wanted.count);
	buf_clear(&request_text);
	feed_put_request(&request_text, &server->head, request->body);
	FUZZ_MUST(slice_eq(buf_slice(&request_text),
			   slice_of(wanted.text.ptr + from, wanted.requests[i].end - from)));
	if (play.last == SIZE_MAX && begins(request->path, "/last"))
		play.last = i;
	answer_or_wait(request->ticket, 200, play.whims & WHIM_LATE_ALL ||
		       (play.whims & WHIM_LATE_SOME && dice(2)));
	play.handed++;
}

static bool admit(void *user, struct http_server *of, const struct http_request *request)
{
	(void)user;
	FUZZ_MUST(of == server && !request->body.ptr && !play.denied);
	if (!begins(request->path, "/no"))
		return true;
	answer_or_wait(request->ticket, 401, play.whims & WHIM_ADMIT_LATE);
	play.denied = true;
	return false;
}

static void turn(void)
{
	struct err err = { 0 };

	do
		FUZZ_MUST(http_server_turn(server, 0, &err) == ERR_OK);
	while (server->queue_head);
}

static void answer_late_one(void)
{
	size_t i = play.whims & WHIM_LAST_FIRST ? play.late_count - 1 : 0;
	struct late one;

	if (play.late_count == 0)
		return;
	one = play.late[i];
	play.late_count--;
	memmove(&play.late[i], &play.late[i + 1], (play.late_count - i) * sizeof(one));
	answer(&one);
}

/* ---- The client's side ---- */

static bool client_reads(void)
{
	char *room = buf_room(&got, BODY_BYTES_MAX);
	ssize_t n;

	FUZZ_MUST(room != NULL);
	n = recv(play.client, room, BODY_BYTES_MAX, MSG_DONTWAIT);
	if (n > 0)
		buf_grew(&got, (size_t)n);
	play.ended |= n == 0;
	FUZZ_MUST(n >= 0 || errno == EAGAIN);
	return n > 0;
}

static void client_sends(struct slice bytes, uint32_t piece_max)
{
	for (int steps = 0; bytes.len > 0; steps++) {
		size_t piece = steps < PIECES_MAX ?
			feed_piece(&play.seed, piece_max, bytes.len) : bytes.len;
		ssize_t n = send(play.client, bytes.ptr, piece, MSG_DONTWAIT | MSG_NOSIGNAL);

		FUZZ_MUST(n > 0 || errno == EAGAIN);
		FUZZ_MUST(steps < STEPS_MAX);
		bytes = slice_from(bytes, n > 0 ? (size_t)n : 0);
		turn();
		if (dice(2))
			answer_late_one();
		if (n < 0 || !(play.whims & WHIM_READ_LATE))
			(void)client_reads();
	}
}

static void client_ends(void)
{
	bool open = true;

	if (play.whims & WHIM_END_EARLY)
		open = shutdown(play.client, SHUT_WR) != 0;
	for (int steps = 0; !play.ended; steps++) {
		bool waits = play.late_count > 0;

		FUZZ_MUST(steps < STEPS_MAX);
		answer_late_one();
		turn();
		if (!client_reads() && !waits && open)
			open = shutdown(play.client, SHUT_WR) != 0;
	}
}

/* ---- What was answered ---- */

/* The answers of a client that waited for them, and no byte more. */
static size_t answers_expected(void)
{
	if (play.last < play.handed)
		return play.last + 1;
	if (play.denied)
		return play.handed + 1;
	FUZZ_MUST(play.handed == wanted.count);
	return wanted.count + (wanted.refused != 0);
}

static int status_expected(size_t index)
{
	if (index < play.handed)
		return 200;
	return play.denied ? 401 : wanted.refused;
}

static bool skip(struct slice *rest, const char *text)
{
	if (!begins(*rest, text))
		return false;
	*rest = slice_from(*rest, strlen(text));
	return true;
}

/* At most one 100 Continue, and only to whom expects it. */
static void skip_continue(struct slice *rest, size_t index)
{
	bool expects = index < wanted.count ? wanted.requests[index].expects : wanted.rest_expects;

	if (skip(rest, "HTTP/1.1 100 Continue\r\n\r\n"))
		FUZZ_MUST(expects && (index != play.handed || !play.denied));
}

static size_t length_of(struct slice head)
{
	static const char name[] = "\r\nContent-Length: ";
	const char *at = memmem(head.ptr, head.len, name, strlen(name));

	FUZZ_MUST(at != NULL);
	return strtoul(at + strlen(name), NULL, 10);
}

/* A body in chunks, at the head of *rest: how long it is. They begin with `line`. */
static size_t skip_chunks(struct slice *rest, const char *line)
{
	char first[NUMBER_BYTES];
	size_t sum = 0;

	for (;;) {
		char *end;
		size_t len;

		FUZZ_MUST(memchr(rest->ptr, '\n', rest->len));
		len = strtoul(rest->ptr, &end, 16);
		FUZZ_MUST(end > rest->ptr && end + 2 + len + 2 <= rest->ptr + rest->len);
		for (size_t i = sum; i < sizeof(first) && i < sum + len; i++)
			first[i] = end[2 + i - sum];
		*rest = slice_from(*rest, (size_t)(end - rest->ptr) + 2 + len + 2);
		sum += len;
		FUZZ_MUST(end[0] == '\r' && end[1] == '\n');
		FUZZ_MUST(rest->ptr[-2] == '\r' && rest->ptr[-1] == '\n');
		if (len > 0)
			continue;
		FUZZ_MUST(sum >= sizeof(first) && begins(slice_of(first, sizeof(first)), line));
		return sum;
	}
}

/* The answer at the head of *rest. */
static void check_answer(struct slice *rest, size_t index)
{
	static const char chunked[] = "\r\nTransfer-Encoding: chunked\r\n";
	bool bodyless = index < wanted.count && wanted.requests[index].head;
	char line[64];
	const char *end;
	struct slice head;
	size_t len;

	skip_continue(rest, index);
	(void)snprintf(line, sizeof(line), "HTTP/1.1 %d ", status_expected(index));
	FUZZ_MUST(begins(*rest, line));
	end = memmem(rest->ptr, rest->len, "\r\n\r\n", 4);
	FUZZ_MUST(end != NULL);
	head = slice_of(rest->ptr, (size_t)(end - rest->ptr) + 4);
	*rest = slice_from(*rest, head.len);
	if (index >= play.handed && !play.denied) {	/* a refusal, which may be of a HEAD */
		FUZZ_MUST(rest->len == 0 || rest->len == length_of(head));
		*rest = slice_from(*rest, rest->len);
		return;
	}
	(void)snprintf(line, sizeof(line), "%zu ", index);
	if (memmem(head.ptr, head.len, chunked, strlen(chunked))) {
		FUZZ_MUST(play.whims & WHIM_PIECES && (bodyless || skip_chunks(rest, line) > 0));
		return;
	}
	len = index >= play.handed && rest->len == 0 ? 0 : length_of(head);
	if (bodyless || len == 0)
		return;
	FUZZ_MUST(rest->len >= len && begins(*rest, line));
	*rest = slice_from(*rest, len);
}

static void check_answers(void)
{
	struct slice rest = buf_slice(&got);
	size_t count = answers_expected();

	for (size_t i = 0; i < count; i++)
		check_answer(&rest, i);
	/* Who is told to continue may end without the body. */
	if (play.last == SIZE_MAX && !play.denied && !wanted.refused)
		skip_continue(&rest, count);
	FUZZ_MUST(rest.len == 0);
}

/* ---- A run ---- */

static void open_server(void)
{
	struct http_server_options options = {
		.listen = "127.0.0.1:0", .limits = http_limits_default, .handle = handle,
		.admit = admit,
	};
	struct err err = { 0 };

	options.limits.body_bytes_max = feed_limits.body_bytes_max;
	options.limits.header_bytes_max = feed_limits.header_bytes_max;
	options.limits.headers_max = feed_limits.headers_max;
	options.limits.connections_max = 8;
	options.limits.pipeline_max = PIPELINE_MAX;
	options.limits.header_ms = options.limits.body_ms = options.limits.write_ms = HOUR_MS;
	options.limits.body_grace_ms = options.limits.idle_ms = HOUR_MS;
	FUZZ_MUST(http_server_new(&options, &server, &err) == ERR_OK);
	/* A busy machine stops us for seconds. */
	server->timers.length_ms[WAIT_LINGER] = HOUR_MS;
	feed_seen_init(&wanted);
	buf_init(&request_text, FEED_TEXT_MAX);
	buf_init(&got, GOT_BYTES_MAX);
	memset(filler, 'x', sizeof(filler));
}

/* Lets the server make its first slots, as it does when it accepts. */
static void connect_once(void)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(http_server_port(server)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	FUZZ_MUST(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
	while (server->slots == 0)
		turn();
	(void)close(fd);
	while (server->open > 0)
		turn();
}

static void open_client(void)
{
	struct sockaddr_storage address = { .ss_family = AF_INET };
	struct http_peer_key key = http_peer_key(&address);
	int ends[2], bytes = 4096;

	FUZZ_MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
	if (play.whims & WHIM_SMALL_SOCKET)
		FUZZ_MUST(setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)) == 0);
	FUZZ_MUST(http_peers_add(&server->peers, key, UINT32_MAX));
	http_conn_open(server, ends[1], &address, key, 0);
	play.client = ends[0];
}

static void close_client(void)
{
	(void)close(play.client);
	for (int steps = 0; server->open > 0; steps++) {
		FUZZ_MUST(steps < STEPS_MAX);
		turn();
	}
	while (play.late_count > 0)	/* for nobody */
		answer_late_one();
	FUZZ_MUST(server->pool.used_bytes == 0 && !server->queue_head && !server->pieces_due);
	for (size_t i = 0; i < PIPELINE_MAX; i++)
		FUZZ_MUST(!play.makings[i].pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct slice bytes = slice_of(data, len);
	uint32_t piece_max;

	if (!server) {
		open_server();
		connect_once();
	}
	play = (struct play){ .seed = fuzz_take(&bytes), .last = SIZE_MAX };
	piece_max = 1u << fuzz_take(&bytes) % 12;
	play.whims = fuzz_take(&bytes) | (unsigned)fuzz_take(&bytes) << 8;
	buf_clear(&got);
	feed_run(bytes, 0, 0, &wanted);
	open_client();
	client_sends(bytes, piece_max);
	if (!(play.whims & WHIM_ABORT)) {
		client_ends();
		check_answers();
	}
	close_client();
	return 0;
}
