/*
 * Bodies of produce requests. The first byte chooses the format. What is taken in the JSON format
 * must be JSON, already in its compact form; what is refused must say why.
 */
#include "base/json.h"
#include "fuzz.h"
#include "gateway/produce.h"

enum { BODY_MAX = 64 << 10, PARTITION = 5 };

static struct json_parser *parser, *again;
static struct records records;
static struct buf text;

static void set_up(void)
{
	parser = json_parser_new(BODY_MAX);
	again = json_parser_new(BODY_MAX);
	records_init(&records, BODY_MAX);
	buf_init(&text, BODY_MAX);
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
		if (format == PRODUCE_JSON) {
			check_json(records.at[i].key);
			check_json(records.at[i].value);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	enum produce_format format;
	struct err err = { 0 };
	enum err_code code;
	char *body;

	if (len == 0 || len > BODY_MAX)
		return 0;
	if (!parser)
		set_up();
	format = data[0] & 1 ? PRODUCE_BINARY : PRODUCE_JSON;
	body = fuzz_padded(data + 1, len - 1, JSON_PADDING);
	code = produce_parse(parser, slice_of(body, len - 1), format, PARTITION, &records, &err);
	if (code == ERR_OK)
		check_taken(format);
	else
		FUZZ_MUST((code == ERR_SYNTAX || code == ERR_USAGE || code == ERR_SHAPE ||
			   code == ERR_LIMIT) && err.msg[0]);
	free(body);
	return 0;
}
