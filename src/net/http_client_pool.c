#include "net/http_client_pool.h"

#include "base/mem.h"

#include <pthread.h>

struct http_client_pool {
	struct http_client_options options;	/* of each client */
	uint32_t clients_max;
	pthread_mutex_t lock;			/* what follows */
	pthread_cond_t given;
	struct http_client **idle;		/* the last used at the end */
	uint32_t idle_count;
	uint32_t count;				/* idle or in use */
};

struct http_client_pool *http_client_pool_new(const struct http_client_options *options)
{
	struct http_client_pool *pool = xcalloc(1, sizeof(*pool));

	pool->options = *options;
	pool->options.connections_max = 1;
	pool->clients_max = options->connections_max;
	pool->idle = xcalloc(pool->clients_max, sizeof(struct http_client *));
	(void)pthread_mutex_init(&pool->lock, NULL);
	(void)pthread_cond_init(&pool->given, NULL);
	return pool;
}

void http_client_pool_free(struct http_client_pool *pool)
{
	if (!pool)
		return;
	while (pool->idle_count > 0)
		http_client_free(pool->idle[--pool->idle_count]);
	(void)pthread_mutex_destroy(&pool->lock);
	(void)pthread_cond_destroy(&pool->given);
	free(pool->idle);
	free(pool);
}

/* NULL: there is room for a new one, which is the caller's to make. */
static struct http_client *take_client(struct http_client_pool *pool)
{
	struct http_client *client = NULL;

	(void)pthread_mutex_lock(&pool->lock);
	while (pool->idle_count == 0 && pool->count == pool->clients_max)
		(void)pthread_cond_wait(&pool->given, &pool->lock);
	if (pool->idle_count > 0)
		client = pool->idle[--pool->idle_count];
	else
		pool->count++;
	(void)pthread_mutex_unlock(&pool->lock);
	return client;
}

/* NULL: it could not be made, or is of no more use. */
static void give_client(struct http_client_pool *pool, struct http_client *client)
{
	(void)pthread_mutex_lock(&pool->lock);
	if (client)
		pool->idle[pool->idle_count++] = client;
	else
		pool->count--;
	(void)pthread_cond_signal(&pool->given);
	(void)pthread_mutex_unlock(&pool->lock);
}

enum err_code http_client_pool_do(struct http_client_pool *pool, struct http_exchange *exchange,
				  struct err *err)
{
	struct http_client *client = take_client(pool);
	enum err_code code = ERR_OK;

	if (!client)
		code = http_client_curl_new(&pool->options, &client, err);
	if (code == ERR_OK)
		code = http_client_do(client, exchange, err);
	if (code != ERR_OK) {		/* the exchange may still be under way in it */
		http_client_free(client);
		client = NULL;
	}
	give_client(pool, client);
	return code;
}
