/* SPDX-License-Identifier: MIT */
/* What hosted files tell each other. */
#ifndef SIM_HOST_PRIVATE_H
#define SIM_HOST_PRIVATE_H

#include <stddef.h>

/* A detached thread: 0 or -errno. */
int host_thread_create(size_t stack, void *(*fn)(void *), void *arg);

/* A terminal on standard input: raw, and as it was. Async-signal-safe. */
void host_terminal_raw(void);
void host_terminal_restore(void);

/* The console writes to standard error from now on. */
void host_console_to_stderr(void);

/* Looks after kernel code that loops (deterministic world). */
void host_watchdog_start(void);

/* Catches the process's own fatal signals (SIGSEGV, ...), and those that ask it to end. */
void host_crash_setup(void);

#endif
