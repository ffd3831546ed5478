/* SPDX-License-Identifier: MIT */
/* The reference tree (tree_reference.h). Order of errors: path_resolution(7), and Linux's where POSIX leaves it open. */
#include "tree_reference.h"

#include <cloudos/errno.h>
#include <cloudos/string.h>

#define FOLLOWED_MAX 40
#define STEPS_MAX    ((FOLLOWED_MAX + 2) * TREE_PATH_MAX)
#define NOREPLACE    1
#define EXCHANGE     2

struct tree_node tree_nodes[TREE_NODES];

static void clear(int node, enum tree_type type)
{
	struct tree_node *n = &tree_nodes[node];

	n->type = type;
	n->links = n->opens = 0;
	n->size = 0;
	n->parent = -1;
	for (int i = 0; i < TREE_NAMES; i++)
		n->children[i] = -1;
}

void tree_reset(void)
{
	for (int i = 0; i < TREE_NODES; i++)
		clear(i, i == TREE_ROOT ? TREE_FOLDER : TREE_FREE);
	tree_nodes[TREE_ROOT].parent = TREE_ROOT;
}

/* ---- walking ---- */

/* Steps yet to be taken: the next one is steps[left - 1]. */
struct walk {
	uint8_t steps[STEPS_MAX];
	int left, followed, at;
};

static void push(struct walk *w, const struct tree_path *path)
{
	for (int i = path->count; i-- > 0;)
		w->steps[w->left++] = path->names[i];
}

static int follow_link(struct walk *w, const struct tree_node *link)
{
	if (++w->followed > FOLLOWED_MAX)
		return -ELOOP;
	push(w, &link->target);
	if (link->target.absolute)
		w->at = TREE_ROOT;
	return 0;
}

/* One step that is not the end; 0, or the error. */
static int step(struct walk *w, int name)
{
	const struct tree_node *at = &tree_nodes[w->at];
	int child;

	if (name == TREE_DOT)
		return 0;
	if (name == TREE_DOTDOT) {
		w->at = at->parent;
		return 0;
	}
	child = at->children[name];
	if (child < 0)
		return -ENOENT;
	if (tree_nodes[child].type == TREE_LINK)
		return follow_link(w, &tree_nodes[child]);
	w->at = child;
	return 0;
}

int tree_walk(const struct tree_path *path, bool follow, struct tree_place *ret)
{
	struct walk w = {.at = TREE_ROOT};

	push(&w, path);
	while (w.left > 0) {
		int name = w.steps[--w.left], child, error;

		if (tree_nodes[w.at].type != TREE_FOLDER)
			return -ENOTDIR;
		child = name < TREE_NAMES ? tree_nodes[w.at].children[name] : -1;
		if (w.left == 0 && name < TREE_NAMES && !(child >= 0 && tree_nodes[child].type == TREE_LINK && follow)) {
			*ret = (struct tree_place){w.at, name, child};
			return 0;
		}
		error = step(&w, name);
		if (error)
			return error;
	}
	*ret = (struct tree_place){-1, -1, w.at};
	return 0;
}

/* ---- what may be done ---- */

int tree_may_make(const struct tree_place *at)
{
	return at->node >= 0 ? -EEXIST : 0;
}

int tree_may_unlink(const struct tree_place *at)
{
	if (at->node < 0)
		return -ENOENT;
	return tree_nodes[at->node].type == TREE_FOLDER ? -EISDIR : 0;
}

static bool empty(int node)
{
	for (int i = 0; i < TREE_NAMES; i++)
		if (tree_nodes[node].children[i] >= 0)
			return false;
	return true;
}

int tree_may_rmdir(const struct tree_place *at)
{
	if (at->node < 0)
		return -ENOENT;
	if (tree_nodes[at->node].type != TREE_FOLDER)
		return -ENOTDIR;
	return empty(at->node) ? 0 : -ENOTEMPTY;
}

int tree_may_link(const struct tree_place *from, const struct tree_place *to)
{
	if (from->node < 0)
		return -ENOENT;
	if (to->node >= 0)
		return -EEXIST;
	return tree_nodes[from->node].type == TREE_FOLDER ? -EPERM : 0;
}

/* Is `node` the folder `inside`, or above it? */
static bool holds(int node, int inside)
{
	for (; inside != node; inside = tree_nodes[inside].parent)
		if (inside == TREE_ROOT)
			return false;
	return true;
}

static int may_replace(const struct tree_place *from, const struct tree_place *to)
{
	bool folder = tree_nodes[from->node].type == TREE_FOLDER;

	if (from->node == to->node)
		return 0;
	if (folder && tree_nodes[to->node].type != TREE_FOLDER)
		return -ENOTDIR;
	if (!folder && tree_nodes[to->node].type == TREE_FOLDER)
		return -EISDIR;
	return folder && !empty(to->node) ? -ENOTEMPTY : 0;
}

int tree_may_rename(const struct tree_place *from, const struct tree_place *to, unsigned flags)
{
	if (from->node < 0)
		return -ENOENT;
	if ((flags & NOREPLACE) && to->node >= 0)
		return -EEXIST;
	if ((flags & EXCHANGE) && to->node < 0)
		return -ENOENT;
	if (holds(from->node, to->folder))
		return -EINVAL;
	if (to->node >= 0 && holds(to->node, from->folder))
		return flags & EXCHANGE ? -EINVAL : -ENOTEMPTY;
	return to->node < 0 || (flags & EXCHANGE) ? 0 : may_replace(from, to);
}

/* ---- doing it ---- */

static void forget(int node)
{
	if (tree_nodes[node].links == 0 && tree_nodes[node].opens == 0)
		clear(node, TREE_FREE);
}

static void enter(const struct tree_place *at, int node)
{
	tree_nodes[at->folder].children[at->name] = node;
	tree_nodes[node].links++;
	if (tree_nodes[node].type == TREE_FOLDER)
		tree_nodes[node].parent = at->folder;
}

int tree_make(const struct tree_place *at, enum tree_type type)
{
	for (int i = 0; i < TREE_NODES; i++) {
		if (tree_nodes[i].type != TREE_FREE)
			continue;
		clear(i, type);
		enter(at, i);
		return i;
	}
	return -1;
}

void tree_remove(const struct tree_place *at)
{
	tree_nodes[at->folder].children[at->name] = -1;
	tree_nodes[at->node].links--;
	forget(at->node);
}

void tree_link(const struct tree_place *from, const struct tree_place *to)
{
	enter(to, from->node);
}

void tree_rename(const struct tree_place *from, const struct tree_place *to, unsigned flags)
{
	if (from->node == to->node)
		return;
	if (to->node >= 0 && !(flags & EXCHANGE))
		tree_remove(to);
	tree_nodes[from->folder].children[from->name] = -1;
	tree_nodes[from->node].links--;
	if (flags & EXCHANGE) {
		tree_nodes[to->node].links--;
		enter(from, to->node);
	}
	enter(to, from->node);
}

void tree_open(int node)
{
	tree_nodes[node].opens++;
}

void tree_close(int node)
{
	tree_nodes[node].opens--;
	forget(node);
}

void tree_set_size(int node, uint64_t size)
{
	struct tree_node *n = &tree_nodes[node];

	if (size > n->size)
		memset(n->data + n->size, 0, size - n->size);
	n->size = size;
}

void tree_write(int node, uint64_t at, const char *bytes, uint64_t len)
{
	if (len && at + len > tree_nodes[node].size)
		tree_set_size(node, at + len);
	memcpy(tree_nodes[node].data + at, bytes, len);
}

uint32_t tree_link_count(int node)
{
	const struct tree_node *n = &tree_nodes[node];
	uint32_t folders = 0;

	if (n->type != TREE_FOLDER)
		return n->links;
	for (int i = 0; i < TREE_NAMES; i++)
		folders += n->children[i] >= 0 && tree_nodes[n->children[i]].type == TREE_FOLDER;
	return n->links || node == TREE_ROOT ? 2 + folders : 0;
}
