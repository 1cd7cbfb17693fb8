/*
 * failpoint.h - named places at which a test makes the program fail.
 *
 * Only in builds with -Dfailpoints=true; elsewhere FAILPOINT() is nothing.
 * PINPIPE_FAILPOINTS="journal-write:kill@3;journal-sync:eio@1" fires the third
 * pass of the first point and the first of the second ("@3+": from the third
 * on). Actions: kill (SIGKILL to the own process), stop (SIGSTOP), eio, enospc,
 * delay<ms>.
 *
 * PINPIPE_FAILPOINT_TICKETS=DIR is for faults that are planted while the
 * program runs: whoever passes a point and can rename DIR/<point>:<action>
 * (kill, stop, eio or enospc) to DIR/taken/<point>:<action>@<command>.<pid>
 * does that, so of all processes exactly one, once, and it is known which.
 *
 * FAILPOINT(name) is 0, or the errno that the place shall act as if it got.
 * Threads: any; passes are counted over all of them.
 */
#ifndef BASE_FAILPOINT_H
#define BASE_FAILPOINT_H

#ifdef PINPIPE_FAILPOINTS
int failpoint_hit(const char *name);
#define FAILPOINT(name) failpoint_hit(name)
#else
#define FAILPOINT(name) 0
#endif

#endif
