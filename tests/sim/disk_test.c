/* SPDX-License-Identifier: MIT */
/* The memory disk of the deterministic world: its cache, its power cuts, its faults. Events are run by hand. */
#include "unit.h"

#include <cloudos/errno.h>
#include <cloudos/string.h>
#include <sim/disk.h>
#include <sim/draw.h>
#include <sim/event.h>
#include <sim/fault.h>

#define SECTORS 64
#define SECTOR	SIM_DISK_SECTOR

static struct sim_disk *disk;
static struct sim_disk_request request;
static uint8_t buffer[8 * SECTOR];
static int result;

static void done(struct sim_disk_request *r, int error)
{
	(void)r;
	result = error;
}

static void begin(bool write_through)
{
	const struct sim_disk_options options = { .sectors = SECTORS, .write_through = write_through };

	for (unsigned i = 0; i < SIM_FAULTS; i++)
		sim_fault_set((enum sim_fault)i, 0);
	sim_faults_arm(true);
	disk = sim_memory_disk_create(&options);
	assert_non_null(disk);
}

static void submit(enum sim_disk_op op, uint64_t sector, unsigned count, bool fua)
{
	request = (struct sim_disk_request){
		.op = op,
		.fua = fua,
		.sector = sector,
		.segment_count = op == SIM_DISK_FLUSH ? 0 : 2,
		.segments = { { buffer, SECTOR / 2 }, { buffer + SECTOR / 2, count * SECTOR - SECTOR / 2 } },
		.done = done,
	};
	result = 1;
	disk->ops->submit(disk, &request);
}

static int run(void)
{
	sim_event_run(UINT64_MAX);
	return result;
}

static int put(uint64_t sector, unsigned count, uint8_t value, bool fua)
{
	memset(buffer, value, count * SECTOR);
	submit(SIM_DISK_WRITE, sector, count, fua);
	return run();
}

static int flush(void)
{
	submit(SIM_DISK_FLUSH, 0, 0, false);
	return run();
}

/* The sector's bytes, if they are all the same; else -1. */
static int peek(uint64_t sector)
{
	uint8_t data[SECTOR];

	sim_disk_peek(disk, sector, data);
	for (unsigned i = 1; i < SECTOR; i++)
		if (data[i] != data[0])
			return -1;
	return data[0];
}

static void cut(void)
{
	sim_disk_power_cut(disk);
	assert_false(sim_disk_has_power(disk));
	sim_disk_power_on(disk);
}

static void what_is_written_is_read(void **state)
{
	(void)state;
	begin(false);
	assert_int_equal(put(3, 4, 0x11, false), 0);
	memset(buffer, 0, sizeof(buffer));
	submit(SIM_DISK_READ, 2, 6, false);
	assert_int_equal(run(), 0);
	assert_int_equal(buffer[0], 0);
	assert_int_equal(buffer[SECTOR], 0x11);
	assert_int_equal(buffer[5 * SECTOR - 1], 0x11);
	assert_int_equal(buffer[5 * SECTOR], 0);
}

static void a_flush_keeps_what_was_done_before(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		begin(false);
		put(1, 3, 1, false);
		assert_int_equal(flush(), 0);
		put(1, 3, 2, false);
		put(8, 2, 3, true);
		cut();
		for (uint64_t s = 1; s < 4; s++)
			assert_true(peek(s) == 1 || peek(s) == 2);
		assert_int_equal(peek(8), 3);
		assert_int_equal(peek(9), 3);
	}
}

/* Over many cuts each of the four states of two writes comes up: also the later without the earlier. */
static void a_cut_keeps_any_part(void **state)
{
	unsigned seen[2][2] = { { 0 } }, parts = 0;

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		begin(false);
		put(0, 4, 1, false);
		put(8, 1, 2, false);
		cut();
		seen[peek(0) == 1][peek(8) == 2]++;
		parts += peek(0) != peek(3);
	}
	assert_true(seen[0][0] && seen[0][1] && seen[1][0] && seen[1][1] && parts);
}

static void an_overtaken_version_does_not_come_back(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		begin(false);
		put(5, 1, 1, false);
		put(5, 1, 2, true);
		cut();
		assert_int_equal(peek(5), 2);
	}
}

static void a_write_in_flight_may_survive(void **state)
{
	unsigned survived = 0;

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		begin(true);
		memset(buffer, 9, sizeof(buffer));
		submit(SIM_DISK_WRITE, 4, 1, false);
		cut();
		assert_int_equal(run(), 1); /* it was never answered */
		survived += peek(4) == 9;
	}
	assert_true(survived > 0 && survived < 100);
}

static void the_nth_write_cuts(void **state)
{
	(void)state;
	begin(true);
	sim_disk_power_cut_at(disk, 3);
	assert_int_equal(put(0, 1, 1, false), 0);
	assert_int_equal(put(1, 1, 1, false), 0);
	assert_int_equal(put(2, 1, 1, false), 1);
	assert_false(sim_disk_has_power(disk));
	assert_int_equal(flush(), 1);
	sim_disk_power_on(disk);
	assert_int_equal(flush(), 0);
	assert_int_equal(peek(1), 1);
}

static void torn_within_a_sector(void **state)
{
	unsigned torn = 0;

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		begin(false);
		sim_fault_set(SIM_FAULT_DISK_TORN, 1000000);
		put(6, 1, 7, false);
		cut();
		torn += peek(6) < 0;
	}
	assert_true(torn > 10);
}

/* ---- faults ---- */

static struct sim_disk_counts with(enum sim_fault fault)
{
	struct sim_disk_counts c;

	begin(false);
	sim_fault_set(fault, 1000000);
	put(10, 2, 5, false);
	sim_disk_counts(disk, &c);
	return c;
}

static void faults_do_what_they_say(void **state)
{
	struct sim_disk_counts c;

	(void)state;
	assert_int_equal(with(SIM_FAULT_DISK_LOST).lost, 1);
	assert_int_equal(result, 0);
	assert_int_equal(peek(10), 0);
	assert_int_equal(with(SIM_FAULT_DISK_MISDIRECTED).misdirected, 1);
	assert_int_equal(result, 0);
	assert_int_equal(with(SIM_FAULT_DISK_WRITE_ERROR).write_errors, 1);
	assert_int_equal(result, -EIO);
	assert_int_equal(peek(11), 0);
	assert_int_equal(with(SIM_FAULT_DISK_FULL).write_errors, 1);
	assert_int_equal(result, -ENOSPC);
	with(SIM_FAULT_DISK_READ_ONLY);
	assert_int_equal(result, -EROFS);
	sim_fault_set(SIM_FAULT_DISK_READ_ONLY, 0);
	assert_int_equal(put(1, 1, 1, false), -EROFS);
	with(SIM_FAULT_DISK_FLUSH_LIES);
	assert_int_equal(flush(), 0);
	sim_disk_counts(disk, &c);
	assert_int_equal(c.flushes_that_lied, 1);
	with(SIM_FAULT_DISK_FLUSH_ERROR);
	assert_int_equal(flush(), -EIO);
	assert_int_equal(with(SIM_FAULT_DISK_HANGS).hung, 1);
	assert_int_equal(result, 1);
	disk->ops->forget(disk);
}

static void rot_is_one_bit(void **state)
{
	unsigned bits = 0;

	(void)state;
	begin(false);
	put(0, 8, 0, false);
	sim_fault_set(SIM_FAULT_DISK_ROT, 1000000);
	submit(SIM_DISK_READ, 0, 8, false);
	assert_int_equal(run(), 0);
	for (size_t i = 0; i < sizeof(buffer); i++)
		bits += (unsigned)__builtin_popcount(buffer[i]);
	assert_int_equal(bits, 1);
}

static void bad_sectors_heal_by_writing(void **state)
{
	(void)state;
	begin(false);
	sim_fault_set(SIM_FAULT_DISK_READ_ERROR, 1000000);
	for (unsigned i = 0; i < 20; i++) {
		submit(SIM_DISK_READ, 20, 1, false);
		assert_int_equal(run(), -EIO);
	}
	sim_fault_set(SIM_FAULT_DISK_READ_ERROR, 0);
	submit(SIM_DISK_READ, 20, 1, false);
	assert_int_equal(run(), -EIO);
	assert_int_equal(put(20, 1, 1, false), 0);
	submit(SIM_DISK_READ, 20, 1, false);
	assert_int_equal(run(), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		UNIT_TEST(what_is_written_is_read),
		UNIT_TEST(a_flush_keeps_what_was_done_before),
		UNIT_TEST(a_cut_keeps_any_part),
		UNIT_TEST(an_overtaken_version_does_not_come_back),
		UNIT_TEST(a_write_in_flight_may_survive),
		UNIT_TEST(the_nth_write_cuts),
		UNIT_TEST(torn_within_a_sector),
		UNIT_TEST(faults_do_what_they_say),
		UNIT_TEST(rot_is_one_bit),
		UNIT_TEST(bad_sectors_heal_by_writing),
	};

	return UNIT_MAIN(tests, 32, 1);
}
