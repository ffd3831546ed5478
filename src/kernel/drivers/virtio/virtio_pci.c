/* SPDX-License-Identifier: MIT */
/*
 * The PCI transport of virtio 1.x (Virtual I/O Device 1.2, 4.1): capabilities, common configuration, features, configuration, interrupts.
 *
 * Every offset and length in a capability comes from the device: pci_map() checks it against the BAR. The list of capabilities is walked
 * a bounded number of steps, reset and configuration reads are bounded in time and number.
 */
#include <cloudos/errno.h>
#include <cloudos/string.h>
#include <cloudos/thread.h>
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include "virtio.h"

#define VENDOR_CAPABILITIES_MAX 16
#define COMMON_LEN		(VIRTIO_PCI_COMMON_Q_USEDHI + 4)
#define RESET_POLL_NS		(100 * NSEC_PER_USEC)

_Static_assert(sizeof(struct virtio_pci_common_cfg) == COMMON_LEN, "4.1.4.3");
_Static_assert(sizeof(struct virtio_pci_cap) == 16 && offsetof(struct virtio_pci_cap, offset) == VIRTIO_PCI_CAP_OFFSET, "4.1.4");

/* ---- capabilities ---- */

struct place {
	uint8_t bar;
	uint32_t offset, len;
	unsigned at; /* of the capability in configuration space; 0: not there */
};

static struct place read_place(const struct pci_device *pci, unsigned at)
{
	return (struct place){
		.bar = (uint8_t)pci_read(pci, at + VIRTIO_PCI_CAP_BAR, 1),
		.offset = pci_read(pci, at + VIRTIO_PCI_CAP_OFFSET, 4),
		.len = pci_read(pci, at + VIRTIO_PCI_CAP_LENGTH, 4),
		.at = at,
	};
}

/* The first of each kind counts (4.1.4: the device's order of preference). */
static void find_places(const struct pci_device *pci, struct place places[VIRTIO_PCI_CAP_DEVICE_CFG + 1])
{
	unsigned at = 0;

	for (unsigned i = 0; i < VENDOR_CAPABILITIES_MAX; i++) {
		uint32_t kind;

		at = pci_capability(pci, PCI_CAP_ID_VNDR, at);
		if (!at || at > PCI_CFG_SPACE_SIZE - sizeof(struct virtio_pci_notify_cap))
			return;
		kind = pci_read(pci, at + VIRTIO_PCI_CAP_CFG_TYPE, 1);
		if (kind >= VIRTIO_PCI_CAP_COMMON_CFG && kind <= VIRTIO_PCI_CAP_DEVICE_CFG && !places[kind].at)
			places[kind] = read_place(pci, at);
	}
}

/* At least `need` bytes, at most `most` of what it has. */
static volatile uint8_t *map_place(const struct pci_device *pci, const struct place *p, uint32_t need, uint32_t most, uint32_t align,
				   uint32_t *ret_len)
{
	uint32_t len = min(p->len, most);

	if (!p->at || len < need || p->offset % align)
		return NULL;
	if (ret_len)
		*ret_len = len;
	return pci_map(pci, p->bar, p->offset, len);
}

int virtio_open(struct virtio_device *v, struct pci_device *pci)
{
	struct place places[VIRTIO_PCI_CAP_DEVICE_CFG + 1] = { 0 };

	memset(v, 0, sizeof(*v));
	v->pci = pci;
	find_places(pci, places);
	if (!places[VIRTIO_PCI_CAP_COMMON_CFG].at)
		return -ENODEV;
	pci_enable(pci);
	v->common = map_place(pci, &places[VIRTIO_PCI_CAP_COMMON_CFG], COMMON_LEN, COMMON_LEN, 4, NULL);
	v->notify = map_place(pci, &places[VIRTIO_PCI_CAP_NOTIFY_CFG], 2, VIRTIO_CONFIG_MAX, 2, &v->notify_len);
	v->isr = map_place(pci, &places[VIRTIO_PCI_CAP_ISR_CFG], 1, 1, 1, NULL);
	if (places[VIRTIO_PCI_CAP_DEVICE_CFG].at)
		v->config = map_place(pci, &places[VIRTIO_PCI_CAP_DEVICE_CFG], 1, VIRTIO_CONFIG_MAX, 4, &v->config_len);
	if (places[VIRTIO_PCI_CAP_NOTIFY_CFG].at)
		v->notify_multiplier = pci_read(pci, places[VIRTIO_PCI_CAP_NOTIFY_CFG].at + VIRTIO_PCI_NOTIFY_CAP_MULT, 4);
	return v->common && v->notify && v->isr ? 0 : -EINVAL;
}

/* ---- interrupts ---- */

int virtio_connect(struct virtio_device *v, hal_irq_handler queue, hal_irq_handler changed, void *ctx)
{
	enum pci_irq_kind kind;
	int error = pci_irq_connect(v->pci, VIRTIO_QUEUE_VECTOR, queue, ctx, &v->irq);

	v->config_vector = !error && pci_irq_connect(v->pci, VIRTIO_CONFIG_VECTOR, changed, ctx, &kind) == 0;
	return error;
}

uint8_t virtio_interrupt_cause(struct virtio_device *v)
{
	return v->irq == PCI_IRQ_MSIX ? 1 : hal_mmio_read8(v->isr); /* 4.1.4.5: reading takes the line down */
}

/* ---- status and features ---- */

uint8_t virtio_status(struct virtio_device *v)
{
	return hal_mmio_read8(v->common + VIRTIO_PCI_COMMON_STATUS);
}

static void add_status(struct virtio_device *v, uint8_t bits)
{
	hal_mmio_write8(v->common + VIRTIO_PCI_COMMON_STATUS, virtio_status(v) | bits);
}

int virtio_reset(struct virtio_device *v)
{
	uint64_t deadline = hal_clock_ns() + VIRTIO_RESET_TIMEOUT_NS;
	uint8_t status;

	hal_mmio_write8(v->common + VIRTIO_PCI_COMMON_STATUS, 0);
	while ((status = virtio_status(v)) != 0 && status != VIRTIO_STATUS_GONE && hal_clock_ns() < deadline)
		thread_delay(RESET_POLL_NS);
	if (status)
		pci_disable_dma(v->pci);
	return status == 0 ? 0 : status == VIRTIO_STATUS_GONE ? -ENODEV : -EIO;
}

static uint64_t offered(struct virtio_device *v)
{
	uint64_t low;

	hal_mmio_write32(v->common + VIRTIO_PCI_COMMON_DFSELECT, 0);
	low = hal_mmio_read32(v->common + VIRTIO_PCI_COMMON_DF);
	hal_mmio_write32(v->common + VIRTIO_PCI_COMMON_DFSELECT, 1);
	return low | (uint64_t)hal_mmio_read32(v->common + VIRTIO_PCI_COMMON_DF) << 32;
}

static void accept(struct virtio_device *v)
{
	hal_mmio_write32(v->common + VIRTIO_PCI_COMMON_GFSELECT, 0);
	hal_mmio_write32(v->common + VIRTIO_PCI_COMMON_GF, (uint32_t)v->features);
	hal_mmio_write32(v->common + VIRTIO_PCI_COMMON_GFSELECT, 1);
	hal_mmio_write32(v->common + VIRTIO_PCI_COMMON_GF, (uint32_t)(v->features >> 32));
}

/*
 * 3.1.1, steps 2 to 6. Devices behind an IOMMU, or that order memory as real ones do, may insist on a driver that knows; DMA addresses and
 * barriers here are right for both.
 */
int virtio_negotiate(struct virtio_device *v, uint64_t wanted)
{
	uint64_t has = offered(v), always = UINT64_C(1) << VIRTIO_F_VERSION_1;

	if (!(has & always))
		return -ENODEV;
	wanted |= always | UINT64_C(1) << VIRTIO_F_ACCESS_PLATFORM | UINT64_C(1) << VIRTIO_F_ORDER_PLATFORM;
	v->features = has & wanted;
	add_status(v, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	add_status(v, VIRTIO_CONFIG_S_DRIVER);
	accept(v);
	add_status(v, VIRTIO_CONFIG_S_FEATURES_OK);
	if (!(virtio_status(v) & VIRTIO_CONFIG_S_FEATURES_OK))
		return -EINVAL;
	hal_mmio_write16(v->common + VIRTIO_PCI_COMMON_MSIX, v->config_vector ? VIRTIO_CONFIG_VECTOR : VIRTIO_MSI_NO_VECTOR);
	return 0;
}

void virtio_ready(struct virtio_device *v)
{
	add_status(v, VIRTIO_CONFIG_S_DRIVER_OK);
}

void virtio_fail(struct virtio_device *v)
{
	if (virtio_status(v) != VIRTIO_STATUS_GONE)
		add_status(v, VIRTIO_CONFIG_S_FAILED);
}

/* ---- device configuration (2.5.1) ---- */

/* In the widest accesses that alignment allows: fields are to be read in their own width, and none is wider than eight bytes. */
static void copy_config(struct virtio_device *v, uint32_t offset, uint8_t *to, uint32_t len)
{
	for (uint32_t at = 0; at < len;) {
		uint32_t left = len - at, where = offset + at;
		uint32_t value, n = where % 4 == 0 && left >= 4 ? 4 : where % 2 == 0 && left >= 2 ? 2 : 1;

		if (n == 4)
			value = hal_mmio_read32(v->config + where);
		else
			value = n == 2 ? hal_mmio_read16(v->config + where) : hal_mmio_read8(v->config + where);
		memcpy(to + at, &value, n);
		at += n;
	}
}

int virtio_config(struct virtio_device *v, uint32_t offset, void *to, uint32_t len)
{
	if (!v->config || offset > v->config_len || len > v->config_len - offset)
		return -EINVAL;
	for (unsigned i = 0; i < VIRTIO_CONFIG_TRIES; i++) {
		uint8_t before = hal_mmio_read8(v->common + VIRTIO_PCI_COMMON_CFGGENERATION);

		copy_config(v, offset, to, len);
		if (hal_mmio_read8(v->common + VIRTIO_PCI_COMMON_CFGGENERATION) == before)
			return 0;
	}
	return -EIO;
}
