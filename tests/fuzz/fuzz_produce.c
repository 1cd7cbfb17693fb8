/*
 * Bodies of produce requests. The first byte chooses the format, and whether the body is packed.
 * What is taken in another format than the binary must be JSON, already in its compact form; what
 * is refused must say why.
 */
#include "base/json.h"
#include "fuzz.h"
#include "gateway/coding.h"
#include "gateway/produce.h"

enum { BODY_MAX = 64 << 10, PARTITION = 5 };

static struct json_parser *parser, *again;
static struct records records;
static struct buf text, unpacked;

static void set_up(void)
{
	parser = json_parser_new(BODY_MAX);
	again = json_parser_new(BODY_MAX);
	records_init(&records, BODY_MAX);
	buf_init(&text, BODY_MAX);
	buf_init(&unpacked, BODY_MAX);
}

static void check_json(struct slice value)
{
	struct err err = { 0 };
	struct json root;

	if (!value.ptr)
		return;
	FUZZ_MUST(json_parse(again, value, &root, &err) == ERR_OK);
	buf_clear(&text);
	json_put(&text, root);
	FUZZ_MUST(slice_eq(buf_slice(&text), value));
}

static void check_taken(enum produce_format format)
{
	FUZZ_MUST(records.count > 0 && records.count <= REQUEST_RECORDS_MAX);
	for (size_t i = 0; i < records.count; i++) {
		FUZZ_MUST(records.at[i].partition >= 0);
		if (format != PRODUCE_BINARY) {
			check_json(records.at[i].key);
			check_json(records.at[i].value);
		}
	}
}

/* What was packed, or neither of the two formats; false: that is refused. */
static bool undo(enum http_coding coding, struct slice *body)
{
	struct err err = { 0 };
	enum err_code code;

	if (coding == HTTP_CODING_NONE)
		return true;
	code = coding_undo(coding, *body, BODY_MAX, &unpacked, &err);
	FUZZ_MUST(code == ERR_OK || ((code == ERR_SYNTAX || code == ERR_LIMIT) && err.msg[0]));
	*body = buf_slice(&unpacked);
	FUZZ_MUST(code != ERR_OK || body->len <= BODY_MAX);
	return code == ERR_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	enum produce_format format;
	enum http_coding coding;
	struct err err = { 0 };
	enum err_code code;
	struct slice given;
	char *body;

	if (len == 0 || len > BODY_MAX)
		return 0;
	if (!parser)
		set_up();
	format = (enum produce_format)(data[0] & 3);
	coding = (data[0] & 12) == 12 ? HTTP_CODING_NONE : (enum http_coding)(data[0] >> 2 & 3);
	body = fuzz_padded(data + 1, len - 1, JSON_PADDING);
	given = slice_of(body, len - 1);
	if (!undo(coding, &given)) {
		free(body);
		return 0;
	}
	code = produce_parse(parser, given, format, PARTITION, &records, &err);
	if (code == ERR_OK)
		check_taken(format);
	else
		FUZZ_MUST((code == ERR_SYNTAX || code == ERR_USAGE || code == ERR_SHAPE ||
			   code == ERR_LIMIT) && err.msg[0]);
	free(body);
	return 0;
}
