#include "cmd/up_first.h"

#include "base/lock.h"
#include "base/registry.h"
#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"
#include "cmd/children.h"
#include "cmd/doctor.h"
#include "cmd/setup.h"
#include "flow/runs.h"

#include <string.h>

enum { LEFT_MS = 20000, LOOK_MS = 100, ADDRESS_MAX = 1 << 10 };

void up_address(const char *dir, int64_t pid, struct buf *out)
{
	static const char says[] = "listening on ";
	const struct registry_process *gateway;
	char doing[REGISTRY_TEXT_MAX] = "";
	struct registry_view view;
	struct err unused;

	if (registry_view_open(dir, &view, &unused) != ERR_OK)
		return;
	gateway = registry_find(&view, "gateway");
	if (gateway && gateway->alive && (pid == 0 || atomic_load(&gateway->slot->pid) == pid))
		registry_text(gateway->slot, REGISTRY_DOING, doing);
	registry_view_close(&view);
	if (strncmp(doing, says, strlen(says)) == 0)
		buf_add_slice(out, slice_of(doing + strlen(says),
					    strcspn(doing + strlen(says), " ")));
}

static enum err_code say_runs_here(const char *dir, struct err *err)
{
	char holder[LOCK_HOLDER_MAX] = "";
	struct buf url;

	(void)lock_is_held(dir, "up.lock", holder);
	buf_init(&url, ADDRESS_MAX);
	up_address(dir, 0, &url);
	(void)err_set(err, ERR_LOCKED, "pinpipe up runs on \"%s\" already (process %s%s%s)", dir,
		      *holder ? holder : "unknown", url.len ? ", " : "", buf_cstr(&url));
	buf_release(&url);
	return ERR_LOCKED;
}

static enum err_code check_any_models(const struct config *config, struct err *err)
{
	char dir[PATH_MAX];
	struct models models;
	size_t count;
	enum err_code code = setup_models_untold(config, &models, err);

	if (code != ERR_OK)
		return code;
	count = models.clean_count + models.analysis_count + models.broken_count;
	models_free(&models);
	if (count > 0 || setup_models_dir(config, dir, err) != ERR_OK)
		return count > 0 ? ERR_OK : err->code;
	return err_set(err, ERR_USAGE,
		       "no model is in \"%s\": `pinpipe models new` makes one of a sample", dir);
}

/* What an `up` that was killed leaves behind answers what is in flight, and ends. */
static enum err_code await_port(const struct config *config, const char *dir, struct err *err)
{
	int64_t until_ms = clock_mono_ms() + LEFT_MS;
	enum err_code code = cmd_gateway_try(config, err);
	char holder[LOCK_HOLDER_MAX] = "";
	bool told = false;

	while (code == ERR_EXISTS && lock_is_held(dir, "log/lock", holder) && !stop_requested() &&
	       clock_mono_ms() < until_ms) {
		if (!told)
			trace_info("the gateway of an earlier up (process %s) has the port still",
				   holder);
		told = true;
		clock_sleep_ms(LOOK_MS);
		code = cmd_gateway_try(config, err);
	}
	return code;
}

/* From the history of the lake it is known when the batch ran last, whoever ran it. */
static enum err_code begin_schedule(const struct config *config, struct store *store,
				    struct schedule *schedule, struct err *err)
{
	const char *text = config_text(config, OPT_CRON);
	int64_t last_ms = -1;
	enum err_code code = zone_init(&schedule->zone, config_text(config, OPT_BATCH_ZONE), err);

	schedule->every_ms = config_int(config, OPT_CRON);
	if (code == ERR_OK && schedule->every_ms == 0)
		code = cron_parse(&schedule->cron, text, err);
	if (code == ERR_OK)
		code = runs_last(store, config_text(config, OPT_DIR), &last_ms, err);
	if (err_retry(code) && store_is_service(config_text(config, OPT_LAKE))) {
		trace_warn("%s; when the batch ran last is not known, so it has its turn now",
			   err->msg);
		last_ms = 0;
		code = ERR_OK;
	}
	if (code == ERR_OK)
		schedule_begin(schedule, last_ms, clock_wall_ms());
	return code;
}

static enum err_code check_demo(const struct config *config, struct err *err)
{
	bool keys = *config_text(config, OPT_API_KEY_HASH) || *config_text(config, OPT_KEYS);

	if (!config_bool(config, OPT_DEMO) || !keys || *config_text(config, OPT_API_KEY))
		return ERR_OK;
	return err_set(err, ERR_USAGE,
		       "--demo posts as any client does: emulate.api_key has to hold a key");
}

/* One that takes over waits for it (up_takeover.h). */
static enum err_code up_take_lock(const struct config *config, const char *dir, int *ret_lock,
				  struct err *err)
{
	struct err why;
	enum err_code code = lock_take(dir, "up.lock", "pinpipe up", ret_lock, &why);

	if (code == ERR_LOCKED)
		return config_bool(config, OPT_TAKEOVER) ? ERR_OK : say_runs_here(dir, err);
	if (code != ERR_OK)
		*err = why;
	return code;
}

/* What a first start fails of most, as long as nothing is made yet. Who has the port that is taken
 * over has it until then. */
static enum err_code up_look(const struct config *config, struct err *err)
{
	const char *dir = config_text(config, OPT_DIR);
	bool takes_over = config_bool(config, OPT_TAKEOVER);
	char holder[LOCK_HOLDER_MAX] = "";
	bool runs = lock_is_held(dir, "up.lock", holder);
	enum err_code code = check_demo(config, err);

	if (code == ERR_OK && runs && !takes_over)
		code = say_runs_here(dir, err);
	if (code == ERR_OK)
		code = check_any_models(config, err);
	if (code == ERR_OK && !(takes_over && (runs || lock_is_held(dir, "log/lock", holder))))
		code = await_port(config, dir, err);
	return code;
}

enum err_code up_first(const struct config *config, int *ret_lock, struct schedule *schedule,
		       struct err *err)
{
	struct store *store = NULL;
	const char *dir = "";
	enum err_code code = up_look(config, err);

	if (code == ERR_OK)
		code = setup_store(config, &store, err);
	if (code == ERR_OK)
		code = setup_dir(config, &dir, err);
	if (code == ERR_OK)
		code = up_take_lock(config, dir, ret_lock, err);
	if (code == ERR_OK && *config_text(config, OPT_CRON))
		code = begin_schedule(config, store, schedule, err);
	store_free(store);
	if (code == ERR_OK)
		code = children_begin_up(err);
	return code == ERR_OK ? children_inherit(config, err) : code;
}
