/* SPDX-License-Identifier: MIT */
/*
 * Freezing groups. Every thread in one that is to freeze is told, and stops on its way to user mode (proc/freeze.c); one that stands still for
 * another reason (job control, a tracer, vfork) counts as frozen there. When all are, and all groups below, the group is frozen, and whoever
 * waits for that hears of it (C5).
 */
#include <cloudos/freeze.h>
#include "cgroup_internal.h"

void cgroup_frozen_update_locked(struct cgroup *cg)
{
	for (; cg->parent; cg = cg->parent) {
		bool frozen = cg->freezing && cg->frozen_tasks == cg->tasks && cg->frozen_children == cg->live_children;

		if (frozen == cg->frozen)
			return;
		cg->frozen = frozen;
		if (!cg->dead)
			cg->parent->frozen_children += frozen ? 1 : UINT32_MAX;
		cgroup_tell(cg, EVENT_STATE);
	}
}

void cgroup_task_froze_locked(struct task *t, bool frozen)
{
	struct cgroup *cg = t->process->cgroup;

	t->frozen = frozen;
	cg->frozen_tasks += frozen ? 1 : UINT32_MAX;
	cgroup_frozen_update_locked(cg);
}

static void tell_task(struct task *t, void *on)
{
	task_freeze_locked(t, *(bool *)on);
}

static void tell_process(struct process *p, void *on)
{
	bool freezing = p->cgroup->freezing;

	(void)on;
	cgroup_each_task_locked(p, tell_task, &freezing);
}

/* Does cg freeze now, as it and those above were told? */
static bool settle_group(struct cgroup *cg)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	bool freezing = cg->freeze || cg->parent->freezing, changed = freezing != cg->freezing;

	cg->freezing = freezing;
	if (changed)
		cgroup_frozen_update_locked(cg);
	spin_unlock_irq(&proc_lock, flags);
	return changed;
}

void cgroup_freeze(struct cgroup *top, bool on)
{
	bool changed = false;

	assert_mutex_held(&cgroup_mutex);
	if (top->freeze == on)
		return;
	WRITE_ONCE(top->freeze, on);
	cgroup_for_each(cg, top)
		changed |= settle_group(cg);
	if (changed)
		cgroup_each_process(top, true, tell_process, NULL);
}
