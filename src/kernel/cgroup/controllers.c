/* SPDX-License-Identifier: MIT */
/*
 * Which controllers a group's children have: cgroup.subtree_control (C3, C4). The files of a controller come to each child and go from it. The
 * group's folder is locked around it all, so that no child comes or goes meanwhile; the children's folders are locked one after the other, outside
 * of cgroup_mutex. Files come before their controller does, and go after it: they are of no use then (cgroup_lock_with()).
 */
#include <cloudos/string.h>
#include "cgroup_internal.h"

#define ALL_CONTROLLERS (CGROUP_CPUSET | CGROUP_CPU | CGROUP_MEMORY | CGROUP_PIDS)

const struct cgroup_controller *const cgroup_controllers[CGROUP_CONTROLLERS] = { &cgroup_cpuset, &cgroup_cpu, &cgroup_memory, &cgroup_pids };

uint32_t cgroup_controllers_of(const struct cgroup *cg)
{
	return cgroup_is_root(cg) ? ALL_CONTROLLERS : READ_ONCE(cg->parent->subtree_control);
}

int cgroup_lock_with(const struct cgroup *cg, uint32_t controller)
{
	mutex_lock(&cgroup_mutex);
	if (!cg->dead && (cgroup_controllers_of(cg) & controller))
		return 0;
	mutex_unlock(&cgroup_mutex);
	return -ENODEV;
}

void cgroup_show_controllers(struct text_out *o, uint32_t set)
{
	const char *space = "";

	for (int i = 0; i < CGROUP_CONTROLLERS; i++)
		if (set & cgroup_controllers[i]->bit) {
			out_printf(o, "%s%s", space, cgroup_controllers[i]->name);
			space = " ";
		}
	if (*space)
		out_printf(o, "\n");
}

/* ---- what is asked for ---- */

struct request {
	uint32_t enable, disable;
};

static uint32_t bit_of(const char *name, size_t len)
{
	for (int i = 0; i < CGROUP_CONTROLLERS; i++)
		if (strlen(cgroup_controllers[i]->name) == len && memcmp(cgroup_controllers[i]->name, name, len) == 0)
			return cgroup_controllers[i]->bit;
	return 0;
}

/* "+cpu -pids"; of what is said twice the last counts. */
static int parse(const char *text, struct request *ret)
{
	struct request r = { 0 };

	while (*text) {
		size_t len = 0;
		uint32_t bit;

		while (text[len] && text[len] != ' ')
			len++;
		if (len > 0) {
			bit = bit_of(text + 1, len - 1);
			if (!bit || (*text != '+' && *text != '-'))
				return -EINVAL;
			*(*text == '+' ? &r.enable : &r.disable) |= bit;
			*(*text == '+' ? &r.disable : &r.enable) &= ~bit;
		}
		text += len + (text[len] == ' ');
	}
	*ret = r;
	return 0;
}

/* ---- doing it ---- */

static uint32_t children_have_locked(const struct cgroup *cg)
{
	const struct cgroup *child;
	uint32_t set = 0;

	list_for_each(child, &cg->children, siblings)
		set |= child->subtree_control;
	return set;
}

static int check_locked(const struct cgroup *cg, const struct request *r)
{
	if (cg->dead)
		return -ENODEV;
	if (r->enable & ~cgroup_controllers_of(cg))
		return -ENOENT;
	if (r->disable & children_have_locked(cg))
		return -EBUSY;
	return r->enable && READ_ONCE(cg->tasks) > 0 && !cgroup_is_root(cg) ? -EBUSY : 0;
}

/* C4: the last look and the change are one step for who would put a process there. */
static int commit_locked(struct cgroup *cg, uint32_t set, bool more)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	bool busy = more && cg->tasks > 0 && !cgroup_is_root(cg);

	if (!busy)
		WRITE_ONCE(cg->subtree_control, set);
	spin_unlock_irq(&proc_lock, flags);
	return busy ? -EBUSY : 0;
}

static void start_and_stop_locked(struct cgroup *cg, uint32_t start, uint32_t stop)
{
	struct cgroup *child;

	for (int i = 0; i < CGROUP_CONTROLLERS; i++) {
		const struct cgroup_controller *c = cgroup_controllers[i];

		list_for_each(child, &cg->children, siblings) {
			if ((start & c->bit) && c->start)
				c->start(child);
			if ((stop & c->bit) && c->stop)
				c->stop(child);
		}
	}
}

/* The children's files; the folder's lock keeps the children. */
static void files_remove(struct cgroup *cg, uint32_t controllers)
{
	struct cgroup *child;

	list_for_each(child, &cg->children, siblings) {
		mutex_lock_beside(&child->folder->inode->lock);
		cgroup_files_remove(child, child->folder, controllers);
		mutex_unlock(&child->folder->inode->lock);
	}
}

static int files_add(struct cgroup *cg, uint32_t controllers)
{
	struct cgroup *child;
	int err = 0;

	list_for_each(child, &cg->children, siblings) {
		if (err)
			break;
		mutex_lock_beside(&child->folder->inode->lock);
		err = cgroup_files_add(child, child->folder, controllers);
		mutex_unlock(&child->folder->inode->lock);
	}
	if (err)
		files_remove(cg, controllers);
	return err;
}

/* What is asked for already is taken out of r. */
static int check_request(struct cgroup *cg, struct request *r)
{
	int err;

	mutex_lock(&cgroup_mutex);
	r->enable &= ~cg->subtree_control;
	r->disable &= cg->subtree_control;
	err = check_locked(cg, r);
	mutex_unlock(&cgroup_mutex);
	return err;
}

/* It may have become impossible while the files came. */
static int change(struct cgroup *cg, const struct request *r)
{
	int err;

	mutex_lock(&cgroup_mutex);
	err = check_locked(cg, r);
	if (err == 0)
		err = commit_locked(cg, (cg->subtree_control | r->enable) & ~r->disable, r->enable != 0);
	if (err == 0)
		start_and_stop_locked(cg, r->enable, r->disable);
	mutex_unlock(&cgroup_mutex);
	return err;
}

int cgroup_store_subtree_control(struct cgroup *cg, struct inode *folder, const char *text)
{
	struct request r;
	int err = parse(text, &r);

	if (err < 0)
		return err;
	mutex_lock(&folder->lock);
	err = check_request(cg, &r);
	if (err == 0)
		err = files_add(cg, r.enable);
	if (err == 0) {
		err = change(cg, &r);
		files_remove(cg, err < 0 ? r.enable : r.disable);
	}
	mutex_unlock(&folder->lock);
	return err;
}
