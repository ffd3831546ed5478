/* SPDX-License-Identifier: MIT */
/*
 * Models of virtio devices (Virtual I/O Device 1.2): the PCI transport and the split queues, which a device's own model
 * (virtio_blk.c) stands on. The driver is not trusted either: bad addresses and endless chains make the device ask for a reset.
 */
#ifndef SIM_VIRTIO_H
#define SIM_VIRTIO_H

#include <sim/device.h>
#include <sim/disk.h>

#define SIM_VIRTIO_QUEUES     2
#define SIM_VIRTIO_QUEUE_SIZE 128 /* entries */
#define SIM_VIRTIO_PARTS_MAX  (SIM_DISK_SEGMENTS_MAX + 2) /* buffers of a chain */
#define SIM_VIRTIO_CONFIG_MAX 128

struct sim_virtio;

struct sim_virtio_ops {
	void (*notified)(struct sim_virtio *v, unsigned queue);
	/* Forgets all that is in flight; false: some is still at work, and sim_virtio_is_reset() will be called. */
	bool (*reset)(struct sim_virtio *v);
};

struct sim_virtio_queue {
	uint16_t size, vector, enabled;
	uint64_t descriptors, available, used; /* guest addresses */
	uint16_t seen;			       /* of the available ring */
	uint16_t done;			       /* of the used ring */
};

struct sim_virtio {
	struct sim_pci pci;
	const struct sim_virtio_ops *ops;
	uint64_t features, accepted;
	uint32_t feature_select, accept_select;
	uint16_t queue_select, config_vector;
	uint8_t status, generation, isr;
	bool resetting;
	unsigned queue_count;
	uint16_t queue_size; /* what its queues have */
	struct sim_virtio_queue queues[SIM_VIRTIO_QUEUES];
	uint8_t config[SIM_VIRTIO_CONFIG_MAX];
	unsigned config_len;
};

struct sim_virtio_chain {
	uint16_t head;
	unsigned parts;
	struct {
		uint8_t *data;
		uint32_t len;
		bool writable;
	} part[SIM_VIRTIO_PARTS_MAX];
	uint32_t writable; /* bytes in all */
};

/* A device of type `id` (4.1.2) with one queue; `config` is filled in afterwards. */
void sim_virtio_init(struct sim_virtio *v, const struct sim_virtio_ops *ops, uint16_t id, uint32_t class, uint64_t features);

/* The next chain of a queue; false: none, or it made no sense (then the device asks for a reset). */
bool sim_virtio_pop(struct sim_virtio *v, unsigned queue, struct sim_virtio_chain *ret);

/* The chain was used, `written` bytes of it; interrupts the driver. Where faults say so, lies about it. */
void sim_virtio_push(struct sim_virtio *v, unsigned queue, uint16_t head, uint32_t written);

/* The configuration has changed. */
void sim_virtio_config_changed(struct sim_virtio *v);

void sim_virtio_needs_reset(struct sim_virtio *v);
void sim_virtio_is_reset(struct sim_virtio *v);

/* ---- block devices (virtio_blk.c) ---- */

struct sim_virtio_blk;

/* A block device on that disk, not plugged yet; null: no memory. */
struct sim_virtio_blk *sim_virtio_blk_create(struct sim_disk *disk);
/* As new, also of one that was unplugged. */
void sim_virtio_blk_init(struct sim_virtio_blk *b, struct sim_disk *disk);
struct sim_virtio *sim_virtio_blk_device(struct sim_virtio_blk *b);

#endif
