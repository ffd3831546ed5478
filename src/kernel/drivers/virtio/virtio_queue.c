/* SPDX-License-Identifier: MIT */
/*
 * Split queues (Virtual I/O Device 1.2, 2.7). The driver links descriptors into chains and puts their heads into the available ring; the
 * device returns heads through the used ring.
 *
 * The three tables lie in memory that the device reaches; everything that is relied upon is kept apart from them: which descriptors are
 * free and how they are linked (next[]), what is in flight (chains[]), both running indices. I1 only head numbers, lengths and the
 * used index are ever read from the device, each once, and checked: a used index may be ahead by at most the chains in flight, a
 * head must be in flight, a length at most what it could write. A lie sets `broken`, which ends all reading. I2 so each
 * take() retires one chain, and a loop over it ends.
 */
#include <cloudos/errno.h>
#include <cloudos/string.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include "virtio.h"

#define PAGES_ORDER	 1
#define DESCRIPTORS_AT	 0u
#define AVAILABLE_AT	 (VIRTIO_QUEUE_MAX * sizeof(struct vring_desc))
#define USED_AT		 (AVAILABLE_AT + 1024u)
#define SIZE_MIN	 2

_Static_assert(sizeof(struct vring_desc) == 16 && sizeof(struct vring_used_elem) == 8, "2.7.5, 2.7.8");
_Static_assert(offsetof(struct vring_avail, ring) == 4 && offsetof(struct vring_used, ring) == 4, "2.7.6, 2.7.8");
_Static_assert(AVAILABLE_AT + 6 + 2 * VIRTIO_QUEUE_MAX <= USED_AT, "the rings do not overlap");
_Static_assert(USED_AT + 6 + 8 * VIRTIO_QUEUE_MAX <= PAGE_SIZE << PAGES_ORDER, "the queue fits in its pages");

static volatile struct vring_desc *descriptors(const struct virtio_queue *q)
{
	return (volatile struct vring_desc *)((char *)page_virt(q->pages) + DESCRIPTORS_AT);
}

static volatile struct vring_avail *available_ring(const struct virtio_queue *q)
{
	return (volatile struct vring_avail *)((char *)page_virt(q->pages) + AVAILABLE_AT);
}

static volatile struct vring_used *used_ring(const struct virtio_queue *q)
{
	return (volatile struct vring_used *)((char *)page_virt(q->pages) + USED_AT);
}

int virtio_queue_create(struct virtio_queue *q, struct virtio_device *v, uint16_t index)
{
	memset(q, 0, sizeof(*q));
	q->v = v;
	q->index = index;
	q->broken = true; /* until it is enabled */
	q->pages = page_alloc(PAGES_ORDER, PAGE_ALLOC_ZERO);
	return q->pages ? 0 : -ENOMEM;
}

void virtio_queue_destroy(struct virtio_queue *q)
{
	if (q->pages)
		page_put(q->pages);
	q->pages = NULL;
}

static void empty(struct virtio_queue *q)
{
	memset(page_virt(q->pages), 0, PAGE_SIZE << PAGES_ORDER);
	memset(q->chains, 0, sizeof(q->chains));
	for (uint16_t i = 0; i < q->size; i++)
		q->next[i] = (uint16_t)(i + 1);
	q->free = 0;
	q->free_count = q->size;
	q->available = q->taken = q->in_flight = 0;
}

static void write_address(volatile uint8_t *common, unsigned low, const volatile void *where)
{
	uint64_t address = hal_dma_addr((const void *)where);

	hal_mmio_write32(common + low, (uint32_t)address);
	hal_mmio_write32(common + low + 4, (uint32_t)(address >> 32));
}

/* 4.1.4.4: where to ring. */
static volatile uint8_t *doorbell(const struct virtio_queue *q, uint16_t notify_off)
{
	uint64_t at = (uint64_t)notify_off * q->v->notify_multiplier;

	return at % 2 || at + 2 > q->v->notify_len ? NULL : q->v->notify + at;
}

/* 4.1.5.1.3 */
int virtio_queue_enable(struct virtio_queue *q)
{
	volatile uint8_t *common = q->v->common;
	uint16_t size, vector = q->v->irq == PCI_IRQ_MSIX ? VIRTIO_QUEUE_VECTOR : VIRTIO_MSI_NO_VECTOR;

	hal_mmio_write16(common + VIRTIO_PCI_COMMON_Q_SELECT, q->index);
	size = hal_mmio_read16(common + VIRTIO_PCI_COMMON_Q_SIZE);
	if (size < SIZE_MIN || (size & (size - 1)))
		return -EINVAL;
	q->size = min(size, (uint16_t)VIRTIO_QUEUE_MAX);
	hal_mmio_write16(common + VIRTIO_PCI_COMMON_Q_SIZE, q->size);
	q->doorbell = doorbell(q, hal_mmio_read16(common + VIRTIO_PCI_COMMON_Q_NOFF));
	if (!q->doorbell)
		return -EINVAL;
	hal_mmio_write16(common + VIRTIO_PCI_COMMON_Q_MSIX, vector);
	if (hal_mmio_read16(common + VIRTIO_PCI_COMMON_Q_MSIX) != vector)
		return -EINVAL;
	empty(q);
	write_address(common, VIRTIO_PCI_COMMON_Q_DESCLO, descriptors(q));
	write_address(common, VIRTIO_PCI_COMMON_Q_AVAILLO, available_ring(q));
	write_address(common, VIRTIO_PCI_COMMON_Q_USEDLO, used_ring(q));
	hal_mmio_write16(common + VIRTIO_PCI_COMMON_Q_ENABLE, 1);
	q->broken = false;
	return 0;
}

static void ring(struct virtio_queue *q)
{
	hal_dma_mb(); /* the new index is seen before its flag is looked at (2.7.13.4) */
	if (!(used_ring(q)->flags & VRING_USED_F_NO_NOTIFY))
		hal_mmio_write16(q->doorbell, q->index);
}

int virtio_queue_add(struct virtio_queue *q, const struct virtio_buffer *buffers, unsigned out, unsigned in, void *token)
{
	unsigned count = out + in;
	uint16_t head = q->free, at = head;
	uint32_t writable = 0;

	if (q->broken)
		return -EIO;
	if (count > q->free_count)
		return -EBUSY;
	for (unsigned i = 0; i < count; i++, at = q->next[at]) {
		volatile struct vring_desc *d = &descriptors(q)[at];

		d->addr = hal_dma_addr(buffers[i].data);
		d->len = buffers[i].len;
		d->flags = (uint16_t)((i < out ? 0 : VRING_DESC_F_WRITE) | (i + 1 < count ? VRING_DESC_F_NEXT : 0));
		d->next = i + 1 < count ? q->next[at] : 0;
		writable += i < out ? 0 : buffers[i].len;
	}
	q->free = at;
	q->free_count = (uint16_t)(q->free_count - count);
	q->chains[head] = (struct virtio_chain){ token, writable, (uint16_t)count };
	q->in_flight++;
	available_ring(q)->ring[q->available % q->size] = head;
	hal_dma_wmb();
	available_ring(q)->idx = ++q->available;
	ring(q);
	return 0;
}

/* The chain's descriptors are free again; its token. */
static void *retire(struct virtio_queue *q, uint16_t head)
{
	struct virtio_chain chain = q->chains[head];
	uint16_t last = head;

	for (unsigned i = 1; i < chain.count; i++)
		last = q->next[last];
	q->next[last] = q->free;
	q->free = head;
	q->free_count = (uint16_t)(q->free_count + chain.count);
	q->chains[head].token = NULL;
	q->in_flight--;
	return chain.token;
}

void *virtio_queue_take(struct virtio_queue *q, uint32_t *ret_written)
{
	uint16_t ahead;
	uint32_t head, written;

	if (q->broken)
		return NULL;
	ahead = (uint16_t)(used_ring(q)->idx - q->taken);
	if (ahead == 0)
		return NULL;
	hal_dma_rmb();
	head = used_ring(q)->ring[q->taken % q->size].id;
	written = used_ring(q)->ring[q->taken % q->size].len;
	if (ahead > q->in_flight || head >= q->size || !q->chains[head].token || written > q->chains[head].writable) {
		q->broken = true;
		return NULL;
	}
	q->taken++;
	*ret_written = written;
	return retire(q, (uint16_t)head);
}

void *virtio_queue_drain(struct virtio_queue *q)
{
	q->broken = true;
	for (uint16_t head = 0; head < q->size; head++)
		if (q->chains[head].token)
			return retire(q, head);
	return NULL;
}
