/* SPDX-License-Identifier: MIT */
/*
 * Red-black trees (Cormen, Leiserson, Rivest, Stein: Introduction to Algorithms, chapter 13), with null for the black leaves.
 * I1: the root is black. I2: a red node's children are black. I3: every path from a node down to a leaf has as many black nodes.
 * I4: where the tree has an update function, it was called for each node after its children, its key or its own value last changed.
 */
#include <cloudos/rbtree.h>

#define RED ((uintptr_t)1)

static struct rb_node *parent_of(const struct rb_node *n)
{
	return (struct rb_node *)(n->parent_color & ~RED);
}

static bool is_red(const struct rb_node *n)
{
	return n && (n->parent_color & RED);
}

static void set_parent(struct rb_node *n, struct rb_node *parent)
{
	n->parent_color = (uintptr_t)parent | (n->parent_color & RED);
}

static void set_red(struct rb_node *n, bool red)
{
	n->parent_color = (n->parent_color & ~RED) | (red ? RED : 0);
}

/* Puts `with` (may be null) where `old` hangs. */
static void replace_child(struct rb_tree *t, struct rb_node *parent, struct rb_node *old, struct rb_node *with)
{
	if (!parent)
		t->root = with;
	else if (parent->left == old)
		parent->left = with;
	else
		parent->right = with;
	if (with)
		set_parent(with, parent);
}

/* x went down below y. */
static void update_pair(const struct rb_tree *t, struct rb_node *x, struct rb_node *y)
{
	if (t->update) {
		t->update(x);
		t->update(y);
	}
}

static void rotate_left(struct rb_tree *t, struct rb_node *x)
{
	struct rb_node *y = x->right;

	x->right = y->left;
	if (x->right)
		set_parent(x->right, x);
	replace_child(t, parent_of(x), x, y);
	y->left = x;
	set_parent(x, y);
	update_pair(t, x, y);
}

static void rotate_right(struct rb_tree *t, struct rb_node *x)
{
	struct rb_node *y = x->left;

	x->left = y->right;
	if (x->left)
		set_parent(x->left, x);
	replace_child(t, parent_of(x), x, y);
	y->right = x;
	set_parent(x, y);
	update_pair(t, x, y);
}

void rb_update(const struct rb_tree *t, struct rb_node *node)
{
	for (; node; node = parent_of(node))
		t->update(node);
}

/* `n` is red and so may its parent be; the uncle is black: one or two rotations mend it. */
static void link_rotate(struct rb_tree *t, struct rb_node *n, struct rb_node *parent, struct rb_node *grand)
{
	bool left = grand->left == parent;

	if (left && parent->right == n) {
		rotate_left(t, parent);
		parent = n;
	} else if (!left && parent->left == n) {
		rotate_right(t, parent);
		parent = n;
	}
	set_red(parent, false);
	set_red(grand, true);
	if (left)
		rotate_right(t, grand);
	else
		rotate_left(t, grand);
}

void rb_link(struct rb_tree *t, struct rb_node *node, struct rb_node *parent, struct rb_node **at)
{
	node->left = node->right = NULL;
	node->parent_color = (uintptr_t)parent | RED;
	*at = node;
	if (t->update)
		rb_update(t, node);
	while (is_red(parent)) {
		struct rb_node *grand = parent_of(parent); /* there is one: the root is black */
		struct rb_node *uncle = grand->left == parent ? grand->right : grand->left;

		if (!is_red(uncle)) {
			link_rotate(t, node, parent, grand);
			break;
		}
		set_red(parent, false);
		set_red(uncle, false);
		set_red(grand, true);
		node = grand;
		parent = parent_of(node);
	}
	set_red(t->root, false);
}

/* The subtree at parent->left is one black short; true when done, else *x moves up. */
static bool fix_left(struct rb_tree *t, struct rb_node *parent)
{
	struct rb_node *sibling = parent->right;

	if (is_red(sibling)) {
		set_red(sibling, false);
		set_red(parent, true);
		rotate_left(t, parent);
		sibling = parent->right;
	}
	if (!is_red(sibling->left) && !is_red(sibling->right)) {
		set_red(sibling, true);
		return false;
	}
	if (!is_red(sibling->right)) {
		set_red(sibling->left, false);
		set_red(sibling, true);
		rotate_right(t, sibling);
		sibling = parent->right;
	}
	set_red(sibling, is_red(parent));
	set_red(parent, false);
	set_red(sibling->right, false);
	rotate_left(t, parent);
	return true;
}

static bool fix_right(struct rb_tree *t, struct rb_node *parent)
{
	struct rb_node *sibling = parent->left;

	if (is_red(sibling)) {
		set_red(sibling, false);
		set_red(parent, true);
		rotate_right(t, parent);
		sibling = parent->left;
	}
	if (!is_red(sibling->left) && !is_red(sibling->right)) {
		set_red(sibling, true);
		return false;
	}
	if (!is_red(sibling->left)) {
		set_red(sibling->right, false);
		set_red(sibling, true);
		rotate_left(t, sibling);
		sibling = parent->left;
	}
	set_red(sibling, is_red(parent));
	set_red(parent, false);
	set_red(sibling->left, false);
	rotate_right(t, parent);
	return true;
}

/* A black node was taken out above x (which may be null) below `parent`. */
static void fix_removed(struct rb_tree *t, struct rb_node *x, struct rb_node *parent)
{
	while (parent && !is_red(x)) {
		if (parent->left == x ? fix_left(t, parent) : fix_right(t, parent))
			return;
		x = parent;
		parent = parent_of(x);
	}
	if (x)
		set_red(x, false);
}

/* Puts the successor of `node`, which has two children, in its place; tells where a black node may be missing. */
static bool remove_inner(struct rb_tree *t, struct rb_node *node, struct rb_node **ret_x, struct rb_node **ret_parent)
{
	struct rb_node *next = node->right;
	bool black;

	while (next->left)
		next = next->left;
	black = !is_red(next);
	*ret_x = next->right;
	*ret_parent = parent_of(next);
	if (*ret_parent == node) {
		*ret_parent = next;
	} else {
		replace_child(t, parent_of(next), next, next->right);
		next->right = node->right;
		set_parent(next->right, next);
	}
	next->left = node->left;
	set_parent(next->left, next);
	replace_child(t, parent_of(node), node, next);
	set_red(next, is_red(node));
	return black;
}

void rb_remove(struct rb_tree *t, struct rb_node *node)
{
	struct rb_node *x, *parent;
	bool black;

	if (node->left && node->right) {
		black = remove_inner(t, node, &x, &parent);
	} else {
		x = node->left ? node->left : node->right;
		parent = parent_of(node);
		black = !is_red(node);
		replace_child(t, parent, node, x);
	}
	if (t->update)
		rb_update(t, parent);
	if (black)
		fix_removed(t, x, parent);
}

struct rb_node *rb_first(const struct rb_tree *t)
{
	struct rb_node *n = t->root;

	while (n && n->left)
		n = n->left;
	return n;
}

struct rb_node *rb_last(const struct rb_tree *t)
{
	struct rb_node *n = t->root;

	while (n && n->right)
		n = n->right;
	return n;
}

struct rb_node *rb_next(const struct rb_node *node)
{
	struct rb_node *n = node->right;

	if (n) {
		while (n->left)
			n = n->left;
		return n;
	}
	for (n = parent_of(node); n && n->right == node; n = parent_of(n))
		node = n;
	return n;
}

struct rb_node *rb_prev(const struct rb_node *node)
{
	struct rb_node *n = node->left;

	if (n) {
		while (n->right)
			n = n->right;
		return n;
	}
	for (n = parent_of(node); n && n->left == node; n = parent_of(n))
		node = n;
	return n;
}

static int black_height(const struct rb_node *n)
{
	int left, right;

	if (!n)
		return 0;
	if (is_red(n) && (is_red(n->left) || is_red(n->right)))
		return -1;
	if ((n->left && parent_of(n->left) != n) || (n->right && parent_of(n->right) != n))
		return -1;
	left = black_height(n->left);
	right = black_height(n->right);
	return left < 0 || left != right ? -1 : left + !is_red(n);
}

int rb_check(const struct rb_tree *t)
{
	return is_red(t->root) ? -1 : black_height(t->root);
}
