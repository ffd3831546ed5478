/* SPDX-License-Identifier: MIT */
/* What the files about mounts share: the table, namespaces of it, copies, peers, and what is passed on among these. T = the tree lock, writing. */
#ifndef MOUNT_INTERNAL_H
#define MOUNT_INTERNAL_H

#include <cloudos/errno.h>
#include <cloudos/fs.h>
#include <cloudos/namespace.h>

/* ---- namespaces (mount_namespace.c) ---- */

struct mount_namespace {
	struct namespace base; /* first */
	struct mount *root;    /* T: the table has a reference; null: before the first mount, and when it goes */
	uint32_t count;	       /* T: its mounts */
	uint32_t coming;       /* T: while it is counted what a call would add */
	bool detached;	       /* C: the tree of a descriptor (open_tree(2), fsmount(2)): nobody is in it, and nothing is passed on to it */
	struct spinlock lock;  /* RANK_MOUNT_USERS */
	struct list contexts;  /* by lock: fs_context.of_namespace */
};

extern struct mount_namespace *const mount_namespace_initial;
extern struct list all_mounts; /* T: of all namespaces, by id */

/* That of the running thread, which has an fs context. */
struct mount_namespace *mount_namespace_of_thread(void);
/* The system's first mount: takes over a reference of sb. 0 or -ENOMEM. */
int mount_namespace_first(struct super_block *sb, const char *source);
/* An empty one with one reference: 0, -ENOSPC or -ENOMEM. */
int mount_namespace_create(struct user_namespace *owner, struct mount_namespace **ret);
/* A context enters a namespace; or takes over another's, root, cwd and umask with it; and leaves it when it goes. */
void mount_namespace_enter(struct mount_namespace *ns, struct fs_context *c);
void mount_namespace_join(struct fs_context *from, struct fs_context *c);
void mount_namespace_leave(struct fs_context *c);

/* ---- the table (mount.c) ---- */

#define MOUNT_TIMES (MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME) /* stay as they are unless one is given */
/* What an existing mount's flags can be changed to. */
#define MOUNT_FLAGS (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOSYMFOLLOW | MOUNT_TIMES)
#define MOUNT_HIDDEN (1u << 31) /* beside MS_*: of a mount that is in no tree */

/* How many mounts a namespace may have: /proc/sys/fs/mount-max. */
extern uint32_t mounts_max;

/* Fills a cleared mount. Takes over references of sb and source; takes its own of root. */
void mount_fill(struct mount *m, struct super_block *sb, struct dentry *root, struct mount_source *source, uint32_t flags);
/* Is a mount in the running thread's tree? May one with that root be put on a place; has a namespace room for so many? 0, or why not. Tree lock. */
bool mount_in_tree_locked(const struct mount *m);
int mount_check_place_locked(const struct dentry *root, const struct path *on);
int mount_check_room_locked(const struct mount_namespace *ns, uint32_t wanted);
/* Into a namespace's table, which has room, and out of it, and of its peers; onto a place and off it. The tree's writing side. */
void mount_enlist_locked(struct mount *m, struct mount_namespace *ns);
void mount_delist_locked(struct mount *m);
void mount_withdraw_locked(struct mount *m); /* out of the table alone, to enter another's */
void mount_attach_locked(struct mount *m, const struct path *on);
struct path mount_detach_locked(struct mount *m); /* the references that it had become the caller's */
struct path mount_remove_locked(struct mount *m);
void mount_put_below(const struct path *below);
/* The same with what is mounted stays mounted, elsewhere. */
void mount_reattach_locked(struct mount *m, const struct path *on);
/* The next mount after `id` in namespace `ns` (null: any), with a reference. */
struct mount *mount_next(uint32_t id, const struct mount_namespace *ns);
/* What is mounted on (m, d), or null; borrowed. Tree lock held. */
struct mount *mount_find(const struct mount *m, const struct dentry *d);
/* Goes down into what is mounted on *p, all the way. Tree reading side; borrowed. */
void mount_cross(struct path *p);
void mount_put(struct mount *m);
int mount_set_root(struct mount_namespace *ns, struct super_block *sb, const char *source);
/* Takes over a reference of sb, if it succeeds; takes its own of root. Null: out of memory. */
struct mount *mount_create(struct super_block *sb, struct dentry *root, const char *text, uint32_t flags);
/* A mount of an instance for the running thread, in no table; takes a reference of sb. -EPERM, -ENOMEM. */
int mount_make(struct super_block *sb, const char *source, uint32_t flags, struct mount **ret);
/* May it mount that? */
bool fs_type_allowed(const struct fs_type *type);

/* ---- copies (mount_copy.c) ---- */

/* What a call that puts mounts in place takes; and mounts, linked by `all`, and groups, made before it, to be filled. */
struct mount_want {
	uint32_t mounts, groups;
};

struct mount_blanks {
	struct list list;   /* of mounts */
	struct list groups; /* of peer groups, by `of_master` */
	struct mount_want have;
};

#define MOUNT_BLANKS(name) { .list = LIST_INIT((name).list), .groups = LIST_INIT((name).groups) }

/* So many at least, or -ENOMEM; those that are left are freed. */
int mount_blanks_add(struct mount_blanks *b, const struct mount_want *want);
bool mount_blanks_enough(const struct mount_blanks *b, const struct mount_want *want);
void mount_blanks_free(struct mount_blanks *b);
struct peer_group *mount_blanks_take_group(struct mount_blanks *b);
/* A blank becomes another mount of the same file system, of the same source, with the same restrictions and a private one. The tree's writing side. */
struct mount *mount_copy_locked(const struct mount *m, struct dentry *root, struct mount_blanks *blanks);
/* The mount after `m` in the tree that begins at `from`, as that shows it, parents first; null: m was the last. Tree lock. */
struct mount *mount_shown_next(const struct mount *m, const struct path *from);
/* The same in the whole tree on `top`. */
struct mount *mount_tree_next(const struct mount *m, const struct mount *top);
uint32_t mount_tree_count(const struct mount *top);
/* A copy of what a path shows, with `recursive` of the mounts below too, in no table. Count what it takes first: 0, -EINVAL, -EPERM. */
int mount_copy_check_locked(const struct path *from, bool recursive, struct mount_want *ret);
struct mount *mount_copy_tree_locked(const struct path *from, bool recursive, struct mount_blanks *blanks);

/* ---- mount points (mount_point.c) ---- */

/* A mount comes to its point, and leaves it; the tree's writing side. */
void mount_point_enter_locked(struct mount *m);
void mount_point_leave_locked(struct mount *m);
/* Is something mounted on a dentry in the running thread's namespace? */
bool mount_point_is_own(const struct dentry *d);
/* Takes away what is mounted on a dentry if its name is gone. May sleep: no lock of an inode is held. */
void mount_point_deleted(struct dentry *d);

/* ---- what may not be undone (mount_locked.c) ---- */

bool mount_is_below(const struct dentry *d, const struct dentry *top);
/* Is something mounted below that must not be shown without? Tree lock held. */
bool mount_has_locked(const struct path *at);
/* Restricts a new mount of a type for a user namespace: 0, or -EPERM. */
int mount_restrict_new(struct mount *m, const struct fs_type *type, uint32_t flags);
/* A copy for another user namespace keeps its restrictions. */
void mount_restrict_copy_locked(struct mount *copy);

/* ---- peers (mount_peers.c); the tree's writing side ---- */

struct peer_group {
	uint32_t id;		   /* T */
	struct list members;	   /* T: mounts, by `peers`; never empty */
	struct list slaves;	   /* T: mounts that receive from here and are not shared themselves, by `peers` */
	struct peer_group *master; /* T: from which it receives, or null */
	struct list slave_groups;  /* T: that receive from here, by `of_master` */
	struct list of_master;	   /* T */
	struct mount *copy;	   /* T: while a tree is passed on: what its members were given */
};

/* What m receives from, or null. */
static inline struct peer_group *mount_master(const struct mount *m)
{
	return m->group ? m->group->master : m->master;
}

/* A private mount becomes a peer of m, or receives what m does; or it receives from m, if that is shared. */
void mount_peers_join_locked(struct mount *copy, const struct mount *m);
void mount_peers_follow_locked(struct mount *copy, const struct mount *m);
/* A mount gets a group of its own unless it is shared; leaves its peers, and receives from them; is private. */
void mount_peers_share_locked(struct mount *m, struct mount_blanks *blanks);
void mount_peers_enslave_locked(struct mount *m);
void mount_peers_leave_locked(struct mount *m);
/*
 * All that receive what is mounted on a member of `top`: that group's members first, then its slaves, then the groups that receive from it,
 * each the same way. Null: m was the last. The tree lock, either side.
 */
struct mount *mount_receiver_first(const struct peer_group *top);
struct mount *mount_receiver_next(const struct mount *m, const struct peer_group *top);
struct peer_group *mount_group_next(const struct peer_group *g, const struct peer_group *top);

/* ---- what is passed on (mount_propagate.c) ---- */

/*
 * Can a tree of so many mounts be put on a place, and wherever that is passed on to? Adds to *want what it takes. -ENOSPC. `is_there`: the
 * place's namespace has them already.
 */
int mount_place_check_locked(const struct path *on, uint32_t size, bool is_there, struct mount_want *want);
/* Does it: `tree` is in no table, or, if it is moved, in that of on's namespace. Nothing is mounted on `on`. */
void mount_place_locked(struct mount *tree, const struct path *on, struct mount_blanks *blanks);
/* Puts a fresh mount where a path leads, or frees it. */
int mount_graft(struct mount *m, const struct path *on);

/* ---- trees that a descriptor holds (mount_detached.c) ---- */

/* Takes over a mount that is in no table, also when it fails. */
int mount_detached_file(struct mount *m, struct file **ret);

/* ---- unmounting (unmount.c) ---- */

/* A tree goes out of the table, and nobody else hears of it: to *going, to be released without the tree lock. May sleep. */
void mount_remove_tree_locked(struct mount *top, struct list *going);
void mount_release(struct list *going);
/* The whole tree of a namespace, at once. May sleep. */
void mount_dissolve(struct mount_namespace *ns);

/* Lines of /proc/mounts, or mountinfo, of the namespace that `fs` is in, as seen from its root. */
void mount_show(struct text_out *o, struct fs_context *fs, bool info);

#endif
