#include "gateway/guard.h"

#include "base/mem.h"
#include "net/http_chars.h"

#include <stdio.h>
#include <strings.h>

/* What a page may send and read beyond the plainest; its browser asks for these by name. */
#define CORS_PREFLIGHT \
	"Access-Control-Allow-Methods: GET, HEAD, POST, PUT, DELETE\r\n" \
	"Access-Control-Allow-Headers: Content-Type, Content-Encoding, x-api-key, Shard-Iterator\r\n" \
	"Access-Control-Allow-Private-Network: true\r\n" \
	"Access-Control-Max-Age: 600\r\n"

/* Takes the next name off a list with commas. False: there is none. */
static bool next_name(const char **list, struct slice *ret)
{
	size_t len;

	while (**list == ',' || **list == ' ')
		(*list)++;
	len = strcspn(*list, ",");
	*ret = slice_trim(slice_of(*list, len));
	*list += len;
	return len > 0;
}

static bool same_nocase(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0);
}

/* The host of "host:port", an IPv6 address with its brackets. */
static struct slice without_port(struct slice host)
{
	size_t len = host.len;

	while (len > 0 && host.ptr[len - 1] >= '0' && host.ptr[len - 1] <= '9')
		len--;
	return len > 1 && host.ptr[len - 1] == ':' ? slice_of(host.ptr, len - 1) : host;
}

/* As browsers tell them from names: brackets, or a last label of digits, which no domain has. */
static bool is_address(struct slice host)
{
	size_t at = host.len;

	if (host.len > 2 && host.ptr[0] == '[')
		return host.ptr[host.len - 1] == ']';
	while (at > 0 && host.ptr[at - 1] >= '0' && host.ptr[at - 1] <= '9')
		at--;
	return at < host.len && (at == 0 || host.ptr[at - 1] == '.');
}

bool guard_admits_host(const struct guard *guard, struct slice host)
{
	const char *list = guard->hosts;
	struct slice name;

	host = without_port(host);
	if (host.len == 0 || is_address(host) || slice_is_nocase(host, "localhost"))
		return true;
	for (const char *const *own = guard->listen; *own; own++)
		if (same_nocase(host, without_port(slice_str(*own))))
			return true;
	while (next_name(&list, &name))
		if (slice_is(name, "*") || same_nocase(name, host))
			return true;
	return false;
}

/* What follows the scheme of an origin; null: it has none. */
static struct slice authority(struct slice origin)
{
	for (size_t i = 0; i + 3 <= origin.len; i++)
		if (memcmp(origin.ptr + i, "://", 3) == 0)
			return slice_from(origin, i + 3);
	return slice_of(NULL, 0);
}

bool guard_admits_origin(const struct guard *guard, const struct http_request *request,
			 const struct guard_origin **ret)
{
	struct slice own = authority(request->origin);

	*ret = NULL;
	if (own.len > 0 && same_nocase(own, request->host))
		return true;
	for (size_t i = 0; i < guard->origin_count && !*ret; i++)
		if (slice_is(guard->origins[i].name, "*") ||
		    same_nocase(guard->origins[i].name, request->origin))
			*ret = &guard->origins[i];
	return *ret != NULL;
}

/* scheme://host[:port], or "*"; what goes into a header must not end it. */
static bool is_origin(struct slice name)
{
	struct slice rest = authority(name);

	for (size_t i = 0; i < name.len; i++)
		if (name.ptr[i] <= ' ' || name.ptr[i] > '~')
			return false;
	return slice_is(name, "*") || (rest.len > 0 && rest.ptr > name.ptr + 3 &&
				       !memchr(rest.ptr, '/', rest.len));
}

static char *origin_lines(struct slice name, const char *more)
{
	static const char fmt[] = "Access-Control-Allow-Origin: %.*s\r\nVary: Origin\r\n"
				  "Access-Control-Expose-Headers: Retry-After\r\n%s";
	size_t room = sizeof(fmt) + name.len + strlen(more);
	char *lines = xmalloc(room);

	(void)snprintf(lines, room, fmt, SLICE_ARG(name), more);
	return lines;
}

enum err_code guard_init(struct guard *guard, const char *const *listen, const char *hosts,
			 const char *origins, struct err *err)
{
	struct slice name;

	*guard = (struct guard){
		.hosts = hosts ? hosts : "",
		.listen = listen,
	};
	while (origins && next_name(&origins, &name)) {
		struct guard_origin *origin;

		if (!is_origin(name))
			return err_set(err, ERR_USAGE, "gateway.cors_origins: \"%.*s\" is no origin,"
				       " such as \"https://app.example\"", SLICE_ARG(name));
		guard->origins = xreallocarray(guard->origins, guard->origin_count + 1,
					       sizeof(*guard->origins));
		origin = &guard->origins[guard->origin_count++];
		origin->name = name;
		origin->answer = origin_lines(name, "");
		origin->preflight = origin_lines(name, CORS_PREFLIGHT);
	}
	return ERR_OK;
}

void guard_release(struct guard *guard)
{
	for (size_t i = 0; i < guard->origin_count; i++) {
		free(guard->origins[i].answer);
		free(guard->origins[i].preflight);
	}
	free(guard->origins);
}
