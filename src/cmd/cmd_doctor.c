/* Looks at the machine and the configuration, and says what to do. */
#include "base/mem.h"
#include "base/terminal.h"
#include "cmd/cmd.h"
#include "cmd/doctor.h"
#include "cmd/table.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum { FOUND_BYTES_MAX = 1024, TEXT_BYTES_MAX = 1 << 20, FOUND_AT = 8 + 1 + 12 + 1 };

static const char *columns[] = { "check", "state", "found", "advice" };

void doctor_tell(struct doctor *doctor, enum doctor_verdict verdict, const char *check,
		 const char *advice, const char *found, ...)
{
	static const char *const states[DOCTOR_VERDICTS] = { "ok", "note", "warning", "FAILED" };
	struct cell *row = rows_add(&doctor->rows);
	char text[FOUND_BYTES_MAX];
	va_list args;

	va_start(args, found);
	(void)vsnprintf(text, sizeof(text), found, args);
	va_end(args);
	doctor->counts[verdict]++;
	row[0] = rows_text(&doctor->rows, slice_str(check));
	row[1] = cell_text(states[verdict]);
	row[2] = rows_text(&doctor->rows, slice_str(text));
	if (advice)
		row[3] = rows_text(&doctor->rows, slice_str(advice));
}

void doctor_tell_err(struct doctor *doctor, const char *check, const char *advice,
		     const struct err *err)
{
	doctor_tell(doctor, DOCTOR_FAIL, check, advice, "%s", err->msg);
}

/* Most is short, and an advice as wide as the terminal: no table. */
static void doctor_put_text(const struct doctor *doctor, struct buf *out)
{
	const struct answer *answer = &doctor->rows.answer;
	size_t width = terminal_width(STDOUT_FILENO);

	for (size_t i = 0; i < answer->row_count; i++) {
		const struct cell *row = answer->cells + i * ARRAY_LEN(columns);

		buf_addf(out, "%-8.*s %-12.*s ", SLICE_ARG(row[1].text), SLICE_ARG(row[0].text));
		table_put_text(out, row[2].text, FOUND_AT, width);
		buf_add_char(out, '\n');
		if (row[3].type == CELL_NULL)
			continue;
		buf_addf(out, "%*s> ", FOUND_AT, "");
		table_put_text(out, row[3].text, FOUND_AT + 2, width);
		buf_add_char(out, '\n');
	}
}

static enum err_code doctor_print(const struct doctor *doctor, struct err *err)
{
	enum err_code code;
	struct buf out;

	if (output_format(doctor->config) != OUTPUT_TABLE)
		return rows_print(&doctor->rows, doctor->config, err);
	buf_init(&out, TEXT_BYTES_MAX);
	doctor_put_text(doctor, &out);
	code = cmd_print(&out, err);
	buf_release(&out);
	return code;
}

static int cmd_doctor_run(struct config *config, int argc, const char *const *argv)
{
	struct doctor doctor = { .config = config };
	enum err_code code;
	struct err err;

	(void)argc;
	(void)argv;
	rows_init(&doctor.rows, columns, ARRAY_LEN(columns));
	doctor_look_at_machine(&doctor);
	doctor_look_at_services(&doctor);
	code = doctor_print(&doctor, &err);
	if (code == ERR_OK && doctor.counts[DOCTOR_FAIL] > 0)
		code = err_set(&err, ERR_SHAPE, "%zu of %zu checks failed (see above)",
			       doctor.counts[DOCTOR_FAIL], doctor.rows.answer.row_count);
	else if (code == ERR_OK)
		cmd_tell("%zu checks: nothing is in the way%s", doctor.rows.answer.row_count,
			 doctor.counts[DOCTOR_WARN] ? ", but mind the warnings" : "");
	rows_release(&doctor.rows);
	return code == ERR_OK ? 0 : cmd_fail(&err);
}

static const enum option options[] = {
	OPT_LISTEN, OPT_LISTEN_ALSO, OPT_INSECURE, OPT_TLS_CERT,      OPT_TLS_KEY,  OPT_LAKE,
	OPT_SOURCE, OPT_DATA,	     OPT_URL,	   OPT_STREAMING_URL, OPTION_COUNT,
};

const struct command cmd_doctor = {
	.name = "doctor",
	.summary = "Check the machine, the configuration and the services that it names",
	.usage = "[options]",
	.details =
		"Says of each what it found, and where that is not well what to do: the SQL engine's library,\n"
		"memory, open files, clock, the data directory with its disk (space, inodes, how long a sync\n"
		"takes), the gateway's keys, the address to listen on and its certificate, the models, the lake (an\n"
		"object is put there and taken away), and whichever of Kafka, AWS's keys, MySQL, Spark and the\n"
		"emulator's URLs the configuration names: each is really asked. Give it the options that the\n"
		"service is started with. The exit status is 1 if something would not work, else 0, also with\n"
		"warnings.\n",
	.examples = "pinpipe doctor\n"
		    "pinpipe doctor --config /etc/pinpipe/pinpipe.yaml\n"
		    "pinpipe doctor --lake s3://my-bucket/pinpipe --format json\n",
	.options = options,
	.run = cmd_doctor_run,
};
