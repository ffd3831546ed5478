/* SPDX-License-Identifier: MIT */
/*
 * Capabilities of files (capabilities(7), "File capabilities"): the attribute security.capability, which execve heeds (proc/exec_cred.c).
 *
 * It comes in two forms: revision 2, which counts for all, and is stored as it came from who has CAP_SETFCAP over the file system; and revision 3,
 * with the id of a root user as the file system's user namespace says it, which counts in the user namespaces whose root that is, and below. What
 * somebody with CAP_SETFCAP over the file alone sets, becomes revision 3 with his own namespace's root. Who reads it gets the form that he could
 * have set. Revision 1 is not stored: it has ended with Linux 2.6.25.
 *
 * Writing to a file takes it away, and so does a new owner (inode_drop_privileges_locked).
 *
 * Locking: inode->lock for the stored value.
 */
#include <cloudos/string.h>
#include <cloudos/user_namespace.h>
#include <linux/capability.h>
#include "vfs_internal.h"

_Static_assert(sizeof(struct vfs_ns_cap_data) == XATTR_CAPS_SZ_3 && offsetof(struct vfs_ns_cap_data, rootid) == XATTR_CAPS_SZ_2,
	       "revision 3 is revision 2 and an id");

static bool is_revision(const struct vfs_ns_cap_data *d, size_t size, uint32_t revision)
{
	return (d->magic_etc & VFS_CAP_REVISION_MASK) == revision && size == (revision == VFS_CAP_REVISION_2 ? XATTR_CAPS_SZ_2 : XATTR_CAPS_SZ_3);
}

/* The root user of a value, as `ns` says him; ID_NONE: it is none. */
static uint32_t root_of(const struct user_namespace *ns, const struct vfs_ns_cap_data *d, size_t size)
{
	return id_to_kernel(ns, ID_UID, is_revision(d, size, VFS_CAP_REVISION_3) ? d->rootid : 0);
}

int file_caps_given(const struct inode *inode, const void *value, size_t size, struct vfs_ns_cap_data *ret, size_t *ret_size)
{
	const struct cred *cred = thread_current()->cred;
	struct vfs_ns_cap_data d = { 0 };
	uint32_t root;

	memcpy(&d, value, min(size, sizeof(d)));
	if (!is_revision(&d, size, VFS_CAP_REVISION_2) && !is_revision(&d, size, VFS_CAP_REVISION_3))
		return -EINVAL;
	if (!inode_capable(inode, cred, CAP_SETFCAP))
		return -EPERM;
	if (size == XATTR_CAPS_SZ_3 || !cred_capable_over(cred, inode->sb->user_ns, CAP_SETFCAP)) {
		root = root_of(cred->user_ns, &d, size);
		root = root == ID_NONE ? ID_NONE : id_from_kernel(inode->sb->user_ns, ID_UID, root);
		if (root == ID_NONE)
			return -EINVAL;
		d.magic_etc = VFS_CAP_REVISION_3 | (d.magic_etc & VFS_CAP_FLAGS_EFFECTIVE);
		d.rootid = root;
		size = XATTR_CAPS_SZ_3;
	}
	*ret = d;
	*ret_size = size;
	return 0;
}

/* Is the user the root of ns, or of one above? */
static bool owns(uint32_t root, const struct user_namespace *ns)
{
	for (;; ns = namespace_owner(user_namespace_base((struct user_namespace *)(uintptr_t)ns))) {
		if (id_from_kernel(ns, ID_UID, root) == 0)
			return true;
		if (ns == &user_namespace_first)
			return false;
	}
}

int file_caps_shown(const struct inode *inode, struct vfs_ns_cap_data *d, size_t *size)
{
	const struct user_namespace *ns = thread_current()->cred->user_ns;
	uint32_t root = root_of(inode->sb->user_ns, d, *size), shown = root == ID_NONE ? ID_NONE : id_from_kernel(ns, ID_UID, root);

	if (shown != ID_NONE && shown != 0) {
		d->magic_etc = VFS_CAP_REVISION_3 | (d->magic_etc & VFS_CAP_FLAGS_EFFECTIVE);
		d->rootid = shown;
		*size = XATTR_CAPS_SZ_3;
		return 0;
	}
	if (root == ID_NONE || !owns(root, ns))
		return -EOVERFLOW;
	d->magic_etc = VFS_CAP_REVISION_2 | (d->magic_etc & VFS_CAP_FLAGS_EFFECTIVE);
	*size = XATTR_CAPS_SZ_2;
	return 0;
}

bool vfs_file_caps(struct file *f, struct file_caps *ret)
{
	struct vfs_ns_cap_data d;
	uint32_t root;
	size_t size;

	if (!f->path.mount || !mount_may_set_id(f->path.mount) || !file_caps_stored(f->inode, &d, &size))
		return false;
	root = root_of(f->inode->sb->user_ns, &d, size);
	if (root == ID_NONE || !owns(root, thread_current()->cred->user_ns))
		return false;
	ret->permitted = d.data[0].permitted | (uint64_t)d.data[1].permitted << 32;
	ret->inheritable = d.data[0].inheritable | (uint64_t)d.data[1].inheritable << 32;
	ret->effective = d.magic_etc & VFS_CAP_FLAGS_EFFECTIVE;
	return true;
}
