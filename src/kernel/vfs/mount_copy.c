/* SPDX-License-Identifier: MIT */
/*
 * Copies of mounts, alone or in trees: for a bind (MS_BIND of mount(2), open_tree(2)), and for a new namespace (mount_namespace.c).
 *
 * As many blank mounts as are wanted are made first. Then one writing section of the tree lock fills them, puts them onto each other, and last
 * the topmost onto its place: nobody sees a part of a copy, which would show what the rest of it covers, and one that fails leaves nothing.
 */
#include <cloudos/mm.h>
#include "vfs_internal.h"

/* ---- blanks ---- */

static int add_groups(struct mount_blanks *b, uint32_t wanted)
{
	while (b->have.groups < wanted) {
		struct peer_group *g = kzalloc(sizeof(*g));

		if (!g)
			return -ENOMEM;
		list_add_tail(&b->groups, &g->of_master);
		b->have.groups++;
	}
	return 0;
}

int mount_blanks_add(struct mount_blanks *b, const struct mount_want *want)
{
	while (b->have.mounts < want->mounts) {
		struct mount *m = kzalloc(sizeof(*m));

		if (!m)
			return -ENOMEM;
		list_add_tail(&b->list, &m->all);
		b->have.mounts++;
	}
	return add_groups(b, want->groups);
}

bool mount_blanks_enough(const struct mount_blanks *b, const struct mount_want *want)
{
	return want->mounts <= b->have.mounts && want->groups <= b->have.groups;
}

static struct mount *blanks_take(struct mount_blanks *b)
{
	struct mount *m = list_first(&b->list, struct mount, all);

	ASSERT(b->have.mounts > 0);
	list_del(&m->all);
	b->have.mounts--;
	return m;
}

struct peer_group *mount_blanks_take_group(struct mount_blanks *b)
{
	struct peer_group *g = list_first(&b->groups, struct peer_group, of_master);

	ASSERT(b->have.groups > 0);
	list_del(&g->of_master);
	b->have.groups--;
	return g;
}

void mount_blanks_free(struct mount_blanks *b)
{
	while (b->have.mounts)
		kfree(blanks_take(b));
	while (b->have.groups)
		kfree(mount_blanks_take_group(b));
}

struct mount *mount_copy_locked(const struct mount *m, struct dentry *root, struct mount_blanks *blanks)
{
	struct mount *copy = blanks_take(blanks);

	refcount_get(&m->sb->refs);
	refcount_get(&m->source->refs);
	mount_fill(copy, m->sb, root, m->source, READ_ONCE(m->flags));
	copy->locked_flags = m->locked_flags;
	copy->unbindable = m->unbindable;
	return copy;
}

/* ---- what is shown at a place and below; tree lock ---- */

/* The first of the mounts on `in` that begin at `link` and that `from` shows, or null. */
static struct mount *shown_on(const struct mount *in, struct list *link, const struct path *from)
{
	for (; link != &in->children; link = link->next) {
		struct mount *m = list_entry(link, struct mount, siblings);

		if (in != from->mount || mount_is_below(m->point, from->dentry))
			return m;
	}
	return NULL;
}

/* The mount after `m` and all that is on it. */
static struct mount *shown_past(const struct mount *m, const struct path *from)
{
	struct mount *next = NULL;

	for (; !next && m != from->mount; m = m->parent)
		next = shown_on(m->parent, m->siblings.next, from);
	return next;
}

struct mount *mount_shown_next(const struct mount *m, const struct path *from)
{
	struct mount *next = shown_on(m, m->children.next, from);

	return next ? next : shown_past(m, from);
}

struct mount *mount_tree_next(const struct mount *m, const struct mount *top)
{
	if (!list_empty(&m->children))
		return list_first(&m->children, struct mount, siblings);
	for (; m != top; m = m->parent)
		if (m->siblings.next != &m->parent->children)
			return list_entry(m->siblings.next, struct mount, siblings);
	return NULL;
}

uint32_t mount_tree_count(const struct mount *top)
{
	uint32_t count = 0;

	for (const struct mount *m = top; m; m = mount_tree_next(m, top))
		count++;
	return count;
}

/* ---- copying a tree ---- */

/* The next that may be copied: what is unbindable stays behind with all that is on it. */
static struct mount *bindable_next(const struct mount *m, const struct path *from)
{
	struct mount *next = mount_shown_next(m, from);

	while (next && next->unbindable)
		next = shown_past(next, from);
	return next;
}

int mount_copy_check_locked(const struct path *from, bool recursive, struct mount_want *ret)
{
	const struct mount *m;

	if (from->mount->unbindable || (!recursive && mount_has_locked(from)))
		return -EINVAL;
	for (m = recursive ? from->mount : NULL; m; m = mount_shown_next(m, from))
		if (m != from->mount && m->unbindable && m->locked)
			return -EPERM; /* it would have to stay, and cannot be copied */
	*ret = (struct mount_want){ 1, 0 };
	m = from->mount;
	while (recursive && (m = bindable_next(m, from)))
		ret->mounts++;
	return 0;
}

struct mount *mount_copy_tree_locked(const struct path *from, bool recursive, struct mount_blanks *blanks)
{
	struct mount *m = from->mount, *top = mount_copy_locked(m, from->dentry, blanks);

	mount_peers_join_locked(top, m);
	m->copy = top;
	while (recursive && (m = bindable_next(m, from))) {
		m->copy = mount_copy_locked(m, m->root, blanks);
		m->copy->locked = m->locked;
		mount_peers_join_locked(m->copy, m);
		mount_attach_locked(m->copy, &(struct path){ m->parent->copy, m->point });
	}
	for (m = from->mount; m; m = recursive ? bindable_next(m, from) : NULL)
		m->copy = NULL;
	return top;
}

/* ---- binding ---- */

/* 0 and what it takes, or why not. */
static int bind_check_locked(const struct path *on, const struct path *from, bool recursive, struct mount_want *want)
{
	int error = mount_check_place_locked(from->dentry, on);

	if (!error && !mount_in_tree_locked(from->mount))
		error = -EINVAL;
	if (!error)
		error = mount_copy_check_locked(from, recursive, want);
	return error ? error : mount_place_check_locked(on, want->mounts, false, want);
}

int vfs_mount_bind(const struct path *on, const struct path *from, bool recursive)
{
	struct mount_blanks blanks = MOUNT_BLANKS(blanks);
	struct mount_want want = { 1, 0 };
	bool done = false;
	int error;

	do {
		struct path top = *on;

		error = mount_blanks_add(&blanks, &want);
		if (error)
			break;
		tree_write_enter();
		mount_cross(&top);
		error = bind_check_locked(&top, from, recursive, &want);
		done = !error && mount_blanks_enough(&blanks, &want); /* else there are more than were made */
		if (done)
			mount_place_locked(mount_copy_tree_locked(from, recursive, &blanks), &top, &blanks);
		tree_write_leave();
	} while (!error && !done);
	mount_blanks_free(&blanks);
	return error;
}
