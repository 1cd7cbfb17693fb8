/*
 * Bodies of PUT /streams/{s}/record and /records. The first byte chooses. What is taken keeps to
 * the limits, and one record's Data is JSON in its compact form.
 */
#include "base/json.h"
#include "fuzz.h"
#include "gateway/put_records.h"

enum { BODY_MAX = 64 << 10, RECORD_MAX = 2048 };

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

static void check_taken(bool one)
{
	struct err err = { 0 };
	struct json root;

	FUZZ_MUST(records.count > 0 && records.count <= (one ? 1 : PUT_RECORDS_MAX));
	for (size_t i = 0; i < records.count; i++) {
		const struct append_record *record = &records.at[i];

		FUZZ_MUST(record->key.len > 0 && record->key.len <= 4 * PARTITION_KEY_CHARS_MAX);
		FUZZ_MUST(record->value.ptr && record->value.len <= RECORD_MAX);
	}
	if (!one)
		return;
	FUZZ_MUST(json_parse(again, records.at[0].value, &root, &err) == ERR_OK);
	buf_clear(&text);
	json_put(&text, root);
	FUZZ_MUST(slice_eq(buf_slice(&text), records.at[0].value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct err err = { 0 };
	enum err_code code;
	struct slice body;
	char *bytes;
	bool one;

	if (len == 0 || len > BODY_MAX)
		return 0;
	if (!parser)
		set_up();
	one = data[0] & 1;
	bytes = fuzz_padded(data + 1, len - 1, JSON_PADDING);
	body = slice_of(bytes, len - 1);
	code = one ? put_record_parse(parser, body, RECORD_MAX, &records, &err)
		   : put_records_parse(parser, body, RECORD_MAX, &records, &err);
	if (code == ERR_OK)
		check_taken(one);
	else
		FUZZ_MUST((code == ERR_SYNTAX || code == ERR_SHAPE || code == ERR_LIMIT) &&
			  err.msg[0]);
	free(bytes);
	return 0;
}
