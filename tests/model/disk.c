/* SPDX-License-Identifier: MIT */
/*
 * A disk from the block layer down: requests of several workers, through the virtio-blk driver, to the register-level model of the device
 * and a disk in memory with a volatile cache, latencies, errors and, at the end, a power cut at some write.
 *
 * Each sector holds a pattern made of its number and a version. The reference keeps three versions of each: `attempted`, the last that
 * somebody tried to write; `done`, the last that was written without an error; `durable`, the last that had been done when a flush (that
 * ended well) was submitted, or that was written with FUA.
 *
 *   D1  A read shows a version from `done` to `attempted`.
 *   D2  After the power cut each sector shows a version from `durable` to `attempted`, or is torn between two of them.
 *   D3  Once faults have stopped, everything works again; only errors that were injected are seen. A device that does no wrong gives none.
 *
 * A sector is written by one worker alone, so that its versions have an order.
 */
#include "model.h"

#include <cloudos/block.h>
#include <cloudos/errno.h>
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include <cloudos/thread.h>
#include <sim/device.h>
#include <sim/disk.h>
#include <sim/host.h>
#include <sim/scenario.h>
#include <sim/virtio.h>

#define WORKERS	 3
#define SECTORS	 96 /* a third for each worker */
#define SHARE	 (SECTORS / WORKERS)
#define RUN_MAX	 8  /* sectors of a request */
#define WORDS	 (BLOCK_SECTOR / sizeof(uint64_t))
#define BLOCK_WRITES_MAX 60 /* the power is cut within this many writes, if it is */

static struct sim_disk *disk;
static struct block_device *device;

static struct {
	uint32_t attempted, done, durable;
} reference[SECTORS];

static void fill(uint64_t *to, unsigned sector, uint32_t version)
{
	struct sim_generator g = sim_generator(sector, version);

	for (size_t i = 0; i < WORDS; i++)
		to[i] = version ? sim_generate(&g) : 0;
}

/* The version in [first, last] that a sector's bytes show, or -1. */
static int64_t version_of(const uint64_t *bytes, unsigned sector, uint32_t first, uint32_t last)
{
	uint64_t pattern[WORDS];

	for (uint32_t version = first; version <= last; version++) {
		fill(pattern, sector, version);
		if (memcmp(bytes, pattern, BLOCK_SECTOR) == 0)
			return version;
	}
	return -1;
}

/* Every byte is of one of the versions: what a sector torn anywhere looks like. */
static bool is_torn(const uint64_t *bytes, unsigned sector, uint32_t first, uint32_t last)
{
	const uint8_t *have = (const uint8_t *)bytes;
	uint64_t pattern[WORDS];
	bool known[BLOCK_SECTOR] = {false};

	for (uint32_t version = first; version <= last; version++) {
		fill(pattern, sector, version);
		for (size_t i = 0; i < BLOCK_SECTOR; i++)
			known[i] |= ((const uint8_t *)pattern)[i] == have[i];
	}
	for (size_t i = 0; i < BLOCK_SECTOR; i++)
		if (!known[i])
			return false;
	return true;
}

/* In some runs the device and the disk are slow at worst: then there is no error but for want of memory. */
static bool honest;

static void make_honest(void)
{
	honest = true;
	sim_fault_set(SIM_FAULT_IRQ_LOST, 0);
	for (unsigned f = SIM_FAULT_DISK_READ_ERROR; f < SIM_FAULTS; f++)
		if (f != SIM_FAULT_DISK_SLOW)
			sim_fault_set((enum sim_fault)f, 0);
}

/* Errors that the injected faults explain. */
static bool explained(int error)
{
	if (honest)
		return error == -ENOMEM && model_may_fail();
	return error == -EIO || error == -ETIMEDOUT || error == -ENODEV || (error == -ENOMEM && model_may_fail());
}

/* ---- operations ---- */

struct part {
	unsigned first, count;
	void *buffer;
};

static bool choose(struct model_op *op, struct part *ret)
{
	unsigned base = (unsigned)op->worker * SHARE;
	struct page *page = page_alloc(0, PAGE_ALLOC_ZERO);

	if (!page)
		return false;
	ret->count = 1 + (unsigned)model_below(op, RUN_MAX);
	ret->first = base + (unsigned)model_below(op, SHARE - ret->count + 1);
	ret->buffer = page_virt(page);
	return true;
}

static void do_write(struct model_op *op)
{
	bool fua = model_chance(op, 15);
	struct part p;
	int error;

	if (!choose(op, &p))
		return;
	for (unsigned i = 0; i < p.count; i++)
		fill((uint64_t *)p.buffer + i * WORDS, p.first + i, ++reference[p.first + i].attempted);
	error = block_transfer(device, BLOCK_WRITE, p.first, p.buffer, p.count * BLOCK_SECTOR, fua ? BLOCK_FUA : 0);
	MODEL_CHECK(!error || explained(error));
	for (unsigned i = 0; !error && i < p.count; i++) {
		reference[p.first + i].done = reference[p.first + i].attempted;
		if (fua)
			reference[p.first + i].durable = reference[p.first + i].attempted;
	}
	page_put(page_of_virt(p.buffer));
}

static void do_read(struct model_op *op)
{
	struct part p;
	int error;

	if (!choose(op, &p))
		return;
	error = block_transfer(device, BLOCK_READ, p.first, p.buffer, p.count * BLOCK_SECTOR, 0);
	MODEL_CHECK(!error || explained(error));
	for (unsigned i = 0; !error && i < p.count; i++) {
		unsigned sector = p.first + i;

		MODEL_CHECK(version_of((uint64_t *)p.buffer + i * WORDS, sector, reference[sector].done,
				       reference[sector].attempted) >= 0); /* D1 */
	}
	page_put(page_of_virt(p.buffer));
}

static void do_flush(void)
{
	uint32_t before[SECTORS];
	int error;

	for (unsigned i = 0; i < SECTORS; i++)
		before[i] = reference[i].done;
	error = block_flush(device);
	MODEL_CHECK(!error || explained(error));
	for (unsigned i = 0; !error && i < SECTORS; i++)
		reference[i].durable = max(reference[i].durable, before[i]);
}

static uint64_t state_hash(void)
{
	struct sim_generator g = sim_generator(0, 0);

	for (unsigned i = 0; i < SECTORS; i++) {
		g.state ^= (uint64_t)reference[i].attempted << 40 | (uint64_t)reference[i].done << 20 | reference[i].durable;
		g.state = sim_generate(&g);
	}
	return g.state;
}

static void work(unsigned worker)
{
	struct model_op op = MODEL_OPS(worker);

	while (model_next(&op)) {
		switch (model_below(&op, 8)) {
		case 0 ... 3:
			do_write(&op);
			break;
		case 4 ... 6:
			do_read(&op);
			break;
		default:
			do_flush();
		}
		model_state(state_hash());
	}
}

/* ---- the end ---- */

static void check_surviving(void)
{
	for (unsigned sector = 0; sector < SECTORS; sector++) {
		uint32_t durable = reference[sector].durable, attempted = reference[sector].attempted;
		uint64_t bytes[WORDS];

		sim_disk_peek(disk, sector, bytes);
		if (version_of(bytes, sector, durable, attempted) < 0 && !is_torn(bytes, sector, durable, attempted)) /* D2 */
			model_failed(__FILE__, __LINE__, "sector %u shows none of its versions %u to %u after the power cut", sector, durable,
				     attempted);
	}
}

/*
 * D3: with everything in order again, a write reaches the medium. Only a device that did wrong is given up, and that may be only now,
 * for what it did before.
 */
static void check_alive(void)
{
	struct page *page = page_alloc(0, PAGE_ALLOC_ZERO);
	uint64_t bytes[WORDS];
	int error;

	MODEL_CHECK(page);
	fill(page_virt(page), 0, ++reference[0].attempted);
	error = block_transfer(device, BLOCK_WRITE, 0, page_virt(page), BLOCK_SECTOR, 0);
	error = error ? error : block_flush(device);
	if (READ_ONCE(device->dead)) {
		MODEL_CHECK(!honest);
	} else {
		MODEL_EQUAL(error, 0);
		sim_disk_peek(disk, 0, bytes);
		MODEL_EQUAL(version_of(bytes, 0, reference[0].attempted, reference[0].attempted), reference[0].attempted);
	}
	page_put(page);
}

static void run(void)
{
	struct sim_generator g = sim_generator(sim_scenario.seed, 0x706f776572); /* "power" */
	bool cut = sim_generate_below(&g, 2);

	if (!cut && sim_generate_below(&g, 2))
		make_honest();
	device = block_get("vda");
	MODEL_CHECK(device);
	if (cut)
		sim_disk_power_cut_at(disk, 1 + sim_generate_below(&g, BLOCK_WRITES_MAX));
	model_workers(WORKERS, work);
	model_recover();
	if (cut && sim_disk_has_power(disk))
		sim_disk_power_cut(disk);
	if (cut)
		check_surviving();
	else
		check_alive();
	block_put(device);
}

static void build(void)
{
	struct sim_generator g = sim_generator(sim_scenario.seed, 0x6469736b); /* "disk" */
	const struct sim_disk_options options = {.sectors = SECTORS, .write_through = sim_generate_below(&g, 4) == 0};
	struct sim_virtio_blk *b;

	disk = sim_memory_disk_create(&options);
	b = disk ? sim_virtio_blk_create(disk) : NULL;
	if (!b || sim_pci_plug(&sim_virtio_blk_device(b)->pci) < 0)
		host_fatal("no room for the disk");
}

MODEL_DEFINE(disk, .what = "block layer, virtio-blk and a disk with faults and power cuts", .machine = build, .run = run, .cpus = 4,
	     .operations = 25);
