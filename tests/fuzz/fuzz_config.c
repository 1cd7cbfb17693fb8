/* pinpipe.yaml and db_creds.yaml; the first byte chooses. What is refused names its place. */
#include "base/config.h"
#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

static int fd = -1;
static char path[64];

static void set_up(void)
{
	fd = memfd_create("config", MFD_CLOEXEC);
	FUZZ_MUST(fd >= 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
}

static void check_values(const struct config *config)
{
	for (int i = 0; i < OPTION_COUNT; i++) {
		enum option option = (enum option)i;

		FUZZ_MUST(config_text(config, option) && config_place(config, option)[0]);
		FUZZ_MUST(config_is_set(config, option) ==
			  (config_origin(config, option) != CONFIG_FROM_DEFAULT));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct err err = { 0 };
	struct config *config;
	enum err_code code;

	if (len == 0)
		return 0;
	if (fd < 0)
		set_up();
	FUZZ_MUST(ftruncate(fd, 0) == 0);
	FUZZ_MUST(pwrite(fd, data + 1, len - 1, 0) == (ssize_t)len - 1);
	config = config_new();
	code = data[0] & 1 ? config_load_creds(config, path, &err)
			   : config_load_file(config, path, &err);
	if (code == ERR_OK)
		check_values(config);
	else
		FUZZ_MUST(code == ERR_USAGE && strncmp(err.msg, path, strlen(path)) == 0);
	config_free(config);
	return 0;
}
