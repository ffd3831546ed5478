/* SPDX-License-Identifier: MIT */
/*
 * Files that tell of changes: poll(2) on cgroup.events says POLLPRI once what was read last is out of date, and inotify(7) IN_MODIFY. A change
 * is announced where it happens, under whatever locks; inotify hears of it from a worker.
 */
#include <asm/poll.h>
#include <cloudos/inotify.h>
#include "cgroup_internal.h"

static const char *const names[CGROUP_EVENTS] = { [EVENT_STATE] = "cgroup.events", [EVENT_PIDS] = "pids.events", [EVENT_MEMORY] = "memory.events" };

/* The file's name, with a reference; null: the group, or the file, is gone. */
static struct dentry *file_of(struct cgroup *cg, const char *name)
{
	struct dentry *d = NULL;

	mutex_lock(&cgroup_mutex);
	if (cg->folder)
		d = memfs_child(cg->folder, name);
	mutex_unlock(&cgroup_mutex);
	return d;
}

static void tell(struct work *w)
{
	struct cgroup *cg = container_of(w, struct cgroup, tell);

	for (int event = 0; event < CGROUP_EVENTS; event++) {
		uint32_t now = READ_ONCE(cg->events[event]);
		struct dentry *d;

		if (__atomic_exchange_n(&cg->events_told[event], now, __ATOMIC_ACQ_REL) == now)
			continue;
		d = file_of(cg, names[event]);
		if (!d)
			continue;
		inotify_tell_dentry(d, IN_MODIFY);
		dentry_put(d);
	}
	cgroup_put(cg);
}

void cgroup_event_init(struct cgroup *cg)
{
	wait_queue_init(&cg->changed);
	work_setup(&cg->tell, tell);
	for (int event = 0; event < CGROUP_EVENTS; event++)
		cg->events[event] = cg->events_told[event] = 1; /* a file that was not read yet is out of date */
}

void cgroup_tell(struct cgroup *cg, enum cgroup_event event)
{
	if (cgroup_is_root(cg))
		return; /* has no such files */
	__atomic_fetch_add(&cg->events[event], 1, __ATOMIC_RELEASE);
	wake_events(&cg->changed, POLLPRI | POLLERR, false);
	if (!READ_ONCE(inotify_watch_count))
		return;
	cgroup_get(cg);
	if (!work_queue(&cg->tell))
		refcount_put(&cg->refs); /* the one that is queued has one of its own */
}
