/* SPDX-License-Identifier: MIT */
/*
 * The controller "pids": how many processes and threads there may be in a group and below. They are counted in every group, whether it has the
 * controller or not, so that the figures are right when it comes; a limit holds where it is set. Only births are refused: a group into which
 * processes were moved may be above its limit.
 */
#include <cloudos/string.h>
#include "cgroup_internal.h"

#define PIDS_MAX_MOST (UINT64_C(4) << 20) /* as on Linux */

int pids_charge_locked(struct cgroup *cg)
{
	for (const struct cgroup *a = cg; a; a = a->parent)
		if (a->pids.count >= a->pids.max) {
			cg->pids.refused++;
			cgroup_tell(cg, EVENT_PIDS);
			return -EAGAIN;
		}
	pids_take_locked(cg, 1, NULL);
	return 0;
}

void pids_take_locked(struct cgroup *cg, uint64_t n, struct cgroup *until)
{
	for (; cg != until; cg = cg->parent) {
		cg->pids.count += n;
		cg->pids.peak = max(cg->pids.peak, cg->pids.count);
	}
}

void pids_give_locked(struct cgroup *cg, uint64_t n, struct cgroup *until)
{
	for (; cg != until; cg = cg->parent) {
		ASSERT(cg->pids.count >= n);
		cg->pids.count -= n;
	}
}

static void pids_stop(struct cgroup *cg)
{
	unsigned long flags = spin_lock_irq(&proc_lock);

	cg->pids.max = UINT64_MAX;
	cg->pids.peak = cg->pids.count;
	cg->pids.refused = 0;
	spin_unlock_irq(&proc_lock, flags);
}

static int show_figure(struct text_out *o, const uint64_t *figure)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	uint64_t value = *figure;

	spin_unlock_irq(&proc_lock, flags);
	cgroup_show_limit(o, value, UINT64_MAX);
	return 0;
}

static int show_current(struct cgroup *cg, struct text_out *o)
{
	return show_figure(o, &cg->pids.count);
}

static int show_peak(struct cgroup *cg, struct text_out *o)
{
	return show_figure(o, &cg->pids.peak);
}

static int show_max(struct cgroup *cg, struct text_out *o)
{
	return show_figure(o, &cg->pids.max);
}

static int store_max(struct cgroup *cg, struct file *f, const char *text, size_t len)
{
	unsigned long flags;
	uint64_t limit;
	int err = cgroup_parse_limit(text, PIDS_MAX_MOST, &limit);

	(void)f, (void)len;
	if (err < 0)
		return -EINVAL;
	err = cgroup_lock_with(cg, CGROUP_PIDS);
	if (err < 0)
		return err;
	flags = spin_lock_irq(&proc_lock);
	cg->pids.max = limit;
	spin_unlock_irq(&proc_lock, flags);
	mutex_unlock(&cgroup_mutex);
	return 0;
}

static int show_events(struct cgroup *cg, struct text_out *o)
{
	out_printf(o, "max ");
	return show_figure(o, &cg->pids.refused);
}

static const struct cgroup_file files[] = {
	{ "pids.current", 0444, FILE_NOT_ON_ROOT, EVENT_NONE, show_current, NULL },
	{ "pids.events", 0444, FILE_NOT_ON_ROOT, EVENT_PIDS, show_events, NULL },
	{ "pids.max", 0644, FILE_NOT_ON_ROOT, EVENT_NONE, show_max, store_max },
	{ "pids.peak", 0444, FILE_NOT_ON_ROOT, EVENT_NONE, show_peak, NULL },
};

const struct cgroup_controller cgroup_pids = {
	.name = "pids",
	.bit = CGROUP_PIDS,
	.files = files,
	.file_count = ARRAY_SIZE(files),
	.stop = pids_stop,
};
