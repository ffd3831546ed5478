/* SPDX-License-Identifier: MIT */
/* Red-black trees against a sorted array, through random insertions and removals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <cloudos/rbtree.h>

#define NODES 512

struct item {
	struct rb_node node;
	unsigned key;
	bool in;
};

static void insert(struct rb_tree *t, struct item *e)
{
	struct rb_node **at = &t->root, *parent = NULL;

	while (*at) {
		parent = *at;
		at = e->key < rb_entry(parent, struct item, node)->key ? &parent->left : &parent->right;
	}
	rb_link(t, &e->node, parent, at);
	e->in = true;
}

static void assert_same(const struct rb_tree *t, const struct item *items)
{
	const struct rb_node *n = rb_first(t), *last = NULL;

	assert_true(rb_check(t) >= 0);
	for (unsigned i = 0; i < NODES; i++) {
		if (!items[i].in)
			continue;
		assert_ptr_equal(n, &items[i].node);
		assert_ptr_equal(rb_prev(n), last);
		last = n;
		n = rb_next(n);
	}
	assert_null(n);
	assert_ptr_equal(rb_last(t), last);
}

static void random_operations_keep_order_and_balance(void **state)
{
	static struct item items[NODES];
	struct rb_tree t = { .root = NULL };

	(void)state;
	srandom(7);
	for (unsigned i = 0; i < NODES; i++)
		items[i].key = i;
	for (unsigned round = 0; round < 20000; round++) {
		struct item *e = &items[(unsigned long)random() % NODES];

		if (!e->in) {
			insert(&t, e);
		} else {
			rb_remove(&t, &e->node);
			e->in = false;
		}
		if (round % 97 == 0)
			assert_same(&t, items);
	}
	for (unsigned i = 0; i < NODES; i++)
		if (items[i].in) {
			rb_remove(&t, &items[i].node);
			items[i].in = false;
		}
	assert_true(rb_empty(&t));
}

static void ascending_insertion_stays_shallow(void **state)
{
	static struct item items[NODES];
	struct rb_tree t = { .root = NULL };

	(void)state;
	for (unsigned i = 0; i < NODES; i++) {
		items[i].key = i;
		insert(&t, &items[i]);
	}
	/* 512 nodes need a black height of at most 10: log2(n + 1) + 1. */
	assert_in_range(rb_check(&t), 5, 10);
	assert_same(&t, items);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_operations_keep_order_and_balance),
		cmocka_unit_test(ascending_insertion_stays_shallow),
	};

	return cmocka_run_group_tests_name("core/rbtree", tests, NULL, NULL);
}
