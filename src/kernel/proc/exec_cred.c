/* SPDX-License-Identifier: MIT */
/*
 * What execve does to credentials: set-user-id and set-group-id files, and the capabilities that follow (capabilities(7), "Transformation
 * of capabilities during execve"). Files carry no capabilities of their own here.
 */
#include "exec_internal.h"
#include <cloudos/fs.h>
#include <cloudos/user_namespace.h>
#include <linux/securebits.h>
#include <linux/stat.h>

#define SECURE(bit) (UINT32_C(1) << (bit))

static void apply_owner(struct cred *c, struct file *f)
{
	uint32_t mode, uid, gid;

	if (READ_ONCE(task_self()->no_new_privs) || trace_confines(task_self()))
		return;
	vfs_file_owner(f, &mode, &uid, &gid);
	if (id_from_kernel(c->user_ns, ID_UID, uid) == ID_NONE || id_from_kernel(c->user_ns, ID_GID, gid) == ID_NONE)
		return; /* whoever that is, nobody here becomes him */
	if (mode & S_ISUID)
		c->euid = uid;
	if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		c->egid = gid;
}

static void apply_capabilities(struct cred *c, bool changed)
{
	uint64_t all = c->cap_inheritable | c->cap_bounding;
	uint32_t root_id = cred_root(c);
	bool root = root_id != ID_NONE && !(c->securebits & SECURE(SECURE_NOROOT));

	if (changed)
		c->cap_ambient = 0;
	if (root && (c->euid == root_id || c->uid == root_id)) {
		c->cap_permitted = all;
		c->cap_effective = c->euid == root_id ? all : c->cap_ambient;
	} else {
		c->cap_permitted = c->cap_ambient;
		c->cap_effective = c->cap_ambient;
	}
	c->securebits &= ~SECURE(SECURE_KEEP_CAPS);
}

static bool same(const struct cred *a, const struct cred *b)
{
	return a->euid == b->euid && a->egid == b->egid && a->suid == b->suid && a->sgid == b->sgid &&
	       a->fsuid == b->fsuid && a->fsgid == b->fsgid && a->cap_permitted == b->cap_permitted &&
	       a->cap_effective == b->cap_effective && a->cap_ambient == b->cap_ambient &&
	       a->securebits == b->securebits;
}

int exec_cred(struct exec *x)
{
	struct cred *old = thread_current()->cred, *copy, new;

	cred_copy_values(&new, old);
	apply_owner(&new, x->file);
	x->gains = new.euid != old->euid || new.egid != old->egid;
	x->unreadable = inode_permission(x->file->inode, MAY_READ, old) < 0;
	x->secure = new.euid != new.uid || new.egid != new.gid;
	apply_capabilities(&new, new.euid != old->euid || new.egid != old->egid);
	if (trace_confines(task_self())) {
		new.cap_permitted &= old->cap_permitted;
		new.cap_effective &= old->cap_permitted;
	}
	x->raises = x->gains || (new.cap_permitted & ~old->cap_permitted);
	new.suid = new.fsuid = new.euid;
	new.sgid = new.fsgid = new.egid;
	if (same(&new, old)) {
		cred_get(old);
		x->cred = old;
		return 0;
	}
	copy = cred_copy(old);
	if (!copy)
		return -ENOMEM;
	new.groups = copy->groups;
	cred_copy_values(copy, &new);
	x->cred = copy;
	return 0;
}
