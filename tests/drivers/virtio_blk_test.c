/* SPDX-License-Identifier: MIT */
/*
 * The virtio block driver and the block layer against the device's model, honest and hostile. The disk behind the model is memory: requests
 * are done at once, or when the test says so.
 */
#include "unit.h"

#include <cloudos/block.h>
#include <cloudos/driver.h>
#include <cloudos/errno.h>
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include <cloudos/thread.h>
#include <cloudos/work.h>
#include <linux/pci_regs.h>
#include <linux/virtio_blk.h>
#include <sim/fault.h>
#include <sim/virtio.h>

#define SECTORS	   2048u
#define TIMEOUT_NS (60 * NSEC_PER_MSEC)
#define ALWAYS	   1000000u
#define DEADLINE_S 10

/* ---- a disk in memory ---- */

static struct {
	struct sim_disk disk;
	uint8_t data[SECTORS * SIM_DISK_SECTOR];
	bool holds; /* requests stay in the list */
	struct sim_disk_request *held;
	unsigned held_count, flushes;
} ram;

static void do_request(struct sim_disk_request *r)
{
	uint8_t *at = ram.data + r->sector * SIM_DISK_SECTOR;

	ram.flushes += r->op == SIM_DISK_FLUSH;
	for (uint32_t i = 0; i < r->segment_count; i++) {
		if (r->op == SIM_DISK_READ)
			memcpy(r->segments[i].data, at, r->segments[i].len);
		else
			memcpy(at, r->segments[i].data, r->segments[i].len);
		at += r->segments[i].len;
	}
	r->done(r, 0);
}

static void ram_submit(struct sim_disk *d, struct sim_disk_request *r)
{
	(void)d;
	if (!ram.holds) {
		do_request(r);
		return;
	}
	r->next = ram.held;
	ram.held = r;
	ram.held_count++;
}

static void ram_forget(struct sim_disk *d)
{
	(void)d;
	ram.held = NULL;
	ram.held_count = 0;
}

/* The newest first. */
static void ram_release(void)
{
	bool irq = sim_bus_lock();

	while (ram.held) {
		struct sim_disk_request *r = ram.held;

		ram.held = r->next;
		ram.held_count--;
		do_request(r);
	}
	sim_bus_unlock(irq);
	hal_irq_enable();
}

static const struct sim_disk_ops ram_ops = { .submit = ram_submit, .forget = ram_forget };

/* ---- the machine ---- */

static struct sim_virtio *model;
static struct pci_device *pci;
static struct block_device *disk;

static void make_model(bool read_only)
{
	ram.disk = (struct sim_disk){ .ops = &ram_ops, .sectors = SECTORS, .read_only = read_only };
	ram.holds = false;
	model = sim_virtio_blk_device(sim_virtio_blk_create(&ram.disk));
}

static void plug(void)
{
	int bdf = sim_pci_plug(&model->pci);

	assert_true(bdf >= 0);
	pci = pci_add((unsigned)bdf);
	assert_non_null(pci);
	disk = block_get("vda");
	if (disk)
		disk->timeout_ns = TIMEOUT_NS;
}

static void unplug(void)
{
	for (unsigned i = 0; i < SIM_FAULTS; i++)
		sim_fault_set((enum sim_fault)i, 0);
	if (disk)
		block_put(disk);
	disk = NULL;
	pci_remove(pci);
	sim_pci_unplug(&model->pci);
	assert_null(block_get("vda"));
}

static void begin(void)
{
	make_model(false);
	plug();
	assert_non_null(disk);
}

static char *buffer_create(unsigned order)
{
	struct page *p = page_alloc(order, PAGE_ALLOC_ZERO);

	assert_non_null(p);
	return page_virt(p);
}

static void buffer_free(char *buffer)
{
	page_put(page_of_virt(buffer));
}

static int read_one(void)
{
	char *buffer = buffer_create(0);
	int error = block_transfer(disk, BLOCK_READ, 8, buffer, PAGE_SIZE, 0);

	if (!error)
		assert_memory_equal(buffer, ram.data + 8 * BLOCK_SECTOR, PAGE_SIZE);
	buffer_free(buffer);
	return error;
}

static void fill_ram(void)
{
	for (size_t i = 0; i < sizeof(ram.data); i++)
		ram.data[i] = (uint8_t)(i * 31 + i / 512);
}

/* ---- honest ---- */

static void what_is_written_is_read(void **state)
{
	char *buffer = buffer_create(4), *back = buffer_create(4);
	size_t len = PAGE_SIZE << 4;

	(void)state;
	begin();
	for (size_t i = 0; i < len; i++)
		buffer[i] = (char)(i * 7 + i / 512);
	assert_int_equal(block_transfer(disk, BLOCK_WRITE, 100, buffer, len, BLOCK_FUA), 0);
	assert_memory_equal(ram.data + 100 * BLOCK_SECTOR, buffer, len);
	assert_int_equal(ram.flushes, 1);
	assert_int_equal(block_transfer(disk, BLOCK_READ, 100, back, len, 0), 0);
	assert_memory_equal(back, buffer, len);
	assert_int_equal(block_flush(disk), 0);
	assert_int_equal(ram.flushes, 2);
	assert_int_equal(disk->stats.op[BLOCK_WRITE].sectors, len / BLOCK_SECTOR);
	assert_int_equal(disk->outstanding, 0);
	assert_int_equal(model->pci.faults.bad_dma + model->pci.faults.bad_registers + model->pci.faults.bad_messages, 0);
	assert_int_equal(pci->irq_kind, PCI_IRQ_MSIX);
	unplug();
	buffer_free(buffer);
	buffer_free(back);
}

static void segments_are_one_range(void **state)
{
	struct block_segment segments[8];
	struct block_request r = { .op = BLOCK_READ, .sector = 16, .segments = segments, .segment_count = 8 };
	char *buffer = buffer_create(3);

	(void)state;
	fill_ram();
	begin();
	for (unsigned i = 0; i < 8; i++)
		segments[i] = (struct block_segment){ buffer + (7 - i) * PAGE_SIZE, BLOCK_SECTOR * (i + 1) };
	assert_int_equal(block_wait(disk, &r), 0);
	for (unsigned i = 0, sector = 16; i < 8; sector += ++i)
		assert_memory_equal(segments[i].data, ram.data + sector * BLOCK_SECTOR, segments[i].len);
	unplug();
	buffer_free(buffer);
}

static void bad_requests_are_refused(void **state)
{
	char *buffer = buffer_create(0);
	struct block_segment s = { buffer, BLOCK_SECTOR };
	struct block_request r = { .op = BLOCK_READ, .segments = &s, .segment_count = 1 };

	(void)state;
	begin();
	r.sector = SECTORS;
	assert_int_equal(block_submit(disk, &r), -ENOSPC);
	r.sector = UINT64_MAX;
	assert_int_equal(block_submit(disk, &r), -ENOSPC);
	r.sector = 0;
	s.len = 100;
	assert_int_equal(block_submit(disk, &r), -EINVAL);
	s.len = 0;
	assert_int_equal(block_submit(disk, &r), -EINVAL);
	r.segment_count = BLOCK_SEGMENTS_MAX + 1;
	assert_int_equal(block_submit(disk, &r), -EINVAL);
	unplug();
	make_model(true);
	plug();
	assert_true(disk->read_only);
	s.len = BLOCK_SECTOR;
	r = (struct block_request){ .op = BLOCK_WRITE, .segments = &s, .segment_count = 1 };
	assert_int_equal(block_submit(disk, &r), -EROFS);
	assert_int_equal(read_one(), 0);
	unplug();
	buffer_free(buffer);
}

/* ---- many at a time ---- */

static uint32_t ended, failed; /* atomic */

static void count_end(struct block_request *r, int error)
{
	assert_ptr_equal(r->private, r);
	r->private = NULL; /* a second end would be seen */
	__atomic_fetch_add(&failed, error != 0, __ATOMIC_RELAXED);
	__atomic_fetch_add(&ended, 1, __ATOMIC_RELEASE);
}

static struct block_request requests[BLOCK_OUTSTANDING_MAX + 1];
static struct block_segment pieces[BLOCK_OUTSTANDING_MAX + 1];

/* How many of n were accepted. */
static unsigned submit_many(char *buffer, unsigned n)
{
	unsigned accepted = 0;

	ended = failed = 0;
	for (unsigned i = 0; i < n; i++) {
		pieces[i] = (struct block_segment){ buffer + i * BLOCK_SECTOR, BLOCK_SECTOR };
		requests[i] = (struct block_request){ .op = BLOCK_READ, .sector = i, .segments = &pieces[i], .segment_count = 1,
						      .done = count_end, .private = &requests[i] };
		if (block_submit(disk, &requests[i]))
			break;
		accepted++;
	}
	return accepted;
}

static void wait_ended(unsigned n)
{
	uint64_t deadline = hal_clock_ns() + DEADLINE_S * NSEC_PER_SEC;

	while (__atomic_load_n(&ended, __ATOMIC_ACQUIRE) < n && hal_clock_ns() < deadline)
		thread_delay(NSEC_PER_MSEC);
	assert_int_equal(ended, n);
}

static void the_limit_holds(void **state)
{
	char *buffer = buffer_create(6);

	(void)state;
	fill_ram();
	begin();
	disk->timeout_ns = DEADLINE_S * NSEC_PER_SEC;
	ram.holds = true;
	assert_int_equal(submit_many(buffer, BLOCK_OUTSTANDING_MAX + 1), BLOCK_OUTSTANDING_MAX);
	assert_int_equal(block_submit(disk, &requests[BLOCK_OUTSTANDING_MAX]), -EAGAIN);
	assert_int_equal(ended, 0);
	ram.holds = false;
	ram_release();
	wait_ended(BLOCK_OUTSTANDING_MAX);
	assert_int_equal(failed, 0);
	assert_memory_equal(buffer, ram.data, BLOCK_OUTSTANDING_MAX * BLOCK_SECTOR);
	unplug();
	buffer_free(buffer);
}

static void answers_in_any_order(void **state)
{
	char *buffer = buffer_create(6);

	(void)state;
	begin();
	sim_fault_set(SIM_FAULT_VIRTIO_REORDERS, ALWAYS / 3);
	sim_fault_set(SIM_FAULT_VIRTIO_SPURIOUS, ALWAYS / 3);
	for (unsigned round = 0; round < 20; round++) {
		unsigned n = submit_many(buffer, 100);

		wait_ended(n);
		assert_true(failed <= 1); /* the last may have been held back */
	}
	unplug();
	buffer_free(buffer);
}

/* Removed while requests are out: all end. */
static void a_removed_device_ends_everything(void **state)
{
	char *buffer = buffer_create(6);
	unsigned n;

	(void)state;
	begin();
	disk->timeout_ns = DEADLINE_S * NSEC_PER_SEC;
	ram.holds = true;
	n = submit_many(buffer, BLOCK_OUTSTANDING_MAX);
	pci_remove(pci);
	assert_int_equal(ended, n);
	assert_int_equal(failed, n);
	assert_int_equal(read_one(), -ENODEV);
	block_put(disk);
	disk = NULL;
	sim_pci_unplug(&model->pci);
	buffer_free(buffer);
}

/* ---- bytes ---- */

#define WRITERS 4
#define ROUNDS	200
static uint32_t writers_left;

/* Each writer has every WRITERS-th byte of the same block for itself. */
static void write_bytes(void *arg)
{
	unsigned self = (unsigned)(uintptr_t)arg;
	char *buffer = buffer_create(0);

	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t pos = 512 * 7 + self + WRITERS * (i % 64);

		buffer[pos % 512] = (char)(i / 64 + 1);
		assert_int_equal(block_write_bytes(disk, pos, buffer, 1), 0);
		sched_point();
	}
	buffer_free(buffer);
	__atomic_fetch_sub(&writers_left, 1, __ATOMIC_RELEASE);
}

static void neighbours_lose_nothing(void **state)
{
	(void)state;
	memset(ram.data, 0, sizeof(ram.data));
	begin();
	writers_left = WRITERS;
	for (uintptr_t i = 0; i < WRITERS; i++)
		assert_int_equal(thread_spawn("writer", write_bytes, (void *)i), 0);
	while (__atomic_load_n(&writers_left, __ATOMIC_ACQUIRE))
		thread_delay(NSEC_PER_MSEC);
	for (unsigned i = 0; i < 256; i++)
		assert_int_equal(ram.data[512 * 7 + i], i / WRITERS < ROUNDS % 64 ? 4 : 3);
	unplug();
}

static void odd_ranges(void **state)
{
	static const struct {
		uint64_t pos;
		size_t len;
	} ranges[] = { { 0, 1 }, { 511, 2 }, { 512, 512 }, { 513, 511 }, { 100, 2000 }, { 1024, 1500 }, { 512 * SECTORS - 3, 3 } };
	char *buffer = buffer_create(0);
	static uint8_t expected[sizeof(ram.data)];

	(void)state;
	fill_ram();
	memcpy(expected, ram.data, sizeof(expected));
	begin();
	for (unsigned i = 0; i < ARRAY_SIZE(ranges); i++) {
		memset(buffer + ranges[i].pos % 512, 0xa0 + (int)i, ranges[i].len);
		memset(expected + ranges[i].pos, 0xa0 + (int)i, ranges[i].len);
		assert_int_equal(block_write_bytes(disk, ranges[i].pos, buffer, ranges[i].len), 0);
		assert_memory_equal(ram.data, expected, sizeof(expected));
	}
	unplug();
	buffer_free(buffer);
}

/* ---- interrupts ---- */

static void a_line_does_as_well(void **state)
{
	(void)state;
	make_model(false);
	sim_pci_set(&model->pci, model->pci.msix, 1, 0); /* no capability that anybody knows */
	model->pci.msix = 0;
	plug();
	assert_non_null(disk);
	assert_int_equal(pci->irq_kind, PCI_IRQ_INTX);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(read_one(), 0);
	assert_int_equal(disk->stats.timeouts, 0);
	unplug();
}

/* The line is masked, and the device goes on by being looked at. The last test of a line. */
static void a_line_that_is_held_for_ever(void **state)
{
	bool irq;

	(void)state;
	make_model(false);
	sim_pci_set(&model->pci, model->pci.msix, 1, 0);
	model->pci.msix = 0;
	plug();
	assert_non_null(disk);
	irq = sim_bus_lock();
	sim_line_set((unsigned)hal_pci_intx_line(pci->bdf, 1), 31, true);
	sim_bus_unlock(irq);
	hal_irq_enable();
	assert_int_equal(read_one(), 0);
	sim_line_set((unsigned)hal_pci_intx_line(pci->bdf, 1), 31, false);
	unplug();
}

static void a_lost_interrupt_costs_time_alone(void **state)
{
	(void)state;
	begin();
	sim_fault_set(SIM_FAULT_IRQ_LOST, ALWAYS);
	assert_int_equal(read_one(), 0);
	assert_int_equal(disk->stats.resets, 0);
	sim_fault_set(SIM_FAULT_IRQ_LOST, ALWAYS / 4);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(read_one(), 0);
	unplug();
}

/* ---- devices that are late, ill, or gone ---- */

/* `error`, or -EIO if somebody has looked at the device for another reason before the time was up. */
static void recovers_from(enum sim_fault fault, int error)
{
	int got;

	begin();
	sim_fault_set(fault, ALWAYS);
	got = read_one();
	assert_true(got == error || got == -EIO);
	sim_fault_set(fault, 0);
	assert_int_equal(disk->stats.resets, 1);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(read_one(), 0);
	unplug();
}

static void a_device_that_hangs_is_reset(void **state)
{
	(void)state;
	recovers_from(SIM_FAULT_VIRTIO_HANGS, -ETIMEDOUT);
}

static void a_device_that_reset_itself_is_set_up_again(void **state)
{
	(void)state;
	recovers_from(SIM_FAULT_VIRTIO_RESETS, -ETIMEDOUT);
}

static void a_device_that_asks_for_a_reset_gets_one(void **state)
{
	(void)state;
	recovers_from(SIM_FAULT_VIRTIO_NEEDS_RESET, -EIO);
}

static void a_device_that_always_hangs_is_given_up(void **state)
{
	int error = 0;

	(void)state;
	begin();
	sim_fault_set(SIM_FAULT_VIRTIO_HANGS, ALWAYS);
	for (unsigned i = 0; i <= BLOCK_RESETS_MAX; i++) {
		error = read_one();
		assert_int_equal(error, -ETIMEDOUT);
	}
	assert_int_equal(read_one(), -EIO);
	assert_int_equal(disk->stats.resets, BLOCK_RESETS_MAX + 1);
	unplug();
}

static void a_device_that_cannot_be_reset_loses_its_dma(void **state)
{
	(void)state;
	begin();
	sim_fault_set(SIM_FAULT_VIRTIO_HANGS, ALWAYS);
	sim_fault_set(SIM_FAULT_VIRTIO_STUCK, ALWAYS);
	assert_int_equal(read_one(), -ETIMEDOUT);
	assert_int_equal(read_one(), -EIO);
	assert_false(pci_read(pci, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
	unplug();
}

static void a_device_that_vanishes(void **state)
{
	int error;

	(void)state;
	begin();
	sim_fault_set(SIM_FAULT_DISK_GONE, ALWAYS);
	error = read_one();
	assert_true(error == -ETIMEDOUT || error == -ENODEV); /* by whether somebody looked at it before */
	assert_int_equal(read_one(), -ENODEV);
	assert_int_equal(block_flush(disk), -ENODEV);
	unplug();
}

static void errors_are_the_requests_own(void **state)
{
	(void)state;
	begin();
	sim_fault_set(SIM_FAULT_VIRTIO_STATUS, ALWAYS);
	for (unsigned i = 0; i < 20; i++)
		read_one(); /* the byte may be a 0 */
	sim_fault_set(SIM_FAULT_VIRTIO_STATUS, 0);
	assert_int_equal(read_one(), 0);
	assert_true(disk->stats.errors > 10);
	assert_int_equal(disk->stats.resets, 0);
	unplug();
}

static void a_size_that_changes(void **state)
{
	uint64_t capacity = SECTORS / 2, deadline = hal_clock_ns() + DEADLINE_S * NSEC_PER_SEC;
	bool irq;

	(void)state;
	begin();
	irq = sim_bus_lock();
	memcpy(model->config, &capacity, sizeof(capacity));
	sim_virtio_config_changed(model);
	sim_bus_unlock(irq);
	hal_irq_enable();
	while (block_bytes(disk) != capacity * BLOCK_SECTOR && hal_clock_ns() < deadline)
		thread_delay(NSEC_PER_MSEC);
	assert_int_equal(block_bytes(disk), capacity * BLOCK_SECTOR);
	unplug();
}

/* ---- devices that lie ---- */

/* Sooner or later it is found out; then everything ends with -EIO, and the device is quiet. */
static void is_found_out(enum sim_fault fault)
{
	char *buffer = buffer_create(6);
	unsigned n, tries = 0;

	begin();
	sim_fault_set(fault, ALWAYS);
	while (!READ_ONCE(disk->dead) && tries++ < 100) {
		n = submit_many(buffer, 50);
		wait_ended(n);
	}
	assert_int_equal(disk->dead, -EIO);
	assert_int_equal(read_one(), -EIO);
	assert_int_equal(model->status, 0);
	assert_int_equal(disk->outstanding, 0);
	unplug();
	buffer_free(buffer);
}

static void an_answer_that_comes_twice(void **state)
{
	(void)state;
	is_found_out(SIM_FAULT_VIRTIO_TWICE);
}

static void an_answer_that_is_too_long(void **state)
{
	(void)state;
	is_found_out(SIM_FAULT_VIRTIO_LENGTH);
}

static void an_index_that_jumps(void **state)
{
	(void)state;
	is_found_out(SIM_FAULT_VIRTIO_INDEX);
}

static void an_answer_to_no_question(void **state)
{
	(void)state;
	is_found_out(SIM_FAULT_VIRTIO_ID);
}

/* Whatever it says while it is set up: it is refused, or it works as what it says it is. */
static void probes_of(enum sim_fault fault, unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		sim_fault_set(fault, ALWAYS >> i % 4);
		make_model(false);
		plug();
		sim_fault_set(fault, 0);
		if (disk && disk->sectors >= 16 && disk->sectors <= SECTORS)
			read_one();
		unplug();
	}
}

static void garbage_in_capabilities(void **state)
{
	(void)state;
	probes_of(SIM_FAULT_VIRTIO_CAPABILITY, 16);
}

static void garbage_in_the_configuration(void **state)
{
	(void)state;
	probes_of(SIM_FAULT_VIRTIO_CONFIG, 100);
}

static void a_queue_of_no_size(void **state)
{
	(void)state;
	probes_of(SIM_FAULT_VIRTIO_QUEUE_SIZE, 100);
}

static void a_bar_that_is_memory(void **state)
{
	(void)state;
	make_model(false);
	sim_pci_plug(&model->pci);
	hal_pci_write(model->pci.slot << 3, PCI_BASE_ADDRESS_0, 4, 0x10000);
	hal_pci_write(model->pci.slot << 3, PCI_BASE_ADDRESS_0 + 4, 4, 0);
	pci = pci_add(model->pci.slot << 3);
	assert_non_null(pci);
	assert_null(pci->driver);
	assert_null(block_get("vda"));
	sim_pci_unplug(&model->pci);
}

static int setup(void **state)
{
	unit_group_setup(state);
	work_start_workers();
	sim_faults_arm(true);
	begin(); /* what the slot keeps for ever */
	read_one();
	unplug();
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		UNIT_TEST(what_is_written_is_read),
		UNIT_TEST(segments_are_one_range),
		UNIT_TEST(bad_requests_are_refused),
		UNIT_TEST(the_limit_holds),
		UNIT_TEST(answers_in_any_order),
		UNIT_TEST(a_removed_device_ends_everything),
		UNIT_TEST(neighbours_lose_nothing),
		UNIT_TEST(odd_ranges),
		UNIT_TEST(a_line_does_as_well),
		UNIT_TEST(a_line_that_is_held_for_ever),
		UNIT_TEST(a_lost_interrupt_costs_time_alone),
		UNIT_TEST(a_device_that_hangs_is_reset),
		UNIT_TEST(a_device_that_reset_itself_is_set_up_again),
		UNIT_TEST(a_device_that_asks_for_a_reset_gets_one),
		UNIT_TEST(a_device_that_always_hangs_is_given_up),
		UNIT_TEST(a_device_that_cannot_be_reset_loses_its_dma),
		UNIT_TEST(a_device_that_vanishes),
		UNIT_TEST(errors_are_the_requests_own),
		UNIT_TEST(a_size_that_changes),
		UNIT_TEST(an_answer_that_comes_twice),
		UNIT_TEST(an_answer_that_is_too_long),
		UNIT_TEST(an_index_that_jumps),
		UNIT_TEST(an_answer_to_no_question),
		UNIT_TEST(garbage_in_capabilities),
		UNIT_TEST(garbage_in_the_configuration),
		UNIT_TEST(a_queue_of_no_size),
		UNIT_TEST(a_bar_that_is_memory),
	};

	unit_machine = (struct unit_machine){ .memory_mib = 64, .cpus = 2 };
	return cmocka_run_group_tests_name(__FILE__, tests, setup, NULL);
}
