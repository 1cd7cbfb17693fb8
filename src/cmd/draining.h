/*
 * draining.h - waits for a sink or a stream that was asked to end, and shows how
 * many records of the log it has not taken yet. Only pipeline.c includes it.
 */
#ifndef CMD_DRAINING_H
#define CMD_DRAINING_H

#include "broker/broker.h"
#include "engine/model.h"
#include "flow/process.h"

struct draining {
	const char *what;   /* "draining the topics" */
	struct broker *log; /* NULL: far away; nothing is asked */
	const struct models *models;
	const char *id;
	enum topic_kind kind;
	const char *group;
};

/* Asks it to end, and waits; after timeout_ms it is killed. Its status is set. */
void draining_wait(const struct draining *draining, struct process *process, int64_t timeout_ms);

#endif
