/* SPDX-License-Identifier: MIT */
/* Areas against a model with one byte a page; the tree's rules and the sums are checked after each change. */
#include "unit.h"

#include <cloudos/errno.h>
#include <cloudos/string.h>
#include "../../src/kernel/vm/vm_internal.h"

#define BASE   UINT64_C(0x10000000)
#define PAGES  96u
#define ROUNDS 4000

static struct vm_space *space;
static uint8_t model[PAGES]; /* 0: free; else 1 + prot */

static uint64_t seed = 7;
static unsigned below(unsigned n)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (unsigned)((seed >> 33) % n);
}

static uaddr_t addr_of(unsigned page)
{
	return BASE + ((uint64_t)page << PAGE_SHIFT);
}

static struct vm_map_request anonymous(uaddr_t addr, uint64_t len, uint32_t prot, bool fixed)
{
	return (struct vm_map_request){ .addr = addr, .len = len, .prot = prot, .may_prot = VM_PROT_ANY, .fixed = fixed };
}

static void check_tree(void)
{
	struct vm_area *a;
	uint64_t total = 0, data = 0;
	uaddr_t end = 0;
	uint32_t count = 0;

	assert_true(rb_check(&space->areas) >= 0);
	list_for_each(a, &space->area_list, link) {
		uint64_t largest = a->gap;

		assert_true(a->start >= end && a->end > a->start);
		assert_int_equal(a->gap, a->start - end);
		if (a->node.left)
			largest = max(largest, rb_entry(a->node.left, struct vm_area, node)->max_gap);
		if (a->node.right)
			largest = max(largest, rb_entry(a->node.right, struct vm_area, node)->max_gap);
		assert_int_equal(a->max_gap, largest);
		total += area_pages(a);
		data += a->prot & HAL_PROT_WRITE ? area_pages(a) : 0;
		end = a->end;
		count++;
	}
	assert_int_equal(space->total_pages, total);
	assert_int_equal(space->data_pages, data);
	assert_int_equal(space->area_count, count);
}

static void check_model(void)
{
	unsigned areas = 0;

	for (unsigned i = 0; i < PAGES; i++) {
		struct vm_area *a = area_find(space, addr_of(i));
		bool there = a && a->start <= addr_of(i);

		assert_int_equal(there, model[i] != 0);
		if (there)
			assert_int_equal(a->prot + 1, model[i]);
		if (model[i] && (i == 0 || model[i] != model[i - 1]))
			areas++;
	}
	assert_int_equal(space->area_count, areas); /* neighbours that are alike are one */
}

static bool model_covers(unsigned from, unsigned n)
{
	for (unsigned i = from; i < from + n; i++)
		if (!model[i])
			return false;
	return true;
}

static void change(void)
{
	unsigned from = below(PAGES), n = 1 + below(min(PAGES - from, 12u));
	uint32_t prot = below(2) ? HAL_PROT_READ : HAL_PROT_READ | HAL_PROT_WRITE;
	struct vm_map_request r = anonymous(addr_of(from), (uint64_t)n << PAGE_SHIFT, prot, true);
	uaddr_t at;

	switch (below(3)) {
	case 0:
		assert_int_equal(vm_map(space, &r, &at), 0);
		assert_int_equal(at, r.addr);
		memset(model + from, (int)prot + 1, n);
		break;
	case 1:
		assert_int_equal(vm_unmap(space, r.addr, r.len), 0);
		memset(model + from, 0, n);
		break;
	default:
		if (!model_covers(from, n)) {
			assert_int_equal(vm_protect(space, r.addr, r.len, prot), -ENOMEM);
			break;
		}
		assert_int_equal(vm_protect(space, r.addr, r.len, prot), 0);
		memset(model + from, (int)prot + 1, n);
	}
}

/* The highest run of n free pages that ends at or below page `top`; PAGES if there is none. */
static unsigned model_find(unsigned n, unsigned top)
{
	for (unsigned at = top >= n ? top - n + 1 : 0; at-- > 0;) {
		unsigned i = 0;

		while (i < n && !model[at + i])
			i++;
		if (i == n)
			return at;
	}
	return PAGES;
}

static void check_search(void)
{
	unsigned n = 1 + below(6), top = below(PAGES + 1);
	unsigned expected = model_find(n, top);
	uaddr_t at;

	if (expected != PAGES) {
		assert_true(area_find_free(space, (uint64_t)n << PAGE_SHIFT, addr_of(top), &at));
		assert_int_equal(at, addr_of(expected));
	} else if (area_find_free(space, (uint64_t)n << PAGE_SHIFT, addr_of(top), &at)) {
		assert_true(at < BASE); /* below what the model knows there is room always; it may straddle the base */
	}
}

static void random_changes_agree_with_the_model(void **state)
{
	(void)state;
	space = vm_space_create();
	memset(model, 0, sizeof(model));
	for (unsigned i = 0; i < ROUNDS; i++) {
		change();
		check_tree();
		check_model();
		check_search();
	}
	vm_space_put(space);
}

static void mappings_go_down_from_the_top_and_join(void **state)
{
	struct vm_map_request r = anonymous(0, 3 * PAGE_SIZE, HAL_PROT_READ | HAL_PROT_WRITE, false);
	uaddr_t first, second;

	(void)state;
	space = vm_space_create();
	assert_int_equal(vm_map(space, &r, &first), 0);
	assert_int_equal(first, space->map_top - 3 * PAGE_SIZE);
	assert_int_equal(vm_map(space, &r, &second), 0);
	assert_int_equal(second, first - 3 * PAGE_SIZE);
	assert_int_equal(space->area_count, 1);
	vm_space_put(space);
}

static void nothing_is_placed_in_the_gap_below_a_stack(void **state)
{
	struct vm_map_request r = anonymous(BASE, 4 * PAGE_SIZE, HAL_PROT_READ | HAL_PROT_WRITE, true);
	uaddr_t at;

	(void)state;
	space = vm_space_create();
	r.flags = VM_GROWSDOWN;
	assert_int_equal(vm_map(space, &r, &at), 0);
	assert_false(area_range_free(space, BASE - PAGE_SIZE, BASE));
	assert_true(area_find_free(space, PAGE_SIZE, BASE, &at));
	assert_int_equal(at, BASE - VM_GUARD_GAP - PAGE_SIZE);
	r = anonymous(BASE - PAGE_SIZE, PAGE_SIZE, HAL_PROT_READ, false);
	assert_int_equal(vm_map(space, &r, &at), 0);
	assert_int_not_equal(at, BASE - PAGE_SIZE);
	vm_space_put(space);
}

static void absurd_requests_are_refused(void **state)
{
	struct vm_map_request r = anonymous(0, 0, HAL_PROT_READ | HAL_PROT_WRITE, false);
	uaddr_t at = 1;

	(void)state;
	space = vm_space_create();
	assert_int_equal(vm_map(space, &r, &at), -EINVAL);
	r.len = UINT64_MAX;
	assert_int_equal(vm_map(space, &r, &at), -ENOMEM);
	r.len = HAL_USER_TOP;
	assert_int_equal(vm_map(space, &r, &at), -ENOMEM);
	r.len = UINT64_C(1) << 40; /* with 16 MiB of RAM */
	assert_int_equal(vm_map(space, &r, &at), -ENOMEM);
	r = anonymous(0x1000, PAGE_SIZE, HAL_PROT_READ, true);
	assert_int_equal(vm_map(space, &r, &at), -EPERM);
	r.addr = HAL_USER_TOP;
	assert_int_equal(vm_map(space, &r, &at), -ENOMEM);
	r.addr = BASE + 1;
	assert_int_equal(vm_map(space, &r, &at), -EINVAL);
	assert_int_equal(vm_unmap(space, BASE, 0), -EINVAL);
	assert_int_equal(vm_unmap(space, BASE, UINT64_MAX), -EINVAL);
	assert_int_equal(vm_unmap(space, HAL_USER_TOP - PAGE_SIZE, 2 * PAGE_SIZE), -EINVAL);
	assert_int_equal(at, 1);
	assert_int_equal(space->area_count, 0);
	vm_space_put(space);
}

static int setup(void **state)
{
	int err = unit_group_setup(state);

	return err ? err : vm_start();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		UNIT_TEST(random_changes_agree_with_the_model),
		UNIT_TEST(mappings_go_down_from_the_top_and_join),
		UNIT_TEST(nothing_is_placed_in_the_gap_below_a_stack),
		UNIT_TEST(absurd_requests_are_refused),
	};

	unit_machine = (struct unit_machine){ .memory_mib = 16, .cpus = 1 };
	return cmocka_run_group_tests_name("vm/area", tests, setup, NULL);
}
