/* SPDX-License-Identifier: MIT */
/*
 * Putting a tree of mounts on a place, and on the same place of all that hear of it (mount_peers.c).
 *
 * If the mount in which the place lies is shared, the tree becomes shared, and each receiver that shows the place gets a copy: peers copies
 * that are peers of the tree's mounts, slaves copies that are slaves of them; a group of slaves one such copy that is shared, too, and for
 * the other members peers of that. A receiver that does not show the place gets nothing, but what hears of it does.
 *
 * First it is counted what that takes (mount_place_check_locked()), then made: all in one writing section, so that nobody sees a part of it,
 * and what cannot be done as a whole is not begun. What a receiver has on the place already comes to stand on the copy ("tucked").
 *
 * R1  Nothing is attached before all copies are made: a copy is never copied with what it covers.
 * R2  Mounts that are in no namespace, which are these copies, and those of trees that only a descriptor holds, receive nothing.
 */
#include <cloudos/user_namespace.h>
#include "vfs_internal.h"

#define PASSED_ON_MAX UINT32_C(65536) /* mounts that one call makes for others: ENOSPC beyond */

/* Does a receiver show the place? */
static bool receives(const struct mount *m, const struct path *on)
{
	return m->ns && !m->ns->detached && m != on->mount && mount_is_below(on->dentry, m->root);
}

/* ---- counting ---- */

static int count_one(struct mount_namespace *ns, uint32_t size)
{
	int error = mount_check_room_locked(ns, size);

	if (!error)
		ns->coming += size;
	return error;
}

static int count_receivers(const struct path *on, uint32_t size, struct mount_want *want)
{
	const struct peer_group *top = on->mount->group, *last = top;
	struct mount *m;
	int error = 0;

	for (m = mount_receiver_first(top); m && !error; m = mount_receiver_next(m, top)) {
		if (!receives(m, on))
			continue;
		error = count_one(m->ns, size);
		want->mounts += size;
		if (m->group && m->group != last) {
			want->groups += size;
			last = m->group;
		}
		if (want->mounts > PASSED_ON_MAX)
			error = -ENOSPC;
	}
	for (m = mount_receiver_first(top); m; m = mount_receiver_next(m, top))
		if (m->ns)
			m->ns->coming = 0;
	return error;
}

int mount_place_check_locked(const struct path *on, uint32_t size, bool is_there, struct mount_want *want)
{
	int error = is_there ? 0 : count_one(on->mount->ns, size);

	if (!error && on->mount->group) {
		want->groups += size; /* what is not shared yet becomes so */
		error = count_receivers(on, size, want);
	}
	on->mount->ns->coming = 0;
	return error;
}

/* ---- copying ---- */

/* What a receiver's copy is made from: what its group, or else the nearest group that it hears of, was given. */
static struct mount *pattern_for(const struct mount *m, bool *ret_peer)
{
	const struct peer_group *g = m->listens ? NULL : m->group;

	*ret_peer = g && g->copy;
	if (!*ret_peer)
		for (g = mount_master(m); !g->copy; g = g->master)
			;
	return g->copy;
}

static void forget_copies(struct mount *tree)
{
	for (struct mount *m = tree; m; m = mount_tree_next(m, tree))
		m->copy = NULL;
}

static struct mount *copy_for(const struct mount *receiver, struct mount_blanks *blanks)
{
	bool peer;
	struct mount *pattern = pattern_for(receiver, &peer), *m, *top;

	for (m = pattern; m; m = mount_tree_next(m, pattern)) {
		struct mount *copy = mount_copy_locked(m, m->root, blanks);

		m->copy = copy;
		if (peer)
			mount_peers_join_locked(copy, m);
		else
			mount_peers_follow_locked(copy, m);
		if (!peer && !receiver->listens)
			mount_peers_share_locked(copy, blanks);
		if (namespace_owner(&receiver->ns->base) != namespace_owner(&mount_namespace_of_thread()->base))
			mount_restrict_copy_locked(copy);
		else
			copy->locked = m->locked;
		if (m != pattern)
			mount_attach_locked(copy, &(struct path){ m->parent->copy, m->point });
	}
	top = pattern->copy;
	forget_copies(pattern);
	return top;
}

/* ---- attaching ---- */

static void settle(struct mount *tree, const struct path *on)
{
	struct mount *under = mount_find(on->mount, on->dentry), *m;
	struct path top;

	ASSERT(!under || under->ns);
	for (m = tree; m; m = mount_tree_next(m, tree))
		if (!m->ns)
			mount_enlist_locked(m, on->mount->ns);
	tree->locked = false;
	mount_attach_locked(tree, on);
	if (!under)
		return;
	for (top = (struct path){ tree, tree->root }; (m = mount_find(top.mount, top.dentry));)
		top = (struct path){ m, m->root };
	mount_reattach_locked(under, &top);
}

/* What the tree is passed to, in the order in which it is: before the tree becomes shared, which may change what hears of what. */
static void list_receivers(const struct path *on, struct list *receivers)
{
	const struct peer_group *top = on->mount->group;
	struct mount *m;

	for (m = mount_receiver_first(top); m; m = mount_receiver_next(m, top))
		if (receives(m, on)) {
			m->listens = !m->group;
			list_add_tail(receivers, &m->going);
		}
}

static void pass_on(struct mount *tree, const struct path *on, struct mount_blanks *blanks, struct list *made)
{
	struct list receivers = LIST_INIT(receivers);
	struct peer_group *top = on->mount->group, *g;
	struct mount *m;

	list_receivers(on, &receivers);
	for (m = tree; m; m = mount_tree_next(m, tree))
		mount_peers_share_locked(m, blanks);
	top->copy = tree;
	while (!list_empty(&receivers)) {
		struct mount *copy;

		m = list_first(&receivers, struct mount, going);
		list_del(&m->going);
		copy = copy_for(m, blanks);
		copy->receiver = m;
		list_add_tail(made, &copy->all);
		if (!m->listens)
			m->group->copy = copy;
	}
	for (g = top; g; g = mount_group_next(g, top))
		g->copy = NULL;
}

void mount_place_locked(struct mount *tree, const struct path *on, struct mount_blanks *blanks)
{
	struct list made = LIST_INIT(made);

	if (on->mount->group)
		pass_on(tree, on, blanks, &made);
	settle(tree, on);
	while (!list_empty(&made)) { /* R1 */
		struct mount *copy = list_first(&made, struct mount, all);

		list_del(&copy->all);
		settle(copy, &(struct path){ copy->receiver, on->dentry });
		copy->receiver = NULL;
	}
}

int mount_graft(struct mount *m, const struct path *on)
{
	struct mount_blanks blanks = MOUNT_BLANKS(blanks);
	struct mount_want want = { 0, 0 };
	bool done = false;
	int error;

	do {
		struct path top = *on;

		error = mount_blanks_add(&blanks, &want);
		if (error)
			break;
		tree_write_enter();
		mount_cross(&top);
		want = (struct mount_want){ 0, 0 };
		error = mount_check_place_locked(m->root, &top);
		if (!error)
			error = mount_place_check_locked(&top, 1, false, &want);
		done = !error && mount_blanks_enough(&blanks, &want);
		if (done)
			mount_place_locked(m, &top, &blanks);
		tree_write_leave();
	} while (!error && !done);
	mount_blanks_free(&blanks);
	if (error)
		mount_put(m);
	return error;
}
