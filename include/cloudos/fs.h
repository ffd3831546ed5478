/* SPDX-License-Identifier: MIT */
/*
 * What a file system implements, and the objects that it shares with the VFS.
 *
 *   super block   one instance of a file system
 *   inode         one file of it: type, owner, times, data
 *   dentry        one name of a file in a folder, cached; a tree by `parent`
 *   mount         a place in the tree where (part of) a super block can be seen
 *
 * A path is a pair (mount, dentry). Dentries and mounts are found, moved and freed under the tree lock (src/kernel/vfs/tree_lock.h):
 * walks take its cheap reading side and hold no references on the way; what changes the tree takes the writing side.
 *
 * File systems in memory (tmpfs, devtmpfs, /proc, /sys) keep no folders of their own: the dentries are the folder. Their super
 * blocks say SB_PINNED: a dentry that was published holds a reference on itself until it is unlinked, and a name
 * that the cache does not hold does not exist (INODE_COMPLETE). Other file systems implement lookup() and readdir(), and
 * their unused dentries are forgotten, oldest first, above DENTRY_UNUSED_MAX.
 *
 * Reference counts: a dentry holds its inode and its parent; a mount its super block, root, mount point and parent mount; an
 * open file its path. A dentry's inode, once set, stays until the dentry is freed: a name that is removed
 * leaves the cache, and a negative entry of the same name is a new dentry.
 */
#ifndef CLOUDOS_FS_H
#define CLOUDOS_FS_H

#include <cloudos/hash.h>
#include <cloudos/list.h>
#include <cloudos/lock.h>
#include <cloudos/refcount.h>
#include <cloudos/types.h>
#include <cloudos/vfs.h>

#define NAME_LEN_MAX	  255  /* NAME_MAX: bytes of one name                                     */
#define PATH_LEN_MAX	  4096 /* PATH_MAX: bytes of a path with its NUL                          */
#define LINKS_FOLLOWED_MAX 40  /* symbolic links in one walk: ELOOP beyond                        */
#define LINK_COUNT_MAX	  UINT32_C(65000) /* names of one file: EMLINK beyond                     */
#define MOUNTS_MAX	  4096 /* of a namespace, unless /proc/sys/fs/mount-max says otherwise: ENOSPC beyond */
#define MOUNTS_LIMIT	  100000 /* which can say no more                                     */
#define DENTRY_UNUSED_MAX 8192 /* unused dentries kept; the oldest goes when one more comes       */
#define DENTRY_NAME_INLINE 32  /* a longer name has storage of its own                            */

struct super_block;
struct fs_type;
struct vm_object;
struct file_locks;
struct text_out;

/* ---- attributes ---- */

/* Times are nanoseconds since 1970, UTC. */
struct file_stat {
	uint64_t dev, ino, rdev, size, blocks /* of 512 bytes */;
	uint32_t mode, nlink, uid, gid, block_size;
	int64_t atime_ns, mtime_ns, ctime_ns, btime_ns;
};

enum attr_set {
	ATTR_MODE = 1, /* permission bits only; the type stays */
	ATTR_UID = 2,
	ATTR_GID = 4,
	ATTR_SIZE = 8,
	ATTR_ATIME = 16,
	ATTR_MTIME = 32,
	ATTR_DROP_CAPS = 64, /* its capabilities go: it changes hands */
};

struct file_attr {
	uint32_t set; /* ATTR_* */
	uint32_t mode, uid, gid;
	uint64_t size;
	int64_t atime_ns, mtime_ns;
};

/* ---- inodes ---- */

/*
 * All are called with the inode locks of the folders concerned held, except readlink, follow, getattr and permission, which take
 * no lock. They may sleep, except permission. Permission to do it was checked; so were names, types and mounts. A null operation:
 * -EPERM, or -EROFS for a whole file system without.
 */
struct inode_ops {
	/* Sets dentry->inode by dentry_attach(), or leaves it null: no such name. `dentry` is not in the cache yet. */
	int (*lookup)(struct inode *dir, struct dentry *dentry);

	/* Make what `dentry` (negative) names, and attach it. `mode` has type and permissions with the umask applied. */
	int (*create)(struct inode *dir, struct dentry *dentry, uint32_t mode);
	int (*mkdir)(struct inode *dir, struct dentry *dentry, uint32_t mode);
	int (*mknod)(struct inode *dir, struct dentry *dentry, uint32_t mode, uint64_t rdev);
	int (*symlink)(struct inode *dir, struct dentry *dentry, const char *target, size_t len);
	int (*link)(struct inode *inode, struct inode *dir, struct dentry *dentry);

	/* The VFS takes the dentry out of the cache after a 0. */
	int (*unlink)(struct inode *dir, struct dentry *dentry);
	int (*rmdir)(struct inode *dir, struct dentry *dentry); /* -ENOTEMPTY */

	/* `to` may be negative, or be replaced. flags: RENAME_NOREPLACE was seen to; RENAME_EXCHANGE: both are there. */
	int (*rename)(struct inode *from_dir, struct dentry *from, struct inode *to_dir, struct dentry *to, unsigned flags);

	/* The target without a NUL: its length, cut at `size`. */
	ssize_t (*readlink)(struct inode *inode, char *buf, size_t size);
	/*
	 * A link that is no text (/proc/self/exe): the place itself, with references. Or -ENXIO and *ret_file, with a reference: an open
	 * file that no path leads to.
	 */
	int (*follow)(struct inode *inode, struct path *ret, struct file **ret_file);

	void (*getattr)(struct inode *inode, struct file_stat *ret); /* null: inode_getattr() */
	/* null: inode_setattr(), and -EPERM for ATTR_SIZE. Caller holds inode->lock. */
	int (*setattr)(struct inode *inode, const struct file_attr *attr);
	int (*permission)(struct inode *inode, unsigned mask, const struct cred *cred); /* null: by mode. Must not sleep. */
	/* FALLOC_FL_*; ranges were checked. Caller holds inode->lock. */
	int (*fallocate)(struct inode *inode, unsigned mode, uint64_t offset, uint64_t len);
};

enum inode_flags {
	INODE_COMPLETE = 1, /* folder: the dentry cache holds every name                 */
	INODE_DEAD = 2,	    /* folder that was removed: nothing can be made in it        */
	INODE_LAZY_TEXT = 4, /* size is not known before reading (/proc): reads ignore it */
	INODE_SEALS = 8,     /* file with `data` that keeps seals                     */
};

struct acl;
struct watched;
struct xattrs;

/* Access control lists: the file's own, and a folder's for what is made in it (vfs/acl.c). */
enum acl_kind { ACL_ACCESS, ACL_DEFAULT, ACL_KINDS };

/* Fields: C = constant once attached; L = lock, but read freely (whole words); T = tree lock, writing; A = atomic. */
struct inode {
	struct refcount refs;
	uint32_t mode;			 /* L: type and permissions       */
	uint32_t uid, gid;		 /* L                             */
	uint32_t nlink;			 /* A                             */
	uint32_t flags;			 /* L: INODE_*                    */
	uint64_t ino;			 /* C                             */
	uint64_t rdev;			 /* C: dev_make() of device nodes */
	uint64_t size;			 /* L: if `data` is null          */
	int64_t atime_ns, mtime_ns, ctime_ns, btime_ns; /* L              */
	const struct inode_ops *ops;	 /* C                             */
	const struct file_ops *file_ops; /* C: of an open file            */
	struct super_block *sb;		 /* C                             */
	struct vm_object *data;		 /* C: pages of a regular file, or null; they know its size */
	struct mutex lock;
	struct file_locks *locks;	 /* A: POSIX and flock locks; made with the first one */
	int32_t write_count;		 /* A: > 0 files open for writing; < 0 executions that forbid it (ETXTBSY) */
	uint32_t read_count;		 /* A: files open for reading alone, of those with data */
	struct lease *leases;		 /* by lease.c; null: there are none */
	uint32_t seals;			 /* L: F_SEAL_* of a file with INODE_SEALS */
	void *private;			 /* the file system's             */
	struct xattrs *xattrs;		 /* L: extended attributes, or null */
	struct acl *acls[ACL_KINDS];	 /* L: null: none; who looks takes a reference by acl_of() */
	struct watched *watched;	 /* by inotify; null: nobody watches it */
	void *attached;			 /* L: the pipe of a FIFO, the socket bound here; by their owners */
};

/*
 * Fills a fresh inode of `sb`: one reference, mode (with type), owner = the running thread's fsuid and fsgid, times now, the file
 * system's next number. The storage is the file system's; super_ops.inode_free gets it back.
 */
void inode_init(struct inode *inode, struct super_block *sb, uint32_t mode);
static inline void inode_get(struct inode *inode)
{
	refcount_get(&inode->refs);
}
void inode_put(struct inode *inode); /* may sleep */
static inline uint32_t inode_mode(const struct inode *inode)
{
	return READ_ONCE(inode->mode);
}
void inode_getattr(struct inode *inode, struct file_stat *ret);
void inode_setattr(struct inode *inode, const struct file_attr *attr); /* all but ATTR_SIZE */
/* The wall clock as file times have it. */
int64_t inode_now(void);
/* mtime = ctime = now. */
void inode_touch(struct inode *inode);

enum { MAY_EXEC = 1, MAY_WRITE = 2, MAY_READ = 4 };
/* 0 or -EACCES (-EPERM, -EROFS). Any context that holds the inode. */
int inode_permission(struct inode *inode, unsigned mask, const struct cred *cred);
/* The owner, or CAP_FOWNER. */
bool inode_owner_or_capable(const struct inode *inode, const struct cred *cred);
bool inode_capable(const struct inode *inode, const struct cred *cred, unsigned capability);
bool inode_named_in(const struct inode *inode, const struct user_namespace *ns); /* do its owner and its group have names there? */

/* Device numbers as stat shows them to user programs. */
static inline uint64_t dev_make(unsigned major, unsigned minor)
{
	return (minor & 0xff) | (uint64_t)(major & 0xfff) << 8 | (uint64_t)(minor & ~0xffu) << 12 |
	       (uint64_t)(major & ~0xfffu) << 32;
}
static inline unsigned dev_major(uint64_t dev)
{
	return (unsigned)((dev >> 8 & 0xfff) | (dev >> 32 & 0xfffff000));
}
static inline unsigned dev_minor(uint64_t dev)
{
	return (unsigned)((dev & 0xff) | (dev >> 12 & 0xffffff00));
}

#define ANONYMOUS_MINOR 1 /* st_dev of files that no path leads to: no file system has it */
#define ANONYMOUS_DEV	dev_make(0, ANONYMOUS_MINOR)

/* ---- dentries ---- */

enum dentry_flags {
	DENTRY_HASHED = 1,   /* can be found                                       */
	DENTRY_MOUNTED = 2,  /* something is mounted on it, in some mount           */
	DENTRY_DELETED = 4,  /* was unlinked: " (deleted)"                          */
	DENTRY_UNCACHED = 8, /* of a file system that must be asked each time       */
	DENTRY_LRU = 16,     /* on the list of unused ones                          */
	DENTRY_ROOT = 32,    /* root of a super block                               */
};

/* Fields: C = constant; T = tree lock, writing (so constant for its readers); A = atomic. */
struct dentry {
	uint32_t refs;		  /* A: 0 while it is only cached (then on the LRU list) */
	uint32_t flags;		  /* T */
	uint32_t hash;		  /* T: of (parent, name) */
	uint32_t name_len;	  /* T */
	struct hash_link by_name; /* T */
	struct hash_link by_ino;  /* T: where SB_HANDLES is set, until it is freed */
	struct dentry *parent;	  /* T: with a reference; a root is its own parent, without */
	struct inode *inode;	  /* T: with a reference; null: negative */
	const char *name;	  /* T: NUL terminated */
	struct list siblings;	  /* T: in parent->children, by cookie */
	struct list children;	  /* T: published ones that are positive or pinned */
	union {
		uint64_t cookie;  /* T: readdir position in a pinned folder, > 2 */
		struct list lru;  /* T: where SB_PINNED is not set */
	};
	uint64_t next_cookie;	  /* T: of a pinned folder: for its next child */
	char name_inline[DENTRY_NAME_INLINE];
};

/* Gives a dentry that is not in the cache its inode; takes over the reference. */
static inline void dentry_attach(struct dentry *dentry, struct inode *inode)
{
	dentry->inode = inode;
}
void dentry_get(struct dentry *dentry);
void dentry_put(struct dentry *dentry); /* may sleep */

/* A super block's root: a dentry with one reference that takes over the inode's, or null (out of memory; the inode stays the caller's). */
struct dentry *dentry_create_root(struct super_block *sb, struct inode *inode);

/* ---- super blocks and types ---- */

struct fs_statistics {
	uint64_t magic, block_size, blocks, blocks_free, files, files_free;
};

struct super_ops {
	void (*inode_free)(struct inode *inode); /* last reference gone */
	int (*statfs)(struct super_block *sb, struct fs_statistics *ret);
	int (*sync)(struct super_block *sb);			   /* null: nothing to do */
	void (*show_options)(struct super_block *sb, struct text_out *o); /* ",size=..." for /proc/mounts; null: none */
	/* What part of it a mount shows, for mountinfo: a length, or -ENAMETOOLONG. Null: the path from its root. */
	int (*show_root)(const struct dentry *root, char *buf, size_t size);
	void (*destroy)(struct super_block *sb);		   /* frees the storage; the tree is gone */
};

enum super_flags {
	SB_PINNED = 1,	 /* the dentries are the folders                              */
	SB_SINGLE = 2,	 /* one instance for all mounts; never destroyed             */
	SB_UNCACHED = 4, /* dentries that lookup() fills are not kept                */
	SB_HANDLES = 8,	 /* pinned, and its files can be found by number (name_to_handle_at(2)) */
	SB_DEVICES = 32, /* its device nodes are good, whoever mounted it */
	SB_XATTR = 16,	 /* extended attributes in memory: inodes stay while they have names */
	SB_USER_XATTR = 64, /* with SB_XATTR: user.* as well */
	SB_ACLS = 128,	 /* with SB_XATTR: access control lists */
};

struct super_block {
	struct refcount refs; /* mounts */
	struct list all;      /* by supers_lock (vfs/super.c): from its first mount to its end */
	const struct fs_type *type;
	const struct super_ops *ops;
	uint64_t dev;	      /* st_dev */
	uint32_t generation;  /* C: tells its files from those of another instance; numbers of inodes are used once in each */
	uint32_t flags;	      /* SB_* */
	bool readonly;	      /* A: nothing in it may be changed, whatever its mounts say */
	uint64_t next_ino;    /* A */
	uint64_t max_bytes;   /* largest file: EFBIG beyond */
	struct dentry *root;  /* with a reference */
	void *private;
	struct user_namespace *user_ns; /* C: of who made it, with a reference: what its devices and set-user-id files are worth */
	uint64_t xattr_bytes, xattr_bytes_max; /* A: in attributes and access control lists of all its files; ENOSPC beyond */
	uint32_t watches_dropped; /* inotify_lock: inodes whose last watch is gone, but not yet its reference */
};

/* Fills *sb (not root, private): one reference, a device number of its own. */
void super_init(struct super_block *sb, const struct fs_type *type, const struct super_ops *ops, uint32_t flags);
void super_enlist(struct super_block *sb); /* it is complete, and can be found by its device; again: nothing */
void super_discard(struct super_block *sb); /* of one that got no root */
void super_put(struct super_block *sb);	    /* may sleep */
static inline uint64_t super_next_ino(struct super_block *sb)
{
	return __atomic_fetch_add(&sb->next_ino, 1, __ATOMIC_RELAXED);
}

struct fs_type {
	const char *name;
	uint32_t magic;
	bool needs_device; /* /proc/filesystems shows "nodev" without */
	bool whole_system;   /* shows the system as it is: see restrict_new() in vfs/mount.c */
	bool in_user_namespaces; /* who has CAP_SYS_ADMIN over his mount namespace may mount it, wherever that is */
	/* Makes (or finds, SB_SINGLE) an instance with a reference. `options`: the text of mount(2)'s data, or "". */
	int (*mount)(const struct fs_type *type, const char *source, const char *options, struct super_block **ret);
	/* Would one option be taken (value null: it has none)? 0, -ENOENT: it is none, -EINVAL. Null: there are none. */
	int (*check)(const char *key, const char *value);
	/* What of it the running thread mounts, with a reference: 0 or an errno. Null: its root. */
	int (*mount_root)(struct super_block *sb, struct dentry **ret);
};

/* Makes a type known to mount(2). 0, -EEXIST, -ENOSPC. The type stays. */
int fs_register(const struct fs_type *type);
const struct fs_type *fs_find(const char *name);
/* Types are numbered in the order in which they came: the i-th, or null; a name's number, or -EINVAL. */
const struct fs_type *fs_type_at(unsigned i);
int fs_type_index(const char *name);

/* ---- mounts ---- */

/* Flags are mount(2)'s: MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME, MS_RELATIME. */
struct mount_namespace; /* vfs/mount_namespace.c */
struct peer_group;	/* vfs/mount_peers.c */

/* Where mounts come from, as /proc/mounts shows it; shared by copies. */
struct mount_source {
	struct refcount refs;
	char text[];
};

struct mount {
	struct refcount refs;
	struct mount_namespace *ns; /* T: whose table it is in; null: in none any more */
	struct mount *copy;	    /* T: while its tree is copied */
	uint32_t flags;		   /* A */
	uint32_t locked_flags;	   /* C: of these none may be taken away: somebody with more rights has set them */
	bool locked;		   /* T: nor may it be, which would show what it hides */
	bool unbindable;	   /* T: no bind copies it */
	bool expiring;		   /* A: MNT_EXPIRE of umount(2) has marked it, and no walk has ended in it since */
	uint8_t fate;		   /* T: while something is unmounted (vfs/unmount.c) */
	struct peer_group *group;  /* T: of peers (vfs/mount_peers.c); null: it is not shared */
	struct peer_group *master; /* T: what it receives from, if it is not shared, or null */
	struct list peers;	   /* T: in the group's members, or the master's slaves */
	struct list going;	   /* T: what is unmounted together, then by who does it; what a tree is passed to */
	struct path was;	   /* by the same: what it stood on */
	struct mount *receiver;	   /* T: of a copy that is passed on: what it is to stand on */
	bool listens;		   /* T: of what that is passed to: it was not shared before, though it may be in the tree that becomes so */
	struct dentry *kept_at;	   /* by who takes it from there */
	struct list kept;	   /* T: locked mounts that stay on it, out of the table, linked by `all` */
	uint32_t id;		   /* C */
	struct super_block *sb;	   /* C */
	struct dentry *root;	   /* C */
	struct mount *parent;	   /* T: with a reference; null: the root, or detached */
	struct dentry *point;	   /* T: with a reference */
	struct hash_link by_point; /* T */
	struct hash_link on_point; /* T: by the point alone */
	struct list all;	   /* T: in order of mounting */
	struct list children;	   /* T: those in the table that are on it, linked by `siblings` */
	struct list siblings;	   /* T */
	struct mount_source *source; /* C: with a reference */
};

/* Kernel paths; permission is the caller's to check. 0, -EBUSY, -EINVAL, -ENOENT, -ENODEV, ... */
int vfs_mount(const struct path *on, const char *type, const char *source, const char *options, uint32_t flags);
int vfs_mount_bind(const struct path *on, const struct path *from, bool recursive);
int vfs_remount(const struct path *at, uint32_t flags, bool bind); /* bind: of the mount alone, not of what it shows */
int vfs_mount_move(const struct path *on, const struct path *from);
int vfs_mount_change(const struct path *at, uint32_t type, bool recursive); /* MS_SHARED, MS_SLAVE, MS_PRIVATE or MS_UNBINDABLE */
int vfs_unmount(const struct path *at, bool detach);
int vfs_unmount_expired(const struct path *at); /* -EAGAIN: not yet, but next time if nobody comes there until then */

/* What is mounted on *p, if anything is, takes its place, with references. */
void path_cross(struct path *p);

/* ---- operations on names, with a path in kernel memory; permissions of the running thread are checked ---- */

int vfs_mknod(int dirfd, const char *name, uint32_t mode, uint64_t rdev);
int vfs_mkdir(int dirfd, const char *name, uint32_t mode);
int vfs_symlink(const char *target, int dirfd, const char *name);
int vfs_link(int old_dirfd, const char *old, int new_dirfd, const char *name, unsigned at_flags);
int vfs_unlink(int dirfd, const char *name);
int vfs_rmdir(int dirfd, const char *name);
int vfs_rename(int old_dirfd, const char *old, int new_dirfd, const char *name, unsigned flags);

/* stat(2), access(2) as `cred`, readlink(2): `flags` are LOOKUP_*. */
int vfs_stat(int dirfd, const char *name, unsigned flags, struct file_stat *ret);
int vfs_access(int dirfd, const char *name, unsigned flags, unsigned mask, const struct cred *cred);
ssize_t vfs_readlink(int dirfd, const char *name, char *buf, size_t size);
int vfs_statfs(const struct path *path, struct fs_statistics *ret);
int vfs_statfs_device(uint64_t dev, struct fs_statistics *ret); /* by st_dev: -EINVAL. May sleep */
int vfs_sync_all(void);

/* What stands for a file of a file system with SB_HANDLES, whatever its name (vfs/handle.c). */
struct fs_handle {
	uint32_t generation, ino_low, ino_high;
};
int vfs_handle(const struct path *path, struct fs_handle *ret); /* -EOPNOTSUPP */
/* Opens it on a mount of its file system, by its permissions: -ESTALE: it is gone, or never was. */
int vfs_open_handle(struct mount *m, const struct fs_handle *h, uint32_t flags, struct file **ret);
void vfs_getattr(const struct path *path, struct file_stat *ret);
void file_getattr(struct file *f, struct file_stat *ret); /* also of a file without a path */
int vfs_setattr(const struct path *path, const struct file_attr *attr); /* changes ctime; no permission check */
int vfs_truncate(struct inode *inode, uint64_t size); /* of a file with `data`; RLIMIT_FSIZE is seen to */
/* With permission checks. UINT32_MAX: leave as it is. `to_now`: both times are the present, which needs less. */
int vfs_chmod(const struct path *path, uint32_t mode);
int vfs_chown(const struct path *path, uint32_t uid, uint32_t gid);
int vfs_utimes(const struct path *path, const struct file_attr *times, bool to_now);

/*
 * Extended attributes (xattr(7)): a name with its prefix, a value. A buffer of size 0 asks for the length alone. -EOPNOTSUPP, -ENODATA, -EEXIST,
 * -ERANGE (the buffer is too small), -ENOSPC (an inode's take more than XATTR_INODE_MAX bytes, or all more than xattr_bytes_max), -EPERM.
 */
#define XATTR_INODE_MAX (UINT32_C(256) << 10)
#define XATTR_SUPER_MAX (UINT64_C(4) << 20) /* xattr_bytes_max of a file system that does not set its own */
int vfs_xattr_set(const struct path *path, const char *name, const void *value, size_t size, unsigned flags);
int vfs_xattr_remove(const struct path *path, const char *name);
ssize_t vfs_xattr_get(const struct path *path, const char *name, void *buf, size_t size);
ssize_t vfs_xattr_list(const struct path *path, char *buf, size_t size);

struct open_request {
	uint32_t flags, mode; /* O_*; permissions before the umask */
	unsigned lookup;      /* LOOKUP_EMPTY, or 0 */
	unsigned resolve;     /* RESOLVE_* of openat2(2) */
};
int vfs_open_request(int dirfd, const char *name, const struct open_request *r, struct file **ret);

/* Becomes root of the system with no process around it: for threads of the boot that open files. 0 or -ENOMEM. */
int vfs_adopt_kernel_thread(void);
void vfs_release_kernel_thread(void);

/* ---- files that only a descriptor leads to, and their seals (F_SEAL_*) ---- */

/* memfd_create(2): a file open for reading and writing that /proc calls /memfd:NAME; without `sealable` it is sealed against seals. */
#define MEMFD_NAME_MAX 249 /* bytes of it: with what stands before it, those of a name */
int memfd_file_create(const char *name, bool sealable, struct file **ret);
/* fcntl(F_GET_SEALS), F_ADD_SEALS: the seals, or 0; -EINVAL (none are kept here), -EPERM, -EBUSY. */
int file_seals(struct file *f);
int file_seal(struct file *f, uint32_t seals);
/* FALLOC_FL_* on a range, as the seals have it: 0 or -EPERM. inode->lock held. */
int seals_allow_fallocate(const struct inode *inode, unsigned mode, uint64_t end);

/* ---- locks on files ---- */

/* Bytes [start, end] (end inclusive); the owner is a descriptor table (fcntl's locks) or a file (OFD locks, pid -1). */
struct lock_request {
	int type; /* F_RDLCK, F_WRLCK, F_UNLCK */
	int pid;
	uint64_t start, end;
	const void *owner;
};
/* 0; -EAGAIN unless `wait`; else -EDEADLK, -ERESTARTSYS; -ENOLCK. */
int lock_range_set(struct inode *inode, const struct lock_request *r, bool wait);
/* *r becomes the first lock in the way, or type F_UNLCK. */
void lock_range_get(struct inode *inode, struct lock_request *r);
/* flock(2): the same types and errors. */
int lock_whole(struct file *f, int type, bool wait);

/* ---- leases (lease.c) ---- */

/* F_SETLEASE by the descriptor fd: 0, -EAGAIN (others have it open, or there is no lease), -EACCES, -EINVAL, -ENOMEM, -ENOLCK. */
int lease_set(struct file *f, int fd, int type);
int lease_get(struct file *f); /* F_RDLCK, F_WRLCK, F_UNLCK: what it is, or is to become */

/* Before a file is opened or truncated: waits until no lease is in the way. 0, -EAGAIN (`nonblock`), -ERESTARTSYS. May sleep. */
int lease_break_slowly(struct inode *inode, bool write, bool nonblock);
static inline int lease_break(struct inode *inode, bool write, bool nonblock)
{
	return unlikely(READ_ONCE(inode->leases)) ? lease_break_slowly(inode, write, nonblock) : 0;
}

/* Counts somebody who writes: 0, or -ETXTBSY where the file is being executed. */
int inode_writer_get(struct inode *inode);
static inline void inode_writer_put(struct inode *inode)
{
	__atomic_fetch_sub(&inode->write_count, 1, __ATOMIC_RELAXED);
}

/* ---- the log as syslog(2) shows it: bytes, or an errno ---- */

int64_t kmsg_read_all(struct io_iter *to, bool clear); /* the last lines that fit */
int64_t kmsg_read_next(struct io_iter *to);	       /* waits for one */
void kmsg_clear(void);
uint64_t kmsg_unread(void);

/* ---- file systems in memory (SB_PINNED) that other floors implement; memfs.c ---- */

/* A super block with its root, a folder of that mode: 0 or -ENOMEM. Folders' inodes go back by memfs_inode_free(). */
int memfs_super_create(const struct fs_type *type, const struct super_ops *ops, uint32_t flags, const struct inode_ops *dir_ops,
		       uint32_t mode, struct super_block **ret);
void memfs_inode_free(struct inode *inode);
void memfs_inode_init(struct inode *inode, struct super_block *sb, uint32_t mode, const struct inode_ops *ops, const struct file_ops *file_ops);
/* A name in a folder whose lock is held, or which nobody can find yet. Takes over the inode on success: 0, -EEXIST, -ENOMEM. */
int memfs_add_child(struct dentry *dir, const char *name, struct inode *inode);
void memfs_remove_child(struct dentry *dir, const char *name); /* of a file; likewise */
struct dentry *memfs_child(struct dentry *dir, const char *name); /* with a reference; null: there is none */
/* inode_ops.unlink. */
int memfs_unlink(struct inode *dir, struct dentry *dentry);
/* A folder's books when a name comes (+1) or goes (-1). */
void memfs_dir_count(struct inode *dir, int names, int folders);

/* ---- files whose text a function makes (vfs/textfile.c) ---- */

struct text_out {
	char *buf;
	size_t len, size;
	int error;     /* -ENOMEM: what was written since is lost */
	uint32_t seen; /* A: the maker's: which state it was made of; 0 at first */
};
extern const struct inode_ops text_inode_ops; /* their size cannot be set, which is no error */
/* The operations of an open file with made text: f->private is theirs. */
ssize_t text_serve(struct file *f, struct io_iter *to, int64_t *pos, int (*make)(struct text_out *o, struct inode *inode));
int64_t text_seek(struct file *f, int64_t offset, int whence);
void text_release(struct file *f);
uint32_t text_seen(const struct file *f); /* text_out.seen; 0: nothing was read yet. No lock */
/* Hands the text that is written to `store`: its length, or what that returned. */
ssize_t text_store(struct io_iter *from, int (*store)(const char *text, size_t len, void *arg), void *arg);

/* A mount that no path leads to; takes over the reference of sb, but not when it fails. Null: out of memory. */
struct mount *mount_create_hidden(struct super_block *sb, const char *source);

/*
 * One name in a folder that the kernel holds itself, as in a mount without a path (child.c): mq_open(2) and mq_unlink(2). A name is not
 * walked: one with a slash in it is -EACCES. `flags`: O_ACCMODE, O_CREAT, O_EXCL, O_NONBLOCK. `make` is inode_ops.create with an argument.
 */
struct child_make {
	int (*make)(struct inode *dir, struct dentry *dentry, uint32_t mode, const void *arg);
	const void *arg;
};
int vfs_open_child(const struct path *dir, const char *name, uint32_t flags, uint32_t mode, const struct child_make *make, struct file **ret);
int vfs_unlink_child(const struct path *dir, const char *name);

/* ---- helpers for file systems ---- */

/* Files whose pages are in inode->data: read, write, mmap, seek. */
extern const struct file_ops cached_file_ops;
/* Folders of SB_PINNED file systems. */
extern const struct file_ops pinned_dir_ops;

/* A file's seek when positions are bytes below `size` (SEEK_SET, CUR, END). */
int64_t seek_within(struct file *f, int64_t offset, int whence, uint64_t size);
int64_t generic_seek(struct file *f, int64_t offset, int whence);

/* FIFOs, by pipe.c: opens the pipe of f->inode (file_ops.open of a FIFO's inode). */
extern const struct file_ops fifo_file_ops;

/* Operations of a registered device, or null: of nodes that mknod(2) made anywhere. */
const struct file_ops *device_find(uint32_t type, uint64_t rdev, void **ret_private);

#endif
