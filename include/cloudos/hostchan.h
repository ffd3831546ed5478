/* SPDX-License-Identifier: MIT */
/* The host channel: a command's standard streams and status on the console (src/kernel/drivers/hostchan.c). */
#ifndef CLOUDOS_HOSTCHAN_H
#define CLOUDOS_HOSTCHAN_H

#include <cloudos/types.h>

/* Makes /dev/host appear: 0 or an errno. */
int hostchan_start(void);

/* Takes what arrived on the console; always all of it. Interrupts off. */
size_t hostchan_input(const char *buf, size_t len);

#endif
