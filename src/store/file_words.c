#include "store/file_words.h"

#include "store/store_check.h"

#include <errno.h>
#include <sys/xattr.h>

enum { BYTES_MAX = 4096 };

static const char attribute[] = "user.pinpipe";

bool file_words_can(int fd) { return fgetxattr(fd, attribute, NULL, 0) >= 0 || errno != ENOTSUP; }

bool file_words_set(int fd, const struct store_words *words)
{
	struct buf text;
	bool done;

	if (!words || words->count == 0) {
		(void)fremovexattr(fd, attribute);
		return true;
	}
	buf_init(&text, BYTES_MAX);
	store_words_put(&text, words);
	done = fsetxattr(fd, attribute, text.ptr, text.len, 0) == 0;
	buf_release(&text);
	return done;
}

enum err_code file_words_get(int fd, const char *key, struct store_words *ret_words,
			     struct err *err)
{
	char text[BYTES_MAX];
	ssize_t len = fgetxattr(fd, attribute, text, sizeof(text));

	if (len < 0 && errno != ENODATA)
		return err_errno(err, "could not read the words of object \"%s\"", key);
	if (store_words_parse(slice_of(text, len > 0 ? (size_t)len : 0), ret_words, err) != ERR_OK)
		return err_prefix(err, "object \"%s\"", key);
	return ERR_OK;
}
