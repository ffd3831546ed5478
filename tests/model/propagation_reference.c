/* SPDX-License-Identifier: MIT */
#include "propagation_reference.h"

#include <cloudos/errno.h>
#include <cloudos/string.h>
#include <linux/mount.h>
#include "model.h"

struct ref_mount ref_mounts[REF_MOUNTS];
int ref_group_master[REF_GROUPS];

#define NOWHERE -2 /* the namespace of a tree that is not in place yet */

#define FOR_MOUNTS(m)                         \
	for (int m = 0; m < REF_MOUNTS; m++) \
		if (ref_mounts[m].used)

/* ---- trees ---- */

bool ref_below(int folder, int top)
{
	while (folder > top)
		folder = (folder - 1) / 2;
	return folder == top;
}

int ref_child(int parent, int folder)
{
	FOR_MOUNTS (m)
		if (ref_mounts[m].parent == parent && ref_mounts[m].point == folder)
			return m;
	return -1;
}

int ref_base(int space)
{
	FOR_MOUNTS (m)
		if (ref_mounts[m].space == space && ref_mounts[m].parent == -1)
			return m;
	return -1;
}

int ref_count(int space)
{
	int count = 0;

	FOR_MOUNTS (m)
		count += ref_mounts[m].space == space;
	return count;
}

static bool on_tree(int m, int top)
{
	for (; m >= 0; m = ref_mounts[m].parent)
		if (m == top)
			return true;
	return false;
}

static int create(struct ref_mount what)
{
	for (int m = 0; m < REF_MOUNTS; m++)
		if (!ref_mounts[m].used) {
			ref_mounts[m] = what;
			ref_mounts[m].used = true;
			return m;
		}
	MODEL_CHECK(!"the reference has room");
	return -1;
}

/* ---- groups ---- */

static bool has_member(int group)
{
	FOR_MOUNTS (m)
		if (ref_mounts[m].group == group)
			return true;
	return false;
}

static int group_create(int master)
{
	for (int g = 1; g < REF_GROUPS; g++)
		if (ref_group_master[g] < 0) {
			ref_group_master[g] = master;
			return g;
		}
	MODEL_CHECK(!"the reference has groups");
	return 0;
}

/* Groups without members go; who heard of one hears of what it heard of. */
static void settle_groups(void)
{
	for (int g = 1; g < REF_GROUPS; g++) {
		if (ref_group_master[g] < 0 || has_member(g))
			continue;
		FOR_MOUNTS (m)
			if (ref_mounts[m].master == g)
				ref_mounts[m].master = ref_group_master[g];
		for (int h = 1; h < REF_GROUPS; h++)
			if (ref_group_master[h] == g)
				ref_group_master[h] = ref_group_master[g];
		ref_group_master[g] = -1;
	}
}

static int master_of(int m)
{
	return ref_mounts[m].group ? ref_group_master[ref_mounts[m].group] : ref_mounts[m].master;
}

/* Does a mount that is in a group, or is a slave of one, hear of `top`? */
static bool hears(int m, int top)
{
	for (int g = ref_mounts[m].group ? ref_mounts[m].group : ref_mounts[m].master; g; g = ref_group_master[g])
		if (g == top)
			return true;
	return false;
}

/* ---- putting in place ---- */

static int tree[REF_MOUNTS], tree_size; /* what is put in place, its top first */
static bool receiver[REF_MOUNTS];
static int heard_as[REF_MOUNTS]; /* the receivers' groups, before the tree becomes shared, of which they may be */
static int group_for[REF_GROUPS][REF_MOUNTS]; /* of what each group gets of each in the tree; 0: none yet */

static void find_receivers(int on, int point)
{
	FOR_MOUNTS (m)
		heard_as[m] = ref_mounts[m].group;
	FOR_MOUNTS (m)
		receiver[m] = m != on && ref_mounts[m].space >= 0 && ref_mounts[on].group && hears(m, ref_mounts[on].group) &&
			      ref_below(point, ref_mounts[m].root);
}

/* What is moved within a namespace is counted once. */
static int check_room(int on, bool moved)
{
	int coming[REF_SPACES] = { 0 };

	coming[ref_mounts[on].space] += moved ? 0 : tree_size;
	FOR_MOUNTS (m)
		if (receiver[m])
			coming[ref_mounts[m].space] += tree_size;
	for (int s = 0; s < REF_SPACES; s++)
		if (coming[s] && ref_count(s) + coming[s] > REF_ROOM)
			return -ENOSPC;
	return 0;
}

static bool reached(int group, int top)
{
	if (group == top)
		return true;
	FOR_MOUNTS (m)
		if (receiver[m] && heard_as[m] == group)
			return true;
	return false;
}

static int nearest(int group, int top)
{
	while (!reached(group, top))
		group = ref_group_master[group];
	return group;
}

static int group_of_copy(int group, int i, int top)
{
	if (group == top)
		return ref_mounts[tree[i]].group;
	if (!group_for[group][i])
		group_for[group][i] = group_create(group_of_copy(nearest(ref_group_master[group], top), i, top));
	return group_for[group][i];
}

static int index_of(int m)
{
	int i = 0;

	while (tree[i] != m)
		i++;
	return i;
}

static void stand(int top, int on, int point)
{
	int under = ref_child(on, point);

	ref_mounts[top].parent = on;
	ref_mounts[top].point = point;
	if (under < 0)
		return;
	while (ref_child(top, ref_mounts[top].root) >= 0)
		top = ref_child(top, ref_mounts[top].root);
	ref_mounts[under].parent = top;
	ref_mounts[under].point = ref_mounts[top].root;
}

/* The copies for one receiver; the top one stands nowhere yet. */
static int copy_for(int m, int top)
{
	int copies[REF_MOUNTS];

	for (int i = 0; i < tree_size; i++) {
		struct ref_mount copy = ref_mounts[tree[i]];

		copy.space = NOWHERE;
		copy.parent = i == 0 ? NOWHERE : copies[index_of(copy.parent)];
		copy.group = copy.master = 0;
		if (heard_as[m])
			copy.group = group_of_copy(heard_as[m], i, top);
		else
			copy.master = group_of_copy(nearest(master_of(m), top), i, top);
		copies[i] = create(copy);
	}
	return copies[0];
}

static void settle_spaces(void)
{
	for (bool changed = true; changed;) {
		changed = false;
		FOR_MOUNTS (m) {
			struct ref_mount *r = &ref_mounts[m];

			if (r->space == NOWHERE && r->parent >= 0 && ref_mounts[r->parent].space >= 0) {
				r->space = ref_mounts[r->parent].space;
				changed = true;
			}
		}
	}
}

static void place(int on, int point)
{
	static int given[REF_MOUNTS];
	int top = ref_mounts[on].group;

	memset(group_for, 0, sizeof(group_for));
	for (int i = 0; i < tree_size; i++) {
		struct ref_mount *r = &ref_mounts[tree[i]];

		if (top && !r->group) {
			r->group = group_create(r->master);
			r->master = 0;
		}
		if (top)
			r->unbindable = false;
	}
	for (int m = 0; m < REF_MOUNTS; m++)
		given[m] = receiver[m] && ref_mounts[m].used ? copy_for(m, top) : -1;
	stand(tree[0], on, point);
	for (int m = 0; m < REF_MOUNTS; m++)
		if (given[m] >= 0)
			stand(given[m], m, point);
	settle_spaces();
	settle_groups();
}

static void cross(int *on, int *point)
{
	for (int up; (up = ref_child(*on, *point)) >= 0;) {
		*on = up;
		*point = ref_mounts[up].root;
	}
}

/* ---- calls ---- */

static void copy_children(int from, int folder, int copy)
{
	FOR_MOUNTS (m) {
		struct ref_mount r = ref_mounts[m];
		int c;

		if (r.parent != from || r.space == NOWHERE || r.unbindable || !ref_below(r.point, folder))
			continue;
		r.space = NOWHERE;
		r.parent = copy;
		c = tree[tree_size++] = create(r);
		copy_children(m, r.root, c);
	}
}

int ref_bind(int from, int folder, int on, int point, bool recursive)
{
	struct ref_mount r = ref_mounts[from];
	int error;

	cross(&on, &point);
	if (r.unbindable)
		return -EINVAL;
	memset(receiver, 0, sizeof(receiver));
	find_receivers(on, point);
	r.space = r.parent = NOWHERE;
	r.root = folder;
	tree_size = 1;
	tree[0] = create(r);
	if (recursive)
		copy_children(from, folder, tree[0]);
	error = check_room(on, false);
	if (!error)
		place(on, point);
	for (int i = 0; i < tree_size && error; i++)
		ref_mounts[tree[i]].used = false;
	return error;
}

static void take_tree(int top)
{
	tree[0] = top;
	tree_size = 1;
	for (int i = 0; i < tree_size; i++)
		FOR_MOUNTS (m)
			if (ref_mounts[m].parent == tree[i])
				tree[tree_size++] = m;
}

int ref_move(int top, int on, int point)
{
	int parent = ref_mounts[top].parent, error;

	cross(&on, &point);
	if (parent < 0 || ref_mounts[parent].group)
		return -EINVAL;
	take_tree(top);
	for (int i = 0; i < tree_size; i++)
		if (ref_mounts[tree[i]].unbindable && ref_mounts[on].group)
			return -EINVAL;
	if (on_tree(on, top))
		return -ELOOP;
	memset(receiver, 0, sizeof(receiver));
	find_receivers(on, point);
	error = check_room(on, true);
	if (!error)
		place(on, point);
	return error;
}

static void change_one(struct ref_mount *r, unsigned type)
{
	int group = r->group;

	if (type == MS_SHARED) {
		r->unbindable = false;
		if (group)
			return;
		r->group = group_create(r->master);
		r->master = 0;
		return;
	}
	if (type == MS_SLAVE) {
		r->group = 0;
		if (group)
			r->master = has_member(group) ? group : ref_group_master[group];
	} else {
		r->group = r->master = 0;
		r->unbindable = type == MS_UNBINDABLE;
	}
	settle_groups();
}

int ref_change(int top, unsigned type, bool recursive)
{
	change_one(&ref_mounts[top], type);
	FOR_MOUNTS (m)
		if (recursive && m != top && on_tree(m, top))
			change_one(&ref_mounts[m], type);
	return 0;
}

/* ---- unmounting ---- */

enum { STAYS, MAYBE, GOES };
static int fate[REF_MOUNTS];

static void find_others(int m)
{
	int parent = ref_mounts[m].parent;

	FOR_MOUNTS (r) {
		int on = ref_mounts[parent].group && r != parent && hears(r, ref_mounts[parent].group) ? ref_child(r, ref_mounts[m].point) : -1;

		if (on >= 0 && fate[on] == STAYS)
			fate[on] = MAYBE;
	}
}

static bool keeps(int m)
{
	FOR_MOUNTS (on)
		if (ref_mounts[on].parent == m && fate[on] == STAYS && ref_mounts[on].point != ref_mounts[m].root)
			return true;
	return false;
}

static int staying_at(int at, int point)
{
	FOR_MOUNTS (m)
		if (ref_mounts[m].parent == at && ref_mounts[m].point == point && fate[m] == STAYS)
			return m;
	return -1;
}

static void slide(int m)
{
	int at = ref_mounts[m].parent, point = ref_mounts[m].point, on;

	while (fate[at] != STAYS) {
		point = ref_mounts[at].point;
		at = ref_mounts[at].parent;
	}
	ref_mounts[m].parent = NOWHERE;
	while ((on = staying_at(at, point)) >= 0) {
		at = on;
		point = ref_mounts[on].root;
	}
	ref_mounts[m].parent = at;
	ref_mounts[m].point = point;
}

/* What stands on something that goes, and stays itself. */
static int oldest_uncovered(void)
{
	int oldest = -1;

	FOR_MOUNTS (m)
		if (fate[m] == STAYS && ref_mounts[m].parent >= 0 && fate[ref_mounts[m].parent] != STAYS &&
		    (oldest < 0 || ref_mounts[m].id < ref_mounts[oldest].id))
			oldest = m;
	return oldest;
}

int ref_unmount(int top, bool detach)
{
	if (ref_mounts[top].parent < 0)
		return -EBUSY; /* the model does not unmount its base */
	FOR_MOUNTS (m)
		if (ref_mounts[m].parent == top && !detach)
			return -EBUSY;
	memset(fate, 0, sizeof(fate));
	FOR_MOUNTS (m)
		if (on_tree(m, top))
			fate[m] = GOES;
	FOR_MOUNTS (m)
		if (fate[m] == GOES)
			find_others(m);
	for (bool changed = true; changed;) {
		changed = false;
		FOR_MOUNTS (m)
			if (fate[m] == MAYBE && keeps(m)) {
				fate[m] = STAYS;
				changed = true;
			}
	}
	for (int m; (m = oldest_uncovered()) >= 0;)
		slide(m);
	FOR_MOUNTS (m)
		if (fate[m] != STAYS)
			ref_mounts[m].used = false;
	settle_groups();
	return 0;
}

/* ---- namespaces ---- */

static void copy_below(int m, int parent, int to)
{
	struct ref_mount r = ref_mounts[m];
	int copy;

	r.space = to;
	r.parent = parent;
	copy = create(r);
	FOR_MOUNTS (on)
		if (ref_mounts[on].parent == m)
			copy_below(on, copy, to);
}

void ref_copy_space(int from, int to)
{
	copy_below(ref_base(from), -1, to);
}

void ref_end_space(int space)
{
	FOR_MOUNTS (m)
		if (ref_mounts[m].space == space)
			ref_mounts[m].used = false;
	settle_groups();
}

void ref_start(void)
{
	memset(ref_mounts, 0, sizeof(ref_mounts));
	for (int g = 0; g < REF_GROUPS; g++)
		ref_group_master[g] = -1;
	create((struct ref_mount){ .parent = -1 });
}
