#include "gateway/gateway.h"

#include "base/mem.h"
#include "base/metrics.h"
#include "base/time.h"
#include "base/trace.h"
#include "gateway/caller.h"
#include "gateway/coding.h"
#include "gateway/route.h"
#include "gateway/state.h"
#include "gateway/ui.h"
#include "gateway/velocity.h"
#include "gateway/worker.h"

#include <assert.h>

enum {
	REPLY_MAX = 32 << 20,
	REPLY_KEPT = 1 << 20,
	HELP_MAX = 4096,
	PAGE_BODY_MAX = 64 << 10,
	OPEN_WAIT_MS = 5000,  /* an ordinary start: who reads the address can post at once */
	TAKEN_WAIT_MS = 8000, /* the one that is taken over from waits longer */
	BODIES_HELD = 8,      /* of the largest size; one that grows holds three times as much */
};

static_assert((int)HTTP_BODY_PADDING >= (int)JSON_PADDING, "bodies are parsed in place");

/* Nobody but this machine, unless a key or --insecure says otherwise. */
static enum err_code check_listen(const struct gateway *gateway, const char *listen,
				  struct err *err)
{
	bool loopback;

	if (http_listen_check(listen, &loopback, err) != ERR_OK)
		return err->code;
	if (!loopback && !gateway->auth.required && !gateway->options.insecure)
		return err_set(err, ERR_USAGE,
			       "others can reach \"%s\": set gateway.api_key_sha256"
			       " or gateway.keys, or say --insecure",
			       listen);
	return ERR_OK;
}

static enum err_code check_listeners(struct gateway *gateway, struct err *err)
{
	const struct gateway_options *options = &gateway->options;
	const char *also = options->listen_also ? options->listen_also : "";
	enum err_code code = listeners_init(&gateway->listeners, options->listen, also, err);

	for (unsigned i = 0; i < gateway->listeners.count && code == ERR_OK; i++)
		code = check_listen(gateway, gateway->listeners.addresses[i], err);
	return code;
}

enum err_code gateway_new(const struct gateway_options *options, struct gateway **ret_gateway,
			  struct err *err)
{
	struct gateway *gateway = xcalloc(1, sizeof(*gateway));

	gateway->options = *options;
	if (auth_init(&gateway->auth, options->api_key_sha256, options->keys ? options->keys : "",
		      err) != ERR_OK ||
	    check_listeners(gateway, err) != ERR_OK ||
	    guard_init(&gateway->guard, gateway->listeners.addresses, options->hosts,
		       options->cors_origins, err) != ERR_OK ||
	    iterator_key_init(&gateway->iterator_key, err) != ERR_OK) {
		guard_release(&gateway->guard);
		listeners_release(&gateway->listeners);
		auth_release(&gateway->auth);
		free(gateway);
		return err->code;
	}
	gateway->json = json_parser_new(options->body_bytes_max);
	records_init(&gateway->records, VELOCITY_GROWTH_MAX * options->body_bytes_max);
	buf_init(&gateway->reply, REPLY_MAX);
	buf_init(&gateway->unpacked, options->body_bytes_max);
	ingest_init(&gateway->ingest, gateway);
	ended_init(&gateway->sessions.ended);
	presence_init(&gateway->presence);
	refused_init(&gateway->refused);
	missing_init(&gateway->missing);
	opening_init(&gateway->opening, gateway);
	takeover_init(&gateway->takeover, gateway);
	*ret_gateway = gateway;
	return ERR_OK;
}

void gateway_free(struct gateway *gateway)
{
	if (!gateway)
		return;
	gateway->ended = true;
	opening_release(&gateway->opening); /* its thread begins what the next one ends */
	takeover_release(&gateway->takeover);
	worker_free(gateway->worker);
	broker_free(gateway_broker(gateway));
	ui_free(gateway->ui);
	http_server_free(gateway->server);	/* runs what was posted to it */
	missing_release(gateway);
	ingest_release(&gateway->ingest);
	ended_release(&gateway->sessions.ended);
	presence_release(&gateway->presence);
	refused_release(&gateway->refused);
	records_release(&gateway->records);
	json_parser_free(gateway->json);
	buf_release(&gateway->reply);
	buf_release(&gateway->unpacked);
	guard_release(&gateway->guard);
	listeners_release(&gateway->listeners);
	auth_release(&gateway->auth);
	free(gateway);
}

void gateway_done(void *gateway, struct append *chain)
{
	ingest_done(&((struct gateway *)gateway)->ingest, chain);
}

static bool is_own(const struct gateway_own *own, const char *name)
{
	for (size_t i = 0; i < own->count; i++)
		if (strcmp(own->names[i], name) == 0)
			return true;
	return false;
}

bool gateway_creates(const struct gateway *gateway, enum topic_kind kind, const char *name,
		     int32_t *ret_partitions)
{
	const struct gateway_options *options = &gateway->options;

	*ret_partitions = kind == TOPIC_STREAM ? options->shards : options->partitions;
	return options->auto_create == AUTO_CREATE_ANY ||
	       (options->auto_create == AUTO_CREATE_OWN && is_own(&options->own[kind], name));
}

/* Before anybody is asked to make them: the id comes from the command line. */
static enum err_code check_own(struct gateway *gateway, enum topic_kind kind, struct err *err)
{
	const struct gateway_own *own = &gateway->options.own[kind];

	for (size_t i = 0; i < own->count; i++) {
		struct slice name = slice_str(own->names[i]);
		enum err_code code = kind == TOPIC_STREAM ? name_check_stream(name, err)
							  : name_check_topic(name, err);

		if (code != ERR_OK)
			return err->code = ERR_USAGE;
	}
	return ERR_OK;
}

static const char *reply_type(enum face face, struct slice accept)
{
	return face == FACE_KAFKA && media_admits(accept, MEDIA_KAFKA) ? media_name(MEDIA_KAFKA)
								       : media_name(MEDIA_JSON);
}

/* Only the page asks for it. */
static struct http_peer_key client_of(const struct gateway *gateway,
				      const struct http_request *request)
{
	const char *header = gateway->options.client_header;
	struct slice client = header ? http_client(request, header) : slice_of(NULL, 0);

	return http_peer_key_of_text(client.ptr ? client : slice_str(request->peer));
}

static struct route_match gateway_begin(struct gateway *gateway, const struct http_request *request,
					struct call *call)
{
	unsigned faces = gateway->listeners.faces[request->listener];
	struct route_match match =
		route_find(request->method, request->path, gateway->options.stages, faces);

	if (faces & 1u << FACE_PAGE && slice_is(request->path, "/") && ui_wants_page(request)) {
		match.route = &ui_page_route;
		match.face = FACE_PAGE;
	}
	if (gateway->reply.cap > REPLY_KEPT)
		buf_release(&gateway->reply);
	if (gateway->unpacked.cap > REPLY_KEPT)
		buf_release(&gateway->unpacked);
	buf_clear(&gateway->reply);
	*call = (struct call){
		.gateway = gateway,
		.face = match.face,
		.faces = faces,
		.ticket = request->ticket,
		.request = request,
		.began_us = gateway->turn_us,
		.param = { match.param[0], match.param[1] },
		.query = request->query,
		.body = json_without_bom(request->body),
		.iterator = http_header(request, "Shard-Iterator"),
		.media = media_of(http_header(request, "Content-Type")),
		.client = match.face == FACE_PAGE ? client_of(gateway, request)
						  : (struct http_peer_key){ 0 },
		.json = gateway->json,
		.status = 200,
		.reply_type = reply_type(match.face, http_header(request, "Accept")),
		.reply = &gateway->reply,
	};
	return match;
}

/* Confluent's proxy takes a body without a type for binary; the API Gateway, for JSON. */
static bool media_fits(const struct route *route, enum media media)
{
	if (route->face == FACE_KAFKA)
		return !(route->flags & ROUTE_PRODUCES) || media == MEDIA_NONE ||
		       media == MEDIA_KAFKA_JSON || media == MEDIA_KAFKA_BINARY ||
		       media == MEDIA_JSON || media == MEDIA_NDJSON;
	if (route->face == FACE_PAGE)
		return media == MEDIA_NONE || media == MEDIA_JSON;
	if (route->face == FACE_KINESIS)
		return media == MEDIA_NONE || media == MEDIA_JSON || media == MEDIA_AMZ_JSON;
	return true;
}

static bool accept_fits(const struct route *route, struct slice accept)
{
	return route->face != FACE_KAFKA || media_admits(accept, MEDIA_KAFKA) ||
	       media_admits(accept, MEDIA_JSON);
}

static size_t body_max(const struct gateway *gateway, const struct route *route)
{
	size_t all = gateway->options.body_bytes_max;

	if (route->face == FACE_PAGE && all > PAGE_BODY_MAX)
		return PAGE_BODY_MAX;
	return (route->flags & ROUTE_BLOCKS) && all > WORKER_BODY_MAX ? WORKER_BODY_MAX : all;
}

/* Who may ask at all, before anything else is looked at. False: `call` holds the answer. */
static bool guard_call(struct call *call, const struct http_request *request, bool any_host)
{
	const struct gateway *gateway = call->gateway;
	const struct guard_origin *page = NULL;

	if (request->origin.ptr && !guard_admits_origin(&gateway->guard, request, &page)) {
		call_denyf(call, "no page of the origin \"%.*s\" may use this gateway:"
			   " gateway.cors_origins names those that may",
			   SLICE_ARG(request->origin));
		return false;
	}
	if (page && call->face == FACE_PAGE) {
		call_denyf(call, "the page is for no page of another origin");
		return false;
	}
	call->cors = page ? page->answer : NULL;
	if (!any_host && !gateway->auth.required &&
	    !guard_admits_host(&gateway->guard, request->host)) {
		call_denyf(call, "the Host \"%.*s\" is neither an address nor localhost:"
			   " gateway.hosts names what else this gateway is called",
			   SLICE_ARG(request->host));
		return false;
	}
	/* A browser asks without the key whether it may send it. */
	if (page && request->method == HTTP_METHOD_OPTIONS) {
		call->cors = page->preflight;
		call->status = 204;
		call->reply_type = NULL;
		return false;
	}
	return true;
}

/* No such route: says which there are. */
static void refuse_path(struct call *call, const struct http_request *request)
{
	struct slice operation = http_header(request, "X-Amz-Target");
	struct buf help;

	if (operation.ptr) {
		call_unknown_operation(call, operation);
		return;
	}
	buf_init(&help, HELP_MAX);
	route_put_nearest(&help, request->method, request->path, call->faces);
	route_put_help(&help, call->face, call->faces);
	call_refuse_saying(call, 404, buf_slice(&help));
	buf_release(&help);
}

/* What the path takes instead; who asks only that is answered, not refused. */
static void refuse_method(struct call *call, const struct http_request *request, unsigned methods)
{
	call_refuse(call, 405);
	route_put_allow(methods, call->extra, sizeof(call->extra));
	if (request->method != HTTP_METHOD_OPTIONS)
		return;
	buf_clear(call->reply);
	call->status = 204;
	call->reply_type = NULL;
}

static void refuse_media(struct call *call, const struct route *route)
{
	char help[128];

	if (route->face == FACE_KAFKA)
		(void)snprintf(help, sizeof(help), "send Content-Type: %s, or %s, or %s",
			       media_name(MEDIA_KAFKA_JSON), media_name(MEDIA_JSON),
			       media_name(MEDIA_NDJSON));
	else
		(void)snprintf(help, sizeof(help), "send Content-Type: %s", media_name(MEDIA_JSON));
	call_refuse_saying(call, 415, slice_str(help));
}

/* False: `call` holds the refusal. */
static bool admit_call(struct call *call, const struct route_match *match,
		       const struct http_request *request)
{
	const struct route *route = match->route;
	bool any_host = route && (route->flags & ROUTE_OPEN) && !(route->flags & ROUTE_NAMED);
	bool here = route && !(request->content_length && route->flags & ROUTE_BODILESS);

	if (!guard_call(call, request, any_host) || !caller_admit(call, route, request))
		return false;
	if (!route && match->methods && call->face != FACE_KINESIS) {
		refuse_method(call, request, match->methods);
	} else if (!here) {
		refuse_path(call, request);
	} else if (!media_fits(route, call->media)) {
		refuse_media(call, route);
	} else if (!accept_fits(route, http_header(request, "Accept"))) {
		call_refuse_saying(call, 406,
				   slice_str("answers are application/vnd.kafka.v2+json"
					     " or application/json"));
	} else if (request->content_length > (int64_t)body_max(call->gateway, route)) {
		call_refuse(call, 413);
	} else {
		return true;
	}
	return false;
}

static bool gateway_admit(void *user, struct http_server *server,
			  const struct http_request *request)
{
	struct gateway *gateway = user;
	struct call call;
	struct route_match match = gateway_begin(gateway, request, &call);
	bool admitted = admit_call(&call, &match, request);

	if (!admitted)
		call_send(&call, server);
	return admitted;
}

static bool needs_broker(const struct route *route)
{
	return route->flags & (ROUTE_BLOCKS | ROUTE_PRODUCES | ROUTE_STREAMS);
}

static bool takes_records(struct call *call, const struct route *route)
{
	return !(route->flags & (ROUTE_PRODUCES | ROUTE_STREAMS)) ||
	       ingest_admits(call, route->flags & ROUTE_STREAMS ? TOPIC_STREAM : TOPIC_LOG);
}

static void route_call(struct call *call, const struct route *route)
{
	struct gateway *gateway = call->gateway;
	struct err err;

	if (needs_broker(route) && !gateway_broker(gateway) &&
	    opening_state(&gateway->opening, &err) != ERR_OK)
		call_fail(call, &err);
	else if (route->flags & ROUTE_BLOCKS)
		worker_take(gateway->worker, call, route->handle);
	else if (takes_records(call, route))
		route->handle(call);
}

/* The body as it was before it was packed for its way. False: answered. */
static bool unpack_body(struct call *call, const struct http_request *request, size_t bytes_max)
{
	struct buf *text = &call->gateway->unpacked;
	char help[96];
	struct err err;

	if (request->coding == HTTP_CODING_NONE || request->body.len == 0)
		return true;
	if (coding_undo(request->coding, request->body, bytes_max, text, &err) == ERR_OK) {
		call->body = json_without_bom(buf_slice(text));
		return true;
	}
	(void)snprintf(help, sizeof(help), "unpacked it has more than %zu bytes, or is cut",
		       bytes_max);
	if (err.code == ERR_LIMIT)
		call_refuse_saying(call, 413, slice_str(help));
	else
		call_fail(call, &err);
	return false;
}

static void handle(void *user, struct http_server *server, const struct http_request *request)
{
	struct gateway *gateway = user;
	struct call call;
	struct route_match match = gateway_begin(gateway, request, &call);

	if (!admit_call(&call, &match, request)) {
		call_send(&call, server);
		return;
	}
	if (call.body.len > body_max(gateway, match.route)) /* chunked: not announced */
		call_refuse(&call, 413);
	else if (unpack_body(&call, request, body_max(gateway, match.route)))
		route_call(&call, match.route);
	call_send(&call, server);
}

/* What one turn of the loop appends shall share a sync. */
static void gateway_turn(void *user, bool begins)
{
	struct gateway *gateway = user;

	if (begins) {
		gateway->corked = gateway_broker(gateway);
		gateway->turn_us = clock_mono_us();
		auth_refresh(&gateway->auth, gateway->turn_us / 1000);
	}
	if (gateway->corked)
		broker_cork(gateway->corked, begins);
	if (!begins)
		ui_turn(gateway->ui);
}

static void gateway_refused(void *user, const char *peer, const struct http_reply *reply)
{
	struct gateway *gateway = user;

	refused_note(&gateway->refused, peer, reply->status, reply->asked, reply->body);
}

/* The commonest fault of a first start has a name, and a cure. */
static enum err_code say_taken(const struct listeners *listeners, struct err *err)
{
	const char *listen = listeners->addresses[0];
	const char *port;

	/* It begins with the address, in quotes. */
	for (unsigned i = 1; i < listeners->count; i++)
		if (strncmp(err->msg + 1, listeners->addresses[i],
			    strlen(listeners->addresses[i])) == 0)
			return err_set(err, ERR_EXISTS,
				       "something listens on %s already, which"
				       " gateway.listen_also names",
				       listeners->addresses[i]);
	port = strrchr(listen, ':');
	return err_set(
		err, ERR_EXISTS,
		"something listens on %s already%s; --listen 127.0.0.1:0 takes a free port", listen,
		port && strcmp(port, ":8082") == 0 ? " (8082 is the Kafka REST proxy's own port)"
						   : "");
}

static enum err_code listen_on(struct gateway *gateway, struct err *err)
{
	const struct gateway_options *options = &gateway->options;
	struct http_server_options http = {
		.listen = options->listen,
		.listen_also = gateway->listeners.addresses + 1,
		.taken = gateway->takeover.taken,
		.taken_count = gateway->takeover.taken_count,
		.tls_cert = options->tls_cert,
		.tls_key = options->tls_key,
		.client_header = options->client_header,
		.limits = http_limits_default,
		.handle = handle,
		.admit = gateway_admit,
		.turn = gateway_turn,
		.turn_every_ms = options->keys ? AUTH_REFRESH_MS : 0,
		.refused = gateway_refused,
		.user = gateway,
	};
	enum err_code code;

	http.limits.packed_bodies = true;
	http.limits.body_bytes_max = options->body_bytes_max;
	if (http.limits.buffer_bytes_max < BODIES_HELD * options->body_bytes_max)
		http.limits.buffer_bytes_max = BODIES_HELD * options->body_bytes_max;
	http.limits.connections_max = options->connections_max;
	http.limits.connections_per_ip_max = options->connections_per_ip_max;
	http.limits.header_ms = options->header_ms;
	http.limits.body_ms = options->body_ms;
	http.limits.write_ms = options->write_ms;
	http.limits.idle_ms = options->idle_ms;
	code = http_server_new(&http, &gateway->server, err);
	return code == ERR_EXISTS ? say_taken(&gateway->listeners, err) : code;
}

/* In memory where no file can be had. */
static enum err_code open_secret(const struct gateway *gateway, const char *name,
				 struct secret *secret, struct err *err)
{
	const char *dir = gateway->options.dir;
	struct err why;

	if (dir && secret_load(dir, name, secret, &why) == ERR_OK)
		return ERR_OK;
	if (dir)
		trace_warn("%s; until then there is another one, which ends with this process",
			   why.msg);
	return secret_make(secret, err);
}

/* Where they cannot be read, every session of before might be one of them. */
static void open_ended(struct gateway *gateway)
{
	struct ended *ended = &gateway->sessions.ended;
	struct err why;

	if (!gateway->options.dir || ended_load(ended, gateway->options.dir, &why) == ERR_OK)
		return;
	trace_warn("%s; so all sessions of the page have ended", why.msg);
	ended_add(ended, 0, clock_wall_ms() / 1000 + SESSION_LIFE_S - 1);
}

static enum err_code open_page(struct gateway *gateway, struct err *err)
{
	open_ended(gateway);
	if (open_secret(gateway, PAGE_SECRET_NAME, &gateway->sessions.secret, err) != ERR_OK)
		return err->code;
	if (gateway->auth.required)
		return ERR_OK;
	if (open_secret(gateway, PAGE_TOKEN_NAME, &gateway->token, err) != ERR_OK)
		return err->code;
	auth_set_token(&gateway->auth, PAGE_TOKEN_NAME, slice_str(gateway->token.text));
	return ERR_OK;
}

/* Who takes over must have the log before it may serve. What may pass is no reason to hold up the
 * clients of the other one again and again. */
static enum err_code gateway_take_over(struct gateway *gateway, struct err *err)
{
	enum err_code code = opening_await(&gateway->opening, TAKEN_WAIT_MS, err);

	if (code == ERR_OK)
		code = opening_state(&gateway->opening, err);
	if (code == ERR_OK)
		code = open_page(gateway, err);
	if (code == ERR_OK)
		code = takeover_finish(&gateway->takeover, err);
	if (err_retry(code))
		code = err->code = ERR_IO;
	return code;
}

enum err_code gateway_open(struct gateway *gateway, const struct gateway_opener *opener,
			   struct err *err)
{
	struct takeover *takeover = &gateway->takeover;
	enum err_code code;

	if (check_own(gateway, TOPIC_LOG, err) != ERR_OK ||
	    check_own(gateway, TOPIC_STREAM, err) != ERR_OK ||
	    (gateway->options.takeover && takeover_ask(takeover, err) != ERR_OK) ||
	    listen_on(gateway, err) != ERR_OK ||
	    worker_new(gateway, &gateway->worker, err) != ERR_OK ||
	    ui_new(gateway, &gateway->ui, err) != ERR_OK ||
	    takeover_go(takeover, err) != ERR_OK ||
	    opening_start(&gateway->opening, opener, err) != ERR_OK)
		return err->code;
	if (takeover->from >= 0)
		return gateway_take_over(gateway, err);
	code = opening_await(&gateway->opening, OPEN_WAIT_MS, err);
	return code == ERR_OK ? open_page(gateway, err) : code;
}

const char *gateway_page_token(const struct gateway *gateway) { return gateway->token.text; }

enum err_code gateway_try(const struct gateway_options *options, struct err *err)
{
	struct gateway *gateway = NULL;
	enum err_code code = gateway_new(options, &gateway, err);

	if (code != ERR_OK)
		return code;
	assert(gateway);
	code = listen_on(gateway, err);
	gateway_free(gateway);
	return code;
}

enum err_code gateway_ready(struct gateway *gateway, struct err *err)
{
	enum err_code code = opening_state(&gateway->opening, err);

	for (int kind = TOPIC_LOG; kind <= TOPIC_STREAM && code == ERR_OK; kind++)
		code = broker_ready(gateway_broker(gateway), (enum topic_kind)kind, 0, err);
	return code;
}

uint16_t gateway_port(const struct gateway *gateway)
{
	return http_server_port(gateway->server);
}

void gateway_put_addresses(const struct gateway *gateway, struct buf *out)
{
	const struct listeners *listeners = &gateway->listeners;

	for (unsigned i = 0; i < listeners->count; i++) {
		const char *address = listeners->addresses[i];

		buf_addf(out, "%s://%.*s:%u", gateway->options.tls_cert ? "https" : "http",
			 (int)(strrchr(address, ':') - address), address,
			 http_server_port_of(gateway->server, i));
		if (listeners->faces[i] != FACES_ALL) {
			buf_add_str(out, " (");
			listeners_put_faces(out, listeners->faces[i]);
			buf_add_char(out, ')');
		}
		buf_add_char(out, '\n');
	}
}

/* What the worker could not, or came not to. */
static void keep_ended(struct gateway *gateway)
{
	struct ended *ended = &gateway->sessions.ended;
	struct err why;

	if (gateway->options.dir && !ended_is_kept(ended) &&
	    ended_keep(ended, gateway->options.dir, clock_wall_ms() / 1000, &why) != ERR_OK)
		trace_warn("sessions of the page that were ended may go on: %s", why.msg);
}

static void gateway_rest(struct gateway *gateway)
{
	gateway->ended = true;
	/* A call may still be at the broker, for a client that has left. */
	worker_free(gateway->worker);
	gateway->worker = NULL;
	keep_ended(gateway);
	opening_end(&gateway->opening);
}

static void gateway_close_log(struct gateway *gateway)
{
	gateway_rest(gateway);
	broker_free(gateway_broker(gateway));
	atomic_store_explicit(&gateway->broker, NULL, memory_order_release);
	gateway->corked = NULL;
}

/* Nobody took over. Clients wait until the log is open again, or longer for an answer that it is
 * not. */
static enum err_code gateway_go_on(struct gateway *gateway, struct err *err)
{
	const struct gateway_opener opener = gateway->opening.opener;

	if (gateway->ended) { /* the log is closed */
		opening_release(&gateway->opening);
		opening_init(&gateway->opening, gateway);
		gateway->opening.patient = true;
		gateway->ended = false;
		if (worker_new(gateway, &gateway->worker, err) != ERR_OK ||
		    opening_start(&gateway->opening, &opener, err) != ERR_OK ||
		    opening_await(&gateway->opening, OPEN_WAIT_MS, err) != ERR_OK)
			return err->code;
	}
	http_server_return(gateway->server);
	return ERR_OK;
}

static enum err_code gateway_serve(struct gateway *gateway, int64_t drain_ms, struct err *err)
{
	for (;;) {
		enum err_code code = http_server_run(gateway->server, drain_ms, err);

		if (code != ERR_OK || !http_server_has_left(gateway->server) ||
		    takeover_give(&gateway->takeover, gateway_close_log))
			return code;
		code = gateway_go_on(gateway, err);
		if (code != ERR_OK)
			return code;
	}
}

enum err_code gateway_run(struct gateway *gateway, int64_t drain_ms, struct err *err)
{
	enum err_code code = heartbeat_start(&gateway->heartbeat, gateway->server, err);
	struct err why;

	if (code == ERR_OK)
		code = gateway_serve(gateway, drain_ms, err);
	heartbeat_end(&gateway->heartbeat);
	ui_free(gateway->ui);
	gateway->ui = NULL;
	gateway_rest(gateway);
	if (code != ERR_OK || opening_state(&gateway->opening, &why) == ERR_OK ||
	    why.code == ERR_BUSY)
		return code;
	*err = why;
	return err->code;
}

void gateway_stop(struct gateway *gateway)
{
	http_server_stop(gateway->server);
}

void gateway_put_routes(struct buf *out)
{
	route_put_table(out);
}
