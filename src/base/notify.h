/*
 * notify.h - tells the service manager that started this program how it is: a
 * datagram to the socket that NOTIFY_SOCKET names, as sd_notify(3) of systemd
 * defines it. Where there is no such variable nothing is done, so everything
 * may call it.
 *
 * Threads: any.
 */
#ifndef BASE_NOTIFY_H
#define BASE_NOTIFY_H

#include <stdint.h>

/* "READY=1", "WATCHDOG=1", "STATUS=…"; lost if the manager does not listen. */
void notify_send(const char *state);
/* How often to send WATCHDOG=1, which is twice as often as the manager must hear it; 0: it does not
 * wait for that from this process, nor from the one that started it. */
int64_t notify_watchdog_ms(void);

#endif
