/*
 * stop.h - "please end": SIGINT and SIGTERM as a state that every long-running
 * loop looks at.
 *
 * The first signal asks to drain and commit, the second ends the process at
 * once with 128 + n. Threads: any may ask; stop_init() once, in main.
 */
#ifndef BASE_STOP_H
#define BASE_STOP_H

#include <stdbool.h>

/* Installs the handlers; also ignores SIGPIPE. */
void stop_init(void);
bool stop_requested(void);
/* The signal that asked, or 0. */
int stop_signal(void);
/* As if a signal had come; for tests and for a supervisor that ends. */
void stop_request(void);
/* For a prompt, where a Ctrl-C ends what runs and no more: none was asked. While no other thread
 * waits for one. */
void stop_forget(void);
/* A descriptor that becomes readable when a stop is asked; for poll and epoll. Never read it:
 * stop_forget() does. */
int stop_fd(void);

#endif
