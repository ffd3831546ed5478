/* SPDX-License-Identifier: MIT */
/* The tree of control groups: its root, making and removing of others, the way through it. */
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include "cgroup_internal.h"

struct mutex cgroup_mutex = MUTEX_INIT(cgroup_mutex, RANK_CGROUP);

static struct cgroup root = {
	.refs = { 1 },
	.id = 1,
	.children = LIST_INIT(root.children),
	.siblings = LIST_INIT(root.siblings),
	.max_depth = UINT32_MAX,
	.max_descendants = UINT32_MAX,
	.pids = { .max = UINT64_MAX },
	.cpus_effective = UINT64_MAX,
	.changed = WAIT_QUEUE_INIT(root.changed),
};
struct cgroup *const cgroup_root = &root;

/* ---- references ---- */

void cgroup_get(struct cgroup *cg)
{
	refcount_get(&cg->refs);
}

static void count_dying(struct cgroup *cg, int n)
{
	for (cg = cg->parent; cg; cg = cg->parent)
		__atomic_fetch_add(&cg->dying, (uint32_t)n, __ATOMIC_RELAXED);
}

void cgroup_put(struct cgroup *cg)
{
	while (cg && refcount_put(&cg->refs)) {
		struct cgroup *parent = cg->parent;

		ASSERT(parent && list_empty(&cg->children) && cg->tasks == 0);
		if (cg->dead)
			count_dying(cg, -1);
		kfree(cg);
		cg = parent;
	}
}

/* ---- making ---- */

int cgroup_create(struct cgroup *parent, const char *name, struct cgroup **ret)
{
	static uint64_t last_id = 1;
	size_t len = strlen(name);
	struct cgroup *cg;

	if (strchr(name, '\n'))
		return -EINVAL;
	cg = kzalloc(sizeof(*cg) + len + 1);
	if (!cg)
		return -ENOMEM;
	refcount_init(&cg->refs, 1);
	cgroup_get(parent);
	cg->parent = parent;
	cg->depth = parent->depth + 1;
	cg->id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);
	list_init(&cg->children);
	list_init(&cg->siblings);
	cg->max_depth = cg->max_descendants = UINT32_MAX;
	cg->pids.max = UINT64_MAX;
	sched_group_init(&cg->sched, cgroup_is_root(parent) ? NULL : &parent->sched);
	memory_setup(cg);
	cgroup_event_init(cg);
	memcpy(cg->name, name, len + 1);
	*ret = cg;
	return 0;
}

static uint32_t most_groups(void)
{
	struct mm_stats mm;

	mm_get_stats(&mm);
	return (uint32_t)min(mm.total_pages / CGROUP_PAGES_EACH, (uint64_t)UINT32_MAX);
}

int cgroup_check_limits_locked(const struct cgroup *parent)
{
	uint32_t level = 1;

	assert_mutex_held(&cgroup_mutex);
	if (parent->dead)
		return -ENODEV;
	if (parent->depth >= CGROUP_DEPTH_MAX || root.descendants >= most_groups())
		return -EAGAIN;
	for (; parent; parent = parent->parent, level++)
		if (parent->descendants >= parent->max_descendants || level > parent->max_depth)
			return -EAGAIN;
	return 0;
}

/* What a new group takes over from its parent. */
static void inherit_locked(struct cgroup *cg)
{
	unsigned long flags = spin_lock_irq(&proc_lock);

	cpuset_inherit_locked(cg);
	cg->freezing = cg->frozen = cg->parent->freezing;
	cg->parent->live_children++;
	if (cg->frozen)
		cg->parent->frozen_children++;
	spin_unlock_irq(&proc_lock, flags);
}

void cgroup_link_locked(struct cgroup *cg, struct dentry *folder)
{
	assert_mutex_held(&cgroup_mutex);
	cg->folder = folder;
	list_add_tail(&cg->parent->children, &cg->siblings);
	for (struct cgroup *a = cg->parent; a; a = a->parent)
		ADD_ONCE(a->descendants, 1);
	inherit_locked(cg);
}

int cgroup_unlink_locked(struct cgroup *cg)
{
	struct cgroup *parent = cg->parent;
	unsigned long flags;
	bool busy;

	assert_mutex_held(&cgroup_mutex);
	flags = spin_lock_irq(&proc_lock);
	busy = cg->tasks > 0 || !list_empty(&cg->children);
	if (!busy) {
		WRITE_ONCE(cg->dead, true);
		parent->live_children--;
		if (cg->frozen)
			parent->frozen_children--;
		cgroup_frozen_update_locked(parent);
	}
	spin_unlock_irq(&proc_lock, flags);
	if (busy)
		return -EBUSY;
	cg->folder = NULL;
	list_del(&cg->siblings);
	for (struct cgroup *a = parent; a; a = a->parent)
		ADD_ONCE(a->descendants, -1);
	cpu_stat_keep_locked(cg);
	count_dying(cg, 1);
	memory_group_retire(&cg->memory);
	return 0;
}

/* ---- the way through it ---- */

struct cgroup *cgroup_next(const struct cgroup *top, struct cgroup *cg)
{
	if (!list_empty(&cg->children))
		return list_first(&cg->children, struct cgroup, siblings);
	for (; cg != top; cg = cg->parent)
		if (cg->siblings.next != &cg->parent->children)
			return list_entry(cg->siblings.next, struct cgroup, siblings);
	return NULL;
}

bool cgroup_below(const struct cgroup *cg, const struct cgroup *top)
{
	while (cg->depth > top->depth)
		cg = cg->parent;
	return cg == top;
}

struct cgroup *cgroup_common(struct cgroup *a, struct cgroup *b)
{
	while (a != b)
		if (a->depth >= b->depth)
			a = a->parent;
		else
			b = b->parent;
	return a;
}
