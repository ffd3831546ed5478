/* SPDX-License-Identifier: MIT */
/* Rings of bytes: order, wrap-around, bounds. */
#include "unit.h"
#include <cloudos/errno.h>
#include <cloudos/mm.h>
#include <cloudos/ring.h>
#include <cloudos/string.h>

#define BYTES (4 * PAGE_SIZE)

static void *slots[BYTES / PAGE_SIZE];
static struct ring r;
static uint8_t out[BYTES + 16], in[BYTES + 16];

static ssize_t put(size_t len)
{
	struct io_iter it;

	io_iter_kernel(&it, in, len);
	return ring_put(&r, &it, len);
}

static ssize_t get(size_t len)
{
	struct io_iter it;

	io_iter_kernel(&it, out, len);
	return ring_get(&r, &it, len);
}

static void begin(void)
{
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i * 7 + (i >> 8));
	ring_init(&r, slots, BYTES);
}

static void bytes_come_out_in_order(void **state)
{
	(void)state;
	begin();
	assert_int_equal(put(5000), 5000);
	assert_int_equal(get(5000), 5000);
	assert_memory_equal(out, in, 5000);
	assert_int_equal(r.head, 0); /* I3 */
	ring_fini(&r);
}

static void a_ring_takes_no_more_than_it_holds(void **state)
{
	(void)state;
	begin();
	assert_int_equal(put(BYTES + 1), BYTES);
	assert_int_equal(put(1), 0);
	assert_int_equal(ring_space(&r), 0);
	assert_int_equal(get(sizeof(out)), BYTES);
	assert_memory_equal(out, in, BYTES);
	ring_fini(&r);
}

static void it_wraps(void **state)
{
	(void)state;
	begin();
	put(BYTES);
	for (unsigned i = 0; i < 300; i++) {
		assert_int_equal(get(1000), 1000);
		assert_int_equal(put(1000), 1000);
	}
	assert_int_equal(ring_used(&r), BYTES);
	get(BYTES - 1000);
	get(1000);
	assert_memory_equal(out, in, 1000);
	ring_fini(&r);
}

static void a_small_ring_stays_in_its_first_page(void **state)
{
	(void)state;
	begin();
	for (unsigned i = 0; i < 10000; i++) {
		put(3);
		get(3);
	}
	assert_null(slots[1]);
	ring_fini(&r);
}

static void peek_and_copy_leave_it_alone(void **state)
{
	static void *other_slots[BYTES / PAGE_SIZE];
	struct ring other;
	struct io_iter it;

	(void)state;
	begin();
	put(BYTES);
	get(100);
	put(100);
	io_iter_kernel(&it, out, 50);
	assert_int_equal(ring_peek(&r, 10, &it, 50), 50);
	assert_memory_equal(out, in + 110, 50);
	ring_init(&other, other_slots, BYTES);
	assert_int_equal(ring_copy(&other, &r), 0);
	assert_int_equal(ring_used(&other), BYTES);
	ring_fini(&r);
	r = other;
	get(BYTES);
	assert_memory_equal(out, in + 100, BYTES - 100);
	assert_memory_equal(out + BYTES - 100, in, 100);
	ring_fini(&r);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		UNIT_TEST(bytes_come_out_in_order),
		UNIT_TEST(a_ring_takes_no_more_than_it_holds),
		UNIT_TEST(it_wraps),
		UNIT_TEST(a_small_ring_stays_in_its_first_page),
		UNIT_TEST(peek_and_copy_leave_it_alone),
	};

	return UNIT_MAIN(tests, 32, 1);
}
