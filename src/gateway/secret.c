#include "gateway/secret.h"

#include "base/file.h"
#include "net/http_chars.h"

#include <fcntl.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 4096, NAME_ROOM = 128, UNIQUE_CHARS = 16 };

enum err_code secret_make(struct secret *ret, struct err *err)
{
	unsigned char bytes[SECRET_BYTES];

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return err_set(err, ERR_IO, "the system gives no random bytes");
	for (size_t i = 0; i < sizeof(bytes); i++)
		(void)snprintf(ret->text + 2 * i, 3, "%02x", bytes[i]);
	return ERR_OK;
}

static enum err_code secret_parse(struct slice text, struct secret *ret, struct err *err)
{
	bool is_one = text.len == SECRET_CHARS + 1 && text.ptr[SECRET_CHARS] == '\n';

	for (size_t i = 0; is_one && i < SECRET_CHARS; i++)
		is_one = http_hex_value(text.ptr[i]) >= 0;
	if (!is_one)
		return err_set(err, ERR_CORRUPT, "it is not what this program wrote: remove it");
	memcpy(ret->text, text.ptr, SECRET_CHARS);
	ret->text[SECRET_CHARS] = '\0';
	return ERR_OK;
}

static enum err_code secret_read(int dir_fd, const char *name, struct secret *ret, struct err *err)
{
	enum err_code code;
	struct buf text;
	struct stat st;

	buf_init(&text, FILE_BYTES_MAX);
	code = file_read(dir_fd, name, &text, "it", err);
	if (code == ERR_OK && fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		code = err_errno(err, "could not look at it");
	if (code == ERR_OK && (st.st_mode & (S_IRWXG | S_IRWXO)))
		code = err_set(err, ERR_DENIED, "others may read it: remove it");
	if (code == ERR_OK)
		code = secret_parse(buf_slice(&text), ret, err);
	buf_release(&text);
	return code;
}

/* The name goes to a whole file, and to that of who was first. */
static enum err_code secret_write(int dir_fd, const char *name, struct err *err)
{
	struct secret secret, unique;
	char fresh[NAME_ROOM];
	enum err_code code = ERR_OK;

	if (secret_make(&secret, err) != ERR_OK || secret_make(&unique, err) != ERR_OK)
		return err->code;
	(void)snprintf(fresh, sizeof(fresh), "%s.%.*s", name, UNIQUE_CHARS, unique.text);
	secret.text[SECRET_CHARS] = '\n';
	code = file_write(dir_fd, fresh, slice_of(secret.text, SECRET_CHARS + 1), true, "it", err);
	if (code == ERR_OK && linkat(dir_fd, fresh, dir_fd, name, 0) < 0)
		code = err_errno(err, "could not make it");
	(void)unlinkat(dir_fd, fresh, 0);
	return code == ERR_EXISTS ? ERR_OK : code;
}

enum err_code secret_load(const char *dir, const char *name, struct secret *ret, struct err *err)
{
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum err_code code;

	if (dir_fd < 0)
		return err_errno(err, "\"%s\"", dir);
	code = secret_read(dir_fd, name, ret, err);
	if (code == ERR_ABSENT && (code = secret_write(dir_fd, name, err)) == ERR_OK)
		code = secret_read(dir_fd, name, ret, err);
	(void)close(dir_fd);
	return code == ERR_OK ? code : err_prefix(err, "\"%s/%s\"", dir, name);
}
