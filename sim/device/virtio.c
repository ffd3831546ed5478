/* SPDX-License-Identifier: MIT */
/*
 * The transport of virtio devices on PCI and their split queues, from the device's side (Virtual I/O Device 1.2, 2.7 and 4.1), and the lies
 * that faults make it tell.
 */
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include <sim/fault.h>
#include <sim/virtio.h>

#define VENDOR	     0x1af4
#define DEVICE_FIRST 0x1040
#define BAR_TABLE    2
#define BAR_SIZE     0x4000u
#define ISR_AT	     0x1000u
#define CONFIG_AT    0x2000u
#define NOTIFY_AT    0x3000u
#define MULTIPLIER   4u
#define COMMON_LEN   (VIRTIO_PCI_COMMON_Q_USEDHI + 4)
#define PART_MAX     (64u << 20) /* bytes of one buffer that are believed */
#define JUMP	     1000	 /* VIRTIO_INDEX */

/* ---- interrupts ---- */

static void interrupt(struct sim_virtio *v, uint16_t vector, uint8_t cause)
{
	if (sim_pci_has_msix(&v->pci)) {
		if (vector != VIRTIO_MSI_NO_VECTOR)
			sim_pci_message(&v->pci, vector);
		return;
	}
	v->isr |= cause;
	sim_pci_line(&v->pci, true);
}

void sim_virtio_config_changed(struct sim_virtio *v)
{
	v->generation++;
	if (v->status & VIRTIO_CONFIG_S_DRIVER_OK)
		interrupt(v, v->config_vector, VIRTIO_PCI_ISR_CONFIG);
}

void sim_virtio_needs_reset(struct sim_virtio *v)
{
	v->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	sim_virtio_config_changed(v);
}

/* ---- reset ---- */

static void clear(struct sim_virtio *v)
{
	v->accepted = 0;
	v->feature_select = v->accept_select = v->queue_select = 0;
	v->config_vector = VIRTIO_MSI_NO_VECTOR;
	v->status = v->isr = 0;
	v->resetting = false;
	for (unsigned i = 0; i < v->queue_count; i++)
		v->queues[i] = (struct sim_virtio_queue){.size = v->queue_size, .vector = VIRTIO_MSI_NO_VECTOR};
	sim_pci_line(&v->pci, false);
}

void sim_virtio_is_reset(struct sim_virtio *v)
{
	if (v->resetting)
		clear(v);
}

static void reset(struct sim_virtio *v)
{
	v->resetting = true;
	for (unsigned i = 0; i < v->queue_count; i++)
		v->queues[i].enabled = 0;
	if (v->ops->reset(v))
		clear(v);
}

/* ---- the common configuration (4.1.4.3) ---- */

static uint32_t half(uint64_t value, uint32_t select)
{
	return select < 2 ? (uint32_t)(value >> 32 * select) : 0;
}

static uint32_t address_half(const struct sim_virtio_queue *q, unsigned offset)
{
	uint64_t address = offset < VIRTIO_PCI_COMMON_Q_AVAILLO ? q->descriptors :
			   offset < VIRTIO_PCI_COMMON_Q_USEDLO	? q->available :
								  q->used;

	return half(address, offset % 8 / 4);
}

static uint16_t queue_size(const struct sim_virtio_queue *q)
{
	return sim_fault(SIM_FAULT_VIRTIO_QUEUE_SIZE) ? (uint16_t)sim_fault_draw(SIM_FAULT_VIRTIO_QUEUE_SIZE, 65536) : q->size;
}

static uint32_t common_read(struct sim_virtio *v, unsigned offset)
{
	static const struct sim_virtio_queue none;
	const struct sim_virtio_queue *q = v->queue_select < v->queue_count ? &v->queues[v->queue_select] : &none;

	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		return v->feature_select;
	case VIRTIO_PCI_COMMON_DF:
		return half(v->features, v->feature_select);
	case VIRTIO_PCI_COMMON_GFSELECT:
		return v->accept_select;
	case VIRTIO_PCI_COMMON_GF:
		return half(v->accepted, v->accept_select);
	case VIRTIO_PCI_COMMON_MSIX:
		return v->config_vector;
	case VIRTIO_PCI_COMMON_NUMQ:
		return v->queue_count;
	case VIRTIO_PCI_COMMON_STATUS:
		return v->status;
	case VIRTIO_PCI_COMMON_CFGGENERATION:
		return v->generation;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		return v->queue_select;
	case VIRTIO_PCI_COMMON_Q_SIZE:
		return queue_size(q);
	case VIRTIO_PCI_COMMON_Q_MSIX:
		return q->vector;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		return q->enabled;
	case VIRTIO_PCI_COMMON_Q_NOFF:
		return v->queue_select;
	default:
		return offset >= VIRTIO_PCI_COMMON_Q_DESCLO && offset < COMMON_LEN ? address_half(q, offset) : UINT32_MAX;
	}
}

static void set_half(uint64_t *value, unsigned which, uint32_t half_value)
{
	if (which < 2)
		*value = (*value & ~(UINT64_C(0xffffffff) << 32 * which)) | (uint64_t)half_value << 32 * which;
}

/* The driver may only accept what is offered (2.2.1), and must know VERSION_1. */
static void status_write(struct sim_virtio *v, uint8_t status)
{
	bool fits = !(v->accepted & ~v->features) && v->accepted >> VIRTIO_F_VERSION_1 & 1;

	if (status == 0) {
		if (!sim_fault(SIM_FAULT_VIRTIO_STUCK))
			reset(v);
		return;
	}
	if (!fits)
		status &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK;
	v->status = status;
}

static void queue_write(struct sim_virtio *v, struct sim_virtio_queue *q, unsigned offset, uint32_t value)
{
	if (q->enabled)
		return; /* 4.1.4.3.2: not while it is */
	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		if (value && value <= v->queue_size && !(value & (value - 1)))
			q->size = (uint16_t)value;
		break;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		q->vector = value < v->pci.msix_count ? (uint16_t)value : VIRTIO_MSI_NO_VECTOR;
		break;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		q->enabled = value == 1;
		q->seen = q->done = 0;
		break;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		set_half(&q->descriptors, offset % 8 / 4, value);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		set_half(&q->available, offset % 8 / 4, value);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDLO:
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		set_half(&q->used, offset % 8 / 4, value);
		break;
	default:
		v->pci.faults.bad_registers++;
	}
}

static void common_write(struct sim_virtio *v, unsigned offset, uint32_t value)
{
	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		v->feature_select = value;
		break;
	case VIRTIO_PCI_COMMON_GFSELECT:
		v->accept_select = value;
		break;
	case VIRTIO_PCI_COMMON_GF:
		set_half(&v->accepted, v->accept_select, value);
		break;
	case VIRTIO_PCI_COMMON_MSIX:
		v->config_vector = value < v->pci.msix_count ? (uint16_t)value : VIRTIO_MSI_NO_VECTOR;
		break;
	case VIRTIO_PCI_COMMON_STATUS:
		status_write(v, (uint8_t)value);
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		v->queue_select = (uint16_t)value;
		break;
	default:
		if (v->queue_select < v->queue_count)
			queue_write(v, &v->queues[v->queue_select], offset, value);
	}
}

/* ---- the other registers ---- */

static uint64_t config_read(struct sim_virtio *v, unsigned offset, unsigned width)
{
	uint64_t value = 0;

	if (sim_fault(SIM_FAULT_VIRTIO_CONFIG))
		return sim_fault_draw(SIM_FAULT_VIRTIO_CONFIG, UINT64_MAX);
	for (unsigned i = 0; i < width && offset + i < v->config_len; i++)
		value |= (uint64_t)v->config[offset + i] << 8 * i;
	return value;
}

static uint8_t isr_read(struct sim_virtio *v)
{
	uint8_t isr = v->isr;

	v->isr = 0;
	sim_pci_line(&v->pci, false);
	return isr;
}

static uint64_t registers_read(struct sim_pci *d, unsigned bar, uint64_t offset, unsigned width)
{
	struct sim_virtio *v = (struct sim_virtio *)(void *)d; /* its first member */

	(void)bar;
	if (offset < COMMON_LEN)
		return common_read(v, (unsigned)offset);
	if (offset == ISR_AT)
		return isr_read(v);
	if (offset >= CONFIG_AT && offset < NOTIFY_AT)
		return config_read(v, (unsigned)(offset - CONFIG_AT), width);
	d->faults.bad_registers++;
	return UINT64_MAX;
}
_Static_assert(offsetof(struct sim_virtio, pci) == 0, "see registers_read()");

static void notify(struct sim_virtio *v, unsigned queue)
{
	if (queue >= v->queue_count || !v->queues[queue].enabled || !(v->status & VIRTIO_CONFIG_S_DRIVER_OK) ||
	    v->status & VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	if (sim_fault(SIM_FAULT_VIRTIO_RESETS))
		reset(v);
	else if (sim_fault(SIM_FAULT_VIRTIO_NEEDS_RESET))
		sim_virtio_needs_reset(v);
	else
		v->ops->notified(v, queue);
}

static void registers_write(struct sim_pci *d, unsigned bar, uint64_t offset, unsigned width, uint64_t value)
{
	struct sim_virtio *v = (struct sim_virtio *)(void *)d;

	(void)bar, (void)width;
	if (offset < COMMON_LEN)
		common_write(v, (unsigned)offset, (uint32_t)value);
	else if (offset >= NOTIFY_AT && offset < NOTIFY_AT + SIM_VIRTIO_QUEUES * MULTIPLIER)
		notify(v, (unsigned)(offset - NOTIFY_AT) / MULTIPLIER);
	else
		d->faults.bad_registers++;
}

static const struct sim_pci_ops registers = {.read = registers_read, .write = registers_write};

/* ---- making one ---- */

static void add_place(struct sim_virtio *v, uint8_t kind, unsigned len, uint32_t offset, uint32_t size)
{
	unsigned at = sim_pci_add_capability(&v->pci, PCI_CAP_ID_VNDR, len);

	sim_pci_set(&v->pci, at + VIRTIO_PCI_CAP_LEN, 1, len);
	sim_pci_set(&v->pci, at + VIRTIO_PCI_CAP_CFG_TYPE, 1, kind);
	sim_pci_set(&v->pci, at + VIRTIO_PCI_CAP_BAR, 1, 0);
	sim_pci_set(&v->pci, at + VIRTIO_PCI_CAP_OFFSET, 4, offset);
	sim_pci_set(&v->pci, at + VIRTIO_PCI_CAP_LENGTH, 4, size);
	if (kind == VIRTIO_PCI_CAP_NOTIFY_CFG)
		sim_pci_set(&v->pci, at + VIRTIO_PCI_NOTIFY_CAP_MULT, 4, MULTIPLIER);
	if (sim_fault(SIM_FAULT_VIRTIO_CAPABILITY))
		sim_pci_set(&v->pci, at + (unsigned)sim_fault_draw(SIM_FAULT_VIRTIO_CAPABILITY, len), 1,
			    (uint32_t)sim_fault_draw(SIM_FAULT_VIRTIO_CAPABILITY, 256));
}

void sim_virtio_init(struct sim_virtio *v, const struct sim_virtio_ops *ops, uint16_t id, uint32_t class, uint64_t features)
{
	*v = (struct sim_virtio){.ops = ops, .features = features | UINT64_C(1) << VIRTIO_F_VERSION_1};
	v->queue_count = 1;
	v->queue_size = SIM_VIRTIO_QUEUE_SIZE;
	sim_pci_init(&v->pci, &registers, VENDOR, (uint16_t)(DEVICE_FIRST + id), class);
	sim_pci_add_bar(&v->pci, 0, BAR_SIZE);
	sim_pci_add_msix(&v->pci, SIM_VIRTIO_QUEUES + 1, BAR_TABLE);
	add_place(v, VIRTIO_PCI_CAP_COMMON_CFG, sizeof(struct virtio_pci_cap), 0, COMMON_LEN);
	add_place(v, VIRTIO_PCI_CAP_NOTIFY_CFG, sizeof(struct virtio_pci_notify_cap), NOTIFY_AT, SIM_VIRTIO_QUEUES * MULTIPLIER);
	add_place(v, VIRTIO_PCI_CAP_ISR_CFG, sizeof(struct virtio_pci_cap), ISR_AT, 1);
	add_place(v, VIRTIO_PCI_CAP_DEVICE_CFG, sizeof(struct virtio_pci_cap), CONFIG_AT, SIM_VIRTIO_CONFIG_MAX);
	clear(v);
}

/* ---- queues (2.7) ---- */

/* Adds the descriptor's buffer to the chain; false if it makes no sense. */
static bool add_part(struct sim_virtio *v, struct sim_virtio_chain *c, const struct vring_desc *d)
{
	bool writable = d->flags & VRING_DESC_F_WRITE;
	void *data;

	if (c->parts == SIM_VIRTIO_PARTS_MAX || d->len == 0 || d->len > PART_MAX || d->flags & VRING_DESC_F_INDIRECT)
		return false;
	if (c->parts && c->part[c->parts - 1].writable && !writable)
		return false; /* 2.7.4.2: readable ones come first */
	data = sim_dma(&v->pci, d->addr, d->len);
	if (!data)
		return false;
	c->part[c->parts].data = data;
	c->part[c->parts].len = d->len;
	c->part[c->parts++].writable = writable;
	c->writable += writable ? d->len : 0;
	return true;
}

static bool read_chain(struct sim_virtio *v, const struct sim_virtio_queue *q, struct sim_virtio_chain *c)
{
	const struct vring_desc *table = sim_dma(&v->pci, q->descriptors, q->size * sizeof(*table));
	uint16_t at = c->head;

	c->parts = 0;
	c->writable = 0;
	for (unsigned i = 0; table && i < q->size && at < q->size; i++) {
		struct vring_desc d = table[at];

		if (!add_part(v, c, &d))
			return false;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return true;
		at = d.next;
	}
	return false;
}

bool sim_virtio_pop(struct sim_virtio *v, unsigned queue, struct sim_virtio_chain *ret)
{
	struct sim_virtio_queue *q = &v->queues[queue];
	const struct vring_avail *ring;
	uint16_t index;

	if (!q->enabled || v->status & VIRTIO_CONFIG_S_NEEDS_RESET)
		return false;
	ring = sim_dma(&v->pci, q->available, sizeof(*ring) + q->size * sizeof(ring->ring[0]));
	index = ring ? __atomic_load_n(&ring->idx, __ATOMIC_ACQUIRE) : q->seen;
	if (!ring || (uint16_t)(index - q->seen) > q->size) {
		sim_virtio_needs_reset(v);
		return false;
	}
	if (index == q->seen)
		return false;
	ret->head = __atomic_load_n(&ring->ring[q->seen % q->size], __ATOMIC_RELAXED);
	q->seen++;
	if (read_chain(v, q, ret))
		return true;
	sim_virtio_needs_reset(v);
	return false;
}

static void put_used(struct sim_virtio *v, struct sim_virtio_queue *q, uint32_t head, uint32_t written)
{
	struct vring_used *ring = sim_dma(&v->pci, q->used, sizeof(*ring) + q->size * sizeof(ring->ring[0]));

	if (!ring)
		return;
	ring->ring[q->done % q->size].id = head;
	ring->ring[q->done % q->size].len = written;
	q->done++;
	if (sim_fault(SIM_FAULT_VIRTIO_INDEX))
		q->done = (uint16_t)(q->done + JUMP);
	__atomic_store_n(&ring->idx, q->done, __ATOMIC_RELEASE);
}

static bool wants_interrupt(struct sim_virtio *v, const struct sim_virtio_queue *q)
{
	const struct vring_avail *ring = sim_dma(&v->pci, q->available, sizeof(*ring));

	return ring && !(__atomic_load_n(&ring->flags, __ATOMIC_SEQ_CST) & VRING_AVAIL_F_NO_INTERRUPT);
}

void sim_virtio_push(struct sim_virtio *v, unsigned queue, uint16_t head, uint32_t written)
{
	struct sim_virtio_queue *q = &v->queues[queue];
	uint32_t id = head;

	if (!q->enabled)
		return;
	if (sim_fault(SIM_FAULT_VIRTIO_LENGTH))
		written = (uint32_t)sim_fault_draw(SIM_FAULT_VIRTIO_LENGTH, UINT64_C(1) << (1 + sim_fault_draw(SIM_FAULT_VIRTIO_LENGTH, 32)));
	if (sim_fault(SIM_FAULT_VIRTIO_ID))
		id = (uint32_t)sim_fault_draw(SIM_FAULT_VIRTIO_ID, UINT64_C(1) << (1 + sim_fault_draw(SIM_FAULT_VIRTIO_ID, 32)));
	put_used(v, q, id, written);
	if (sim_fault(SIM_FAULT_VIRTIO_TWICE))
		put_used(v, q, id, written);
	if (wants_interrupt(v, q))
		interrupt(v, q->vector, 1);
	if (sim_fault(SIM_FAULT_VIRTIO_SPURIOUS))
		interrupt(v, q->vector, 1);
}
