/* SPDX-License-Identifier: MIT */
/*
 * Virtio devices on PCI (Virtual I/O Device 1.2, 4.1), and their split queues (2.7): what drivers of virtio devices share.
 *
 * The device is not trusted. What it says of itself (capabilities, sizes, configuration) is checked when it is read, and what it
 * writes into a queue's used ring is checked against the driver's own records, which it cannot reach. A device that lies makes the
 * queue broken: nothing is taken from it any more, until it is reset.
 */
#ifndef VIRTIO_H
#define VIRTIO_H

#include <cloudos/driver.h>
#include <cloudos/mm.h>
#include <linux/virtio_config.h>

#define VIRTIO_VENDOR		 0x1af4
#define VIRTIO_QUEUE_MAX	 256 /* entries used of a queue, whatever the device has */
#define VIRTIO_RESET_TIMEOUT_NS	 NSEC_PER_SEC
#define VIRTIO_CONFIG_TRIES	 32   /* reads of a configuration that changes under the reader's eyes */
#define VIRTIO_CONFIG_MAX	 4096 /* bytes of device configuration that are mapped */
#define VIRTIO_STATUS_GONE	 0xff /* what is read where nothing is */
#define VIRTIO_QUEUE_VECTOR	 0
#define VIRTIO_CONFIG_VECTOR	 1

struct virtio_device {
	struct pci_device *pci;
	volatile uint8_t *common, *notify, *isr, *config; /* registers; config may be null */
	uint32_t config_len, notify_len, notify_multiplier;
	uint64_t features; /* agreed on */
	enum pci_irq_kind irq;
	bool config_vector; /* changes of the configuration have a vector of their own */
};

/* Finds and maps the registers: 0, -ENODEV (a device of before 1.0), -EINVAL (it makes no sense). */
int virtio_open(struct virtio_device *v, struct pci_device *pci);

/* Connects its interrupts: queue() for what was used, changed() for the configuration; with one line or vector both are queue()'s. */
int virtio_connect(struct virtio_device *v, hal_irq_handler queue, hal_irq_handler changed, void *ctx);

/* Whether the device raised an interrupt, where that is not known from the vector: bits of its ISR register; all where it is known. */
uint8_t virtio_interrupt_cause(struct virtio_device *v);

/* The device is as new, and touches no memory: 0; -ENODEV (it is gone) or -EIO (it does not react: its DMA was cut off). May sleep. */
int virtio_reset(struct virtio_device *v);

/* From a reset to features agreed on, those of `wanted` that it has: 0, -ENODEV, -EINVAL. */
int virtio_negotiate(struct virtio_device *v, uint64_t wanted);
static inline bool virtio_has(const struct virtio_device *v, unsigned feature)
{
	return v->features >> feature & 1;
}

/* The queues are set up: go. Tells the device that the driver has given up. What the device says. */
void virtio_ready(struct virtio_device *v);
void virtio_fail(struct virtio_device *v);
uint8_t virtio_status(struct virtio_device *v);

/* Copies device configuration, one consistent state of it: 0, -EINVAL (there is not so much), -EIO (it never stays). */
int virtio_config(struct virtio_device *v, uint32_t offset, void *to, uint32_t len);

/* ---- queues ---- */

struct virtio_buffer {
	void *data; /* direct map */
	uint32_t len;
};

/* What is known of a chain in flight, by the number of its first descriptor. */
struct virtio_chain {
	void *token;	   /* null: none */
	uint32_t writable; /* bytes that the device may write */
	uint16_t count;	   /* descriptors */
};

/* The caller locks. */
struct virtio_queue {
	struct virtio_device *v;
	uint16_t index, size;
	struct page *pages; /* descriptors, available ring, used ring */
	volatile uint8_t *doorbell;
	uint16_t free, free_count;  /* descriptors, linked by next[] */
	uint16_t available, taken; /* running indices of the two rings */
	uint16_t in_flight;	   /* chains */
	bool broken;
	uint16_t next[VIRTIO_QUEUE_MAX];
	struct virtio_chain chains[VIRTIO_QUEUE_MAX];
};

/* Memory for queue `index`, at most VIRTIO_QUEUE_MAX entries: 0, -ENOMEM. */
int virtio_queue_create(struct virtio_queue *q, struct virtio_device *v, uint16_t index);
void virtio_queue_destroy(struct virtio_queue *q);

/* After virtio_negotiate(): empties the queue and tells the device of it. 0, -EINVAL (its size or doorbell makes no sense). */
int virtio_queue_enable(struct virtio_queue *q);

/*
 * Offers `out` buffers to be read and then `in` buffers to be written, and rings. 0, -EBUSY (no room), -EIO (broken). The buffers stay the
 * device's until their token was taken, or the device was reset.
 */
int virtio_queue_add(struct virtio_queue *q, const struct virtio_buffer *buffers, unsigned out, unsigned in, void *token);

/* The token of a chain that the device has used, and the bytes it says it wrote (at most what it could); null: none, or broken. */
void *virtio_queue_take(struct virtio_queue *q, uint32_t *ret_written);

/* After a reset: the tokens still in flight, one by one. */
void *virtio_queue_drain(struct virtio_queue *q);

#endif
