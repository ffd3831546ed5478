/* SPDX-License-Identifier: MIT */
/*
 * Access control lists (acl(5), the withdrawn POSIX 1003.1e draft 17): permissions of further users and groups, on file systems with SB_ACLS.
 *
 * Programs set and read a list as an extended attribute (linux/posix_acl_xattr.h): system.posix_acl_access is the file's own,
 * system.posix_acl_default a folder's, which what is made in it inherits. A list has one entry each for the owner, the owning group and others, which
 * the mode shows; entries of named users and groups; and, where there are such, a mask, the most that they and the owning group are
 * allowed.
 *
 * A1  Entries are in the order of their tags, and none of an id other than of a named user or group: is_valid(). So whatever looks at a list meets the
 *     owning group before named groups, and the mask and others last.
 * A2  An access list has something that the mode cannot say; what it says of owner, group (by the mask, if it has one) and others is what the
 *     mode says. So a file without one (all but few) is judged by its mode alone.
 * A3  A list that an inode has is never written to: who changes one puts another in its place. Inodes share lists.
 *
 * Ids are kernel ids, but for the program's side of the attribute.
 *
 * Locking: inode->lock to change inode->acls and the mode with it. Who looks holds no lock: acl_lock for as long as taking a reference takes.
 */
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include <cloudos/user_namespace.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <linux/xattr.h>
#include "vfs_internal.h"

#define ACL_PERMISSIONS (ACL_READ | ACL_WRITE | ACL_EXECUTE)
#define ACL_ENTRIES_MAX ((XATTR_SIZE_MAX - sizeof(struct posix_acl_xattr_header)) / sizeof(struct posix_acl_xattr_entry))

_Static_assert(ACL_READ == MAY_READ && ACL_WRITE == MAY_WRITE && ACL_EXECUTE == MAY_EXEC, "permissions are those of a mode");

struct acl_entry {
	uint16_t tag, permissions;
	uint32_t id; /* ACL_USER, ACL_GROUP; else ACL_UNDEFINED_ID */
};

/* Constant, but for the references (A3). */
struct acl {
	struct refcount refs;
	uint32_t count;
	struct acl_entry entries[];
};

static struct spinlock acl_lock = SPINLOCK_INIT(RANK_LEAF);

#define for_each_entry(e, a) for (e = (a)->entries; e < (a)->entries + (a)->count; e++)

enum acl_kind acl_kind_of(const char *name)
{
	return str_equal(name, XATTR_NAME_POSIX_ACL_ACCESS) ? ACL_ACCESS : str_equal(name, XATTR_NAME_POSIX_ACL_DEFAULT) ? ACL_DEFAULT : ACL_KINDS;
}

/* ---- lists ---- */

static size_t acl_bytes(const struct acl *a)
{
	return a ? sizeof(*a) + a->count * sizeof(a->entries[0]) : 0;
}

static struct acl *acl_alloc(uint32_t count)
{
	struct acl *a = kmalloc(sizeof(*a) + count * sizeof(a->entries[0]));

	if (!a)
		return NULL;
	refcount_init(&a->refs, 1);
	a->count = count;
	return a;
}

static struct acl *acl_copy(const struct acl *from)
{
	struct acl *a = acl_alloc(from->count);

	if (a)
		memcpy(a->entries, from->entries, from->count * sizeof(a->entries[0]));
	return a;
}

static void acl_put(struct acl *a)
{
	if (a && refcount_put(&a->refs))
		kfree(a);
}

/* With a reference; null: it has none. Any context that holds the inode. */
static struct acl *acl_of(const struct inode *inode, enum acl_kind kind)
{
	struct acl *a;

	if (likely(!READ_ONCE(inode->acls[kind])))
		return NULL;
	spin_lock(&acl_lock);
	a = inode->acls[kind];
	if (a)
		refcount_get(&a->refs);
	spin_unlock(&acl_lock);
	return a;
}

static bool is_named(unsigned tag)
{
	return tag == ACL_USER || tag == ACL_GROUP;
}

static bool is_valid(const struct acl *a)
{
	const struct acl_entry *e;
	unsigned last = 0, seen = 0, needed = ACL_USER_OBJ | ACL_GROUP_OBJ | ACL_OTHER;

	for_each_entry (e, a) {
		if ((e->permissions & ~ACL_PERMISSIONS) || e->tag < last || (e->tag == last && !is_named(e->tag)))
			return false;
		last = e->tag;
		seen |= e->tag;
	}
	if (seen & (ACL_USER | ACL_GROUP))
		needed |= ACL_MASK;
	return (seen & needed) == needed;
}

/* Bits of the mode that an entry shows as, by their shift; -1: it does not show. A mask hides the owning group. */
static int shift_of(const struct acl *a, const struct acl_entry *e)
{
	switch (e->tag) {
	case ACL_USER_OBJ:
		return 6;
	case ACL_GROUP_OBJ:
		return a->entries[a->count - 2].tag == ACL_MASK ? -1 : 3; /* A1: behind a mask are only the others */
	case ACL_MASK:
		return 3;
	case ACL_OTHER:
		return 0;
	}
	return -1;
}

/* Permissions of the mode as the list shows them; *ret_more: the mode cannot say all. */
static uint32_t mode_of(const struct acl *a, bool *ret_more)
{
	const struct acl_entry *e;
	uint32_t mode = 0;

	*ret_more = a->count > 3;
	for_each_entry (e, a)
		if (shift_of(a, e) >= 0)
			mode |= (uint32_t)e->permissions << shift_of(a, e);
	return mode;
}

/* Makes a list that nobody else has yet say what a mode says; `limit`: and no more than it said already. */
static void follow_mode(struct acl *a, uint32_t mode, bool limit)
{
	struct acl_entry *e;

	for_each_entry (e, a) {
		int shift = shift_of(a, e);

		if (shift >= 0)
			e->permissions = (uint16_t)(mode >> shift & ACL_PERMISSIONS & (limit ? e->permissions : ACL_PERMISSIONS));
	}
}

/* ---- as programs have them ---- */

static int decode_entry(const struct posix_acl_xattr_entry *from, struct acl_entry *ret)
{
	const struct user_namespace *ns = thread_current()->cred->user_ns;

	*ret = (struct acl_entry){ from->e_tag, from->e_perm, (uint32_t)ACL_UNDEFINED_ID };
	switch (from->e_tag) {
	case ACL_USER:
	case ACL_GROUP:
		ret->id = id_to_kernel(ns, from->e_tag == ACL_USER ? ID_UID : ID_GID, from->e_id);
		return ret->id == ID_NONE ? -EINVAL : 0;
	case ACL_USER_OBJ:
	case ACL_GROUP_OBJ:
	case ACL_MASK:
	case ACL_OTHER:
		return 0;
	}
	return -EINVAL;
}

/* *ret is null where the value has no entries: it is no list. 0, -EINVAL, -EOPNOTSUPP (the version), -ENOMEM. Nothing is said of its validity. */
static int decode(const void *value, size_t size, struct acl **ret)
{
	const struct posix_acl_xattr_header *header = value;
	const struct posix_acl_xattr_entry *entries = (const void *)(header + 1);
	size_t count = (size - sizeof(*header)) / sizeof(entries[0]);
	struct acl *a = NULL;

	if (size < sizeof(*header))
		return -EINVAL;
	if (header->a_version != POSIX_ACL_XATTR_VERSION)
		return -EOPNOTSUPP;
	if (size != sizeof(*header) + count * sizeof(entries[0]) || count > ACL_ENTRIES_MAX)
		return -EINVAL;
	if (count) {
		a = acl_alloc((uint32_t)count);
		if (!a)
			return -ENOMEM;
	}
	for (size_t i = 0; i < count; i++) {
		int error = decode_entry(&entries[i], &a->entries[i]);

		if (error) {
			acl_put(a);
			return error;
		}
	}
	*ret = a;
	return 0;
}

static void encode(const struct acl *a, void *buf)
{
	const struct user_namespace *ns = thread_current()->cred->user_ns;
	struct posix_acl_xattr_header *header = buf;
	struct posix_acl_xattr_entry *to = (void *)(header + 1);
	const struct acl_entry *e;

	header->a_version = POSIX_ACL_XATTR_VERSION;
	for_each_entry (e, a) {
		uint32_t id = is_named(e->tag) ? id_from_kernel(ns, e->tag == ACL_USER ? ID_UID : ID_GID, e->id) : (uint32_t)ACL_UNDEFINED_ID;

		*to++ = (struct posix_acl_xattr_entry){ e->tag, e->permissions, id };
	}
}

/* ---- changing ---- */

/* Takes the caller's reference over. -ENOSPC: the file system has no room for it; then the reference stays his. inode->lock held, or the inode is new. */
static int acl_install(struct inode *inode, enum acl_kind kind, struct acl *a)
{
	struct acl *old = inode->acls[kind];
	int error = xattr_charge(inode->sb, acl_bytes(a), acl_bytes(old));

	if (error)
		return error;
	spin_lock(&acl_lock);
	WRITE_ONCE(inode->acls[kind], a);
	spin_unlock(&acl_lock);
	acl_put(old);
	return 0;
}

/* By an access list, or none, with what the mode says of it (A2). */
static int set_access(struct inode *inode, struct acl *a)
{
	const struct cred *cred = thread_current()->cred;
	uint32_t mode = inode_mode(inode);
	bool more = false;
	int error;

	if (a)
		mode = (mode & ~0777u) | mode_of(a, &more);
	if ((mode & S_ISGID) && !cred_in_group(cred, inode->gid) && !inode_capable(inode, cred, CAP_FSETID))
		mode &= ~(uint32_t)S_ISGID;
	if (!more) {
		acl_put(a);
		a = NULL;
	}
	error = acl_install(inode, ACL_ACCESS, a);
	if (error)
		acl_put(a);
	else
		WRITE_ONCE(inode->mode, mode);
	return error;
}

/* Takes over `a`, which may be null. */
static int set_locked(struct inode *inode, enum acl_kind kind, struct acl *a)
{
	int error = 0;

	if (kind == ACL_DEFAULT && !inode_is_dir(inode))
		error = a ? -EACCES : 0;
	else if (!inode_owner_or_capable(inode, thread_current()->cred))
		error = -EPERM;
	else if (a && !is_valid(a))
		error = -EINVAL;
	else if (kind == ACL_ACCESS)
		return set_access(inode, a);
	else
		error = acl_install(inode, kind, a);
	if (error)
		acl_put(a);
	return error;
}

static int check_supported(const struct inode *inode)
{
	return (inode->sb->flags & SB_ACLS) && !S_ISLNK(inode_mode(inode)) ? 0 : -EOPNOTSUPP;
}

int acl_set(struct inode *inode, enum acl_kind kind, const void *value, size_t size)
{
	struct acl *a = NULL;
	int error = size ? decode(value, size, &a) : 0;

	if (error)
		return error;
	error = check_supported(inode);
	if (error) {
		acl_put(a);
		return error;
	}
	mutex_lock(&inode->lock);
	error = set_locked(inode, kind, a);
	mutex_unlock(&inode->lock);
	return error;
}

ssize_t acl_get(const struct inode *inode, enum acl_kind kind, void *buf, size_t size)
{
	int error = check_supported(inode);
	struct acl *a = error ? NULL : acl_of(inode, kind);
	ssize_t n;

	if (!a)
		return error ? error : -ENODATA;
	n = (ssize_t)(sizeof(struct posix_acl_xattr_header) + a->count * sizeof(struct posix_acl_xattr_entry));
	if (size && size < (size_t)n)
		n = -ERANGE;
	else if (size)
		encode(a, buf);
	acl_put(a);
	return n;
}

int acl_chmod_locked(struct inode *inode, uint32_t mode)
{
	struct acl *a = inode->acls[ACL_ACCESS];
	int error;

	assert_mutex_held(&inode->lock);
	if (likely(!a))
		return 0;
	a = acl_copy(a);
	if (!a)
		return -ENOMEM;
	follow_mode(a, mode, false);
	error = acl_install(inode, ACL_ACCESS, a);
	if (error)
		acl_put(a);
	return error;
}

/* An access list from a folder's default, as far as the mode allows; the mode, as far as the list does. */
static int inherit_access(struct inode *inode, const struct acl *from)
{
	struct acl *a = acl_copy(from);
	bool more;
	int error = 0;

	if (!a)
		return -ENOMEM;
	follow_mode(a, inode->mode, true);
	inode->mode = (inode->mode & ~0777u) | mode_of(a, &more);
	if (more)
		error = acl_install(inode, ACL_ACCESS, a);
	if (error || !more)
		acl_put(a);
	return error;
}

int acl_inherit(struct inode *inode, const struct inode *dir)
{
	struct acl *from = S_ISLNK(inode->mode) ? NULL : acl_of(dir, ACL_DEFAULT);
	int error;

	if (!from)
		return 0;
	error = inherit_access(inode, from);
	if (!error && S_ISDIR(inode->mode)) {
		error = acl_install(inode, ACL_DEFAULT, from);
		if (!error)
			return 0;
	}
	acl_put(from);
	return error;
}

void acl_release(struct inode *inode)
{
	for (enum acl_kind kind = ACL_ACCESS; kind < ACL_KINDS; kind++)
		if (inode->acls[kind])
			acl_install(inode, kind, NULL);
}

/* ---- judging ---- */

/* What a list allows somebody else than the owner: permissions, of which some entry must have all that are wanted. */
static bool acl_allows(const struct acl *a, const struct inode *inode, unsigned want, const struct cred *cred)
{
	unsigned mask = ACL_PERMISSIONS;
	const struct acl_entry *e;
	bool user = false, member = false, allowed = false;

	for_each_entry (e, a) {
		bool all = (e->permissions & want) == want;

		if (e->tag == ACL_USER && !user && e->id == cred->fsuid) {
			user = true;
			allowed = all;
		} else if (!user && ((e->tag == ACL_GROUP_OBJ && cred_in_group(cred, READ_ONCE(inode->gid))) ||
				     (e->tag == ACL_GROUP && cred_in_group(cred, e->id)))) {
			member = true;
			allowed |= all;
		} else if (e->tag == ACL_MASK) {
			mask = e->permissions;
		} else if (e->tag == ACL_OTHER && !user && !member) {
			return all;
		}
	}
	return allowed && (mask & want) == want;
}

bool acl_judges(const struct inode *inode, unsigned want, const struct cred *cred, bool *ret)
{
	struct acl *a = acl_of(inode, ACL_ACCESS);

	if (!a)
		return false;
	*ret = acl_allows(a, inode, want, cred);
	acl_put(a);
	return true;
}
