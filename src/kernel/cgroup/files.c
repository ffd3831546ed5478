/* SPDX-License-Identifier: MIT */
/* The files that every group has: "cgroup.*" and cpu.stat. */
#include <cloudos/string.h>
#include "cgroup_internal.h"

int cgroup_parse_limit(const char *text, uint64_t most, uint64_t *ret)
{
	uint64_t value;

	if (str_equal(text, "max")) {
		*ret = UINT64_MAX;
		return 0;
	}
	if (str_to_u64(text + (*text == '-'), 10, &value) < 0)
		return -EINVAL;
	if (value > most || *text == '-')
		return -ERANGE;
	*ret = value;
	return 0;
}

void cgroup_show_limit(struct text_out *o, uint64_t value, uint64_t none)
{
	if (value == none)
		out_printf(o, "max\n");
	else
		out_printf(o, "%lu\n", (unsigned long)value);
}

/* ---- who is in it ---- */

static int show_procs(struct cgroup *cg, struct text_out *o)
{
	return cgroup_list(cg, false, o);
}

static int store_procs(struct cgroup *cg, struct file *f, const char *text, size_t len)
{
	(void)len;
	return cgroup_move(cg, text, f, false);
}

static int show_threads(struct cgroup *cg, struct text_out *o)
{
	return cgroup_list(cg, true, o);
}

static int store_threads(struct cgroup *cg, struct file *f, const char *text, size_t len)
{
	(void)len;
	return cgroup_move(cg, text, f, true);
}

static int show_type(struct cgroup *cg, struct text_out *o)
{
	(void)cg;
	out_printf(o, "domain\n");
	return 0;
}

/* There are no threaded groups. */
static int store_type(struct cgroup *cg, struct file *f, const char *text, size_t len)
{
	(void)cg, (void)f, (void)len;
	return str_equal(text, "threaded") ? -EOPNOTSUPP : -EINVAL;
}

static int store_kill(struct cgroup *cg, struct file *f, const char *text, size_t len)
{
	(void)f, (void)len;
	if (!str_equal(text, "0") && !str_equal(text, "1"))
		return str_to_u64(text, 10, &(uint64_t){ 0 }) < 0 ? -EINVAL : -ERANGE;
	return *text == '1' ? cgroup_kill(cg) : -ERANGE;
}

/* ---- state ---- */

static int show_events(struct cgroup *cg, struct text_out *o)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	bool populated = cg->populated > 0, frozen = cg->frozen;

	spin_unlock_irq(&proc_lock, flags);
	out_printf(o, "populated %d\nfrozen %d\n", populated, frozen);
	return 0;
}

static int show_freeze(struct cgroup *cg, struct text_out *o)
{
	out_printf(o, "%d\n", READ_ONCE(cg->freeze));
	return 0;
}

static int store_freeze(struct cgroup *cg, struct file *f, const char *text, size_t len)
{
	uint64_t on;

	(void)f, (void)len;
	if (str_to_u64(text, 10, &on) < 0)
		return -EINVAL;
	if (on > 1)
		return -ERANGE;
	mutex_lock(&cgroup_mutex);
	cgroup_freeze(cg, on);
	mutex_unlock(&cgroup_mutex);
	return 0;
}

static int show_stat(struct cgroup *cg, struct text_out *o)
{
	out_printf(o, "nr_descendants %u\nnr_dying_descendants %u\n", READ_ONCE(cg->descendants), READ_ONCE(cg->dying));
	return 0;
}

static int show_cpu_stat(struct cgroup *cg, struct text_out *o)
{
	cpu_stat_show(cg, o);
	return 0;
}

/* ---- the tree ---- */

static int show_controllers(struct cgroup *cg, struct text_out *o)
{
	mutex_lock(&cgroup_mutex);
	cgroup_show_controllers(o, cgroup_controllers_of(cg));
	mutex_unlock(&cgroup_mutex);
	return 0;
}

static int show_subtree_control(struct cgroup *cg, struct text_out *o)
{
	mutex_lock(&cgroup_mutex);
	cgroup_show_controllers(o, cg->subtree_control);
	mutex_unlock(&cgroup_mutex);
	return 0;
}

static int store_subtree_control(struct cgroup *cg, struct file *f, const char *text, size_t len)
{
	(void)len;
	return cgroup_store_subtree_control(cg, f->path.dentry->parent->inode, text);
}

static int show_max_depth(struct cgroup *cg, struct text_out *o)
{
	cgroup_show_limit(o, READ_ONCE(cg->max_depth), UINT32_MAX);
	return 0;
}

static int show_max_descendants(struct cgroup *cg, struct text_out *o)
{
	cgroup_show_limit(o, READ_ONCE(cg->max_descendants), UINT32_MAX);
	return 0;
}

static int store_count(uint32_t *place, const char *text)
{
	uint64_t limit;
	int err = cgroup_parse_limit(text, INT32_MAX - 1, &limit);

	if (err < 0)
		return err;
	mutex_lock(&cgroup_mutex);
	WRITE_ONCE(*place, limit == UINT64_MAX ? UINT32_MAX : (uint32_t)limit);
	mutex_unlock(&cgroup_mutex);
	return 0;
}

static int store_max_depth(struct cgroup *cg, struct file *f, const char *text, size_t len)
{
	(void)f, (void)len;
	return store_count(&cg->max_depth, text);
}

static int store_max_descendants(struct cgroup *cg, struct file *f, const char *text, size_t len)
{
	(void)f, (void)len;
	return store_count(&cg->max_descendants, text);
}

const struct cgroup_file cgroup_core_files[] = {
	{ "cgroup.controllers", 0444, 0, EVENT_NONE, show_controllers, NULL },
	{ "cgroup.events", 0444, FILE_NOT_ON_ROOT, EVENT_STATE, show_events, NULL },
	{ "cgroup.freeze", 0644, FILE_NOT_ON_ROOT, EVENT_NONE, show_freeze, store_freeze },
	{ "cgroup.kill", 0200, FILE_NOT_ON_ROOT, EVENT_NONE, NULL, store_kill },
	{ "cgroup.max.depth", 0644, 0, EVENT_NONE, show_max_depth, store_max_depth },
	{ "cgroup.max.descendants", 0644, 0, EVENT_NONE, show_max_descendants, store_max_descendants },
	{ "cgroup.procs", 0644, FILE_DELEGATED, EVENT_NONE, show_procs, store_procs },
	{ "cgroup.stat", 0444, 0, EVENT_NONE, show_stat, NULL },
	{ "cgroup.subtree_control", 0644, FILE_DELEGATED, EVENT_NONE, show_subtree_control, store_subtree_control },
	{ "cgroup.threads", 0644, FILE_DELEGATED, EVENT_NONE, show_threads, store_threads },
	{ "cgroup.type", 0644, FILE_NOT_ON_ROOT, EVENT_NONE, show_type, store_type },
	{ "cpu.stat", 0444, 0, EVENT_NONE, show_cpu_stat, NULL },
};
const size_t cgroup_core_file_count = ARRAY_SIZE(cgroup_core_files);
