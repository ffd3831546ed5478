/* SPDX-License-Identifier: MIT */
/*
 * The controller "cpuset": on which CPUs threads may run. What a group may use is what was set for it and its parent may use; where that is
 * nothing, or nothing was set, what its parent may use. Threads whose group changes, or whose group's CPUs do, may then run on all of these, as on
 * Linux 6.1: an earlier sched_setaffinity(2) is forgotten. Memory is one node.
 */
#include <cloudos/string.h>
#include "cgroup_internal.h"

#define CPUS_MAX 64 /* as many as a mask of the scheduler has */

/* ---- lists of numbers: "0-2,5" ---- */

static int parse_number(const char **text, unsigned *ret)
{
	unsigned value = 0;

	if (**text < '0' || **text > '9')
		return -EINVAL;
	for (; **text >= '0' && **text <= '9'; ++*text) {
		value = value * 10 + (unsigned)(**text - '0');
		if (value >= CPUS_MAX)
			return -ERANGE;
	}
	*ret = value;
	return 0;
}

static int parse_list(const char *text, uint64_t *ret)
{
	uint64_t mask = 0;

	while (*text) {
		unsigned first, last;
		int err = parse_number(&text, &first);

		last = first;
		if (err == 0 && *text == '-') {
			text++;
			err = parse_number(&text, &last);
		}
		if (err < 0)
			return err;
		if (last < first || (*text && *text != ','))
			return -EINVAL;
		for (unsigned i = first; i <= last; i++)
			mask |= UINT64_C(1) << i;
		text += *text == ',';
	}
	*ret = mask;
	return 0;
}

static void show_list(struct text_out *o, uint64_t mask)
{
	const char *comma = "";

	for (unsigned i = 0; i < CPUS_MAX; i++) {
		unsigned last = i;

		if (!(mask >> i & 1))
			continue;
		while (last + 1 < CPUS_MAX && (mask >> (last + 1) & 1))
			last++;
		out_printf(o, last > i ? "%s%u-%u" : "%s%u", comma, i, last);
		comma = ",";
		i = last;
	}
	out_printf(o, "\n");
}

/* ---- what it means ---- */

void cpuset_inherit_locked(struct cgroup *cg)
{
	assert_spin_held(&proc_lock);
	cg->cpus_effective = cg->parent->cpus_effective;
}

void cpuset_apply(struct task *t, const struct cgroup *cg)
{
	uint64_t cpus = cg->cpus_effective & READ_ONCE(cpus_online);

	if (cpus && (READ_ONCE(t->thread.affinity) & ~cg->cpus_effective || (cpus & ~READ_ONCE(t->thread.affinity))))
		(void)thread_post_affinity(&t->thread, cpus);
}

static void apply_task(struct task *t, void *cg)
{
	cpuset_apply(t, cg);
}

static void apply_process(struct process *p, void *unused)
{
	(void)unused;
	cgroup_each_task_locked(p, apply_task, p->cgroup);
}

static bool set_effective(struct cgroup *cg)
{
	uint64_t above = cg->parent->cpus_effective, cpus = cg->cpus & above ? cg->cpus & above : above;
	unsigned long flags = spin_lock_irq(&proc_lock);
	bool changed = cpus != cg->cpus_effective;

	cg->cpus_effective = cpus;
	spin_unlock_irq(&proc_lock, flags);
	return changed;
}

static void update_locked(struct cgroup *top)
{
	cgroup_for_each(cg, top)
		if (set_effective(cg))
			cgroup_each_process(cg, false, apply_process, NULL);
}

static void cpuset_stop(struct cgroup *cg)
{
	cg->cpus = 0;
	cg->mems_set = false;
	update_locked(cg);
}

/* The look and the change are one step for who changes the group's CPUs, or its group. */
int cgroup_set_affinity(struct task *t, uint64_t cpus)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	int err = thread_post_affinity(&t->thread, cpus & t->process->cgroup->cpus_effective);

	spin_unlock_irq(&proc_lock, flags);
	return err;
}

/* ---- files ---- */

static int show_cpus(struct cgroup *cg, struct text_out *o)
{
	mutex_lock(&cgroup_mutex);
	show_list(o, cg->cpus);
	mutex_unlock(&cgroup_mutex);
	return 0;
}

static int store_cpus(struct cgroup *cg, struct file *f, const char *text, size_t len)
{
	uint64_t cpus;
	int err = parse_list(text, &cpus);

	(void)f, (void)len;
	if (err < 0)
		return err;
	if (cpus & ~READ_ONCE(cpus_online))
		return -EINVAL;
	err = cgroup_lock_with(cg, CGROUP_CPUSET);
	if (err < 0)
		return err;
	cg->cpus = cpus;
	update_locked(cg);
	mutex_unlock(&cgroup_mutex);
	return 0;
}

static int show_cpus_effective(struct cgroup *cg, struct text_out *o)
{
	mutex_lock(&cgroup_mutex);
	show_list(o, cg->cpus_effective & READ_ONCE(cpus_online));
	mutex_unlock(&cgroup_mutex);
	return 0;
}

static int show_mems(struct cgroup *cg, struct text_out *o)
{
	mutex_lock(&cgroup_mutex);
	show_list(o, cg->mems_set ? 1 : 0);
	mutex_unlock(&cgroup_mutex);
	return 0;
}

static int store_mems(struct cgroup *cg, struct file *f, const char *text, size_t len)
{
	uint64_t nodes;
	int err = parse_list(text, &nodes);

	(void)f, (void)len;
	if (err < 0)
		return err;
	if (nodes & ~UINT64_C(1))
		return -EINVAL;
	err = cgroup_lock_with(cg, CGROUP_CPUSET);
	if (err < 0)
		return err;
	cg->mems_set = nodes != 0;
	mutex_unlock(&cgroup_mutex);
	return 0;
}

static int show_mems_effective(struct cgroup *cg, struct text_out *o)
{
	(void)cg;
	show_list(o, 1);
	return 0;
}

static const struct cgroup_file files[] = {
	{ "cpuset.cpus", 0644, FILE_NOT_ON_ROOT, EVENT_NONE, show_cpus, store_cpus },
	{ "cpuset.cpus.effective", 0444, 0, EVENT_NONE, show_cpus_effective, NULL },
	{ "cpuset.mems", 0644, FILE_NOT_ON_ROOT, EVENT_NONE, show_mems, store_mems },
	{ "cpuset.mems.effective", 0444, 0, EVENT_NONE, show_mems_effective, NULL },
};

const struct cgroup_controller cgroup_cpuset = {
	.name = "cpuset",
	.bit = CGROUP_CPUSET,
	.files = files,
	.file_count = ARRAY_SIZE(files),
	.stop = cpuset_stop,
};
