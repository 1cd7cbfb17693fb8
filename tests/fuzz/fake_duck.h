/*
 * fake_duck.h - a DuckDB that reads "Parquet" which the fuzzer wrote: the files' bytes are its
 * answers, one after the other. Linked before the library, it stands for duck.c and duck_rows.c.
 *
 *	file	for each query, in their order: a byte that says how many rows there are, or how
 *		it fails; then the cells as they are asked for
 *	cell	a byte that says: null (not in the first columns, as many as the query has "IS NOT
 *		NULL"); else, of a number, how long it is, and of a text whether it goes on to the
 *		next NUL byte or has a length before it
 */
#ifndef TESTS_FUZZ_FAKE_DUCK_H
#define TESTS_FUZZ_FAKE_DUCK_H

enum {
	FAKE_ROWS_MAX = 8,
	FAKE_NULL_BELOW = 32,		/* of a cell's first byte */
	FAKE_SMALL_BELOW = 192,		/* a number of a byte; above of eight */
	FAKE_COUNTED_FROM = 240,	/* a text with its length before it */
	FAKE_FAILS_FROM = 248,		/* a query */
};

#endif
