/*
 * What a service answers: a status, a byte of the request, the head up to a zero byte, then the
 * body. Whatever it is, the call knows what to do next, and what it tells a person is one line.
 */
#include "base/xml.h"
#include "fuzz.h"
#include "net/aws_answer.h"
#include "net/aws_source.h"

static void check_line(const char *text)
{
	for (; *text; text++)
		FUZZ_MUST((unsigned char)*text >= ' ' && *text != 0x7f);
}

static bool see_element(void *user, const char *path, struct slice text)
{
	size_t *left = user;

	FUZZ_MUST(path[0] && strlen(path) <= XML_PATH_MAX && text.len <= XML_TEXT_MAX);
	return --*left > 0;
}

static void check_answer(struct slice input)
{
	static const char *const methods[] = { "GET", "PUT", "HEAD", "POST" };
	struct aws_answer answer;
	struct aws_call call;
	uint8_t how = 0;
	int status;

	aws_call_init(&call, 1 << 16);
	status = call.status = 200 + 2 * fuzz_take(&input);
	how = fuzz_take(&input);
	call.method = methods[how & 3];
	call.repeat = (enum aws_repeat)((how >> 2 & 3) % 3);
	call.ok_may_be_error = how & 16;
	while (input.len > 0 && input.ptr[0]) {
		buf_add_char(&call.reply_head, input.ptr[0]);
		input = slice_from(input, 1);
	}
	(void)fuzz_take(&input);
	buf_add_slice(&call.reply, input);
	answer = aws_answer_read(&call, how & 32 ? 3600 : 0);
	FUZZ_MUST((answer.code == ERR_OK) == (answer.next == AWS_NEXT_DONE));
	FUZZ_MUST((answer.next == AWS_NEXT_DONE) == (call.status / 100 == 2));
	/* Else it is that of the error which stood in an answer of 200. */
	FUZZ_MUST(call.status == status ||
		  (call.ok_may_be_error && status == 200 && call.status / 100 >= 4));
	FUZZ_MUST(answer.code != ERR_UNKNOWN || !aws_call_reads(&call));
	check_line(call.error_code);
	check_line(call.error_message);
	check_line(call.request_id);
	aws_call_release(&call);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *copy = fuzz_padded(data, len, 0);
	struct slice input = slice_of(copy, len);
	struct aws_keys keys;
	struct err err;
	size_t left = len % 7 + 1;
	int64_t unix_s;

	if (xml_read(input, see_element, &left, &err) != ERR_OK)
		FUZZ_MUST(err.code == ERR_SYNTAX);
	check_answer(input);
	if (aws_keys_read_json(&keys, input, "Token", "fuzz", &err) == ERR_OK) {
		FUZZ_MUST(keys.id[0] && keys.secret[0]);
		check_line(keys.token);
	}
	(void)aws_time_read(input, &unix_s);
	free(copy);
	return 0;
}
