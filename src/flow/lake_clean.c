#include "flow/lake_clean.h"

#include "base/stop.h"
#include "flow/poison.h"

#include <unistd.h>

static enum err_code clean_once(const struct lake_cleaning *cleaning,
				struct clean_result *ret_result, struct err *err)
{
	return engine_clean(cleaning->engine, cleaning->model, &cleaning->input->input,
			    cleaning->path, ret_result, err);
}

static enum err_code lake_clean_attempt(void *user, size_t from, size_t to, struct err *err)
{
	const struct lake_cleaning *cleaning = user;
	struct clean_result result = { 0 };
	enum err_code code;

	if (stop_requested())
		return err_set(err, ERR_STOPPED, "asked to stop");
	lake_input_narrow(cleaning->input, from, to);
	code = clean_once(cleaning, &result, err);
	if (code == ERR_OK)
		clean_result_release(&result);
	return code;
}

static enum err_code lake_clean_bury(void *user, size_t at, const char *reason, struct err *err)
{
	const struct lake_cleaning *cleaning = user;

	(void)err;
	lake_input_poison(cleaning->input, at, reason);
	return ERR_OK;
}

static enum err_code clean_all(const struct lake_cleaning *cleaning,
			       struct clean_result *ret_result, struct err *err)
{
	struct lake_cleaning search = *cleaning;
	struct poison poison = { .attempt = lake_clean_attempt,
				 .bury = lake_clean_bury,
				 .user = &search };
	struct lake_input *input = cleaning->input;
	struct err why;
	uint64_t count;
	enum err_code code;

	lake_input_all(input);
	code = clean_once(cleaning, ret_result, err);
	if (code != ERR_SHAPE)
		return code;
	if (lake_input_count(input, &count, &why) != ERR_OK) {
		*err = why;
		return why.code;
	}
	code = poison_find(&poison, count, err);
	lake_input_forget(input);
	lake_input_all(input);
	if (code == ERR_OK)
		code = clean_once(cleaning, ret_result, err);
	return code == ERR_SHAPE && poison.found > 0 ? poison_not_found(err) : code;
}

enum err_code lake_clean(const struct lake_cleaning *cleaning, struct clean_result *ret_result,
			 struct err *err)
{
	bool again = true;
	enum err_code code = ERR_OK;

	while (code == ERR_OK && again) {
		clean_result_release(ret_result);
		(void)unlink(cleaning->path);
		*ret_result = (struct clean_result){ 0 };
		lake_input_forget(cleaning->input);
		if (cleaning->input->object_count == 0)
			break;
		code = clean_all(cleaning, ret_result, err);
		if (code == ERR_OK)
			code = lake_input_end(cleaning->input, &again, err);
	}
	return code;
}
