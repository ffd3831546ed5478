/* SPDX-License-Identifier: MIT */
/*
 * The virtio block driver against a device that the input plays.
 *
 * Under it lies the honest model (sim/device/virtio_blk.c). The input first changes bytes of configuration space; then, at each register that
 * the driver reads, says whether the answer is the model's or its own, and at each notification whether the model works, or the
 * input writes the used ring itself. Status and reset are always honest, since a lie there only costs time. Whatever happens, every request
 * must end, nothing may be left in flight, and the device must let itself be removed.
 *
 * An input is a sequence of bytes; behind its end all are 0, which means "honest".
 */
#include <cloudos/block.h>
#include <cloudos/driver.h>
#include <cloudos/log.h>
#include <cloudos/mm.h>
#include <cloudos/panic.h>
#include <cloudos/percpu.h>
#include <cloudos/string.h>
#include <cloudos/thread.h>
#include <cloudos/work.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <sim/host_machine.h>
#include <sim/virtio.h>
#include <sim/world.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SECTORS	      256u
#define REQUESTS      12
#define TIMEOUT_NS    (4 * NSEC_PER_MSEC)
#define MEMORY_MIB    32
#define NOTIFY_AT     0x3000u /* of the model's registers */
#define CONFIG_FIRST  0x40u
#define HONEST_BELOW  0xe0
#define ANSWERS_MAX   8

static struct {
	const uint8_t *data;
	size_t size, at;
} input;

static uint64_t take(unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes; i++)
		if (input.at < input.size)
			value |= (uint64_t)input.data[input.at++] << 8 * i;
	return value;
}

/* ---- the device ---- */

static uint8_t content[SECTORS * SIM_DISK_SECTOR];
static const struct sim_pci_ops *honest;

static void submit(struct sim_disk *d, struct sim_disk_request *r)
{
	uint8_t *at = content + r->sector * SIM_DISK_SECTOR;

	(void)d;
	for (uint32_t i = 0; i < r->segment_count; at += r->segments[i++].len) {
		if (r->op == SIM_DISK_READ)
			memcpy(r->segments[i].data, at, r->segments[i].len);
		else
			memcpy(at, r->segments[i].data, r->segments[i].len);
	}
	r->done(r, 0);
}

static const struct sim_disk_ops memory_ops = {.submit = submit};
static struct sim_disk memory = {.ops = &memory_ops, .sectors = SECTORS};

/* Writes the used ring as the input likes, in the queue that the driver has set up. */
static void answer(struct sim_virtio *v)
{
	struct sim_virtio_queue *q = &v->queues[0];
	struct vring_used *ring = sim_dma(&v->pci, q->used, sizeof(*ring) + q->size * sizeof(ring->ring[0]));

	if (!ring || !q->enabled)
		return;
	for (unsigned n = (unsigned)take(1) % ANSWERS_MAX; n > 0; n--) {
		ring->ring[q->done % q->size].id = (uint32_t)take(2);
		ring->ring[q->done++ % q->size].len = (uint32_t)take(3);
	}
	if (take(1) & 1)
		q->done = (uint16_t)take(2);
	ring->idx = q->done;
	sim_pci_message(&v->pci, (unsigned)take(1) % 4);
}

static uint64_t device_read(struct sim_pci *d, unsigned bar, uint64_t offset, unsigned width)
{
	uint64_t value = honest->read(d, bar, offset, width);

	if (offset == VIRTIO_PCI_COMMON_STATUS || take(1) < HONEST_BELOW)
		return value;
	return take(width);
}

static void device_write(struct sim_pci *d, unsigned bar, uint64_t offset, unsigned width, uint64_t value)
{
	uint8_t choice = offset >= NOTIFY_AT ? (uint8_t)take(1) : 0;

	if (choice >= 0x80)
		answer((struct sim_virtio *)(void *)d);
	if (choice < 0xc0)
		honest->write(d, bar, offset, width, value);
}

static const struct sim_pci_ops device_ops = {.read = device_read, .write = device_write};

static struct sim_virtio *device_create(void)
{
	static struct sim_virtio_blk *blk;
	struct sim_virtio *v;

	memory.gone = false;
	if (!blk)
		blk = sim_virtio_blk_create(&memory);
	sim_virtio_blk_init(blk, &memory);
	v = sim_virtio_blk_device(blk);
	honest = v->pci.ops;
	v->pci.ops = &device_ops;
	for (unsigned n = (unsigned)take(1) % 4; n > 0; n--) {
		unsigned offset = CONFIG_FIRST + (unsigned)take(1) % (SIM_PCI_CONFIG - CONFIG_FIRST);

		sim_pci_set(&v->pci, offset, 1, (uint32_t)take(1));
	}
	return v;
}

/* ---- the driver's work ---- */

static struct block_request requests[REQUESTS];
static struct block_segment segments[REQUESTS][2];
static uint32_t submitted, ended;

static void done(struct block_request *r, int error)
{
	(void)error;
	ASSERT(r->private == r);
	r->private = NULL;
	__atomic_fetch_add(&ended, 1, __ATOMIC_RELEASE);
}

static void submit_one(struct block_device *d, unsigned i, char *buffer)
{
	uint8_t what = (uint8_t)take(1);

	segments[i][0] = (struct block_segment){buffer, BLOCK_SIZE_LARGEST};
	segments[i][1] = (struct block_segment){buffer + PAGE_SIZE, BLOCK_SIZE_LARGEST};
	requests[i] = (struct block_request){
	    .op = (enum block_op)(what % 3),
	    .flags = what & 0x10 ? BLOCK_FUA : 0,
	    .sector = (uint64_t)(what >> 5) * 8,
	    .segments = segments[i],
	    .segment_count = what % 3 == BLOCK_FLUSH ? 0 : 1 + (what >> 3 & 1),
	    .done = done,
	    .private = &requests[i],
	};
	submitted += block_submit(d, &requests[i]) == 0;
}

static void use(struct block_device *d)
{
	struct page *pages = page_alloc(1, PAGE_ALLOC_ZERO);

	ASSERT(pages);
	d->timeout_ns = TIMEOUT_NS;
	submitted = ended = 0;
	for (unsigned i = 0; i < REQUESTS; i++)
		submit_one(d, i, page_virt(pages));
	while (__atomic_load_n(&ended, __ATOMIC_ACQUIRE) < submitted)
		thread_delay(NSEC_PER_MSEC / 4);
	ASSERT(d->outstanding == 0 && list_empty(&d->pending) && list_empty(&d->started));
	block_put(d);
	page_put(pages);
}

static void boot(void)
{
	const struct host_options options = {.append = "quiet loglevel=0", .cpus = 1, .memory_mib = MEMORY_MIB, .test = true};

	host_machine_create(&options);
	sim_vcpu_adopt(0);
	hal_upcalls.kernel_fault = panic_kernel_fault;
	percpu_init_boot();
	log_set_console_level(0);
	mm_init();
	sched_init();
	hal_irq_enable();
	sched_start_cpus();
	work_start_workers();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool booted;
	struct sim_virtio *v;
	struct pci_device *pci;
	struct block_device *d;
	int bdf;

	if (!booted)
		boot();
	booted = true;
	input.data = data;
	input.size = size;
	input.at = 0;
	v = device_create();
	bdf = sim_pci_plug(&v->pci);
	ASSERT(bdf >= 0);
	pci = pci_add((unsigned)bdf);
	d = pci && pci->driver ? block_get("vda") : NULL;
	if (d)
		use(d);
	if (pci)
		pci_remove(pci);
	sim_pci_unplug(&v->pci);
	return 0;
}
