/* SPDX-License-Identifier: MIT */
/*
 * Copies of mounts, alone or in trees: for a bind (MS_BIND of mount(2)), and for a new namespace (mount_namespace.c).
 *
 * As many blank mounts as are wanted are made first. Then one writing section of the tree lock fills them, puts them onto each other, and last
 * the topmost onto its place: nobody sees a part of a copy, which would show what the rest of it covers, and one that fails leaves nothing.
 */
#include <cloudos/mm.h>
#include "vfs_internal.h"

/* ---- blanks ---- */

int mount_blanks_add(struct mount_blanks *b, uint32_t wanted)
{
	while (b->count < wanted) {
		struct mount *m = kzalloc(sizeof(*m));

		if (!m)
			return -ENOMEM;
		list_add_tail(&b->list, &m->all);
		b->count++;
	}
	return 0;
}

static struct mount *blanks_take(struct mount_blanks *b)
{
	struct mount *m = list_first(&b->list, struct mount, all);

	list_del(&m->all);
	b->count--;
	return m;
}

void mount_blanks_free(struct mount_blanks *b)
{
	while (b->count)
		kfree(blanks_take(b));
}

struct mount *mount_copy_locked(const struct mount *m, struct dentry *root, struct mount_blanks *blanks)
{
	struct mount *copy = blanks_take(blanks);

	refcount_get(&m->sb->refs);
	refcount_get(&m->source->refs);
	mount_fill(copy, m->sb, root, m->source, READ_ONCE(m->flags));
	copy->locked_flags = m->locked_flags;
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

/* The mount after `m` in the tree that begins with from->mount, parents first; null: m was the last. */
static struct mount *shown_next(const struct mount *m, const struct path *from)
{
	struct mount *next = shown_on(m, m->children.next, from);

	for (; !next && m != from->mount; m = m->parent)
		next = shown_on(m->parent, m->siblings.next, from);
	return next;
}

static uint32_t shown_count(const struct path *from)
{
	const struct mount *m;
	uint32_t count = 0;

	for (m = from->mount; m; m = shown_next(m, from))
		count++;
	return count;
}

/* ---- binding ---- */

/* 0 and how many mounts it takes, or why not. */
static int bind_check_locked(const struct path *on, const struct path *from, bool recursive, uint32_t *ret_wanted)
{
	int error = mount_check_place_locked(from->dentry, on);

	if (error)
		return error;
	if (!mount_in_tree_locked(from->mount) || (!recursive && mount_has_locked(from)))
		return -EINVAL;
	*ret_wanted = recursive ? shown_count(from) : 1;
	return mount_check_room_locked(on->mount->ns, *ret_wanted);
}

static void bind_locked(const struct path *on, const struct path *from, bool recursive, struct mount_blanks *blanks)
{
	struct mount_namespace *ns = on->mount->ns;
	struct mount *m = from->mount, *top = mount_copy_locked(m, from->dentry, blanks);

	mount_enlist_locked(top, ns);
	m->copy = top;
	while (recursive && (m = shown_next(m, from))) {
		m->copy = mount_copy_locked(m, m->root, blanks);
		m->copy->locked = m->locked;
		mount_enlist_locked(m->copy, ns);
		mount_attach_locked(m->copy, &(struct path){ m->parent->copy, m->point });
	}
	for (m = from->mount; m; m = recursive ? shown_next(m, from) : NULL)
		m->copy = NULL;
	mount_attach_locked(top, on);
}

int vfs_mount_bind(const struct path *on, const struct path *from, bool recursive)
{
	struct mount_blanks blanks = { .list = LIST_INIT(blanks.list) };
	uint32_t wanted = 1;
	bool done = false;
	int error;

	do {
		error = mount_blanks_add(&blanks, wanted);
		if (error)
			break;
		tree_write_enter();
		error = bind_check_locked(on, from, recursive, &wanted);
		done = !error && wanted <= blanks.count; /* else there are more than were made */
		if (done)
			bind_locked(on, from, recursive, &blanks);
		tree_write_leave();
	} while (!error && !done);
	mount_blanks_free(&blanks);
	return error;
}
