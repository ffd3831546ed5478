/* SPDX-License-Identifier: MIT */
/*
 * Addresses of AF_UNIX sockets. A name in the file system is a socket inode whose `attached` points at the bound socket; an abstract one
 * (first byte 0) stands in a hash table, each type of socket with names of its own. Both only find; unix_lock guards the pointers, and a finder takes its reference
 * under it. A name outlives its socket for those who received from it; it then leads nowhere.
 */
#include <linux/fcntl.h>
#include <linux/stat.h>
#include <cloudos/format.h>
#include <cloudos/fs.h>
#include <cloudos/random.h>
#include "unix_internal.h"

#define BUCKETS	      256u
#define AUTOBIND_TRIES 1024 /* of 2^20 names */
#define PATH_AT	      offsetof(struct sockaddr_un, sun_path)

static struct hash_head abstract[BUCKETS]; /* unix_lock */

static struct unix_name *name_alloc(const struct socket_address *a, int type)
{
	struct unix_name *n = kzalloc(sizeof(*n));

	if (!n)
		return NULL;
	refcount_init(&n->refs, 1);
	n->address = *a;
	n->type = type;
	return n;
}

void unix_name_put(struct unix_name *n)
{
	if (!refcount_put(&n->refs))
		return;
	if (n->inode)
		path_put(&n->path);
	kfree(n);
}

void unix_name_disown_locked(struct unix_name *n)
{
	assert_mutex_held(&unix_lock);
	if (n->inode && n->inode->attached == n->owner)
		n->inode->attached = NULL;
	hash_remove(&n->link);
	n->owner = NULL;
}

void unix_name_address(const struct unix_name *n, struct socket_address *ret)
{
	if (n) {
		*ret = n->address;
		return;
	}
	ret->family = AF_UNIX;
	ret->len = sizeof(ret->family);
}

/* ---- abstract names ---- */

static struct hash_head *bucket_of(const struct socket_address *a)
{
	return &abstract[hash_bytes(a->bytes, a->len, 0) % BUCKETS];
}

static struct unix_name *abstract_find(const struct socket_address *a, int type)
{
	struct unix_name *n;

	hash_for_each(n, bucket_of(a), link)
		if (n->type == type && n->address.len == a->len && memcmp(n->address.bytes, a->bytes, a->len) == 0)
			return n;
	return NULL;
}

/* Publishes u's new name, unless u has one or somebody else has it. */
static int publish_abstract(struct unix_socket *u, struct unix_name *n)
{
	int error = 0;

	mutex_lock(&unix_lock);
	if (u->name)
		error = -EINVAL;
	else if (abstract_find(&n->address, n->type))
		error = -EADDRINUSE;
	if (!error) {
		n->owner = u;
		hash_insert(bucket_of(&n->address), &n->link);
		WRITE_ONCE(u->name, n);
	}
	mutex_unlock(&unix_lock);
	return error;
}

static int bind_abstract(struct unix_socket *u, const struct socket_address *a)
{
	struct unix_name *n = name_alloc(a, u->socket.type);
	int error;

	if (!n)
		return -ENOMEM;
	error = publish_abstract(u, n);
	if (error)
		unix_name_put(n);
	return error;
}

int unix_name_bind_any(struct unix_socket *u)
{
	struct socket_address a = { .family = AF_UNIX };
	int error = -ENOSPC;

	if (READ_ONCE(u->name))
		return 0;
	for (unsigned i = 0; i < AUTOBIND_TRIES; i++) {
		char digits[8];

		fmt_string(digits, sizeof(digits), "%05x", (unsigned)(random_u64() & 0xfffff));
		a.bytes[PATH_AT] = 0;
		memcpy(&a.bytes[PATH_AT + 1], digits, 5);
		a.len = PATH_AT + 6;
		error = bind_abstract(u, &a);
		if (error != -EADDRINUSE)
			break;
		error = -ENOSPC;
	}
	return error == -EINVAL ? 0 : error; /* another thread was first */
}

/* ---- names in the file system ---- */

/* The path of an address as a string: it need not end with a NUL there. */
static void path_of(const struct socket_address *a, char ret[UNIX_PATH_MAX + 1])
{
	size_t len = a->len - PATH_AT;

	memcpy(ret, &a->bytes[PATH_AT], len);
	ret[len] = 0;
}

static int publish_path(struct unix_socket *u, struct unix_name *n)
{
	int error = 0;

	mutex_lock(&unix_lock);
	if (u->name) {
		error = -EINVAL;
	} else {
		n->owner = u;
		n->inode->attached = u;
		WRITE_ONCE(u->name, n);
	}
	mutex_unlock(&unix_lock);
	return error;
}

static int bind_path(struct unix_socket *u, const struct socket_address *a)
{
	char path[UNIX_PATH_MAX + 1];
	struct unix_name *n = name_alloc(a, u->socket.type);
	int error;

	if (!n)
		return -ENOMEM;
	path_of(a, path);
	n->address.len = (uint32_t)(PATH_AT + strlen(path) + 1);
	error = vfs_mknod(AT_FDCWD, path, S_IFSOCK | 0777, 0);
	if (!error)
		error = path_lookup(AT_FDCWD, path, 0, &n->path);
	if (!error) {
		n->inode = n->path.dentry->inode;
		error = publish_path(u, n);
		if (error)
			(void)vfs_unlink(AT_FDCWD, path);
	}
	if (error)
		unix_name_put(n);
	return error == -EEXIST ? -EADDRINUSE : error;
}

/* A path's socket, if the running thread may write to it. */
static int find_path(const struct socket_address *a, struct unix_socket **ret)
{
	char text[UNIX_PATH_MAX + 1];
	struct path path;
	struct inode *inode;
	int error;

	path_of(a, text);
	error = path_lookup(AT_FDCWD, text, LOOKUP_FOLLOW, &path);
	if (error)
		return error;
	inode = path.dentry->inode;
	error = inode_permission(inode, MAY_WRITE, thread_current()->cred);
	if (!error && !S_ISSOCK(inode_mode(inode)))
		error = -ECONNREFUSED;
	if (!error) {
		mutex_lock(&unix_lock);
		*ret = inode->attached;
		if (*ret)
			unix_get(*ret);
		else
			error = -ECONNREFUSED;
		mutex_unlock(&unix_lock);
	}
	path_put(&path);
	return error;
}

/* ---- both ---- */

static bool is_abstract(const struct socket_address *a)
{
	return a->bytes[PATH_AT] == 0;
}

static int check(const struct socket_address *a)
{
	return a->len <= PATH_AT || a->len > sizeof(struct sockaddr_un) || a->family != AF_UNIX ? -EINVAL : 0;
}

int unix_name_bind(struct unix_socket *u, const struct socket_address *a)
{
	int error = check(a);

	if (error)
		return error;
	return is_abstract(a) ? bind_abstract(u, a) : bind_path(u, a);
}

static int find_abstract(const struct socket_address *a, int type, struct unix_socket **ret)
{
	struct unix_name *n;
	int error = -ECONNREFUSED;

	mutex_lock(&unix_lock);
	n = abstract_find(a, type);
	if (n && n->owner) {
		*ret = n->owner;
		unix_get(*ret);
		error = 0;
	}
	mutex_unlock(&unix_lock);
	return error;
}

int unix_name_find(const struct socket_address *a, int type, struct unix_socket **ret)
{
	struct unix_socket *found;
	int error = check(a);

	if (!error)
		error = is_abstract(a) ? find_abstract(a, type, &found) : find_path(a, &found);
	if (error)
		return error;
	if (found->socket.type != type) {
		unix_put(found);
		return -EPROTOTYPE;
	}
	*ret = found;
	return 0;
}
