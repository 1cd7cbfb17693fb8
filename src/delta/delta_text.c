/* delta_text.c - the lines of a commit as they are written, and the paths in them. */
#include "base/mem.h"
#include "delta/delta_action.h"

#include <inttypes.h>
#include <sys/random.h>

/* RFC 2396's unreserved characters, and of the reserved ones those that mean nothing in a path. */
static bool stands_for_itself(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		(c && strchr("-_.!~*'()/=&$,@", c));
}

void delta_put_path(struct buf *out, const char *path)
{
	for (; *path; path++) {
		unsigned char c = (unsigned char)*path;

		if (stands_for_itself(c))
			buf_add_char(out, (char)c);
		else
			buf_addf(out, "%%%02X", c);
	}
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "s3://bucket/x", "file:/x", "/x": not below the table's root. */
static bool is_absolute(struct slice path)
{
	size_t i = 0;

	while (i < path.len && (stands_for_itself((unsigned char)path.ptr[i]) ||
				path.ptr[i] == '+') && path.ptr[i] != '/')
		i++;
	return path.len > 0 && (path.ptr[0] == '/' || (i < path.len && path.ptr[i] == ':'));
}

/* SQL engines take a path for a pattern: "*.parquet" would be every file there is. */
static enum err_code check_path(const char *path, size_t len, struct err *err)
{
	if (memchr(path, '\0', len))
		return err_set(err, ERR_CORRUPT, "a file's path holds a NUL");
	if (store_check_key(path, err) != ERR_OK)
		return err->code = ERR_CORRUPT;
	if (strpbrk(path, "*?[\\"))
		return err_set(err, ERR_UNSUPPORTED, "the name of file \"%s\" is a pattern", path);
	return ERR_OK;
}

enum err_code delta_path_decode(struct slice encoded, char **ret_path, struct err *err)
{
	char *path;
	size_t len = 0;
	enum err_code code;

	if (is_absolute(encoded))
		return err_set(err, ERR_UNSUPPORTED, "file \"%.*s\" lies outside the table",
			       SLICE_ARG(encoded));
	path = xcalloc(encoded.len + 1, 1);
	for (size_t i = 0; i < encoded.len; i++, len++) {
		int high = encoded.ptr[i] == '%' && i + 2 < encoded.len ?
			hex_digit(encoded.ptr[i + 1]) : -1;
		int low = high >= 0 ? hex_digit(encoded.ptr[i + 2]) : -1;

		path[len] = low >= 0 ? (char)(high << 4 | low) : encoded.ptr[i];
		i += low >= 0 ? 2 : 0;
	}
	code = check_path(path, len, err);
	if (code == ERR_OK)
		*ret_path = path;
	else
		free(path);
	return code;
}

void delta_put_add(struct buf *out, const struct delta_add *add, bool data_change)
{
	buf_add_str(out, "{\"add\":{\"path\":\"");
	delta_put_path(out, add->path);
	buf_addf(out,
		 "\",\"partitionValues\":{},\"size\":%" PRIu64 ",\"modificationTime\":%" PRId64
		 ",\"dataChange\":%s,\"stats\":",
		 add->size, add->modified_ms, data_change ? "true" : "false");
	if (add->stats)
		json_put_string(out, slice_str(add->stats));
	else
		buf_addf(out, "\"{\\\"numRecords\\\":%" PRIu64 "}\"", add->rows);
	buf_add_str(out, "}}\n");
}

void delta_put_remove(struct buf *out, const struct delta_add *gone, bool data_change,
		      int64_t now_ms)
{
	buf_add_str(out, "{\"remove\":{\"path\":\"");
	delta_put_path(out, gone->path);
	buf_addf(out,
		 "\",\"deletionTimestamp\":%" PRId64 ",\"dataChange\":%s,"
		 "\"extendedFileMetadata\":true,\"partitionValues\":{},\"size\":%" PRIu64 "}}\n",
		 now_ms, data_change ? "true" : "false", gone->size);
}

static void put_member(struct buf *out, const char *name, const char *text)
{
	if (!text)
		return;
	buf_addf(out, "\"%s\":", name);
	json_put_string(out, slice_str(text));
	buf_add_char(out, ',');
}

static void put_settings(struct buf *out, const struct delta_settings *settings)
{
	buf_add_char(out, '{');
	for (size_t i = 0; i < settings->count; i++) {
		buf_add_str(out, i ? "," : "");
		json_put_string(out, slice_str(settings->items[i].key));
		buf_add_char(out, ':');
		json_put_string(out, slice_str(settings->items[i].value));
	}
	buf_add_char(out, '}');
}

void delta_put_metadata(struct buf *out, const struct delta_metadata *metadata, struct slice schema)
{
	buf_add_str(out, "{\"metaData\":{");
	put_member(out, "id", metadata->id);
	put_member(out, "name", metadata->name);
	put_member(out, "description", metadata->description);
	buf_add_str(out, "\"format\":{");
	put_member(out, "provider", metadata->provider);
	buf_add_str(out, "\"options\":");
	put_settings(out, &metadata->options);
	buf_add_str(out, "},\"schemaString\":");
	json_put_string(out, schema);
	buf_add_str(out, ",\"partitionColumns\":[],\"configuration\":");
	put_settings(out, &metadata->settings);
	if (metadata->created_ms >= 0)
		buf_addf(out, ",\"createdTime\":%" PRId64, metadata->created_ms);
	buf_add_str(out, "}}\n");
}

void delta_put_txn(struct buf *out, const struct delta_txn *txn, int64_t now_ms)
{
	buf_add_str(out, "{\"txn\":{\"appId\":");
	json_put_string(out, slice_str(txn->app_id));
	buf_addf(out, ",\"version\":%" PRId64 ",\"lastUpdated\":%" PRId64 "}}\n", txn->version, now_ms);
}

void delta_uuid(char out[static DELTA_UUID_SIZE])
{
	unsigned char b[16];
	size_t got = 0;

	while (got < sizeof(b)) {	/* fails only by a signal, before the pool is ready */
		ssize_t n = getrandom(b + got, sizeof(b) - got, 0);

		got += n > 0 ? (size_t)n : 0;
	}
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	(void)snprintf(out, DELTA_UUID_SIZE, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
		       "%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7],
		       b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

void delta_new_file_name(struct buf *out)
{
	char uuid[DELTA_UUID_SIZE];

	delta_uuid(uuid);
	buf_addf(out, "part-%s.snappy.parquet", uuid);
}
