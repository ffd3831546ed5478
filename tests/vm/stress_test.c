/* SPDX-License-Identifier: MIT */
/*
 * Several CPUs at one address space and one object: threads that touch, map, unmap, protect, fork and truncate at once. Each thread has pages of
 * its own whose contents it checks; what is shared must merely never show what nobody wrote.
 */
#include "unit.h"

#include <asm/mman.h>
#include <cloudos/errno.h>
#include <cloudos/thread.h>
#include <cloudos/uaccess.h>
#include "../../src/kernel/vm/vm_internal.h"

#define CPUS	4u
#define ROUNDS	300u
#define OWN(i)	(UINT64_C(0x40000000) + (uint64_t)(i) * (UINT64_C(8) << 20))
#define SHARED	UINT64_C(0x30000000)
#define PAGES	32u
#define RW	(HAL_PROT_READ | HAL_PROT_WRITE)
#define PATTERN UINT64_C(0xabc0000000000000)

static struct vm_space *space;
static struct vm_object *object;
static uint32_t running, errors;

static void failed_at(unsigned what)
{
	uint32_t none = 0;

	__atomic_compare_exchange_n(&errors, &none, what, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

static uint64_t word_of(unsigned self, unsigned round, unsigned page)
{
	return PATTERN | (uint64_t)self << 40 | (uint64_t)round << 16 | page;
}

static void map_own(unsigned self)
{
	struct vm_map_request r = { .addr = OWN(self), .len = PAGES * PAGE_SIZE, .prot = RW, .may_prot = VM_PROT_ANY,
				    .fixed = true };
	uaddr_t at;

	if (vm_map(space, &r, &at))
		failed_at(1);
}

static void fill_own(unsigned self, unsigned round)
{
	for (unsigned i = 0; i < PAGES; i++) {
		uint64_t word = word_of(self, round, i);

		if (copy_to_user(OWN(self) + i * PAGE_SIZE, &word, sizeof(word)))
			failed_at(2);
	}
}

static void check_own(struct vm_space *s, unsigned self, unsigned round)
{
	for (unsigned i = 0; i < PAGES; i++) {
		uint64_t word = 0;

		if (vm_access(s, OWN(self) + i * PAGE_SIZE, &word, sizeof(word), false, false) != sizeof(word))
			failed_at(3);
		else if (word != word_of(self, round, i))
			failed_at(4);
	}
}

/* Writes and reads the shared object's mapping; another thread may have taken its pages away: then it is a bad address. */
static void use_shared(unsigned self, unsigned round)
{
	uaddr_t at = SHARED + (round * 7 + self) % PAGES * PAGE_SIZE;
	uint64_t word = word_of(self, round, 0);

	if (copy_to_user(at, &word, sizeof(word)) == 0 && copy_from_user(&word, at, sizeof(word)) == 0)
		if (word != 0 && (word & PATTERN) != PATTERN)
			failed_at(5);
}

static void fork_and_check(unsigned self, unsigned round)
{
	struct vm_space *child;

	if (vm_space_fork(space, &child)) {
		failed_at(6);
		return;
	}
	fill_own(self, round + 1); /* in the parent: the child must keep the old ones */
	check_own(child, self, round);
	vm_space_put(child);
	fill_own(self, round);
}

static void one_round(unsigned self, unsigned round)
{
	map_own(self);
	fill_own(self, round);
	use_shared(self, round);
	switch ((round + self) % 5) {
	case 0:
		fork_and_check(self, round);
		break;
	case 1:
		if (vm_protect(space, OWN(self), PAGES / 2 * PAGE_SIZE, HAL_PROT_READ))
			failed_at(7);
		break;
	case 2:
		vm_object_resize(object, (round % PAGES) * PAGE_SIZE + 100);
		break;
	case 3:
		vm_object_resize(object, PAGES * PAGE_SIZE);
		vm_object_punch(object, PAGE_SIZE, 9 * PAGE_SIZE);
		break;
	default:
		if (vm_advise(space, SHARED, PAGES * PAGE_SIZE, MADV_DONTNEED))
			failed_at(8);
	}
	check_own(space, self, round);
	if (round % 3 && vm_unmap(space, OWN(self), PAGES * PAGE_SIZE))
		failed_at(9);
}

static void worker(void *arg)
{
	unsigned self = (unsigned)(uintptr_t)arg;

	thread_set_affinity(thread_current(), UINT64_C(1) << self);
	vm_space_get(space);
	vm_space_switch(space);
	for (unsigned round = 0; round < ROUNDS && !READ_ONCE(errors); round++) {
		one_round(self, round);
		thread_yield();
	}
	vm_space_switch(NULL);
	__atomic_fetch_sub(&running, 1, __ATOMIC_RELEASE);
}

static void many_threads_share_a_space(void **state)
{
	struct vm_map_request r = { .addr = SHARED, .len = PAGES * PAGE_SIZE, .prot = RW, .may_prot = VM_PROT_ANY,
				    .flags = VM_SHARED, .fixed = true };
	uaddr_t at;

	(void)state;
	space = vm_space_create();
	object = vm_object_create(NULL, NULL, PAGES * PAGE_SIZE);
	r.object = object;
	assert_int_equal(vm_map(space, &r, &at), 0);
	running = CPUS;
	for (unsigned i = 0; i < CPUS; i++)
		assert_int_equal(thread_spawn("stress", worker, (void *)(uintptr_t)i), 0);
	while (__atomic_load_n(&running, __ATOMIC_ACQUIRE) > 0)
		thread_delay(NSEC_PER_MSEC);
	assert_int_equal(errors, 0);
	vm_space_put(space);
	assert_int_equal(refcount_read(&object->refs), 1);
	vm_object_put(object);
}

static int setup(void **state)
{
	int err = unit_group_setup(state);

	return err ? err : vm_start();
}

int main(void)
{
	static const struct CMUnitTest tests[] = { UNIT_TEST(many_threads_share_a_space) };

	unit_machine = (struct unit_machine){ .memory_mib = 32, .cpus = CPUS };
	return cmocka_run_group_tests_name("vm/stress", tests, setup, NULL);
}
