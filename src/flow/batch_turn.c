#include "flow/batch_turn.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct batch_turn {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool taken;
	size_t first; /* those before this one had their first turn, or pass */
	size_t tables;
	bool *had;
};

struct batch_turn *batch_turn_new(size_t tables)
{
	struct batch_turn *turn = xcalloc(1, sizeof(*turn));

	(void)pthread_mutex_init(&turn->lock, NULL);
	(void)pthread_cond_init(&turn->changed, NULL);
	turn->tables = tables;
	turn->had = xcalloc(tables + 1, sizeof(*turn->had));
	return turn;
}

void batch_turn_free(struct batch_turn *turn)
{
	(void)pthread_mutex_destroy(&turn->lock);
	(void)pthread_cond_destroy(&turn->changed);
	free(turn->had);
	free(turn);
}

static void turn_had(struct batch_turn *turn, size_t table)
{
	turn->had[table] = true;
	while (turn->first < turn->tables && turn->had[turn->first])
		turn->first++;
	(void)pthread_cond_broadcast(&turn->changed);
}

void batch_turn_take(struct batch_turn *turn, size_t table)
{
	(void)pthread_mutex_lock(&turn->lock);
	while (turn->taken || table > turn->first)
		(void)pthread_cond_wait(&turn->changed, &turn->lock);
	turn->taken = true;
	turn_had(turn, table);
	(void)pthread_mutex_unlock(&turn->lock);
}

void batch_turn_give(struct batch_turn *turn)
{
	(void)pthread_mutex_lock(&turn->lock);
	turn->taken = false;
	(void)pthread_cond_broadcast(&turn->changed);
	(void)pthread_mutex_unlock(&turn->lock);
}

void batch_turn_pass(struct batch_turn *turn, size_t table)
{
	(void)pthread_mutex_lock(&turn->lock);
	turn_had(turn, table);
	(void)pthread_mutex_unlock(&turn->lock);
}
