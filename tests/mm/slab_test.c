/* SPDX-License-Identifier: MIT */
/* Slabs, kmalloc and kernel virtual areas. */
#include "unit.h"
#include <cloudos/mm.h>
#include <cloudos/string.h>

#define MANY 2000

static void objects_do_not_overlap_and_are_aligned(void **state)
{
	static unsigned char *objects[MANY];
	struct slab_cache *c = slab_cache_create("test-72", 72, 8);

	(void)state;
	assert_non_null(c);
	for (size_t i = 0; i < MANY; i++) {
		objects[i] = slab_alloc(c);
		assert_non_null(objects[i]);
		assert_true(is_aligned((uintptr_t)objects[i], 8));
		memset(objects[i], (int)i, 72);
	}
	for (size_t i = 0; i < MANY; i++) {
		for (size_t at = 0; at < 72; at++)
			assert_int_equal(objects[i][at], i & 255);
		slab_free(c, objects[i]);
	}
	slab_cache_destroy(c);
}

static void zalloc_clears_what_was_used_before(void **state)
{
	struct slab_cache *c = slab_cache_create("test-128", 128, 64);
	unsigned char *object;

	(void)state;
	for (int round = 0; round < 300; round++) {
		object = slab_zalloc(c);
		assert_true(is_aligned((uintptr_t)object, 64));
		for (size_t i = 0; i < 128; i++)
			assert_int_equal(object[i], 0);
		memset(object, 0xee, 128);
		slab_free(c, object);
	}
	slab_cache_destroy(c);
}

static void large_objects_span_pages(void **state)
{
	struct slab_cache *c = slab_cache_create("test-5000", 5000, 0);
	unsigned char *objects[20];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(objects); i++) {
		objects[i] = slab_alloc(c);
		memset(objects[i], (int)i, 5000);
	}
	for (size_t i = 0; i < ARRAY_SIZE(objects); i++) {
		assert_int_equal(objects[i][4999], i);
		slab_free(c, objects[i]);
	}
	slab_cache_destroy(c);
}

static void kmalloc_of_every_size(void **state)
{
	(void)state;
	for (size_t size = 0; size < 9000; size += 37) {
		unsigned char *p = kmalloc(size);

		assert_non_null(p);
		assert_true(is_aligned((uintptr_t)p, 16));
		memset(p, 0xaa, size);
		kfree(p);
	}
	kfree(NULL);
}

static void kcalloc_checks_its_product(void **state)
{
	char *p;

	(void)state;
	assert_null(kcalloc(SIZE_MAX / 2, 3));
	assert_null(kmalloc(SIZE_MAX));
	p = kcalloc(10, 10);
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(p[i], 0);
	kfree(p);
	p = kstrdup("text");
	assert_string_equal(p, "text");
	kfree_secret(p, 5);
}

static void out_of_memory_is_a_null(void **state)
{
	void **taken = NULL, **p;

	(void)state;
	while ((p = kmalloc(PAGE_SIZE))) {
		*p = taken;
		taken = p;
	}
	while (taken) {
		p = taken;
		taken = *p;
		kfree(p);
	}
}

static void virtual_areas_are_cleared_and_come_back(void **state)
{
	(void)state;
	for (int round = 0; round < 20; round++) {
		unsigned char *a = kva_alloc(10000), *b = kva_alloc(1);

		assert_non_null(a);
		assert_non_null(b);
		for (size_t i = 0; i < 3 * PAGE_SIZE; i++)
			assert_int_equal(a[i], 0);
		memset(a, 1, 3 * PAGE_SIZE);
		memset(b, 2, PAGE_SIZE);
		assert_int_equal(a[3 * PAGE_SIZE - 1], 1);
		kva_free(a);
		kva_free(b);
	}
	kva_free(NULL);
	assert_null(kva_alloc(0));
	assert_null(kva_alloc(SIZE_MAX));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		UNIT_TEST(objects_do_not_overlap_and_are_aligned),
		UNIT_TEST(zalloc_clears_what_was_used_before),
		UNIT_TEST(large_objects_span_pages),
		UNIT_TEST(kmalloc_of_every_size),
		UNIT_TEST(kcalloc_checks_its_product),
		UNIT_TEST(out_of_memory_is_a_null),
		UNIT_TEST(virtual_areas_are_cleared_and_come_back),
	};

	return UNIT_MAIN(tests, 32, 1);
}
