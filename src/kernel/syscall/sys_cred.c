/* SPDX-License-Identifier: MIT */
/*
 * User, group and capability ids (credentials(7), capabilities(7)). A change is made in a copy of the thread's credentials, which then
 * replaces them; each thread has its own, as the kernel's ABI says (C libraries change all threads).
 */
#include <cloudos/cred.h>
#include <cloudos/creds.h>
#include <cloudos/errno.h>
#include <cloudos/mm.h>
#include <cloudos/task.h>
#include <cloudos/uaccess.h>
#include <cloudos/user_namespace.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include "syscalls_gen.h"

#define ID_KEEP ID_NONE /* "leave it as it is", and no valid id */

static const struct cred *own(void)
{
	return thread_current()->cred;
}

/* An id that a program gives: 0 and the kernel id, ID_KEEP as it is; -EINVAL: it is nobody's in the program's user namespace. */
static int uid_from_user(uint32_t *uid)
{
	uint32_t id = uid_in(*uid);

	if (id == ID_NONE && *uid != ID_KEEP)
		return -EINVAL;
	*uid = id;
	return 0;
}

static int gid_from_user(uint32_t *gid)
{
	uint32_t id = gid_in(*gid);

	if (id == ID_NONE && *gid != ID_KEEP)
		return -EINVAL;
	*gid = id;
	return 0;
}

/* ---- asking ---- */

int64_t sys_getuid(void)
{
	return uid_out(own()->uid);
}

int64_t sys_geteuid(void)
{
	return uid_out(own()->euid);
}

int64_t sys_getgid(void)
{
	return gid_out(own()->gid);
}

int64_t sys_getegid(void)
{
	return gid_out(own()->egid);
}

static int put_three(uaddr_t a, uaddr_t b, uaddr_t c, uint32_t x, uint32_t y, uint32_t z)
{
	return put_user(x, a) < 0 || put_user(y, b) < 0 || put_user(z, c) < 0 ? -EFAULT : 0;
}

int64_t sys_getresuid(uaddr_t ruid, uaddr_t euid, uaddr_t suid)
{
	return put_three(ruid, euid, suid, uid_out(own()->uid), uid_out(own()->euid), uid_out(own()->suid));
}

int64_t sys_getresgid(uaddr_t rgid, uaddr_t egid, uaddr_t sgid)
{
	return put_three(rgid, egid, sgid, gid_out(own()->gid), gid_out(own()->egid), gid_out(own()->sgid));
}

/* ---- user ids ---- */

/* What leaving root's ids behind does to capabilities (capabilities(7), "Effect of user ID changes on capabilities"). */
static void fix_capabilities(struct cred *c, const struct cred *old)
{
	uint32_t root = cred_root(old);
	bool was = old->uid == root || old->euid == root || old->suid == root;
	bool is = c->uid == root || c->euid == root || c->suid == root;

	if (c->securebits & (1u << SECURE_NO_SETUID_FIXUP))
		return;
	if (was && !is && !(c->securebits & (1u << SECURE_KEEP_CAPS))) {
		c->cap_permitted = 0;
		c->cap_effective = 0;
		c->cap_ambient = 0;
	}
	if (old->euid == root && c->euid != root)
		c->cap_effective = 0;
	if (old->euid != root && c->euid == root)
		c->cap_effective = c->cap_permitted;
}

static int64_t commit_uids(struct cred *c)
{
	fix_capabilities(c, own());
	return creds_commit(c);
}

static bool is_own_uid(uint32_t uid)
{
	return uid == own()->uid || uid == own()->euid || uid == own()->suid;
}

int64_t sys_setuid(uint32_t uid)
{
	bool privileged = cred_capable_here(own(), CAP_SETUID);
	struct cred *c;

	if (uid_from_user(&uid) || uid == ID_KEEP)
		return -EINVAL;
	if (!privileged && uid != own()->uid && uid != own()->suid)
		return -EPERM;
	c = cred_copy(own());
	if (!c)
		return -ENOMEM;
	if (privileged)
		c->uid = c->suid = uid;
	c->euid = c->fsuid = uid;
	return commit_uids(c);
}

int64_t sys_setreuid(uint32_t ruid, uint32_t euid)
{
	bool privileged = cred_capable_here(own(), CAP_SETUID);
	struct cred *c;

	if (uid_from_user(&ruid) || uid_from_user(&euid))
		return -EINVAL;
	if (!privileged && ((ruid != ID_KEEP && ruid != own()->uid && ruid != own()->euid) ||
			    (euid != ID_KEEP && !is_own_uid(euid))))
		return -EPERM;
	c = cred_copy(own());
	if (!c)
		return -ENOMEM;
	if (ruid != ID_KEEP)
		c->uid = ruid;
	if (euid != ID_KEEP)
		c->euid = euid;
	if (ruid != ID_KEEP || (euid != ID_KEEP && euid != own()->uid))
		c->suid = c->euid;
	c->fsuid = c->euid;
	return commit_uids(c);
}

int64_t sys_setresuid(uint32_t ruid, uint32_t euid, uint32_t suid)
{
	struct cred *c;

	if (uid_from_user(&ruid) || uid_from_user(&euid) || uid_from_user(&suid))
		return -EINVAL;
	if (!cred_capable_here(own(), CAP_SETUID) &&
	    ((ruid != ID_KEEP && !is_own_uid(ruid)) || (euid != ID_KEEP && !is_own_uid(euid)) ||
	     (suid != ID_KEEP && !is_own_uid(suid))))
		return -EPERM;
	c = cred_copy(own());
	if (!c)
		return -ENOMEM;
	c->uid = ruid != ID_KEEP ? ruid : c->uid;
	c->euid = euid != ID_KEEP ? euid : c->euid;
	c->suid = suid != ID_KEEP ? suid : c->suid;
	c->fsuid = c->euid;
	return commit_uids(c);
}

/* The file-system ids: the former one is the answer, whether it worked or not. */
int64_t sys_setfsuid(uint32_t uid)
{
	uint32_t old = own()->fsuid;
	struct cred *c;

	uid = uid_in(uid);
	if (uid == old || uid == ID_KEEP || !(is_own_uid(uid) || cred_capable_here(own(), CAP_SETUID)))
		return uid_out(old);
	c = cred_copy(own());
	if (c) {
		c->fsuid = uid;
		(void)creds_commit(c);
	}
	return uid_out(old);
}

/* ---- group ids ---- */

static bool is_own_gid(uint32_t gid)
{
	return gid == own()->gid || gid == own()->egid || gid == own()->sgid;
}

int64_t sys_setgid(uint32_t gid)
{
	bool privileged = cred_capable_here(own(), CAP_SETGID);
	struct cred *c;

	if (gid_from_user(&gid) || gid == ID_KEEP)
		return -EINVAL;
	if (!privileged && gid != own()->gid && gid != own()->sgid)
		return -EPERM;
	c = cred_copy(own());
	if (!c)
		return -ENOMEM;
	if (privileged)
		c->gid = c->sgid = gid;
	c->egid = c->fsgid = gid;
	return creds_commit(c);
}

int64_t sys_setregid(uint32_t rgid, uint32_t egid)
{
	struct cred *c;

	if (gid_from_user(&rgid) || gid_from_user(&egid))
		return -EINVAL;
	if (!cred_capable_here(own(), CAP_SETGID) && ((rgid != ID_KEEP && rgid != own()->gid && rgid != own()->egid) ||
						 (egid != ID_KEEP && !is_own_gid(egid))))
		return -EPERM;
	c = cred_copy(own());
	if (!c)
		return -ENOMEM;
	if (rgid != ID_KEEP)
		c->gid = rgid;
	if (egid != ID_KEEP)
		c->egid = egid;
	if (rgid != ID_KEEP || (egid != ID_KEEP && egid != own()->gid))
		c->sgid = c->egid;
	c->fsgid = c->egid;
	return creds_commit(c);
}

int64_t sys_setresgid(uint32_t rgid, uint32_t egid, uint32_t sgid)
{
	struct cred *c;

	if (gid_from_user(&rgid) || gid_from_user(&egid) || gid_from_user(&sgid))
		return -EINVAL;
	if (!cred_capable_here(own(), CAP_SETGID) &&
	    ((rgid != ID_KEEP && !is_own_gid(rgid)) || (egid != ID_KEEP && !is_own_gid(egid)) ||
	     (sgid != ID_KEEP && !is_own_gid(sgid))))
		return -EPERM;
	c = cred_copy(own());
	if (!c)
		return -ENOMEM;
	c->gid = rgid != ID_KEEP ? rgid : c->gid;
	c->egid = egid != ID_KEEP ? egid : c->egid;
	c->sgid = sgid != ID_KEEP ? sgid : c->sgid;
	c->fsgid = c->egid;
	return creds_commit(c);
}

int64_t sys_setfsgid(uint32_t gid)
{
	uint32_t old = own()->fsgid;
	struct cred *c;

	gid = gid_in(gid);
	if (gid == old || gid == ID_KEEP || !(is_own_gid(gid) || cred_capable_here(own(), CAP_SETGID)))
		return gid_out(old);
	c = cred_copy(own());
	if (c) {
		c->fsgid = gid;
		(void)creds_commit(c);
	}
	return gid_out(old);
}

/* ---- supplementary groups ---- */

int64_t sys_getgroups(int size, uaddr_t list)
{
	const struct cred *c = own();

	if (size < 0 || (size > 0 && (uint32_t)size < c->group_count))
		return -EINVAL;
	for (uint32_t i = 0; size > 0 && i < c->group_count; i++)
		if (put_user(gid_out(c->groups[i]), list + i * sizeof(uint32_t)) < 0)
			return -EFAULT;
	return c->group_count;
}

/* Heap sort: bounded, in place, no recursion. */
static void sift_down(uint32_t *v, size_t at, size_t n)
{
	for (size_t child; (child = 2 * at + 1) < n; at = child) {
		uint32_t t = v[at];

		if (child + 1 < n && v[child + 1] > v[child])
			child++;
		if (t >= v[child])
			return;
		v[at] = v[child];
		v[child] = t;
	}
}

static void sort_groups(uint32_t *v, size_t n)
{
	for (size_t i = n / 2; i-- > 0;)
		sift_down(v, i, n);
	for (size_t end = n; end-- > 1;) {
		uint32_t t = v[0];

		v[0] = v[end];
		v[end] = t;
		sift_down(v, 0, end);
	}
}

/* 0 or -EINVAL: one of them is nobody's here. */
static int groups_from_user(uint32_t *groups, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		groups[i] = gid_in(groups[i]);
		if (groups[i] == ID_NONE)
			return -EINVAL;
	}
	return 0;
}

int64_t sys_setgroups(int size, uaddr_t list)
{
	uint32_t *groups = NULL;
	struct cred *c;

	if (!cred_capable_here(own(), CAP_SETGID) || !user_namespace_setgroups(own()->user_ns))
		return -EPERM;
	if (size < 0 || size > CRED_GROUPS_MAX)
		return -EINVAL;
	if (size > 0) {
		groups = kmalloc((size_t)size * sizeof(*groups));
		if (!groups)
			return -ENOMEM;
		if (copy_from_user(groups, list, (size_t)size * sizeof(*groups)) < 0) {
			kfree(groups);
			return -EFAULT;
		}
		if (groups_from_user(groups, (size_t)size)) {
			kfree(groups);
			return -EINVAL;
		}
		sort_groups(groups, (size_t)size);
	}
	c = cred_copy(own());
	if (!c) {
		kfree(groups);
		return -ENOMEM;
	}
	kfree(c->groups);
	c->groups = groups;
	c->group_count = (uint32_t)size;
	return creds_commit(c);
}

/* ---- capabilities ---- */

/* Reads the header: how many 32-bit words each set has (1 or 2), or an errno. A wrong version is answered with the right one. */
static int get_header(uaddr_t header, struct __user_cap_header_struct *ret)
{
	uint32_t version = _LINUX_CAPABILITY_VERSION_3;

	if (copy_from_user(ret, header, sizeof(*ret)) < 0)
		return -EFAULT;
	if (ret->version == _LINUX_CAPABILITY_VERSION_1)
		return 1;
	if (ret->version == _LINUX_CAPABILITY_VERSION_2 || ret->version == _LINUX_CAPABILITY_VERSION_3)
		return 2;
	return put_user(version, header) < 0 ? -EFAULT : -EINVAL;
}

int64_t sys_capget(uaddr_t header, uaddr_t data)
{
	struct __user_cap_header_struct h;
	struct __user_cap_data_struct d[2];
	struct creds_capabilities caps;
	int words = get_header(header, &h), err;

	if (words < 0)
		return words == -EINVAL && !data ? 0 : words;
	if (h.pid < 0)
		return -EINVAL;
	err = creds_capabilities(h.pid, &caps);
	if (err < 0)
		return err;
	for (int i = 0; i < 2; i++)
		d[i] = (struct __user_cap_data_struct){ .effective = (uint32_t)(caps.effective >> 32 * i),
							.permitted = (uint32_t)(caps.permitted >> 32 * i),
							.inheritable = (uint32_t)(caps.inheritable >> 32 * i) };
	return data ? copy_to_user(data, d, (size_t)words * sizeof(d[0])) : 0;
}

static uint64_t joined(uint32_t low, uint32_t high)
{
	return low | (uint64_t)high << 32;
}

int64_t sys_capset(uaddr_t header, uaddr_t data)
{
	struct __user_cap_header_struct h;
	struct __user_cap_data_struct d[2] = { 0 };
	uint64_t effective, permitted, inheritable;
	struct cred *c;
	int words = get_header(header, &h);

	if (words < 0)
		return words;
	if (h.pid != 0 && h.pid != task_number(task_self()))
		return -EPERM;
	if (copy_from_user(d, data, (size_t)words * sizeof(d[0])) < 0)
		return -EFAULT;
	effective = joined(d[0].effective, d[1].effective);
	permitted = joined(d[0].permitted, d[1].permitted);
	inheritable = joined(d[0].inheritable, d[1].inheritable);
	if ((permitted & ~own()->cap_permitted) || (effective & ~permitted))
		return -EPERM;
	if ((inheritable & ~(own()->cap_inheritable | own()->cap_bounding)) ||
	    (!cred_capable_here(own(), CAP_SETPCAP) && (inheritable & ~(own()->cap_inheritable | own()->cap_permitted))))
		return -EPERM;
	c = cred_copy(own());
	if (!c)
		return -ENOMEM;
	c->cap_effective = effective;
	c->cap_permitted = permitted;
	c->cap_inheritable = inheritable;
	c->cap_ambient &= permitted & inheritable;
	return creds_commit(c);
}
