/* SPDX-License-Identifier: MIT */
/*
 * Peers: who hears of what is mounted where (mount_namespaces(7), "shared subtrees").
 *
 * A mount is shared (in a group of peers, which hear of each other), a slave (it hears of a group, and nobody of it), both (its whole group
 * hears of another), private, or unbindable (private, and not to be copied by a bind). Groups that hear of others are trees by `master`:
 *
 *      group 1 ── members: A, A'          what is mounted on A is mounted on A' too, on S, and on B and B';
 *       ├─ slave S                        what is mounted on B, on B' alone.
 *       └─ group 2 ── members: B, B'
 *
 * P1  A group has a member. With the last one it goes, and what heard of it hears of what it heard of, if of anything.
 * P2  All members of a group hear of the same.
 * P3  Only mounts in a namespace's table have peers or a master, except within one writing section.
 *
 * Locking: the tree lock. mount_propagate.c and unmount.c pass on what happens.
 */
#include <cloudos/mm.h>
#include "vfs_internal.h"

static uint32_t last_id;

/* ---- groups ---- */

static void group_hear(struct peer_group *g, struct peer_group *master)
{
	g->master = master;
	if (master)
		list_add_tail(&master->slave_groups, &g->of_master);
}

static void mount_hear(struct mount *m, struct peer_group *master)
{
	m->master = master;
	if (master)
		list_add_tail(&master->slaves, &m->peers);
}

/* P1 */
static void dissolve(struct peer_group *g)
{
	struct peer_group *sub, *next_sub;
	struct mount *m, *next;

	list_for_each_safe (m, next, &g->slaves, peers) {
		list_del(&m->peers);
		mount_hear(m, g->master);
	}
	list_for_each_safe (sub, next_sub, &g->slave_groups, of_master) {
		list_del(&sub->of_master);
		group_hear(sub, g->master);
	}
	list_del(&g->of_master);
	kfree(g);
}

static void join(struct mount *m, struct peer_group *g)
{
	m->group = g;
	list_add_tail(&g->members, &m->peers);
}

/* ---- a mount's part ---- */

void mount_peers_join_locked(struct mount *copy, const struct mount *m)
{
	if (m->group)
		join(copy, m->group);
	else
		mount_hear(copy, m->master);
}

void mount_peers_follow_locked(struct mount *copy, const struct mount *m)
{
	mount_hear(copy, m->group ? m->group : m->master);
}

void mount_peers_share_locked(struct mount *m, struct mount_blanks *blanks)
{
	struct peer_group *master = m->master, *g;

	m->unbindable = false;
	if (m->group)
		return;
	g = mount_blanks_take_group(blanks);
	g->id = ++last_id;
	list_init(&g->members);
	list_init(&g->slaves);
	list_init(&g->slave_groups);
	mount_peers_leave_locked(m);
	group_hear(g, master);
	join(m, g);
}

void mount_peers_enslave_locked(struct mount *m)
{
	struct peer_group *g = m->group, *master;

	if (!g)
		return;
	m->group = NULL;
	list_del(&m->peers);
	master = list_empty(&g->members) ? g->master : g;
	if (master != g)
		dissolve(g);
	mount_hear(m, master);
}

void mount_peers_leave_locked(struct mount *m)
{
	struct peer_group *g = m->group;

	list_del(&m->peers);
	m->group = m->master = NULL;
	if (g && list_empty(&g->members))
		dissolve(g);
}

/* ---- who hears ---- */

struct peer_group *mount_group_next(const struct peer_group *g, const struct peer_group *top)
{
	if (!list_empty(&g->slave_groups))
		return list_first(&g->slave_groups, struct peer_group, of_master);
	for (; g != top; g = g->master)
		if (g->of_master.next != &g->master->slave_groups)
			return list_entry(g->of_master.next, struct peer_group, of_master);
	return NULL;
}

struct mount *mount_receiver_first(const struct peer_group *top)
{
	return list_first(&top->members, struct mount, peers);
}

struct mount *mount_receiver_next(const struct mount *m, const struct peer_group *top)
{
	const struct peer_group *g = m->group ? m->group : m->master;
	const struct list *link = m->peers.next;

	if (link == &g->members)
		link = g->slaves.next;
	if (link != &g->slaves)
		return list_entry(link, struct mount, peers);
	g = mount_group_next(g, top);
	return g ? mount_receiver_first(g) : NULL;
}
