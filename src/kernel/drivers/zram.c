/* SPDX-License-Identifier: MIT */
/*
 * zram0: a block device whose pages lie compressed in memory, mostly for swap. Set up by files of /sys/block/zram0, as on Linux
 * (Documentation/admin-guide/blockdev/zram.rst):
 *
 *   disksize        bytes (K, M, G may follow); set once, then the device has a size. 0 until then, and after a reset
 *   reset           anything but 0: all is forgotten; -EBUSY while somebody has the device open, or swaps to it
 *   comp_algorithm  [lz4]; there is no other one
 *   mm_stat         bytes: original, compressed, used in all, 0 (no limit), most used so far; pages: same-filled, compacted (0), huge
 *   initstate       1: it has a size
 *
 * A page is one of four: absent (reads as zeros), filled with one word all over, compressed, or stored as it is when compression saves too
 * little. Compressed pages lie in kmalloc()'s memory. Every request is a number of whole pages.
 *
 * The block layer starts requests with interrupts off; compressing is done by a thread of the device's. When memory is wanting a write ends with
 * -ENOMEM, and the page is as it was.
 *
 * Locking: `lock` (mutex, a leaf) guards the pages and figures; queue_lock (RANK_BLOCK_DRIVER, interrupts off) the requests that the thread
 * has not begun.
 */
#define LOG_SUBSYSTEM "zram"
#include <cloudos/block.h>
#include <cloudos/errno.h>
#include <cloudos/log.h>
#include <cloudos/mm.h>
#include <cloudos/service.h>
#include <cloudos/string.h>
#include <cloudos/thread.h>
#include <cloudos/vfs.h>
#include <lz4.h>

#define PAGE_SECTORS   (PAGE_SIZE / BLOCK_SECTOR)
#define HUGE_FROM      (PAGE_SIZE / 2) /* compressed to more than this, a page is stored as it is: kmalloc() would take a page anyhow */
#define DISK_PAGES_MAX (UINT64_C(16) << 20)
#define NEVER_LATE_NS  (UINT64_C(1) << 62) /* the thread answers, if late: there is nothing to reset */

enum slot_kind { SLOT_ABSENT, SLOT_SAME, SLOT_COMPRESSED, SLOT_HUGE };

struct slot {
	union {
		void *data;    /* kmalloc()ed */
		uint64_t word; /* of SLOT_SAME */
	};
	uint16_t len; /* of data, compressed */
	uint8_t kind;
};

static struct block_device device;
static struct mutex lock = MUTEX_INIT(lock, RANK_SLEEP_LEAF);
static struct slot *slots;	/* null: no size yet */
static uint64_t slot_count;
static uint64_t data_bytes, used_bytes, used_max, stored_pages, same_pages, huge_pages;
static void *lz4_state;		/* of the compressor */
static uint8_t *scratch;	/* what it makes of a page */
static uint8_t *whole;		/* a page that lies in several segments */

static struct spinlock queue_lock = SPINLOCK_INIT(RANK_BLOCK_DRIVER);
static struct wait_queue wake = WAIT_QUEUE_INIT(wake);
static bool thread_runs;

/* ---- pages; the lock is held ---- */

static void slot_clear(struct slot *s)
{
	switch (s->kind) {
	case SLOT_SAME:
		same_pages--;
		break;
	case SLOT_HUGE:
		huge_pages--;
		/* fall through */
	case SLOT_COMPRESSED:
		data_bytes -= s->len;
		used_bytes -= kmalloc_size(s->len);
		kfree(s->data);
		break;
	default:
		return;
	}
	stored_pages--;
	*s = (struct slot){ .kind = SLOT_ABSENT };
}

static bool is_same(const uint64_t *page)
{
	for (size_t i = 1; i < PAGE_SIZE / sizeof(*page); i++)
		if (page[i] != page[0])
			return false;
	return true;
}

static int slot_store_bytes(struct slot *s, const void *from, size_t len, enum slot_kind kind)
{
	void *data = kmalloc(len);

	if (!data)
		return -ENOMEM;
	memcpy(data, from, len);
	slot_clear(s);
	*s = (struct slot){ .data = data, .len = (uint16_t)len, .kind = (uint8_t)kind };
	stored_pages++;
	huge_pages += kind == SLOT_HUGE;
	data_bytes += len;
	used_bytes += kmalloc_size(len);
	used_max = max(used_max, used_bytes);
	return 0;
}

static int slot_write(struct slot *s, const void *page)
{
	int len;

	if (is_same(page)) {
		slot_clear(s);
		*s = (struct slot){ .word = *(const uint64_t *)page, .kind = SLOT_SAME };
		stored_pages++;
		same_pages++;
		return 0;
	}
	len = LZ4_compress_fast_extState(lz4_state, page, (char *)scratch, PAGE_SIZE, LZ4_COMPRESSBOUND(PAGE_SIZE), 1);
	if (len <= 0 || (size_t)len > HUGE_FROM)
		return slot_store_bytes(s, page, PAGE_SIZE, SLOT_HUGE);
	return slot_store_bytes(s, scratch, (size_t)len, SLOT_COMPRESSED);
}

static int slot_read(const struct slot *s, void *page)
{
	uint64_t *words = page;

	switch (s->kind) {
	case SLOT_SAME:
		for (size_t i = 0; i < PAGE_SIZE / sizeof(*words); i++)
			words[i] = s->word;
		return 0;
	case SLOT_HUGE:
		memcpy(page, s->data, PAGE_SIZE);
		return 0;
	case SLOT_COMPRESSED:
		return LZ4_decompress_safe(s->data, page, s->len, PAGE_SIZE) == PAGE_SIZE ? 0 : -EIO;
	default:
		memset(page, 0, PAGE_SIZE);
		return 0;
	}
}

/* ---- requests: the thread ---- */

/* Where in a request's segments a transfer is. */
struct place {
	const struct block_segment *segment;
	uint32_t offset;
};

static void skip(struct place *p, uint32_t len)
{
	p->offset += len;
	if (p->offset == p->segment->len) {
		p->segment++;
		p->offset = 0;
	}
}

/* Copies a page between the segments and `page`. */
static void copy_pieces(struct place *p, uint8_t *page, bool from_page)
{
	for (uint32_t done = 0, part; done < PAGE_SIZE; done += part) {
		uint8_t *data = (uint8_t *)p->segment->data + p->offset;

		part = min((uint32_t)PAGE_SIZE - done, p->segment->len - p->offset);
		if (from_page)
			memcpy(data, page + done, part);
		else
			memcpy(page + done, data, part);
		skip(p, part);
	}
}

static int transfer_page(struct slot *s, bool write, struct place *p)
{
	int err;

	if (write) {
		copy_pieces(p, whole, false);
		return slot_write(s, whole);
	}
	err = slot_read(s, whole);
	if (!err)
		copy_pieces(p, whole, true);
	return err;
}

static int carry_out(const struct block_request *r)
{
	struct place p = { .segment = r->segments };
	uint64_t first = r->sector / PAGE_SECTORS;
	int err = 0;

	mutex_lock(&lock);
	if (!slots || first + r->len / PAGE_SIZE > slot_count)
		err = -EIO;
	for (uint64_t i = 0; i < r->len / PAGE_SIZE && !err; i++)
		err = transfer_page(&slots[first + i], r->now == BLOCK_WRITE, &p);
	mutex_unlock(&lock);
	return err;
}

/* A ring: the block layer keeps requests on lists of its own, by `link`. */
static struct block_request *started[BLOCK_OUTSTANDING_MAX];
static uint32_t started_first, started_count; /* by queue_lock */

static struct block_request *next_request(void)
{
	unsigned long irq = spin_lock_irq(&queue_lock);
	struct block_request *r = NULL;

	if (started_count > 0) {
		r = started[started_first];
		started_first = (started_first + 1) % BLOCK_OUTSTANDING_MAX;
		WRITE_ONCE(started_count, started_count - 1);
	}
	spin_unlock_irq(&queue_lock, irq);
	return r;
}

static void zram_main(void *arg)
{
	struct block_request *r;

	(void)arg;
	for (;;) {
		wait_event(&wake, READ_ONCE(started_count) > 0);
		while ((r = next_request()) != NULL)
			block_end(r, carry_out(r));
	}
}

static int start(struct block_device *d, struct block_request *r)
{
	(void)d;
	spin_lock(&queue_lock);
	ASSERT(started_count < BLOCK_OUTSTANDING_MAX);
	started[(started_first + started_count) % BLOCK_OUTSTANDING_MAX] = r;
	WRITE_ONCE(started_count, started_count + 1);
	spin_unlock(&queue_lock);
	wake_one(&wake);
	return 0;
}

static int poll(struct block_device *d)
{
	(void)d;
	return 0;
}

static int reset(struct block_device *d, bool restart)
{
	(void)d;
	(void)restart;
	return 0;
}

static void release(struct block_device *d)
{
	(void)d; /* storage of the kernel's own */
}

static const struct block_ops ops = { .start = start, .poll = poll, .reset = reset, .release = release };

/* ---- setting up; the lock is held ---- */

/* What does not depend on the size, once. 0 or -ENOMEM. */
static int prepare(void)
{
	if (!lz4_state)
		lz4_state = kmalloc((size_t)LZ4_sizeofState());
	if (!scratch)
		scratch = kmalloc(LZ4_COMPRESSBOUND(PAGE_SIZE));
	if (!whole)
		whole = kmalloc(PAGE_SIZE);
	if (!lz4_state || !scratch || !whole)
		return -ENOMEM;
	if (!thread_runs && thread_spawn("zram0", zram_main, NULL))
		return -ENOMEM;
	thread_runs = true;
	return 0;
}

static int set_size_locked(uint64_t pages)
{
	int err;

	if (slots)
		return -EBUSY;
	err = prepare();
	if (err)
		return err;
	slots = kva_alloc(pages * sizeof(slots[0]));
	if (!slots)
		return -ENOMEM;
	slot_count = pages;
	block_device_resize(&device, pages * PAGE_SECTORS);
	return 0;
}

static int forget_locked(void)
{
	if (refcount_read(&device.refs) > 1) /* beside the table's */
		return -EBUSY;
	block_device_resize(&device, 0);
	for (uint64_t i = 0; i < slot_count; i++)
		slot_clear(&slots[i]);
	if (slots)
		kva_free(slots);
	slots = NULL;
	slot_count = used_max = 0;
	return 0;
}

/* ---- files ---- */

static int show_disksize(struct text_out *o, void *arg)
{
	(void)arg;
	out_printf(o, "%lu\n", (unsigned long)block_bytes(&device));
	return 0;
}

static int store_disksize(const char *text, size_t len, void *arg)
{
	uint64_t bytes;
	int err = str_to_size(text, len, &bytes);

	(void)arg;
	if (err || bytes == 0)
		return -EINVAL;
	if (bytes > DISK_PAGES_MAX * PAGE_SIZE)
		return -ENOMEM;
	mutex_lock(&lock);
	err = set_size_locked(align_up(bytes, PAGE_SIZE) / PAGE_SIZE);
	mutex_unlock(&lock);
	return err;
}

static int store_reset(const char *text, size_t len, void *arg)
{
	uint64_t value;
	int err = str_to_size(text, len, &value);

	(void)arg;
	if (err || value == 0)
		return -EINVAL;
	mutex_lock(&lock);
	err = forget_locked();
	mutex_unlock(&lock);
	return err;
}

static int show_algorithm(struct text_out *o, void *arg)
{
	(void)arg;
	out_printf(o, "[lz4] \n");
	return 0;
}

static int store_algorithm(const char *text, size_t len, void *arg)
{
	bool known = len >= 3 && memcmp(text, "lz4", 3) == 0 && (len == 3 || (len == 4 && text[3] == '\n'));
	int err;

	(void)arg;
	mutex_lock(&lock);
	err = slots ? -EBUSY : known ? 0 : -EINVAL;
	mutex_unlock(&lock);
	return err;
}

static int show_mm_stat(struct text_out *o, void *arg)
{
	(void)arg;
	mutex_lock(&lock);
	out_printf(o, "%8lu %8lu %8lu %8u %8lu %8lu %8u %8lu\n", (unsigned long)(stored_pages * PAGE_SIZE), (unsigned long)data_bytes,
		   (unsigned long)used_bytes, 0, (unsigned long)used_max, (unsigned long)same_pages, 0, (unsigned long)huge_pages);
	mutex_unlock(&lock);
	return 0;
}

static int show_initstate(struct text_out *o, void *arg)
{
	(void)arg;
	out_printf(o, "%d\n", READ_ONCE(slots) != NULL);
	return 0;
}

static int show_streams(struct text_out *o, void *arg)
{
	(void)arg;
	out_printf(o, "1\n");
	return 0;
}

static int zram_start(void)
{
	static const struct {
		const char *name;
		uint32_t mode;
		int (*show)(struct text_out *o, void *arg);
		int (*store)(const char *text, size_t len, void *arg);
	} files[] = {
		{ "block/zram0/disksize", 0644, show_disksize, store_disksize },
		{ "block/zram0/reset", 0200, NULL, store_reset },
		{ "block/zram0/comp_algorithm", 0644, show_algorithm, store_algorithm },
		{ "block/zram0/mm_stat", 0444, show_mm_stat, NULL },
		{ "block/zram0/initstate", 0444, show_initstate, NULL },
		{ "block/zram0/max_comp_streams", 0444, show_streams, NULL },
	};
	int err;

	device = (struct block_device){ .ops = &ops, .prefix = "zram", .numbered = true, .block_size = PAGE_SIZE, .physical_size = PAGE_SIZE,
					.timeout_ns = NEVER_LATE_NS, .segments_max = BLOCK_SEGMENTS_MAX, .segment_bytes_max = 1u << 20 };
	err = block_device_add(&device);
	for (size_t i = 0; i < ARRAY_SIZE(files) && !err; i++)
		err = sysfs_add(files[i].name, files[i].mode, files[i].show, files[i].store, NULL);
	return err;
}
SERVICE_DEFINE(zram, .requires = SERVICE_REQUIRES("block"), .start = zram_start);
