/* SPDX-License-Identifier: MIT */
/* Files that are counters or timers: eventfd(2), timerfd_create(2). */
#ifndef CLOUDOS_EVENTFD_H
#define CLOUDOS_EVENTFD_H

#include <cloudos/types.h>

struct file;

/* Each gives a file with one reference; `flags` of O_NONBLOCK. 0, -ENOMEM, -ENFILE. */
int eventfd_file_create(uint64_t count, bool semaphore, uint32_t flags, struct file **ret);
bool file_is_eventfd(const struct file *f);
/* Adds one, and none when that does not fit: nobody waits. No lock held. */
void eventfd_signal(struct file *f);
/* `wall`: deadlines are on the wall clock; else since boot. */
int timerfd_file_create(int clock, bool wall, uint32_t flags, struct file **ret);

/* What is left until the next expiry (0: disarmed), and the period, in ns. */
struct timerfd_setting {
	uint64_t value_ns, interval_ns;
};

/*
 * -EINVAL: not a timerfd. `absolute`: value_ns is a time of its clock; then `cancel`: a step of the wall clock ends the wait. -ECANCELED: it is set, but
 * there was such a step since it was set before that nobody has heard of. *ret_old may be null.
 */
int timerfd_set(struct file *f, bool absolute, bool cancel, const struct timerfd_setting *setting, struct timerfd_setting *ret_old);
int timerfd_get(struct file *f, struct timerfd_setting *ret);

#endif
