/* SPDX-License-Identifier: MIT */
/* Inodes: birth, attributes that every file system keeps alike, permission, death. */
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include <cloudos/user_namespace.h>
#include <cloudos/vm.h>
#include "vfs_internal.h"

int64_t inode_now(void)
{
	return (int64_t)hal_wall_ns();
}

void inode_init(struct inode *inode, struct super_block *sb, uint32_t mode)
{
	const struct cred *cred = thread_current()->cred;

	memset(inode, 0, sizeof(*inode));
	refcount_init(&inode->refs, 1);
	inode->mode = mode;
	inode->uid = cred ? cred->fsuid : 0;
	inode->gid = cred ? cred->fsgid : 0;
	inode->nlink = 1;
	inode->ino = super_next_ino(sb);
	inode->sb = sb;
	inode->atime_ns = inode->mtime_ns = inode->ctime_ns = inode->btime_ns = inode_now();
	mutex_init(&inode->lock, RANK_INODE);
}

void inode_put(struct inode *inode)
{
	if (!refcount_put(&inode->refs))
		return;
	if (inode->locks)
		locks_free(inode->locks);
	if (inode->xattrs)
		xattrs_free(inode);
	acl_release(inode);
	inode->sb->ops->inode_free(inode);
}

void inode_touch(struct inode *inode)
{
	int64_t now = inode_now();

	WRITE_ONCE(inode->mtime_ns, now);
	WRITE_ONCE(inode->ctime_ns, now);
}

void inode_getattr(struct inode *inode, struct file_stat *ret)
{
	uint64_t size = inode->data ? READ_ONCE(inode->data->size) : READ_ONCE(inode->size);

	*ret = (struct file_stat){
		.dev = inode->sb->dev,
		.ino = inode->ino,
		.rdev = inode->rdev,
		.size = size,
		.blocks = inode->data ? READ_ONCE(inode->data->pages.count) * (PAGE_SIZE / 512) : 0,
		.mode = inode_mode(inode),
		.nlink = READ_ONCE(inode->nlink),
		.uid = READ_ONCE(inode->uid),
		.gid = READ_ONCE(inode->gid),
		.block_size = PAGE_SIZE,
		.atime_ns = READ_ONCE(inode->atime_ns),
		.mtime_ns = READ_ONCE(inode->mtime_ns),
		.ctime_ns = READ_ONCE(inode->ctime_ns),
		.btime_ns = inode->btime_ns,
	};
}

void inode_setattr(struct inode *inode, const struct file_attr *attr)
{
	if (attr->set & ATTR_MODE)
		WRITE_ONCE(inode->mode, (inode_mode(inode) & S_IFMT) | (attr->mode & MODE_PERMISSIONS));
	if (attr->set & ATTR_UID)
		WRITE_ONCE(inode->uid, attr->uid);
	if (attr->set & ATTR_GID)
		WRITE_ONCE(inode->gid, attr->gid);
	if (attr->set & ATTR_ATIME)
		WRITE_ONCE(inode->atime_ns, attr->atime_ns);
	if (attr->set & ATTR_MTIME)
		WRITE_ONCE(inode->mtime_ns, attr->mtime_ns);
	WRITE_ONCE(inode->ctime_ns, inode_now());
}

/* ---- permission ---- */

bool inode_named_in(const struct inode *inode, const struct user_namespace *ns)
{
	return id_from_kernel(ns, ID_UID, READ_ONCE(inode->uid)) != ID_NONE && id_from_kernel(ns, ID_GID, READ_ONCE(inode->gid)) != ID_NONE;
}

/* A capability counts over what has an owner, and a group, in the namespace that it is of. */
bool inode_capable(const struct inode *inode, const struct cred *cred, unsigned capability)
{
	return cred_capable_here(cred, capability) && inode_named_in(inode, cred->user_ns);
}

bool inode_owner_or_capable(const struct inode *inode, const struct cred *cred)
{
	return cred->fsuid == READ_ONCE(inode->uid) || (cred_capable_here(cred, CAP_FOWNER) &&
							id_from_kernel(cred->user_ns, ID_UID, READ_ONCE(inode->uid)) != ID_NONE);
}

/* What the mode forbids, capabilities may still allow (capabilities(7)). */
static int permission_by_capability(const struct inode *inode, unsigned mask, const struct cred *cred)
{
	bool dir = inode_is_dir(inode);

	if (dir || !(mask & MAY_EXEC) || (inode_mode(inode) & 0111))
		if (inode_capable(inode, cred, CAP_DAC_OVERRIDE))
			return 0;
	if (!(mask & MAY_WRITE) && (dir || mask == MAY_READ) && inode_capable(inode, cred, CAP_DAC_READ_SEARCH))
		return 0;
	return -EACCES;
}

int inode_permission(struct inode *inode, unsigned mask, const struct cred *cred)
{
	uint32_t mode = inode_mode(inode);
	bool allowed;

	if (unlikely(inode->ops->permission))
		return inode->ops->permission(inode, mask, cred);
	if (cred->fsuid == READ_ONCE(inode->uid))
		mode >>= 6;
	else if (unlikely(READ_ONCE(inode->acls[ACL_ACCESS])) && (mode & S_IRWXG) && acl_judges(inode, mask, cred, &allowed))
		return allowed ? 0 : permission_by_capability(inode, mask, cred);
	else if (((mode >> 3 ^ mode) & 7) && cred_in_group(cred, READ_ONCE(inode->gid)))
		mode >>= 3;
	if (likely((mode & mask) == mask))
		return 0;
	return permission_by_capability(inode, mask, cred);
}

void inode_clear_setid_locked(struct inode *inode)
{
	uint32_t clear = inode_mode(inode) & S_ISUID;

	if ((inode_mode(inode) & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		clear |= S_ISGID;
	if (clear && !cred_capable(thread_current()->cred, CAP_FSETID))
		WRITE_ONCE(inode->mode, inode->mode & ~clear);
}
