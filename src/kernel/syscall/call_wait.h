/* SPDX-License-Identifier: MIT */
/* Time-outs and signal masks as poll, select and epoll take them from user programs. */
#ifndef CALL_WAIT_H
#define CALL_WAIT_H

#include <cloudos/types.h>

/* A deadline on hal_clock_ns()'s scale, as poll_items() has it: 0 for "now", HAL_TIMER_NEVER for none. */
uint64_t deadline_from_ns(uint64_t duration_ns);
uint64_t deadline_from_ms(int64_t ms); /* negative: none */

/* From a struct timespec or timeval (address 0: no deadline): 0, -EFAULT, -EINVAL. */
int deadline_from_timespec(uaddr_t addr, uint64_t *ret);
int deadline_from_timeval(uaddr_t addr, uint64_t *ret);

/* An absolute time on a clock that clock_deadline() knows (address 0: no deadline): 0, -EFAULT, -EINVAL. */
int deadline_at_timespec(uaddr_t addr, int clock, uint64_t *ret);

/*
 * What the call returns after the time that is left was written back. When that fails the call cannot be restarted any more:
 * a restart becomes -EINTR.
 */
int64_t deadline_to_timespec(uaddr_t addr, uint64_t deadline_ns, int64_t result);
int64_t deadline_to_timeval(uaddr_t addr, uint64_t deadline_ns, int64_t result);

/* Puts a call's signal mask in place (address 0: none): 0, -EINVAL, -EFAULT; and takes it away again. */
int call_mask_begin(uaddr_t mask, uint64_t size);
void call_mask_end(uaddr_t mask, int64_t result);

#endif
