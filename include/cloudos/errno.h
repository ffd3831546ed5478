/* SPDX-License-Identifier: MIT */
/* Error numbers are Linux's; those that never reach user space are ours. */
#ifndef CLOUDOS_ERRNO_H
#define CLOUDOS_ERRNO_H

#include <linux/errno.h>

/*
 * A call that a signal interrupted returns one of these; the way back to user mode turns it into EINTR or restarts the call
 * (Linux's rules, signal(7)).
 */
#define ERESTARTSYS	   512 /* restart if the handler has SA_RESTART, or if no handler ran */
#define ERESTARTNOINTR	   513 /* restart always                                              */
#define ERESTARTNOHAND	   514 /* restart only if no handler ran                              */
#define ERESTART_BLOCK	   516 /* restart through restart_syscall(2), if no handler ran       */

#define ERR_PTR_MAX 4095
#define err_ptr(e)  ((void *)(intptr_t)(e))
#define ptr_err(p)  ((int)(intptr_t)(p))
#define is_err(p)   ((uintptr_t)(p) >= (uintptr_t)-ERR_PTR_MAX)

#endif
