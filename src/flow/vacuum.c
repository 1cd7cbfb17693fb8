#include "flow/vacuum.h"

#include "flow/staging.h"

enum err_code vacuum_table(const struct vacuum_options *options, const struct lake_table *place,
			   struct delta_table *delta, struct vacuum_report *report, struct err *err)
{
	struct delta_clean_options clean = { .dry_run = options->dry_run,
					     .most_ms = options->most_ms,
					     .each = options->each,
					     .user = options->user };
	enum err_code code = delta_refresh(delta, err);

	if (code == ERR_OK && !options->dry_run)
		code = delta_set_retention(delta, options->keep.files_ms, options->keep.log_ms,
					   err);
	if (code == ERR_OK)
		code = staging_oldest(options->store, place->root, delta, &clean.spare_from_ms,
				      err);
	if (code == ERR_OK)
		code = delta_clean_files(delta, &clean, &report->files, err);
	if (code == ERR_OK)
		code = delta_clean_log(delta, &clean, &report->log, err);
	return code;
}
