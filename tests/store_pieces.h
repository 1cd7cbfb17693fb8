/* store_pieces.h - a store that is put large objects, piece by piece, and out of files. */
#ifndef TESTS_STORE_PIECES_H
#define TESTS_STORE_PIECES_H

#include "base/mem.h"
#include "store_helpers.h"
#include "testing.h"

#include <stdio.h>
#include <unistd.h>

/* Bytes that are made when they are asked for. */
struct made {
	struct store_source base;
	uint64_t there;		/* of those that were said */
};

static inline char made_byte(uint64_t at) { return (char)(at * 7919 >> 5); }

static inline enum err_code made_read(struct store_source *source, uint64_t from, size_t len,
			       struct buf *out, struct err *err)
{
	if (from + len > ((struct made *)source)->there)
		return err_set(err, ERR_ABSENT, "there are no more");
	for (size_t i = 0; i < len; i++)
		buf_add_char(out, made_byte(from + i));
	return ERR_OK;
}

/* In one piece, of any size, at the ends of blocks and beside them, from any address. */
static inline void check_put_large(struct store *store)
{
	static const size_t sizes[] = { 4096, 131071, 131072, 131073,
					524288, 528384, (1 << 20) + 7 };
	struct err err = { 0 };
	struct buf bytes, out;

	buf_init(&bytes, 2 << 20);
	buf_init(&out, 2 << 20);
	for (uint64_t at = 0; at < (1 << 20) + 8; at++)
		buf_add_char(&bytes, made_byte(at));
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct slice body = slice_of(bytes.ptr + i % 2, sizes[i]);

		assert_ok(store_put(store, "t/large", body, STORE_REPLACE, &err));
		buf_clear(&out);
		assert_ok(store_get(store, "t/large", 0, UINT64_MAX, &out, &err));
		assert_true(slice_eq(buf_slice(&out), body));
	}
	buf_release(&bytes);
	buf_release(&out);
}

static inline void check_put_in_pieces(struct store *store, size_t most)
{
	static const uint64_t sizes[] = { 0, 1, (3 << 20) + 7 };
	struct store_words words = { .count = 1, .list = { { "of", "pieces" } } };
	struct made made = { .base.read = made_read };
	struct store_put with = { .key = "t/a", .source = &made.base, .words = &words };
	struct store_stat stat;
	struct err err = { 0 };
	struct buf out;

	buf_init(&out, most);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		made.base.size = made.there = sizes[i];
		with.mode = i ? STORE_REPLACE : STORE_CREATE;
		assert_ok(store_put_as(store, &with, &err));
		buf_clear(&out);
		assert_ok(store_get(store, "t/a", 0, UINT64_MAX, &out, &err));
		assert_int_equal(out.len, sizes[i]);
		for (uint64_t at = 0; at < sizes[i]; at++)
			assert_true(out.ptr[at] == made_byte(at));
		assert_ok(store_stat(store, "t/a", &stat, &err));
		assert_int_equal(stat.words.count, store_can(store, STORE_CAN_WORDS));
	}
	with.mode = STORE_CREATE;
	assert_int_equal(store_put_as(store, &with, &err), ERR_EXISTS);
	buf_release(&out);
}

/* It has less than it said, or fails: nothing is there, and the old object still is. */
static inline void check_pieces_that_do_not_come(struct store *store)
{
	struct made made = { .base = { .size = 1 << 20, .read = made_read }, .there = 1 << 19 };
	struct store_put with = { .key = "t/a", .source = &made.base };
	struct err err = { 0 };

	assert_int_equal(store_put_as(store, &with, &err), ERR_IO);
	assert_list(store, "", "", 0, "");
	put(store, "t/a", "old");
	with.mode = STORE_REPLACE;
	assert_int_equal(store_put_as(store, &with, &err), ERR_IO);
	assert_object(store, "t/a", "old");
	assert_list(store, "", "", 0, "t/a\n");
}

static inline char *local_file(const char *dir, const char *body)
{
	struct buf path;
	FILE *file;

	buf_init(&path, 1000);
	buf_addf(&path, "%s/pinpipe-local-%d", dir, (int)getpid());
	file = fopen(buf_cstr(&path), "w");
	assert_non_null(file);
	assert_true(fputs(body, file) >= 0);
	assert_int_equal(fclose(file), 0);
	return path.ptr;
}

static inline void check_put_file(struct store *store, const char *dir)
{
	char *path = local_file(dir, "moved");
	struct err err = { 0 };

	assert_ok(store_put_file(store, "t/part-0.parquet", path, &err));
	assert_int_equal(access(path, F_OK), -1);
	assert_object(store, "t/part-0.parquet", "moved");
	free(path);
	path = local_file(dir, "other");
	assert_int_equal(store_put_file(store, "t/part-0.parquet", path, &err), ERR_EXISTS);
	assert_int_equal(access(path, F_OK), 0);
	assert_object(store, "t/part-0.parquet", "moved");
	assert_int_equal(unlink(path), 0);
	free(path);
	assert_int_equal(store_put_file(store, "t/x", "/no/such/file", &err), ERR_ABSENT);
}

#endif
