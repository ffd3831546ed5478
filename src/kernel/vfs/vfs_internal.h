/* SPDX-License-Identifier: MIT */
/* What the files of the VFS share among themselves. */
#ifndef VFS_INTERNAL_H
#define VFS_INTERNAL_H

#include <cloudos/errno.h>
#include <cloudos/fs.h>
#include <cloudos/namespace.h>
#include <cloudos/thread.h>
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/mount.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include "mount_internal.h"
#include "tree_lock.h"

#define MODE_PERMISSIONS 07777u

static inline bool inode_is_dir(const struct inode *inode)
{
	return S_ISDIR(inode_mode(inode));
}

/* ---- xattr.c ---- */

void xattrs_free(struct inode *inode); /* of one that goes */
/* Bytes of attributes come, others go: 0, or -ENOSPC and nothing is changed. Any context. */
int xattr_charge(struct super_block *sb, size_t come, size_t go);

/* ---- access control lists (acl.c) ---- */

enum acl_kind acl_kind_of(const char *name); /* of an attribute; ACL_KINDS: it is none */
/* The attribute's binary form; a size of 0 takes the list away. -EINVAL, -EOPNOTSUPP, -EACCES, -EPERM, -ENOSPC, -ENOMEM. May sleep. */
int acl_set(struct inode *inode, enum acl_kind kind, const void *value, size_t size);
/* As vfs_xattr_get(). */
ssize_t acl_get(const struct inode *inode, enum acl_kind kind, void *buf, size_t size);
/* The mode is about to be that: the list says the same after it. inode->lock held. 0, -ENOMEM. */
int acl_chmod_locked(struct inode *inode, uint32_t mode);
/* Lists and the mode of a new inode, which nobody knows yet, from the folder's default. 0, -ENOMEM, -ENOSPC. */
int acl_inherit(struct inode *inode, const struct inode *dir);
void acl_release(struct inode *inode); /* of an inode that goes */
/* Has it a list that says whether somebody else than the owner may do that? *ret: whether. Any context that holds the inode. */
bool acl_judges(const struct inode *inode, unsigned want, const struct cred *cred, bool *ret);

/* ---- dcache.c ---- */

/* One component of a path; `text` is not terminated. */
struct name {
	const char *text;
	uint32_t len, hash;
};

static inline uint32_t name_hash_step(uint32_t hash, unsigned char c)
{
	return (hash ^ c) * 16777619u;
}
#define NAME_HASH_START 2166136261u
struct name name_of(const char *text); /* of a whole NUL terminated string */

/* The tree lock held, either side; borrowed. */
struct dentry *dentry_find(const struct dentry *parent, const struct name *name);

/* A dentry of a file of a super block with SB_HANDLES, one that can be found by name if there is such, or null; the same. */
struct dentry *dentry_find_ino(const struct super_block *sb, uint64_t ino);

/* A negative dentry outside the cache, with one reference, that holds one of `parent`. Null: out of memory. */
struct dentry *dentry_create(struct dentry *parent, const struct name *name);

/* Puts it into the cache (and pins it, SB_PINNED). parent->inode->lock held. */
void dentry_publish(struct dentry *d);

/* Takes a name that was unlinked out of the cache, for good. Same lock. */
void dentry_delete(struct dentry *d);

/*
 * `from` takes the name and place of `to`, which it replaces; with `exchange` they change places. Tree writing side held. The caller
 * then calls dentry_put() on *ret_drop, up to three references that fell off.
 */
void dentry_move(struct dentry *from, struct dentry *to, bool exchange, struct dentry *ret_drop[3]);

/* Forgets every unused dentry of a super block that is going away, and pinned trees. */
void dentry_drop_tree(struct dentry *root);
int dentry_cache_init(void);
uint64_t dentry_unused_count(void);

/* The path of a dentry in its file system, with what Linux marks a deleted one by; its length, or -ENAMETOOLONG. */
int path_string_in_super(const struct dentry *d, char *buf, size_t size);

/* -EROFS where nothing may be written. */
static inline int mount_want_write(const struct mount *m)
{
	return unlikely((READ_ONCE(m->flags) & MS_RDONLY) || READ_ONCE(m->sb->readonly)) ? -EROFS : 0;
}


/* ---- walk.c ---- */

struct link_frame;

/* Fields of a walk in progress. Between walk_run() and its end the tree's reading side is held, and `at` is borrowed. */
struct walk {
	struct path at;	       /* where it is                                              */
	struct path root;      /* where ".." ends and "/" begins                           */
	struct path held;      /* keeps `at` alive while not reading                       */
	struct dentry *child;  /* keeps the entry just looked up alive                     */
	struct file *start;    /* keeps dirfd's path alive, if another thread could close it */
	const char *rest;      /* text not walked yet                                      */
	struct file *pathless; /* with -ENXIO: a link led to this open file; until walk_end()   */
	struct link_frame *frames; /* texts of symbolic links, innermost first               */
	const struct cred *cred;
	struct name last;      /* the component at hand                                    */
	uint8_t kind;	       /* of `last`: enum walk_kind                                */
	uint8_t links;	       /* followed so far                                          */
	bool is_last, trailing_slash, root_held, reading;
	unsigned flags;	       /* LOOKUP_*, WALK_*                                         */
	unsigned resolve;      /* RESOLVE_* of openat2(2)                                  */
	uint64_t moves;	       /* tree_moves, when it was confined                         */
};

enum walk_kind { WALK_NONE, WALK_NAME, WALK_DOT, WALK_DOTDOT };
enum { WALK_PARENT = 0x100 /* stop before the last component, in `last` */ };

/*
 * walk_begin() chooses the start; on 0 walk_run() may follow. Whatever they return, walk_end() must come. After a 0 of walk_run() the
 * reading side is held and w->at is the place (its inode not null). With WALK_PARENT, `at` is a folder that may be searched, and
 * `last` what to look for in it (WALK_NONE: the path was "/", or a link that is no text led to `at`).
 */
int walk_begin(struct walk *w, int dirfd, const char *name, unsigned flags);
/* RESOLVE_* of openat2(2); after walk_begin(). */
int walk_confine(struct walk *w, unsigned resolve);
int walk_run(struct walk *w);
/* Does the component in `last`: goes there, or follows it (w->links tells; then walk_run() goes on). */
int walk_step(struct walk *w);
/* Stops reading, so that the caller may sleep; w->at stays until walk_end(). */
void walk_pause(struct walk *w);
void walk_end(struct walk *w);
/* Ends the walk; the place, with references, becomes the caller's. */
void walk_take(struct walk *w, struct path *ret);

/* Looks a name up in a folder, asking the file system if it must; *ret may be negative. dir->inode->lock held. */
int dentry_lookup_locked(struct dentry *dir, const struct name *name, struct dentry **ret);

/* ---- names to be made or removed (names.c) ---- */

/* Removal and creation rules of a folder; 0 or an errno. Its lock held. */
int dir_may_create(const struct path *dir);
int dir_may_remove(const struct path *dir, const struct dentry *victim, bool want_dir);
/* After the file system has removed a name: it leaves the cache, and who watches hears of it. */
void name_deleted(struct inode *dir, const struct name *name, struct dentry *d);
/* The mode of a new file: without the umask's bits, unless the folder has a list that says more. */
uint32_t mode_apply_umask(const struct inode *dir, uint32_t mode);
/* Makes a regular file where a walk for a parent has stopped; -EEXIST if somebody was faster. *ret with a reference. */
int create_locked(const struct path *dir, const struct name *name, uint32_t mode, struct dentry **ret);

/* ---- files ---- */

struct file *file_alloc(void);
void file_free(struct file *f);
int file_init(void);
/* Counts an execution, which forbids writing: 0 or -ETXTBSY. */
int inode_exec_get(struct inode *inode);
/* Opens what `path` leads to; takes over its references, also on failure. `flags`: O_*. */
int open_path(struct path path, uint32_t flags, bool created, struct file **ret);

/* Time of the last access, if the mount wants it. */
void file_accessed(struct file *f);

/* Clears set-id bits that a write by somebody else must not leave. */
void inode_clear_setid_locked(struct inode *inode);

/* ---- capabilities of files (file_caps.c; what is stored: xattr.c) ---- */

struct vfs_ns_cap_data;
/* What to store of a value that the running thread sets: 0, -EINVAL, -EPERM. */
int file_caps_given(const struct inode *inode, const void *value, size_t size, struct vfs_ns_cap_data *ret, size_t *ret_size);
/* Turns what is stored into what the running thread is shown: 0; -EOVERFLOW: it is of a namespace of which that knows nothing. */
int file_caps_shown(const struct inode *inode, struct vfs_ns_cap_data *d, size_t *size);
bool file_caps_stored(struct inode *inode, struct vfs_ns_cap_data *ret, size_t *ret_size); /* false: there are none. May sleep */
void inode_drop_caps_locked(struct inode *inode);

/* Do set-id bits and capabilities of files count there, for the running thread? */
bool mount_may_set_id(const struct mount *m);

extern const struct vm_file_ops file_mapping_ops;

/* ---- seals (seal.c); inode->lock held but for the mapping ---- */

/* May [pos, pos + *count) be written? Cuts *count at the first page that may not; -EPERM: none. */
int seals_limit_write(const struct inode *inode, uint64_t pos, size_t *count);
int seals_allow_resize(const struct inode *inode, uint64_t size);
/* Takes from a mapping what the seals forbid; -EPERM. */
int seals_limit_mapping(const struct inode *inode, struct vm_map_request *r);

/* ---- locks (flock.c) ---- */

void locks_release_owner(struct inode *inode, const void *owner, struct file *flock_of);
void locks_free(struct file_locks *locks);
void lease_file_gone(struct file *f);

/* ---- in-memory trees (memfs.c) ---- */

extern const struct inode_ops memfs_dir_ops_readonly;
int memfs_init(void);
struct inode *memfs_inode_create(struct super_block *sb, uint32_t mode, const struct inode_ops *ops, const struct file_ops *file_ops);
/* Shared by every in-memory file system's inode_ops. */
int memfs_link(struct inode *inode, struct inode *dir, struct dentry *dentry);
int memfs_rmdir(struct inode *dir, struct dentry *dentry);
int memfs_rename(struct inode *from_dir, struct dentry *from, struct inode *to_dir, struct dentry *to, unsigned flags);
/* Makes `path` below the root of a kernel-made tree, folders on the way too; takes over `inode` on success. */
int memfs_add(struct super_block *sb, const char *path, struct inode *inode, const struct inode_ops *dir_ops);
int memfs_add_get(struct super_block *sb, const char *path, struct inode *inode, const struct inode_ops *dir_ops, struct dentry **ret);
int memfs_remove(struct super_block *sb, const char *path);

int devpts_init(void);

/* ---- files made by functions (textfile.c) ---- */

struct text_source {
	int (*show)(struct text_out *o, void *arg);
	int (*store)(const char *text, size_t len, void *arg);
	void *arg;
};
extern const struct file_ops text_file_ops; /* inode->private is a struct text_source */
int text_add(struct super_block *sb, const char *path, uint32_t mode, const struct text_source *source);

void text_out_init(struct text_out *o);
void text_out_free(struct text_out *o);

/* ---- file systems ---- */

extern const struct fs_type tmpfs_type, devfs_type, procfs_type, sysfs_type;
int tmpfs_init(void);
int memfd_init(void);
int devfs_init(void);
int procfs_init(void);
int sysfs_init(void);
int sysfs_cpu_init(void);
int procfs_add_files(void);
int procfs_add_memory(void);
int memdev_add(void);
int kmsg_add(void);

/* ---- initramfs ---- */

int initramfs_unpack(const void *data, size_t len);

#endif
