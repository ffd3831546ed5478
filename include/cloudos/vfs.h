/* SPDX-License-Identifier: MIT */
/*
 * Files. What other floors need of the virtual file system: open files and their operations, descriptor tables, paths, poll.
 * Inodes, dentries, mounts and what a file system implements stand in <cloudos/fs.h>.
 */
#ifndef CLOUDOS_VFS_H
#define CLOUDOS_VFS_H

#include <cloudos/cred.h>
#include <cloudos/io.h>
#include <cloudos/list.h>
#include <cloudos/lock.h>
#include <cloudos/refcount.h>
#include <cloudos/types.h>
#include <cloudos/wait.h>

struct file;
struct inode;
struct dentry;
struct mount;
struct vm_object;
struct vm_map_request;
struct vm_space;
struct text_out;
struct file_signals;

struct path {
	struct mount *mount;
	struct dentry *dentry;
};

/* ---- poll: a file says what is ready now, and on which queues changes are announced ---- */

struct poll_table {
	/* Called by poll_wait() for each queue; null when only the present state is asked for. */
	void (*add)(struct poll_table *pt, struct wait_queue *q);
};

static inline void poll_wait(struct poll_table *pt, struct wait_queue *q)
{
	if (pt && pt->add)
		pt->add(pt, q);
}

/* ---- open files ---- */

/* For readdir: one entry; returns false when the caller's buffer is full. `next` is the position behind it. */
struct dir_emitter {
	bool (*emit)(struct dir_emitter *e, const char *name, size_t len, uint64_t ino, unsigned type, uint64_t next);
	bool full; /* emit() has returned false */
};

/* A null operation gives the errno that Linux gives for such a file. Positions are those of pread/pwrite; 0 for streams. */
struct file_ops {
	ssize_t (*read)(struct file *f, struct io_iter *to, int64_t *pos);
	ssize_t (*write)(struct file *f, struct io_iter *from, int64_t *pos);
	int64_t (*seek)(struct file *f, int64_t offset, int whence);
	uint32_t (*poll)(struct file *f, struct poll_table *pt); /* null: always readable and writable */
	int64_t (*ioctl)(struct file *f, unsigned cmd, uaddr_t arg); /* -ENOTTY for an unknown command */
	/* Completes the request: object (borrowed), may_prot; -ENODEV when null. */
	int (*mmap)(struct file *f, struct vm_map_request *r);
	/*
	 * One area of memory more, or less, maps the file. mapped() is called with the space locked, and must not sleep; unmapped() may sleep,
	 * and the file is there until it returns. null: nobody asks.
	 */
	void (*mapped)(struct file *f);
	void (*unmapped)(struct file *f);
	int (*readdir)(struct file *f, struct dir_emitter *e, uint64_t *pos);
	int (*fsync)(struct file *f, bool data_only);
	int (*open)(struct file *f);	 /* after the file is set up; may put other ops in place */
	void (*release)(struct file *f); /* the last reference is gone; may sleep */
	void (*flush)(struct file *f);	 /* the running process has closed a descriptor of it; null: nobody asks */
	int (*set_flags)(struct file *f, uint32_t flags); /* fcntl(F_SETFL); null: fine */
	uint8_t splice; /* SPLICE_*: may splice(2) read it, or write to it? */
	bool async;	/* O_ASYNC works: events are announced with their masks, on at most two queues */
	bool nowait;	/* read and write look at io_iter.nowait, and poll says when to try again */
	uint8_t rwf_nowait; /* enum rwf_nowait: what RWF_NOWAIT of preadv2(2) is to it */
	/* Text for /proc/self/fd and fdinfo of files without a path: "pipe:[7]". */
	int (*name)(struct file *f, char *buf, size_t size);
	void (*fdinfo)(struct file *f, struct text_out *o); /* further lines of fdinfo */
};

enum { SPLICE_READ = 1, SPLICE_WRITE = 2 };

enum rwf_nowait {
	NOWAIT_REFUSED, /* -EOPNOTSUPP, as Linux has it for all that do not say otherwise */
	NOWAIT_HEEDED,	/* it looks at io_iter.nowait, or never waits */
	NOWAIT_WAITS,	/* reading always waits for a device: -EAGAIN; writing is refused */
};

enum file_mode {
	FILE_READ = 1,
	FILE_WRITE = 2,
	FILE_SEEKABLE = 4,
	FILE_STREAM = 8, /* no position                             */
	FILE_PATH = 16,	 /* O_PATH                                  */
	FILE_WRITER = 32, /* counted in inode->write_count            */
	FILE_EXEC = 64,	 /* being executed: counted there as well    */
	FILE_READER = 256, /* counted in inode->read_count            */
	FILE_UNSENT = 128, /* may hold sockets: it may not be on its way through one (SCM_RIGHTS), lest they hold each other */
};

/* Fields: C = constant; L = pos_lock; A = atomic. */
struct file {
	struct refcount refs;
	uint32_t mode;		    /* C: enum file_mode */
	uint32_t flags;		    /* A: O_* status flags (O_APPEND, O_NONBLOCK, ...) */
	const struct file_ops *ops; /* C */
	void *private;		    /* the ops' owner's */
	int64_t pos;		    /* L */
	struct mutex pos_lock;
	struct path path;	    /* C: with references; both null for anonymous files (pipes, sockets, epoll) */
	struct inode *inode;	    /* C: of path.dentry, or of the anonymous file; may be null */
	struct list epoll_links;    /* by epoll */
	struct spinlock epoll_lock;
	struct cred *cred;	    /* C: the opener's, with a reference */
	struct file_signals *signals; /* A: of file_signal.c; null: nobody has asked for any */
	uint32_t type;		    /* C: st_mode of an anonymous file */
	uint64_t ino;		    /* C: st_ino of an anonymous file; the two ends of a pipe may be given the same */
};

/* A file that no path leads to (pipe, socket, epoll, eventfd...), with one reference. `type` is S_IFIFO, S_IFSOCK or 0 for st_mode. */
int file_create_anonymous(const struct file_ops *ops, void *private, uint32_t mode, uint32_t flags, uint32_t type, struct file **ret);

static inline void file_get(struct file *f)
{
	refcount_get(&f->refs);
}
void file_put(struct file *f); /* may sleep */

/* Is this transfer to end with -EAGAIN where it would wait? O_NONBLOCK, or io_iter.nowait. */
bool file_nowait(const struct file *f, const struct io_iter *it);
/* May a transfer of so many bytes ask for RWF_NOWAIT? 0, -EOPNOTSUPP, -EAGAIN. */
int file_check_rwf_nowait(const struct file *f, bool write, size_t count);

/* Checks mode and count, then calls the operation: what read(2), write(2), pread(2)... and exec use. */
ssize_t file_read(struct file *f, struct io_iter *to, int64_t *pos);
ssize_t file_write(struct file *f, struct io_iter *from, int64_t *pos);
ssize_t file_read_kernel(struct file *f, void *buf, size_t len, int64_t pos);
uint32_t file_poll(struct file *f, struct poll_table *pt);

/* ---- descriptor tables ---- */

#define FD_MAX 1048576 /* Linux's fs.nr_open */

struct fd_table;
struct fd_table *fd_table_create(void);
struct fd_table *fd_table_copy(struct fd_table *from); /* null: out of memory */
void fd_table_get(struct fd_table *t);
void fd_table_put(struct fd_table *t); /* the last one closes everything; may sleep */
void fd_table_close_on_exec(struct fd_table *t);
bool fd_table_shared(const struct fd_table *t);

/* The file of a descriptor of the running thread, with a reference; null if there is none. file_put() it. */
struct file *fd_get(int fd);

/*
 * The cheap form for the length of one call: no reference is taken while the table is not shared. *ret_put says what to pass to
 * fd_end(). Null if there is none.
 */
struct file *fd_begin(int fd, bool *ret_put);
static inline void fd_end(struct file *f, bool put)
{
	if (put)
		file_put(f);
}

/* The lowest free descriptor at or above `from`, reserved: >= 0, or -EMFILE (RLIMIT_NOFILE), -ENOMEM. Then install or release it. */
int fd_reserve(int from, bool close_on_exec);
void fd_install(int fd, struct file *f); /* takes over the reference */
void fd_release(int fd);
int fd_close(int fd); /* 0 or -EBADF; may sleep */
/* dup2(2): `fd` becomes f, whose reference is taken over on success; what was there is closed. 0, -EBADF, -EBUSY, -ENOMEM. */
int fd_replace(int fd, struct file *f, bool close_on_exec);
int fd_get_cloexec(int fd); /* 0, 1 or -EBADF */
int fd_set_cloexec(int fd, bool on);
void fd_close_range(uint32_t first, uint32_t last, bool only_mark);
/* RLIMIT_NOFILE of the running thread; proc fills it. */
extern uint64_t (*fd_limit)(void);
/* Cuts a write of *count bytes at `pos` by RLIMIT_FSIZE: 0; -EFBIG, and SIGXFSZ, where nothing is left of it. proc fills it; null: no limit. */
extern int (*file_size_limit)(uint64_t pos, size_t *count);

/* May the running process make the regular file that large? 0, or -EFBIG with the signal that says so. */
int file_may_grow(const struct inode *inode, uint64_t size);

/* Calls fn for each open descriptor of a table (for /proc/pid/fd), with a reference held. */
int fd_for_each(struct fd_table *t, int (*fn)(int fd, struct file *f, void *arg), void *arg);
struct file *fd_table_lookup(struct fd_table *t, int fd); /* with a reference */

/* ---- root, working directory and umask of a process ---- */

struct namespace;
struct mount_namespace;

struct fs_context {
	struct refcount refs;
	uint32_t users;	       /* A: tasks; the other references are passers-by */
	struct spinlock lock;
	struct path root, cwd; /* with references; by lock */
	uint32_t umask;
	struct mount_namespace *mounts; /* C: with a reference */
	struct list of_namespace;	/* by the namespace's lock */
};
/* Takes references of its own. Null: out of memory. */
struct fs_context *fs_context_create(struct mount_namespace *ns, const struct path *root, const struct path *cwd);
struct fs_context *fs_context_copy(struct fs_context *from);
void fs_context_get(struct fs_context *c);
void fs_context_put(struct fs_context *c);
/* A task shares it, or no longer; a new one has one user. */
void fs_context_join(struct fs_context *c);
void fs_context_leave(struct fs_context *c);
static inline bool fs_context_shared(const struct fs_context *c)
{
	return READ_ONCE(c->users) > 1;
}

/* ---- paths ---- */

void path_get(const struct path *p);
void path_put(const struct path *p);

/*
 * The path as the running thread sees it from its root: length, or -ENAMETOOLONG; " (deleted)" as Linux has it. What cannot be reached from
 * there is told from where its own tree begins; with `mark` "(unreachable)" stands in front of that.
 */
int path_string(const struct path *p, char *buf, size_t size);
int path_string_in(struct fs_context *fs, const struct path *p, bool mark, char *buf, size_t size); /* from the root of `fs` */

/* ---- files that stand for a namespace (vfs/nsfs.c) ---- */

/* Takes over the reference, also when it fails. 0 or -ENOMEM. May sleep. */
int nsfs_open(struct namespace *ns, struct file **ret);
struct namespace *nsfs_namespace(const struct file *f); /* borrowed from the file; null: it is none of these */
int nsfs_text(const struct namespace *ns, char *buf, size_t size); /* "uts:[4026531838]" */

/* ---- mount namespaces (vfs/mount_namespace.c); may sleep ---- */

struct namespace *mount_namespace_as_namespace(struct mount_namespace *ns);
struct mount_namespace *mount_namespace_of(struct namespace *base); /* null: it is of another kind */

/* A context that stands where `from` does, in a copy of its tree of mounts: 0, -ENOSPC or -ENOMEM. */
int vfs_unshare_mounts(struct fs_context *from, struct user_namespace *owner, struct fs_context **ret);

/* Has the running thread a root of its own, below that of its namespace? */
bool vfs_in_chroot(void);
/* Has it a capability over its mount namespace? */
bool vfs_mounts_capable(unsigned capability);


/* A context at the root of a namespace: 0 or -ENOMEM. */
int vfs_enter_mounts(struct mount_namespace *ns, struct fs_context **ret);

/*
 * pivot_root(2): `new`, the root of a mount, becomes the running thread's root, and that of all in its namespace who have the same; the
 * old one stands on `old`, at or below `new`. -EBUSY: one of them is in the root's mount. -EINVAL, -ENOENT. Unlike Linux's, also where
 * the root is the first of all mounts (an initramfs).
 */
int vfs_pivot_root(const struct path *new, const struct path *old);

/* PASSING: it does not count as a use of the mount in which it ends (MNT_EXPIRE). */
enum { LOOKUP_FOLLOW = 1, LOOKUP_DIRECTORY = 2, LOOKUP_EMPTY = 4, LOOKUP_PASSING = 8 };
/* dirfd: AT_FDCWD or a descriptor. `name` is kernel memory. */
int path_lookup(int dirfd, const char *name, unsigned flags, struct path *ret);

/* Opens with a path in kernel memory: O_* flags, mode with the umask not yet applied. */
int vfs_open(int dirfd, const char *name, uint32_t flags, uint32_t mode, struct file **ret);
/* Opens what is known already, for one who may have it: permissions are not asked. Takes over the references of `path`. */
int vfs_open_known(struct path path, uint32_t flags, struct file **ret);
/* For execve: regular file, execute permission. -EACCES, -ENOENT, ... */
int vfs_open_exec(int dirfd, const char *name, unsigned at_flags, struct file **ret);
/* stat's mode, uid, gid of an open file (set-user-id in exec). */
void vfs_file_owner(struct file *f, uint32_t *ret_mode, uint32_t *ret_uid, uint32_t *ret_gid);
/* Capabilities of an open file (security.capability), for exec: false: it has none that count for the running thread. May sleep. */
struct file_caps {
	uint64_t permitted, inheritable;
	bool effective;
};
bool vfs_file_caps(struct file *f, struct file_caps *ret);

/* ---- special files ---- */

/*
 * Makes `name` ("null", "pts/0") appear in devtmpfs with this device number and these operations; file.private is set to
 * `private` at open. Remove with devfs_remove(). 0, -EEXIST, -ENOMEM.
 */
int devfs_add(const char *name, uint32_t type_and_mode, unsigned major, unsigned minor, const struct file_ops *ops, void *private);
void devfs_remove(const char *name);
/*
 * Its halves, for devices whose nodes come and go, or are elsewhere: what stands behind a number, and a node, which belongs to the caller. *ret
 * (may be null): the node's name, with a reference.
 */
int devfs_add_node(const char *name, uint32_t type_and_mode, uint64_t rdev, struct dentry **ret);
void devfs_remove_node(const char *name, uint64_t rdev);
int device_add(const char *name, uint32_t type, unsigned major, unsigned minor, const struct file_ops *ops, void *private);

/*
 * ---- devpts (vfs/devpts.c): an instance, which is an instance's super block, shows a slave as `name`: *ret, with a reference. 0, -EEXIST,
 * -ENOMEM ----
 */

struct super_block;
bool devpts_is(const struct super_block *sb);
int devpts_add(struct super_block *sb, const char *name, uint64_t rdev, struct dentry **ret);
void devpts_remove(struct super_block *sb, const char *name);

/*
 * Files of /proc and /sys that are made by a function. `name` is a path below the root ("cloudos/services"); folders come into being.
 * `show` writes text with out_printf(); `store` (may be null) gets what was written, NUL terminated, at most 4095 bytes.
 */
struct text_out;
struct file_signals;
void out_printf(struct text_out *o, const char *format, ...) __attribute__((format(printf, 2, 3)));
void out_bytes(struct text_out *o, const void *data, size_t len);
int procfs_add(const char *name, uint32_t mode, int (*show)(struct text_out *o, void *arg), int (*store)(const char *text, size_t len, void *arg), void *arg);
/* Files that are a number between two bounds; the array stays. What is outside is EINVAL. */
struct procfs_limit {
	const char *name;
	uint32_t *value; /* A */
	uint32_t least, most;
};
int procfs_add_limits(const struct procfs_limit *limits, size_t count);
int sysfs_add(const char *name, uint32_t mode, int (*show)(struct text_out *o, void *arg), int (*store)(const char *text, size_t len, void *arg), void *arg);
/* A link of /sys to `target`, which is copied. 0, -EEXIST, -ENOMEM. It stays. */
int sysfs_add_link(const char *name, const char *target);

/*
 * The part of /proc that changes with the processes: proc fills this table. Each mount shows a namespace of pids, by the numbers that
 * processes have there; here "pid" and "tid" are those that they have in the first one. See src/kernel/vfs/procfs.c.
 */
struct procfs_pid_ops {
	struct namespace *first;		/* the first namespace of pids */
	struct namespace *(*pids)(void);	/* the running process's namespace of pids, borrowed */
	int (*find)(struct namespace *ns, int number); /* the pid of the process or thread that has a number in ns, or 0 */
	int (*next)(struct namespace *ns, int after); /* the smallest number of a process above `after`, or -1 */
	bool (*exists)(int pid);
	int (*next_thread)(struct namespace *ns, int pid, int after); /* numbers of a process's threads */
	bool (*self)(struct namespace *ns, int *ret, int *ret_thread); /* numbers of the running thread; false: it has none there */
	uint64_t (*started)(void);		/* processes and threads so far */
	void (*owner)(int pid, uint32_t *ret_uid, uint32_t *ret_gid);
	int (*show)(struct namespace *ns, int pid, int tid, const char *file, struct text_out *o); /* "stat", "status", "maps", ...; -ENOENT */
	/* opener: whose rights count, beside the caller's */
	ssize_t (*store)(int pid, int tid, const char *file, const struct cred *opener, const char *text, size_t len);
	const char *const *files;		/* names that show() knows, null terminated */
	int (*link)(int pid, const char *name, struct path *ret_path, struct file **ret_file); /* "exe", "cwd", "root", by ptrace's rule: one of the two, with a reference */
	bool (*may_look)(int pid);		/* by ptrace's rule */
	int (*space)(int tid, struct vm_space **ret); /* a thread's memory, with a reference; null: it has none. Or -EACCES */
	/* with a reference; `look`: by ptrace's rule. -EACCES, -ESRCH, -ENOENT */
	int (*fds)(int pid, bool look, struct fd_table **ret);
	struct fs_context *(*fs)(int pid);	/* with a reference, or null */
	const char *const *namespaces;		/* names in ns/, null terminated */
	struct namespace *(*ns)(int pid, int tid, const char *name); /* with a reference, or null */
};
extern const struct procfs_pid_ops *procfs_pid_ops;

/* Mounts the root (tmpfs) and unpacks the initramfs. Services do the rest. */
int vfs_mount_root(void);

#endif
