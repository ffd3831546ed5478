/* SPDX-License-Identifier: MIT */
/*
 * Balanced (red-black) trees whose nodes live in the elements. The caller locks, compares, and links:
 *
 *   struct rb_node **at = &tree->root, *parent = NULL;
 *   while (*at) { parent = *at; at = key < key_of(parent) ? &parent->left : &parent->right; }
 *   rb_link(tree, node, parent, at);
 *
 * A tree may keep in each element something about the subtree below it (a largest value): `update` recomputes that for one element
 * from its own value and what its children say, and is called wherever linking, removing and rebalancing change a subtree.
 */
#ifndef CLOUDOS_RBTREE_H
#define CLOUDOS_RBTREE_H

#include <cloudos/types.h>

struct rb_node {
	struct rb_node *left, *right;
	uintptr_t parent_color; /* parent | red */
};

struct rb_tree {
	struct rb_node *root;
	void (*update)(struct rb_node *); /* null: nothing is kept */
};

#define rb_entry(p, type, member) container_of(p, type, member)

/* Links a node at *at below `parent` (null: it becomes the root), and rebalances. O(log n). */
void rb_link(struct rb_tree *t, struct rb_node *node, struct rb_node *parent, struct rb_node **at);
void rb_remove(struct rb_tree *t, struct rb_node *node);

/* An element's own value changed: updates it and all above it. For trees with an update function. O(log n). */
void rb_update(const struct rb_tree *t, struct rb_node *node);

/* In order; null at the end. rb_next and rb_prev are amortised O(1). */
struct rb_node *rb_first(const struct rb_tree *t);
struct rb_node *rb_last(const struct rb_tree *t);
struct rb_node *rb_next(const struct rb_node *node);
struct rb_node *rb_prev(const struct rb_node *node);

static inline bool rb_empty(const struct rb_tree *t)
{
	return t->root == NULL;
}

/* For checks: black height of the tree, or -1 if a red-black rule is broken. */
int rb_check(const struct rb_tree *t);

#endif
