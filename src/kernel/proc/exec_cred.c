/* SPDX-License-Identifier: MIT */
/*
 * What execve does to credentials: set-user-id and set-group-id files, and the capabilities that follow (capabilities(7), "Transformation
 * of capabilities during execve"). Names are those of that page: P the thread's before, P' after, F the file's.
 */
#include "exec_internal.h"
#include <cloudos/fs.h>
#include <cloudos/user_namespace.h>
#include <linux/capability.h>
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

#define CAPABILITIES_KNOWN ((UINT64_C(2) << CAP_LAST_CAP) - 1)

/*
 * F(permitted) and F(inheritable), of the file or of root. 0; -EPERM: the program counts on capabilities that it would not get.
 * *ret_effective: F(effective); *ret_file: the file has some.
 */
static int apply_permitted(struct cred *c, struct file *f, bool *ret_effective, bool *ret_file)
{
	uint32_t root = cred_root(c);
	struct file_caps caps = { 0 };
	uint64_t wanted;

	*ret_file = vfs_file_caps(f, &caps);
	*ret_effective = caps.effective;
	wanted = caps.permitted & CAPABILITIES_KNOWN;
	c->cap_permitted = (c->cap_bounding & wanted) | (c->cap_inheritable & caps.inheritable);
	if (caps.effective && (wanted & ~c->cap_permitted))
		return -EPERM;
	if (root == ID_NONE || (c->securebits & SECURE(SECURE_NOROOT)))
		return 0;
	if (*ret_file && c->uid != root && c->euid == root) /* set-user-id root with capabilities: those alone */
		return 0;
	if (c->euid == root || c->uid == root)
		c->cap_permitted = c->cap_inheritable | c->cap_bounding;
	*ret_effective |= c->euid == root;
	return 0;
}

/* `changed`: ids have. *ret_secure: the program is not to trust its environment. */
static int apply_capabilities(struct cred *c, const struct cred *old, struct file *f, bool changed, bool *ret_secure)
{
	bool effective, file;
	int err = apply_permitted(c, f, &effective, &file);

	if (err < 0)
		return err;
	if ((READ_ONCE(task_self()->no_new_privs) || trace_confines(task_self())))
		c->cap_permitted &= old->cap_permitted;
	if (changed || file)
		c->cap_ambient = 0;
	c->cap_permitted |= c->cap_ambient;
	c->cap_effective = effective ? c->cap_permitted : c->cap_ambient;
	c->securebits &= ~SECURE(SECURE_KEEP_CAPS);
	*ret_secure = c->uid != cred_root(c) && (effective || (c->cap_permitted & ~c->cap_ambient));
	return 0;
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
	bool changed, secure;
	int err;

	cred_copy_values(&new, old);
	apply_owner(&new, x->file);
	changed = new.euid != old->euid || new.egid != old->egid;
	x->unreadable = inode_permission(x->file->inode, MAY_READ, old) < 0;
	err = apply_capabilities(&new, old, x->file, changed, &secure);
	if (err < 0)
		return err;
	x->secure = secure || new.euid != new.uid || new.egid != new.gid;
	x->gains = changed || (new.cap_permitted & ~old->cap_permitted);
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
