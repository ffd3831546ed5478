/* SPDX-License-Identifier: MIT */
/*
 * Virtio block devices (Virtual I/O Device 1.2, 5.2): one queue, requests of the block layer as chains of a header, the data and a status
 * byte.
 *
 * A command is the header and status of one request, in memory of its own. I1 a command is either free or carries one request, which is
 * in flight in the queue; whoever gets its token from the queue (an interrupt, a look, a reset) ends that request, once. I2 a
 * read that ends with 0 was written whole: a device that says it wrote less gives an error.
 *
 * A device that lies is reported (block_device_fault) and reset for good; one that is late is looked at, then reset and
 * set up again with the same features. Configuration changes are read in a thread, when the block layer has the device looked at.
 *
 * Locking: disk->lock (RANK_BLOCK_DRIVER, interrupts off) guards the queue and the commands; block_end() is called without.
 */
#define LOG_SUBSYSTEM "virtio"
#include <cloudos/block.h>
#include <cloudos/errno.h>
#include <cloudos/log.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_pci.h>
#include "virtio.h"

#define DEVICE_MODERN	    0x1042
#define DEVICE_TRANSITIONAL 0x1001
#define COMMANDS_MAX	    128 /* requests in flight of a disk */
#define COMMANDS_ORDER	    0
#define SEGMENT_BYTES	    (4u << 20) /* of a segment, where the device names no limit */
#define PHYSICAL_EXP_MAX    6	       /* larger exponents of the physical block are not believed */
#define HARVEST_BATCH	    16
#define STATUS_UNWRITTEN    0xff

/* What the device reads and writes beside the data. */
struct command {
	struct virtio_blk_outhdr header;
	uint8_t status;
	uint8_t pad[15];
};
_Static_assert(sizeof(struct virtio_blk_outhdr) == 16, "5.2.6");
_Static_assert(sizeof(struct command) == 32, "a command does not cross a page");
_Static_assert(COMMANDS_MAX * sizeof(struct command) <= PAGE_SIZE << COMMANDS_ORDER, "the commands fit in their pages");
_Static_assert(offsetof(struct virtio_blk_config, blk_size) == 20, "5.2.4");

struct disk {
	struct block_device block;
	struct virtio_device v;
	struct spinlock lock;
	struct virtio_queue queue;
	struct page *pages;			    /* of the commands */
	struct block_request *requests[COMMANDS_MAX]; /* by command; null: free */
	uint16_t free[COMMANDS_MAX], free_count;
	bool live;     /* the block layer knows it; atomic */
	bool reported; /* that the queue is broken */
	bool changed;  /* the configuration may have; atomic */
};

static struct disk *disk_of(struct block_device *d)
{
	return container_of(d, struct disk, block);
}

static struct command *command_of(const struct disk *disk, uint16_t number)
{
	return (struct command *)page_virt(disk->pages) + number;
}

/* ---- starting ---- */

static unsigned fill_buffers(const struct block_request *r, struct command *c, struct virtio_buffer *buffers)
{
	unsigned n = 0;

	buffers[n++] = (struct virtio_buffer){ &c->header, sizeof(c->header) };
	for (uint32_t i = 0; r->now != BLOCK_FLUSH && i < r->segment_count; i++)
		buffers[n++] = (struct virtio_buffer){ r->segments[i].data, r->segments[i].len };
	buffers[n++] = (struct virtio_buffer){ &c->status, sizeof(c->status) };
	return n;
}

static int start_locked(struct disk *disk, struct block_request *r)
{
	static const uint32_t types[] = { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH };
	struct virtio_buffer buffers[BLOCK_SEGMENTS_MAX + 2];
	unsigned count, in;
	uint16_t number;
	struct command *c;
	int error;

	if (disk->free_count == 0)
		return -EBUSY;
	number = disk->free[disk->free_count - 1];
	c = command_of(disk, number);
	c->header = (struct virtio_blk_outhdr){ .type = types[r->now], .sector = r->now == BLOCK_FLUSH ? 0 : r->sector };
	c->status = STATUS_UNWRITTEN;
	count = fill_buffers(r, c, buffers);
	in = r->now == BLOCK_READ ? count - 1 : 1;
	r->slot = number;
	/* the request before the device knows of it, which may be done with it at once */
	disk->requests[number] = r;
	disk->free_count--;
	error = virtio_queue_add(&disk->queue, buffers, count - in, in, c);
	if (error) {
		disk->requests[number] = NULL;
		disk->free_count++;
	}
	return error;
}

static int disk_start(struct block_device *d, struct block_request *r)
{
	struct disk *disk = disk_of(d);
	int error;

	spin_lock(&disk->lock);
	error = start_locked(disk, r);
	spin_unlock(&disk->lock);
	return error;
}

/* ---- ending ---- */

struct ended {
	struct block_request *request;
	int error;
};

/* The command is free again; its request. */
static struct block_request *release_command(struct disk *disk, const struct command *c)
{
	uint16_t number = (uint16_t)(c - command_of(disk, 0));
	struct block_request *r = disk->requests[number];

	ASSERT(r && r->slot == number);
	disk->requests[number] = NULL;
	disk->free[disk->free_count++] = number;
	return r;
}

static int result(const struct block_request *r, const struct command *c, uint32_t written)
{
	uint32_t expected = r->now == BLOCK_READ ? r->len + 1 : 1;

	return READ_ONCE(c->status) == VIRTIO_BLK_S_OK && written == expected ? 0 : -EIO;
}

static unsigned take_batch(struct disk *disk, struct ended batch[HARVEST_BATCH], bool *ret_broken)
{
	unsigned long irq = spin_lock_irq(&disk->lock);
	unsigned n = 0;
	uint32_t written;
	struct command *c;

	while (n < HARVEST_BATCH && (c = virtio_queue_take(&disk->queue, &written))) {
		struct block_request *r = release_command(disk, c);

		batch[n++] = (struct ended){ r, result(r, c, written) };
	}
	*ret_broken = disk->queue.broken && !disk->reported;
	disk->reported |= disk->queue.broken;
	spin_unlock_irq(&disk->lock, irq);
	return n;
}

/* How many requests have ended. */
static unsigned harvest(struct disk *disk)
{
	struct ended batch[HARVEST_BATCH];
	unsigned n, total = 0;
	bool broken;

	do {
		n = take_batch(disk, batch, &broken);
		for (unsigned i = 0; i < n; i++)
			block_end(batch[i].request, batch[i].error);
		total += n;
	} while (n == HARVEST_BATCH);
	if (broken)
		block_device_fault(&disk->block);
	return total;
}

static void config_interrupt(void *ctx)
{
	struct disk *disk = ctx;

	WRITE_ONCE(disk->changed, true);
	if (__atomic_load_n(&disk->live, __ATOMIC_ACQUIRE))
		block_device_attend(&disk->block);
}

static void interrupt(void *ctx)
{
	struct disk *disk = ctx;
	uint8_t cause = virtio_interrupt_cause(&disk->v);

	if (cause & VIRTIO_PCI_ISR_CONFIG && cause != VIRTIO_STATUS_GONE)
		config_interrupt(disk);
	if (cause && __atomic_load_n(&disk->live, __ATOMIC_ACQUIRE) && harvest(disk) > 0)
		pci_irq_useful(disk->v.pci);
}

/* ---- looking and resetting ---- */

static void read_capacity(struct disk *disk)
{
	uint64_t sectors;

	if (virtio_config(&disk->v, offsetof(struct virtio_blk_config, capacity), &sectors, sizeof(sectors)) ||
	    sectors > BLOCK_SECTORS_MAX || sectors == disk->block.sectors)
		return;
	log_notice("%s: %lu sectors now", disk->block.name, (unsigned long)sectors);
	block_device_resize(&disk->block, sectors);
}

static int disk_poll(struct block_device *d)
{
	struct disk *disk = disk_of(d);
	uint8_t status = virtio_status(&disk->v);

	if (status == VIRTIO_STATUS_GONE)
		return -ENODEV;
	if (status & VIRTIO_CONFIG_S_NEEDS_RESET || !(status & VIRTIO_CONFIG_S_DRIVER_OK))
		return -EIO;
	harvest(disk);
	if (__atomic_exchange_n(&disk->changed, false, __ATOMIC_ACQ_REL))
		read_capacity(disk);
	return 0;
}

/* After a reset: with `features`, all of them, the device goes on. */
static int set_up(struct disk *disk, uint64_t features, bool again)
{
	int error = virtio_negotiate(&disk->v, features);

	if (!error && again && disk->v.features != features)
		error = -EIO;
	if (!error)
		error = virtio_queue_enable(&disk->queue);
	return error;
}

/* Requests that the device will not end. */
static void end_started(struct disk *disk, int error)
{
	for (;;) {
		unsigned long irq = spin_lock_irq(&disk->lock);
		struct command *c = virtio_queue_drain(&disk->queue);
		struct block_request *r = c ? release_command(disk, c) : NULL;

		disk->reported = true;
		spin_unlock_irq(&disk->lock, irq);
		if (!r)
			return;
		block_end(r, error);
	}
}

static int disk_reset(struct block_device *d, bool restart)
{
	struct disk *disk = disk_of(d);
	unsigned long irq;
	int error = virtio_reset(&disk->v);

	end_started(disk, error ? error : -EIO);
	pci_irq_synchronize();
	if (error || !restart)
		return error;
	irq = spin_lock_irq(&disk->lock);
	error = set_up(disk, disk->v.features, true);
	disk->reported = error != 0;
	spin_unlock_irq(&disk->lock, irq);
	if (error)
		virtio_fail(&disk->v);
	else
		virtio_ready(&disk->v);
	return error;
}

static void disk_free(struct disk *disk)
{
	virtio_queue_destroy(&disk->queue);
	if (disk->pages)
		page_put(disk->pages);
	kfree(disk);
}

static void disk_release(struct block_device *d)
{
	disk_free(disk_of(d));
}

static const struct block_ops disk_ops = {
	.start = disk_start,
	.poll = disk_poll,
	.reset = disk_reset,
	.release = disk_release,
};

/* ---- coming and going ---- */

#define FEATURE(name) (UINT64_C(1) << VIRTIO_BLK_F_##name)

static struct disk *disk_create(void)
{
	struct disk *disk = kzalloc(sizeof(*disk));

	if (!disk)
		return NULL;
	spin_init(&disk->lock, RANK_BLOCK_DRIVER);
	disk->pages = page_alloc(COMMANDS_ORDER, PAGE_ALLOC_ZERO);
	if (!disk->pages || virtio_queue_create(&disk->queue, &disk->v, 0)) {
		disk_free(disk);
		return NULL;
	}
	for (uint16_t i = 0; i < COMMANDS_MAX; i++)
		disk->free[disk->free_count++] = i;
	return disk;
}

/* The limits that the device names (5.2.5); what makes no sense is -EINVAL here or in block_device_add(). */
static int read_geometry(struct disk *disk)
{
	struct virtio_blk_config config = { .capacity = 0 };
	uint32_t known = virtio_has(&disk->v, VIRTIO_BLK_F_TOPOLOGY) ? offsetof(struct virtio_blk_config, min_io_size) :
			 virtio_has(&disk->v, VIRTIO_BLK_F_BLK_SIZE) ? offsetof(struct virtio_blk_config, physical_block_exp) :
			 virtio_has(&disk->v, VIRTIO_BLK_F_SEG_MAX)  ? offsetof(struct virtio_blk_config, geometry) :
			 virtio_has(&disk->v, VIRTIO_BLK_F_SIZE_MAX) ? offsetof(struct virtio_blk_config, seg_max) :
								       sizeof(config.capacity);
	struct block_device *b = &disk->block;
	int error = virtio_config(&disk->v, 0, &config, known);

	if (error)
		return error;
	b->sectors = config.capacity;
	b->block_size = virtio_has(&disk->v, VIRTIO_BLK_F_BLK_SIZE) ? config.blk_size : BLOCK_SECTOR;
	b->physical_size = b->block_size;
	if (virtio_has(&disk->v, VIRTIO_BLK_F_TOPOLOGY) && config.physical_block_exp <= PHYSICAL_EXP_MAX)
		b->physical_size = b->block_size << config.physical_block_exp;
	b->segments_max = virtio_has(&disk->v, VIRTIO_BLK_F_SEG_MAX) ? config.seg_max : 1;
	b->segments_max = min(b->segments_max, (uint32_t)BLOCK_SEGMENTS_MAX);
	b->segments_max = min(b->segments_max, (uint32_t)disk->queue.size - 2);
	b->segment_bytes_max = virtio_has(&disk->v, VIRTIO_BLK_F_SIZE_MAX) ? min(config.size_max, SEGMENT_BYTES) : SEGMENT_BYTES;
	b->read_only = virtio_has(&disk->v, VIRTIO_BLK_F_RO);
	b->has_cache = virtio_has(&disk->v, VIRTIO_BLK_F_FLUSH);
	return disk->queue.size > 2 ? 0 : -EINVAL;
}

static int bring_up(struct disk *disk, struct pci_device *pci)
{
	uint64_t wanted = FEATURE(SIZE_MAX) | FEATURE(SEG_MAX) | FEATURE(RO) | FEATURE(BLK_SIZE) | FEATURE(TOPOLOGY) | FEATURE(FLUSH);
	int error = virtio_open(&disk->v, pci);

	if (!error)
		error = virtio_reset(&disk->v);
	if (!error)
		error = virtio_connect(&disk->v, interrupt, config_interrupt, disk);
	if (!error)
		error = set_up(disk, wanted, false);
	if (!error)
		error = read_geometry(disk);
	disk->block.ops = &disk_ops;
	disk->block.prefix = "vd";
	if (!error) {
		virtio_ready(&disk->v);
		error = block_device_add(&disk->block);
	}
	if (error)
		return error;
	__atomic_store_n(&disk->live, true, __ATOMIC_RELEASE);
	block_device_attend(&disk->block); /* for what the device may have said before somebody listened */
	return 0;
}

static int virtio_blk_probe(struct pci_device *pci)
{
	struct disk *disk = disk_create();
	int error = disk ? bring_up(disk, pci) : -ENOMEM;

	if (!error) {
		pci->private = disk;
		return 0;
	}
	if (disk) {
		pci_disable_dma(pci); /* before the queue's memory goes; what a reset would take, it may not be able to do */
		pci_irq_disconnect(pci);
		if (disk->v.common)
			virtio_fail(&disk->v);
		disk_free(disk);
	}
	return error;
}

static void virtio_blk_remove(struct pci_device *pci)
{
	struct disk *disk = pci->private;

	refcount_get(&disk->block.refs);
	block_device_remove(&disk->block);
	pci_irq_disconnect(pci);
	pci_disable_dma(pci);
	block_put(&disk->block);
}

static const struct pci_match virtio_blk_matches[] = {
	{ .vendor = VIRTIO_VENDOR, .device = DEVICE_MODERN },
	{ .vendor = VIRTIO_VENDOR, .device = DEVICE_TRANSITIONAL },
	{ 0 },
};
DRIVER_DEFINE(virtio_blk, .matches = virtio_blk_matches, .probe = virtio_blk_probe, .remove = virtio_blk_remove);
