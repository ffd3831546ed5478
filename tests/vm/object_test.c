/* SPDX-License-Identifier: MIT */
/* Reading and writing cache objects, and the iterators that carry the bytes. */
#include "unit.h"

#include <cloudos/errno.h>
#include <cloudos/string.h>
#include "../../src/kernel/vm/vm_internal.h"

#define SIZE 20000u

static uint64_t seed = 3;
static unsigned below(unsigned n)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (unsigned)((seed >> 33) % n);
}

static uint8_t model[SIZE], buffer[SIZE];
static uint64_t model_size;

static void random_write(struct vm_object *o)
{
	unsigned pos = below(SIZE), n = below(min(SIZE - pos, 9000u)), cut = n ? below(n) : 0;
	struct io_vec vec[3];
	struct io_iter it;

	for (unsigned i = 0; i < n; i++)
		buffer[i] = (uint8_t)below(256);
	vec[0] = (struct io_vec){ (uintptr_t)buffer, cut };
	vec[1] = (struct io_vec){ 0, 0 };
	vec[2] = (struct io_vec){ (uintptr_t)buffer + cut, n - cut };
	io_iter_vector(&it, vec, 3, n, false);
	assert_int_equal(vm_object_write(o, pos, &it), n);
	assert_int_equal(it.count, 0);
	memcpy(model + pos, buffer, n);
	if (n)
		model_size = max(model_size, (uint64_t)pos + n);
}

static void random_resize(struct vm_object *o)
{
	unsigned size = below(SIZE);

	assert_int_equal(vm_object_resize(o, size), 0);
	memset(model + size, 0, SIZE - size);
	model_size = size;
}

static void random_punch(struct vm_object *o)
{
	unsigned start = below(SIZE), end = start + below(SIZE - start);

	assert_int_equal(vm_object_punch(o, start, end), 0);
	memset(model + start, 0, end - start);
}

static void check(struct vm_object *o)
{
	unsigned pos = below(SIZE), n = below(SIZE - pos);
	ssize_t expected = pos >= model_size ? 0 : (ssize_t)min((uint64_t)n, model_size - pos);
	struct io_iter it;

	memset(buffer, 0xee, n);
	io_iter_kernel(&it, buffer, n);
	assert_int_equal(vm_object_read(o, pos, &it), expected);
	assert_memory_equal(buffer, model + pos, (size_t)expected);
	assert_int_equal(o->size, model_size);
	assert_true(o->pages.count <= (model_size + PAGE_SIZE - 1) >> PAGE_SHIFT);
}

static void random_changes_agree_with_an_array(void **state)
{
	struct vm_object *o = vm_object_create(NULL, NULL, 0);

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		switch (below(4)) {
		case 0:
			random_resize(o);
			break;
		case 1:
			random_punch(o);
			break;
		default:
			random_write(o);
		}
		check(o);
	}
	vm_object_put(o);
}

/* ---- quotas and owners ---- */

struct quota {
	uint64_t left;
	unsigned released;
};

static int charge(struct vm_object *o, uint64_t pages)
{
	struct quota *q = o->owner;

	if (q->left < pages)
		return -ENOSPC;
	q->left -= pages;
	return 0;
}

static void uncharge(struct vm_object *o, uint64_t pages)
{
	((struct quota *)o->owner)->left += pages;
}

static void release(struct vm_object *o)
{
	((struct quota *)o->owner)->released++;
}

static const struct vm_object_ops quota_ops = { .charge = charge, .uncharge = uncharge, .release = release };

static void a_quota_cuts_a_write_short(void **state)
{
	struct quota q = { .left = 3 };
	struct vm_object *o = vm_object_create(&quota_ops, &q, 0);
	struct io_iter it;

	(void)state;
	io_iter_kernel(&it, buffer, SIZE);
	assert_int_equal(vm_object_write(o, 0, &it), 3 * PAGE_SIZE);
	assert_int_equal(it.count, SIZE - 3 * PAGE_SIZE);
	assert_int_equal(vm_object_write(o, 3 * PAGE_SIZE, &it), -ENOSPC);
	assert_int_equal(it.count, SIZE - 3 * PAGE_SIZE);
	assert_int_equal(vm_object_resize(o, 1), 0);
	assert_int_equal(q.left, 2);
	vm_object_put(o);
	assert_int_equal(q.left, 3);
	assert_int_equal(q.released, 1);
}

static int read_page(struct vm_object *o, uint64_t index, struct page *page)
{
	(void)o;
	if (index == 2)
		return -EIO;
	*(uint64_t *)page_virt(page) = index + 1;
	return 0;
}

static const struct vm_object_ops file_ops = { .read_page = read_page };

static void pages_are_read_from_the_owner(void **state)
{
	struct vm_object *o = vm_object_create(&file_ops, NULL, 4 * PAGE_SIZE);
	uint64_t value = 99;
	struct io_iter it;

	(void)state;
	io_iter_kernel(&it, &value, sizeof(value));
	assert_int_equal(vm_object_read(o, PAGE_SIZE, &it), 8);
	assert_int_equal(value, 2);
	io_iter_kernel(&it, &value, sizeof(value));
	assert_int_equal(vm_object_read(o, 2 * PAGE_SIZE, &it), -EIO);
	io_iter_kernel(&it, &value, sizeof(value));
	assert_int_equal(vm_object_write(o, 8, &it), 8); /* the rest of the page comes from the owner */
	io_iter_kernel(&it, buffer, 16);
	assert_int_equal(vm_object_read(o, 0, &it), 16);
	assert_int_equal(*(uint64_t *)(void *)buffer, 1);
	vm_object_put(o);
}

static void holes_and_data_are_found(void **state)
{
	struct vm_object *o = vm_object_create(NULL, NULL, 10 * PAGE_SIZE);
	struct io_iter it;

	(void)state;
	io_iter_kernel(&it, buffer, 100);
	assert_int_equal(vm_object_write(o, 3 * PAGE_SIZE + 50, &it), 100);
	assert_int_equal(vm_object_seek(o, 5, true), 3 * PAGE_SIZE);
	assert_int_equal(vm_object_seek(o, 5, false), 5);
	assert_int_equal(vm_object_seek(o, 3 * PAGE_SIZE + 7, true), 3 * PAGE_SIZE + 7);
	assert_int_equal(vm_object_seek(o, 3 * PAGE_SIZE + 7, false), 4 * PAGE_SIZE);
	assert_int_equal(vm_object_seek(o, 4 * PAGE_SIZE, true), -ENXIO);
	assert_int_equal(vm_object_seek(o, 10 * PAGE_SIZE, false), -ENXIO);
	vm_object_put(o);
}

static void iterators_go_back_over_buffers(void **state)
{
	struct io_vec vec[] = { { (uintptr_t)buffer, 3 }, { 0, 0 }, { (uintptr_t)buffer + 3, 4 }, { (uintptr_t)buffer + 7, 5 } };
	struct io_iter it;

	(void)state;
	io_iter_vector(&it, vec, 4, 12, false);
	for (unsigned n = 0; n <= 12; n++) {
		io_advance(&it, n);
		assert_int_equal(it.count, 12 - n);
		io_revert(&it, n);
		assert_int_equal(it.count, 12);
	}
	assert_int_equal(io_copy_to(&it, "abcdefghijkl", 20), 12);
	assert_memory_equal(buffer, "abcdefghijkl", 12);
}

static int setup(void **state)
{
	int err = unit_group_setup(state);

	return err ? err : vm_start();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		UNIT_TEST(random_changes_agree_with_an_array),
		UNIT_TEST(a_quota_cuts_a_write_short),
		UNIT_TEST(pages_are_read_from_the_owner),
		UNIT_TEST(holes_and_data_are_found),
		UNIT_TEST(iterators_go_back_over_buffers),
	};

	unit_machine = (struct unit_machine){ .memory_mib = 16, .cpus = 1 };
	return cmocka_run_group_tests_name("vm/object", tests, setup, NULL);
}
