#include "gateway/ui_assets.h"

#include "base/gzip.h"
#include "gateway/state.h"
#include "gateway/ui.h"

#include <stdio.h>

/* Nothing but what is here, and nobody's frame: a title or a record that were taken for HTML would
 * still do nothing. */
#define PAGE_POLICY \
	"Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; " \
	"connect-src 'self'; img-src 'self' data:; form-action 'none'; base-uri 'none'; " \
	"frame-ancestors 'none'\r\n" \
	"Referrer-Policy: no-referrer\r\nCross-Origin-Opener-Policy: same-origin\r\n"
#define FILE_HEADERS \
	"Cache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\n" \
	"Cross-Origin-Resource-Policy: same-origin\r\n"

static const struct ui_file *ui_file_find(struct slice name)
{
	for (size_t i = 0; i < ui_file_count; i++)
		if (slice_is(name, ui_files[i].name))
			return &ui_files[i];
	return NULL;
}

/* If-None-Match names the tag, whichever else. */
static bool ui_file_is_known(struct slice list, const char *tag)
{
	return list.ptr && (slice_is(list, "*") || memmem(list.ptr, list.len, tag, strlen(tag)));
}

/* Unpacked for those few clients that do not unpack. */
static void ui_file_send(struct call *call, const struct ui_file *file, const char *headers)
{
	struct http_server *server = call->gateway->server;
	bool packed = media_lists(http_header(call->request, "Accept-Encoding"), "gzip");
	const char *tag = packed ? file->packed_tag : file->tag;
	struct http_reply reply = { .status = 200, .content_type = file->type };
	char lines[160];
	struct err err;

	(void)snprintf(lines, sizeof(lines), "ETag: %s\r\nVary: Accept, Accept-Encoding\r\n%s", tag,
		       packed ? "Content-Encoding: gzip\r\n" : "");
	reply.extra[0] = headers;
	reply.extra[1] = lines;
	if (ui_file_is_known(http_header(call->request, "If-None-Match"), tag)) {
		reply.status = 304;
		reply.content_type = NULL;
	} else if (packed) {
		reply.body = file->packed;
	} else if (gzip_unpack(call->reply, file->packed, &err) == ERR_OK) {
		reply.body = buf_slice(call->reply);
	} else {
		call_fail(call, &err);
		return;
	}
	call->deferred = true;
	http_reply(server, call->ticket, &reply);
}

void ui_page(struct call *call)
{
	const struct ui_file *file = ui_file_find(slice_str("index.html"));

	if (file)
		ui_file_send(call, file, FILE_HEADERS PAGE_POLICY);
	else
		call_refuse(call, 404);
}

void ui_asset(struct call *call)
{
	const struct ui_file *file = ui_file_find(call->param[0]);

	if (file)
		ui_file_send(call, file, FILE_HEADERS PAGE_POLICY);
	else
		call_refuse(call, 404);
}
