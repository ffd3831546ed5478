/* SPDX-License-Identifier: MIT */
/* Work queues: functions run later, in a kernel thread, where they may sleep. */
#ifndef CLOUDOS_WORK_H
#define CLOUDOS_WORK_H

#include <cloudos/list.h>
#include <cloudos/types.h>

struct work {
	struct list link;
	void (*fn)(struct work *);
	bool queued;
};

void work_setup(struct work *w, void (*fn)(struct work *));

/* Queues it unless it is queued already; false then. It may be queued again as soon as fn has begun. Any context. */
bool work_queue(struct work *w);

/* Starts the workers; the service "work" does. 0 or -ENOMEM. */
int work_start_workers(void);

/* Waits until everything queued before has run. May sleep. */
void work_flush(void);

#endif
