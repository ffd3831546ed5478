/* SPDX-License-Identifier: MIT */
/*
 * A virtio block device (Virtual I/O Device 1.2, 5.2) on a disk (disk.h): takes requests from its queue, gives them to the disk, and answers
 * when the disk is done. Each request has a slot; `busy` slots are in flight at the disk or held back.
 *
 * A reset is complete when the disk has forgotten, or finished, what is in flight: until then the device's status stays, as the
 * specification has it (2.4.1), so that a driver that has waited for it may use its buffers again.
 */
#include <asm/errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>

#include <sim/fault.h>
#include <sim/virtio.h>

#define ID_BLOCK    2
#define CLASS_OTHER 0x018000 /* mass storage, other */
#define SERIAL	    "cloudos-sim-disk"

_Static_assert(offsetof(struct virtio_blk_config, physical_block_exp) == 24 && SIM_VIRTIO_CONFIG_MAX >= sizeof(struct virtio_blk_config),
	       "5.2.4");

struct blk_request {
	struct sim_disk_request disk; /* first: done() finds the rest by it */
	struct sim_virtio_blk *owner;
	bool busy;
	uint16_t head;
	uint32_t written; /* what the answer will say */
	uint8_t *status;
};
_Static_assert(offsetof(struct blk_request, disk) == 0, "see done()");

struct sim_virtio_blk {
	struct sim_virtio v; /* first, see sim_virtio_ops */
	struct sim_disk *disk;
	unsigned in_flight; /* at the disk */
	struct blk_request *held; /* VIRTIO_REORDERS: answered behind the next one */
	uint8_t held_status;
	struct sim_virtio_chain chain; /* the one that is being read */
	struct blk_request requests[SIM_VIRTIO_QUEUE_SIZE];
};
_Static_assert(offsetof(struct sim_virtio_blk, v) == 0, "see notified()");

/* ---- answering ---- */

static void answer(struct blk_request *r, uint8_t status)
{
	struct sim_virtio_blk *b = r->owner;

	if (sim_fault(SIM_FAULT_VIRTIO_STATUS))
		status = (uint8_t)sim_fault_draw(SIM_FAULT_VIRTIO_STATUS, 256);
	*r->status = status;
	r->busy = false;
	sim_virtio_push(&b->v, 0, r->head, r->written);
}

static void answer_held(struct sim_virtio_blk *b)
{
	struct blk_request *r = b->held;

	b->held = NULL;
	if (r)
		answer(r, b->held_status);
}

static void finish(struct blk_request *r, uint8_t status)
{
	struct sim_virtio_blk *b = r->owner;

	if (!b->held && b->in_flight > 0 && sim_fault(SIM_FAULT_VIRTIO_REORDERS)) {
		b->held = r;
		b->held_status = status;
		return;
	}
	answer(r, status);
	answer_held(b);
}

static void done(struct sim_disk_request *request, int error)
{
	struct blk_request *r = (struct blk_request *)(void *)request;
	struct sim_virtio_blk *b = r->owner;

	b->in_flight--;
	if (!b->v.resetting && b->v.pci.plugged) {
		finish(r, error ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK);
		return;
	}
	r->busy = false;
	if (b->in_flight == 0)
		sim_virtio_is_reset(&b->v);
}

/* ---- asking ---- */

/* Copies the header from the readable parts and says where the data begin: part and byte in it. False: there is no header. */
static bool take_header(const struct sim_virtio_chain *c, struct virtio_blk_outhdr *ret, unsigned *ret_part, uint32_t *ret_at)
{
	unsigned part = 0;
	uint32_t at = 0;

	for (size_t i = 0; i < sizeof(*ret); i++) {
		if (part == c->parts || c->part[part].writable)
			return false;
		((uint8_t *)ret)[i] = c->part[part].data[at++];
		if (at == c->part[part].len) {
			part++;
			at = 0;
		}
	}
	*ret_part = part;
	*ret_at = at;
	return true;
}

/* The data's parts become segments; the last byte that can be written is the status. Returns the data's bytes, or -1. */
static int64_t take_data(const struct sim_virtio_chain *c, unsigned part, uint32_t at, bool writable, struct blk_request *r)
{
	int64_t total = 0;

	r->disk.segment_count = 0;
	for (; part < c->parts; part++, at = 0) {
		uint32_t len = c->part[part].len - at - (part + 1 == c->parts);

		if (part + 1 == c->parts ? !c->part[part].writable : c->part[part].writable != writable)
			return -1;
		if (!len)
			continue;
		if (r->disk.segment_count == SIM_DISK_SEGMENTS_MAX)
			return -1;
		r->disk.segments[r->disk.segment_count++] = (struct sim_disk_segment){c->part[part].data + at, len};
		total += len;
	}
	return total;
}

static void answer_id(struct blk_request *r)
{
	static const char serial[VIRTIO_BLK_ID_BYTES] = SERIAL;
	uint8_t *to = r->disk.segment_count ? r->disk.segments[0].data : NULL;

	for (size_t i = 0; to && i < sizeof(serial) && i < r->disk.segments[0].len; i++)
		to[i] = (uint8_t)serial[i];
	finish(r, VIRTIO_BLK_S_OK);
}

static bool in_range(const struct sim_disk *d, uint64_t sector, uint64_t len)
{
	return len % SIM_DISK_SECTOR == 0 && sector <= d->sectors && len / SIM_DISK_SECTOR <= d->sectors - sector;
}

static void submit(struct sim_virtio_blk *b, struct blk_request *r, enum sim_disk_op op, uint64_t sector)
{
	r->disk.op = op;
	r->disk.fua = false;
	r->disk.sector = sector;
	r->disk.done = done;
	b->in_flight++;
	b->disk->ops->submit(b->disk, &r->disk);
}

static void transfer(struct sim_virtio_blk *b, struct blk_request *r, const struct virtio_blk_outhdr *header, int64_t len)
{
	bool write = header->type == VIRTIO_BLK_T_OUT;

	if (!in_range(b->disk, header->sector, (uint64_t)len) || len == 0 || (write && b->disk->read_only))
		finish(r, VIRTIO_BLK_S_IOERR);
	else
		submit(b, r, write ? SIM_DISK_WRITE : SIM_DISK_READ, header->sector);
}

static void execute(struct sim_virtio_blk *b, struct blk_request *r, const struct virtio_blk_outhdr *header, int64_t len)
{
	switch (header->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		transfer(b, r, header, len);
		break;
	case VIRTIO_BLK_T_FLUSH:
		submit(b, r, SIM_DISK_FLUSH, 0);
		break;
	case VIRTIO_BLK_T_GET_ID:
		answer_id(r);
		break;
	default:
		finish(r, VIRTIO_BLK_S_UNSUPP);
	}
}

static struct blk_request *free_request(struct sim_virtio_blk *b)
{
	for (unsigned i = 0; i < SIM_VIRTIO_QUEUE_SIZE; i++)
		if (!b->requests[i].busy)
			return &b->requests[i];
	return NULL;
}

static void begin(struct sim_virtio_blk *b, const struct sim_virtio_chain *c)
{
	struct blk_request *r = free_request(b);
	struct virtio_blk_outhdr header;
	unsigned part;
	uint32_t at;
	int64_t len = -1;

	if (r && c->writable && take_header(c, &header, &part, &at))
		len = take_data(c, part, at, header.type != VIRTIO_BLK_T_OUT, r);
	if (len < 0) {
		sim_virtio_needs_reset(&b->v);
		return;
	}
	r->owner = b;
	r->busy = true;
	r->head = c->head;
	r->written = header.type == VIRTIO_BLK_T_OUT ? 1 : (uint32_t)len + 1;
	r->status = c->part[c->parts - 1].data + c->part[c->parts - 1].len - 1;
	if (!sim_fault(SIM_FAULT_VIRTIO_HANGS))
		execute(b, r, &header, len);
}

static void notified(struct sim_virtio *v, unsigned queue)
{
	struct sim_virtio_blk *b = (struct sim_virtio_blk *)(void *)v;

	if (b->disk->gone || sim_fault(SIM_FAULT_DISK_GONE)) {
		b->disk->gone = true;
		sim_pci_vanish(&v->pci);
		if (b->disk->ops->forget && b->in_flight)
			b->disk->ops->forget(b->disk);
		return;
	}
	while (sim_virtio_pop(v, queue, &b->chain))
		begin(b, &b->chain);
}

static bool forget(struct sim_virtio *v)
{
	struct sim_virtio_blk *b = (struct sim_virtio_blk *)(void *)v;

	b->held = NULL;
	if (b->in_flight && b->disk->ops->forget) {
		b->disk->ops->forget(b->disk);
		b->in_flight = 0;
	}
	if (b->in_flight)
		return false;
	for (unsigned i = 0; i < SIM_VIRTIO_QUEUE_SIZE; i++)
		b->requests[i].busy = false;
	return true;
}

/* ---- making one ---- */

static const struct sim_virtio_ops blk_ops = {.notified = notified, .reset = forget};

#define FEATURE(name) (UINT64_C(1) << VIRTIO_BLK_F_##name)

void sim_virtio_blk_init(struct sim_virtio_blk *b, struct sim_disk *disk)
{
	uint64_t features = FEATURE(SEG_MAX) | FEATURE(BLK_SIZE) | FEATURE(FLUSH) | (disk->read_only ? FEATURE(RO) : 0);
	struct virtio_blk_config config = {
	    .capacity = disk->sectors, .seg_max = SIM_VIRTIO_QUEUE_SIZE - 2, .blk_size = SIM_DISK_SECTOR};

	b->disk = disk;
	b->in_flight = 0;
	b->held = NULL;
	for (unsigned i = 0; i < SIM_VIRTIO_QUEUE_SIZE; i++)
		b->requests[i].busy = false;
	sim_virtio_init(&b->v, &blk_ops, ID_BLOCK, CLASS_OTHER, features);
	b->v.config_len = sizeof(config);
	__builtin_memcpy(b->v.config, &config, sizeof(config));
}

struct sim_virtio_blk *sim_virtio_blk_create(struct sim_disk *disk)
{
	struct sim_virtio_blk *b = host_memory(sizeof(*b));

	if (b)
		sim_virtio_blk_init(b, disk);
	return b;
}

struct sim_virtio *sim_virtio_blk_device(struct sim_virtio_blk *b)
{
	return &b->v;
}
