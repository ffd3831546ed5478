/* SPDX-License-Identifier: MIT */
/* What programs see of their memory: through vm_access, and through the running thread's own copies and faults. */
#include "unit.h"

#include <asm/mman.h>
#include <asm/siginfo.h>
#include <asm/signal.h>
#include <linux/mman.h>
#include <cloudos/errno.h>
#include <cloudos/string.h>
#include <cloudos/swap.h>
#include <cloudos/uaccess.h>
#include "../../src/kernel/vm/vm_internal.h"

#define AT   UINT64_C(0x20000000)
#define RW   (HAL_PROT_READ | HAL_PROT_WRITE)
#define HUGE (UINT64_C(1) << 30)

static uaddr_t map(struct vm_space *s, uaddr_t addr, uint64_t pages, uint32_t prot, uint32_t flags, struct vm_object *o)
{
	struct vm_map_request r = { .addr = addr, .len = pages << PAGE_SHIFT, .prot = prot, .may_prot = VM_PROT_ANY,
				    .flags = flags, .object = o, .fixed = addr != 0 };
	uaddr_t at = 0;

	assert_int_equal(vm_map(s, &r, &at), 0);
	return at;
}

static void put(struct vm_space *s, uaddr_t addr, uint64_t value)
{
	assert_int_equal(vm_access(s, addr, &value, sizeof(value), true, false), sizeof(value));
}

static uint64_t get(struct vm_space *s, uaddr_t addr)
{
	uint64_t value = 0;

	assert_int_equal(vm_access(s, addr, &value, sizeof(value), false, false), sizeof(value));
	return value;
}

static void pages_come_on_demand_and_go(void **state)
{
	struct vm_space *s = vm_space_create();

	(void)state;
	map(s, AT, HUGE >> PAGE_SHIFT >> 4, RW, 0, NULL);
	assert_int_equal(get(s, AT + 4096), 0);
	assert_int_equal(s->resident_pages, 0); /* the page of zeros is nobody's */
	put(s, AT + 4096, 5);
	put(s, AT + HUGE / 16 - 8, 6);
	assert_int_equal(s->resident_pages, 2);
	assert_int_equal(s->anon_pages, 2);
	assert_int_equal(get(s, AT + 4096), 5);
	assert_int_equal(vm_advise(s, AT, HUGE / 32, MADV_DONTNEED), 0);
	assert_int_equal(get(s, AT + 4096), 0);
	assert_int_equal(get(s, AT + HUGE / 16 - 8), 6);
	assert_int_equal(vm_unmap(s, AT, HUGE / 16), 0);
	assert_int_equal(s->resident_pages, 0);
	assert_int_equal(s->table_pages, 1);
	vm_space_put(s);
}

static void fork_copies_on_write(void **state)
{
	struct vm_space *parent = vm_space_create(), *child, *grandchild;

	(void)state;
	map(parent, AT, 600, RW, 0, NULL);
	for (unsigned i = 0; i < 600; i += 7)
		put(parent, AT + i * PAGE_SIZE, i);
	assert_int_equal(vm_space_fork(parent, &child), 0);
	put(parent, AT, 100);
	put(child, AT + 7 * PAGE_SIZE, 200);
	assert_int_equal(vm_space_fork(child, &grandchild), 0);
	put(grandchild, AT + 14 * PAGE_SIZE, 300);
	assert_int_equal(get(child, AT), 0);
	assert_int_equal(get(parent, AT + 7 * PAGE_SIZE), 7);
	assert_int_equal(get(grandchild, AT + 7 * PAGE_SIZE), 200);
	assert_int_equal(get(child, AT + 14 * PAGE_SIZE), 14);
	assert_int_equal(get(child, AT + 595 * PAGE_SIZE), 595);
	vm_space_put(child);
	put(parent, AT + 21 * PAGE_SIZE, 1);
	assert_int_equal(get(grandchild, AT + 21 * PAGE_SIZE), 21);
	vm_space_put(grandchild);
	put(parent, AT + 28 * PAGE_SIZE, 2);
	assert_int_equal(get(parent, AT + 28 * PAGE_SIZE), 2);
	vm_space_put(parent);
}

static void shared_memory_is_shared_and_the_rest_as_advised(void **state)
{
	struct vm_object *o = vm_object_create(NULL, NULL, 4 * PAGE_SIZE);
	struct vm_space *parent = vm_space_create(), *child;

	(void)state;
	map(parent, AT, 4, RW, VM_SHARED, o);
	map(parent, 2 * AT, 1, RW, 0, NULL);
	map(parent, 3 * AT, 1, RW, 0, NULL);
	put(parent, 2 * AT, 1);
	put(parent, 3 * AT, 1);
	assert_int_equal(vm_advise(parent, 2 * AT, PAGE_SIZE, MADV_WIPEONFORK), 0);
	assert_int_equal(vm_advise(parent, 3 * AT, PAGE_SIZE, MADV_DONTFORK), 0);
	assert_int_equal(vm_space_fork(parent, &child), 0);
	put(parent, AT + 8, 9);
	assert_int_equal(get(child, AT + 8), 9);
	assert_int_equal(get(child, 2 * AT), 0);
	assert_int_equal(vm_access(child, 3 * AT, &(uint64_t){ 0 }, 8, false, true), -EFAULT);
	vm_space_put(parent);
	assert_int_equal(get(child, AT + 8), 9);
	vm_space_put(child);
	vm_object_put(o);
}

static void private_file_pages_are_copied_when_written(void **state)
{
	struct vm_object *o = vm_object_create(NULL, NULL, 0);
	struct vm_space *s = vm_space_create(), *child;
	uint64_t words[1024];
	struct io_iter it;

	(void)state;
	for (unsigned i = 0; i < 1024; i++)
		words[i] = i;
	io_iter_kernel(&it, words, sizeof(words));
	assert_int_equal(vm_object_write(o, 0, &it), sizeof(words));
	map(s, AT, 4, RW, 0, o);
	assert_int_equal(get(s, AT + 8), 1);
	assert_int_equal(get(s, AT + 4096), 512);
	assert_int_equal(s->resident_pages, 2); /* the second came with the first */
	put(s, AT + 4096, 77);
	assert_int_equal(vm_space_fork(s, &child), 0);
	assert_int_equal(get(child, AT + 4096), 77);
	assert_int_equal(get(child, AT + 8), 1);
	io_iter_kernel(&it, words, 8);
	assert_int_equal(vm_object_read(o, 4096, &it), 8);
	assert_int_equal(words[0], 512);
	assert_int_equal(vm_access(s, AT + 2 * PAGE_SIZE, words, 8, false, false), -EFAULT); /* behind the end */
	vm_space_put(child);
	vm_space_put(s);
	vm_object_put(o);
}

static void truncation_takes_mapped_pages_away(void **state)
{
	struct vm_object *o = vm_object_create(NULL, NULL, 3 * PAGE_SIZE);
	struct vm_space *s = vm_space_create();

	(void)state;
	map(s, AT, 3, RW, VM_SHARED, o);
	for (unsigned i = 0; i < 3; i++)
		put(s, AT + i * PAGE_SIZE + 4088, i + 1);
	assert_int_equal(vm_object_resize(o, PAGE_SIZE + 100), 0);
	assert_int_equal(s->resident_pages, 2);
	assert_int_equal(get(s, AT + 4088), 1);
	assert_int_equal(get(s, AT + PAGE_SIZE + 4088), 0);
	assert_int_equal(vm_access(s, AT + 2 * PAGE_SIZE, &(uint64_t){ 0 }, 8, false, false), -EFAULT);
	assert_int_equal(vm_object_resize(o, 3 * PAGE_SIZE), 0);
	assert_int_equal(get(s, AT + 2 * PAGE_SIZE + 4088), 0);
	put(s, AT, 5);
	assert_int_equal(vm_object_punch(o, 0, PAGE_SIZE + 4090), 0);
	assert_int_equal(get(s, AT), 0);
	vm_space_put(s);
	vm_object_put(o);
}

static void protection_is_kept(void **state)
{
	struct vm_space *s = vm_space_create();
	uint64_t value = 3;

	(void)state;
	map(s, AT, 3, RW, 0, NULL);
	put(s, AT + PAGE_SIZE, 1);
	assert_int_equal(vm_protect(s, AT + PAGE_SIZE, PAGE_SIZE, HAL_PROT_READ), 0);
	assert_int_equal(s->area_count, 3);
	assert_int_equal(vm_access(s, AT + PAGE_SIZE, &value, 8, true, false), -EFAULT);
	assert_int_equal(vm_access(s, AT + PAGE_SIZE, &value, 8, true, true), 8); /* a debugger may */
	assert_int_equal(get(s, AT + PAGE_SIZE), 3);
	assert_int_equal(vm_protect(s, AT + PAGE_SIZE, PAGE_SIZE, 0), 0);
	assert_int_equal(vm_access(s, AT + PAGE_SIZE, &value, 8, false, false), -EFAULT);
	assert_int_equal(vm_protect(s, AT, 3 * PAGE_SIZE, RW), 0);
	assert_int_equal(s->area_count, 1);
	assert_int_equal(get(s, AT + PAGE_SIZE), 3);
	put(s, AT + PAGE_SIZE, 4);
	assert_int_equal(s->resident_pages, 1);
	vm_space_put(s);
}

static void remap_moves_pages(void **state)
{
	struct vm_space *s = vm_space_create();
	uaddr_t at;

	(void)state;
	map(s, AT, 520, RW, 0, NULL);
	map(s, AT + 520 * PAGE_SIZE, 1, HAL_PROT_READ, 0, NULL);
	put(s, AT, 1);
	put(s, AT + 519 * PAGE_SIZE, 2);
	assert_int_equal(vm_remap(s, AT, 520 * PAGE_SIZE, 600 * PAGE_SIZE, 0, 0, &at), -ENOMEM);
	assert_int_equal(vm_remap(s, AT, 520 * PAGE_SIZE, 600 * PAGE_SIZE, MREMAP_MAYMOVE, 0, &at), 0);
	assert_int_equal(get(s, at), 1);
	assert_int_equal(get(s, at + 519 * PAGE_SIZE), 2);
	assert_int_equal(get(s, at + 599 * PAGE_SIZE), 0);
	assert_int_equal(vm_access(s, AT, &(uint64_t){ 0 }, 8, false, false), -EFAULT);
	assert_int_equal(vm_remap(s, at, 600 * PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, 5 * AT, &at), 0);
	assert_int_equal(at, 5 * AT);
	assert_int_equal(get(s, at), 1);
	assert_int_equal(s->resident_pages, 1);
	assert_int_equal(vm_remap(s, at, PAGE_SIZE, 3 * PAGE_SIZE, 0, 0, &at), 0); /* in place */
	assert_int_equal(vm_remap(s, at + 1, PAGE_SIZE, PAGE_SIZE, 0, 0, &at), -EINVAL);
	assert_int_equal(vm_remap(s, 9 * AT, PAGE_SIZE, 2 * PAGE_SIZE, 0, 0, &at), -EFAULT);
	vm_space_put(s);
}

/* ---- the running thread's own space ---- */

static int fault(uaddr_t addr, enum hal_access access, struct vm_fault_error *error)
{
	*error = (struct vm_fault_error){ 0 };
	return vm_fault(addr, access, error);
}

static void bad_addresses_get_their_signal(void **state)
{
	struct vm_object *o = vm_object_create(NULL, NULL, PAGE_SIZE);
	struct vm_space *s = vm_space_create();
	struct vm_fault_error e;

	(void)state;
	assert_int_equal(fault(AT, HAL_ACCESS_READ, &e), -EFAULT); /* no space at all */
	vm_space_switch(s);
	map(s, AT, 1, HAL_PROT_READ, 0, NULL);
	map(s, 2 * AT, 2, RW, VM_SHARED, o);
	assert_int_equal(fault(AT, HAL_ACCESS_READ, &e), 0);
	assert_int_equal(fault(AT, HAL_ACCESS_WRITE, &e), -EFAULT);
	assert_int_equal(e.signo == SIGSEGV && e.code == SEGV_ACCERR, 1);
	assert_int_equal(fault(AT, HAL_ACCESS_EXEC, &e), -EFAULT);
	assert_int_equal(fault(AT - 1, HAL_ACCESS_READ, &e), -EFAULT);
	assert_int_equal(e.signo == SIGSEGV && e.code == SEGV_MAPERR, 1);
	assert_int_equal(fault(UINT64_MAX, HAL_ACCESS_WRITE, &e), -EFAULT);
	assert_int_equal(fault(2 * AT + PAGE_SIZE, HAL_ACCESS_WRITE, &e), -EFAULT);
	assert_int_equal(e.signo == SIGBUS && e.code == BUS_ADRERR, 1);
	vm_space_switch(NULL);
	vm_object_put(o);
}

static void a_stack_grows_to_its_limit(void **state)
{
	struct vm_space *s = vm_space_create();
	struct vm_fault_error e;

	(void)state;
	vm_space_switch(s);
	s->limit_stack = 16 * PAGE_SIZE;
	map(s, AT, 1, RW, 0, NULL);
	map(s, AT + VM_GUARD_GAP + 12 * PAGE_SIZE, 4, RW, VM_GROWSDOWN, NULL);
	assert_int_equal(fault(AT + VM_GUARD_GAP + 5 * PAGE_SIZE, HAL_ACCESS_WRITE, &e), 0);
	assert_int_equal(fault(AT + VM_GUARD_GAP + PAGE_SIZE, HAL_ACCESS_WRITE, &e), 0);
	assert_int_equal(fault(AT + VM_GUARD_GAP, HAL_ACCESS_WRITE, &e), -EFAULT); /* the gap to what lies below */
	s->limit_stack = 15 * PAGE_SIZE;
	assert_int_equal(vm_unmap(s, AT, PAGE_SIZE), 0);
	assert_int_equal(fault(AT + VM_GUARD_GAP, HAL_ACCESS_WRITE, &e), -EFAULT); /* the limit */
	assert_int_equal(e.signo, SIGSEGV);
	vm_space_switch(NULL);
}

static void user_copies_fault_pages_in(void **state)
{
	struct vm_space *s = vm_space_create();
	char text[6000], back[6000];

	(void)state;
	vm_space_switch(s);
	map(s, AT, 2, RW, 0, NULL);
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * 7);
	assert_int_equal(copy_to_user(AT + 100, text, sizeof(text)), 0);
	assert_int_equal(copy_from_user(back, AT + 100, sizeof(back)), 0);
	assert_memory_equal(text, back, sizeof(text));
	assert_int_equal(copy_to_user(AT + 3000, text, sizeof(text)), -EFAULT);
	assert_int_equal(copy_from_user(back, UINT64_MAX - 10, 20), -EFAULT);
	vm_space_switch(NULL);
}

static void the_heap_grows_and_shrinks(void **state)
{
	struct vm_space *s = vm_space_create();

	(void)state;
	s->brk_start = s->brk_end = AT + 100;
	assert_int_equal(vm_brk(s, 0), AT + 100);
	assert_int_equal(vm_brk(s, AT + 3 * PAGE_SIZE), AT + 3 * PAGE_SIZE);
	put(s, AT + 2 * PAGE_SIZE, 1);
	assert_int_equal(vm_brk(s, AT + 2 * PAGE_SIZE), AT + 2 * PAGE_SIZE);
	assert_int_equal(s->resident_pages, 0);
	map(s, AT + 8 * PAGE_SIZE, 1, RW, 0, NULL);
	assert_int_equal(vm_brk(s, AT + 9 * PAGE_SIZE), AT + 2 * PAGE_SIZE); /* something is in the way */
	assert_int_equal(vm_brk(s, AT + 100), AT + 100);
	assert_int_equal(vm_brk(s, UINT64_MAX), AT + 100);
	vm_space_put(s);
}

/* Memory runs out under a fault and under a fork: an error, and all of it comes back. */
static void out_of_memory_is_an_error(void **state)
{
	struct vm_space *s = vm_space_create(), *children[32];
	uint64_t pages = 0, value = 1;
	unsigned n = 0;
	int err = 0;

	(void)state;
	map(s, AT, 1 << 14, RW, VM_NORESERVE, NULL);
	while (vm_access(s, AT + pages * PAGE_SIZE, &value, 8, true, false) == 8)
		pages++;
	assert_true(pages > 1000 && pages < 1 << 14);
	while (n < ARRAY_SIZE(children) && (err = vm_space_fork(s, &children[n])) == 0) /* the kernel may use what programs may not */
		n++;
	assert_int_equal(err, -ENOMEM);
	while (n-- > 0)
		vm_space_put(children[n]);
	assert_int_equal(get(s, AT + (pages - 1) * PAGE_SIZE), 1);
	vm_space_put(s);
}

static bool somebody_dies(struct memory_group *g)
{
	(void)g;
	return true;
}

/* Memory comes free, and is somebody else's before the waiter has it, again and again. */
static void who_waits_for_memory_is_not_given_up_for_being_slow(void **state)
{
	struct reclaim_tries tries = { 0 };
	struct page *first = NULL, *p;
	unsigned turns = 0;

	(void)state;
	reclaim_out_of_memory = somebody_dies;
	for (bool again = true; again && turns < 20; turns++) {
		while ((p = page_alloc_as(PAGE_USER, 0, PAGE_ALLOC_USER))) {
			p->index = (uint64_t)(uintptr_t)first;
			first = p;
		}
		again = reclaim_wait(&tries); /* none is free */
		for (unsigned i = 0; i < 512; i++) {
			p = first;
			first = (struct page *)(uintptr_t)p->index;
			page_put(p);
		}
		again &= reclaim_wait(&tries); /* some are */
	}
	while ((p = first)) {
		first = (struct page *)(uintptr_t)p->index;
		page_put(p);
	}
	reclaim_out_of_memory = NULL;
	assert_int_equal(turns, 20);
	turns = 0;
	while (reclaim_wait(&tries)) /* what fails with memory there is given up */
		assert_true(++turns < 100);
}

static void futexes_are_named_alike_by_all_who_share_them(void **state)
{
	struct vm_object *o = vm_object_create(NULL, NULL, 4 * PAGE_SIZE);
	struct vm_space *s = vm_space_create();
	struct vm_futex_key a, b;

	(void)state;
	vm_space_switch(s);
	map(s, AT, 4, RW, VM_SHARED, o);
	map(s, 2 * AT, 4, RW, VM_SHARED, o);
	map(s, 3 * AT, 1, RW, 0, NULL);
	assert_int_equal(vm_futex_key(AT + 4100, false, &a), 0);
	assert_int_equal(vm_futex_key(2 * AT + 4100, false, &b), 0);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_int_equal(vm_futex_key(3 * AT, false, &a), 0);
	assert_int_equal(vm_futex_key(3 * AT, true, &b), 0);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_int_equal(vm_futex_key(AT + 2, true, &a), -EINVAL);
	assert_int_equal(vm_futex_key(4 * AT, false, &a), -EFAULT);
	assert_int_equal(vm_futex_key(UINT64_MAX - 3, true, &a), -EFAULT);
	vm_space_switch(NULL);
	vm_object_put(o);
}

static int setup(void **state)
{
	int err = unit_group_setup(state);

	return err ? err : vm_start();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		UNIT_TEST(pages_come_on_demand_and_go),
		UNIT_TEST(fork_copies_on_write),
		UNIT_TEST(shared_memory_is_shared_and_the_rest_as_advised),
		UNIT_TEST(private_file_pages_are_copied_when_written),
		UNIT_TEST(truncation_takes_mapped_pages_away),
		UNIT_TEST(protection_is_kept),
		UNIT_TEST(remap_moves_pages),
		UNIT_TEST(bad_addresses_get_their_signal),
		UNIT_TEST(a_stack_grows_to_its_limit),
		UNIT_TEST(user_copies_fault_pages_in),
		UNIT_TEST(the_heap_grows_and_shrinks),
		UNIT_TEST(out_of_memory_is_an_error),
		UNIT_TEST(who_waits_for_memory_is_not_given_up_for_being_slow),
		UNIT_TEST(futexes_are_named_alike_by_all_who_share_them),
	};

	unit_machine = (struct unit_machine){ .memory_mib = 16, .cpus = 1 };
	return cmocka_run_group_tests_name("vm/space", tests, setup, NULL);
}
