/*
 * nearest.h - "did you mean": the known word that a mistyped one was meant to be.
 */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H

#include <stddef.h>

/* Typing mistakes between two words: letters added, left out, changed or swapped. */
size_t word_distance(const char *a, const char *b);

/* A list of words walked by the callback: the n-th word, or NULL after the last. */
typedef const char *nearest_word_fn(const void *list, size_t n);

/* The word of the list that this is the beginning of, if it is that of one alone; else the closest,
 * or NULL if none is close (more than a third of the letters differ). */
const char *nearest(const char *word, nearest_word_fn *word_at, const void *list);

#endif
