/* SPDX-License-Identifier: MIT */
/*
 * Block devices (docs/block.md). A driver fills a struct block_device and adds it; from then on the device has a name, a node in /dev and
 * files in /sys and /proc, and whoever holds a reference submits requests.
 *
 * A request goes  submitted -> started -> ended.  block_submit() puts it on the device's queue; the block layer starts it at the driver as
 * soon as that has room; the driver ends it, once, and the submitter's done() is called. Every request that was submitted ends: with 0,
 * -EIO (the device said so, or broke), -ETIMEDOUT (no answer in time, and the device was reset), -ENODEV (it is gone), -ENOSPC.
 *
 * Requests may end, and reach the medium, in any order: a flush covers the writes that had ended when it was submitted, and no others.
 * Nothing is cached here, and nothing is retried.
 */
#ifndef CLOUDOS_BLOCK_H
#define CLOUDOS_BLOCK_H

#include <cloudos/list.h>
#include <cloudos/lock.h>
#include <cloudos/refcount.h>
#include <cloudos/timer.h>
#include <cloudos/types.h>
#include <cloudos/wait.h>
#include <cloudos/work.h>

#define BLOCK_SECTOR	      512u /* bytes: the unit of positions and sizes, whatever the device's block is */
#define BLOCK_SECTOR_SHIFT    9
#define BLOCK_SIZE_LARGEST    4096u /* of a device's logical block; a device with larger ones is refused */
#define BLOCK_SECTORS_MAX     (UINT64_C(1) << 54) /* so that a size in bytes fits in int64_t */
#define BLOCK_DEVICES_MAX     64   /* -ENOSPC beyond */
#define BLOCK_OUTSTANDING_MAX 256  /* requests of a device that have not ended; block_submit() says -EAGAIN beyond */
#define BLOCK_SEGMENTS_MAX    64   /* of a request */
#define BLOCK_DATA_ALIGN      8    /* of a segment's address */
#define BLOCK_TIMEOUT_NS      (30 * NSEC_PER_SEC) /* from a request's start, unless the device says otherwise */
#define BLOCK_RESETS_MAX      3	   /* resets with no request ended well in between; then the device counts as broken */
#define BLOCK_NAME_MAX	      16

struct block_device;

enum block_op { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH };

enum block_flags {
	BLOCK_FUA = 1, /* a write that ends with 0 is on the medium itself, as after a flush */
};

/* A buffer in the direct map; `len` a multiple of BLOCK_SECTOR. */
struct block_segment {
	void *data;
	uint32_t len;
};

/*
 * The submitter's storage; it stays his, and untouched by him, until done() is called. Sum of the segments: a multiple of the device's
 * block, and so is the position.
 */
struct block_request {
	enum block_op op;
	uint32_t flags;	 /* enum block_flags */
	uint64_t sector; /* in units of BLOCK_SECTOR, on a boundary of the device's block */
	const struct block_segment *segments;
	uint32_t segment_count; /* 0 for a flush */
	/* Called once, any CPU, interrupts off, no lock held; must not sleep; may submit and may free the request. */
	void (*done)(struct block_request *r, int error);
	void *private; /* the submitter's */

	/* The block layer's; a driver may read `now`, `len` and use `slot`. */
	enum block_op now; /* what the driver is to do: `op`, or the flush that completes a BLOCK_FUA */
	uint32_t len;	   /* bytes of all segments */
	uint32_t slot;
	struct block_device *device;
	struct list link;
	uint64_t submitted_ns, deadline_ns;
};

/* What a driver does. */
struct block_ops {
	/*
	 * Hands the request to the device: 0, -EBUSY (no room: it is offered again when one has ended), or an errno with which it ends.
	 * Interrupts off, the device's lock held (RANK_BLOCK_QUEUE).
	 */
	int (*start)(struct block_device *d, struct block_request *r);
	/* Looks for ended requests without having been interrupted: 0, or an errno when the device needs a reset. A thread; may sleep. */
	int (*poll)(struct block_device *d);
	/*
	 * Takes the device by force: on return it touches no buffer, and all that was started has been ended by block_end(). With `restart`
	 * it is then made ready for requests again: 0, or an errno if that failed. A thread; may sleep, for a bounded time.
	 */
	int (*reset)(struct block_device *d, bool restart);
	/* The last reference is gone: frees the storage. */
	void (*release)(struct block_device *d);
};

struct block_stats {
	struct {
		uint64_t requests, sectors, ns; /* ended ones, well or not */
	} op[3];				/* by enum block_op */
	uint64_t errors, timeouts, resets;
	uint64_t busy_ns; /* at least one request had not ended */
};

/*
 * Fields: D = set by the driver before block_device_add(), then constant; C = constant after block_device_add(); Q = by `lock`, whole
 * words read freely; T = by `attending`.
 */
struct block_device {
	const struct block_ops *ops;	      /* D */
	void *private;			      /* D: the driver's */
	const char *prefix;		      /* D: "vd": the name is this and letters, or a number if it is `numbered` */
	bool numbered;			      /* D */
	uint64_t sectors;		      /* Q; D at first */
	uint32_t block_size, physical_size;   /* D: bytes; powers of two, BLOCK_SECTOR .. BLOCK_SIZE_LARGEST; physical_size may be larger */
	uint32_t segments_max, segment_bytes_max; /* D: what a request may have; at most BLOCK_SEGMENTS_MAX */
	bool read_only;			      /* D */
	bool has_cache;			      /* D: writes may be lost in a power cut until a flush has ended */
	uint64_t timeout_ns;		      /* D: 0: BLOCK_TIMEOUT_NS */

	struct refcount refs;
	char name[BLOCK_NAME_MAX]; /* C */
	unsigned index;		   /* C: of the table; the minor number follows from it */
	unsigned number;	   /* C: among those with this prefix: the name follows from it */
	struct spinlock lock;
	struct list pending, started; /* Q: by age */
	uint32_t outstanding;	      /* Q: submitted, not ended */
	bool paused;		      /* Q: nothing is started */
	bool faulted;		      /* Q: the driver gave up on it; to be reset for good */
	int dead;		      /* Q: what submitting says, or 0 */
	uint32_t resets_in_a_row;     /* Q */
	uint64_t busy_since_ns;	      /* Q */
	struct block_stats stats;     /* Q */
	struct wait_queue room;	      /* woken when `outstanding` falls below its limit */
	struct timer watchdog;
	struct work attend;
	struct mutex attending;
	struct rwlock bytes; /* writes of whole blocks share it; one that must read first has it alone */
};

/* ---- for drivers ---- */

/* 0; -EINVAL for a geometry that makes no sense, -ENOSPC, -ENOMEM. Takes over the first reference. May sleep. */
int block_device_add(struct block_device *d);

/* The device goes, or has gone: all requests end, names vanish; storage goes with the last user. May sleep. */
void block_device_remove(struct block_device *d);

/* The request has ended; each that was started exactly once. Any context, no lock of the driver held. */
void block_end(struct block_request *r, int error);

/* The device cannot be trusted any more: it will be reset, and everything ends with -EIO. Any context, locks below RANK_POLL may be held. */
void block_device_fault(struct block_device *d);

/* Has the driver look, in a thread (ops->poll). Any context, locks as above. */
void block_device_attend(struct block_device *d);

/* A new size. Any context. */
void block_device_resize(struct block_device *d, uint64_t sectors);

/* ---- for users ---- */

/* A device by name ("vda"), with a reference, or null; and the i-th of the table, which has holes. */
struct block_device *block_get(const char *name);
struct block_device *block_get_index(unsigned index);
void block_put(struct block_device *d);

/*
 * Submits: 0, and done() will be called (maybe before this returns). Or an errno, and it will not: -EAGAIN (BLOCK_OUTSTANDING_MAX),
 * -EINVAL (shape), -ENOSPC (beyond the end), -EROFS, -EIO or -ENODEV (the device is dead). Any context.
 */
int block_submit(struct block_device *d, struct block_request *r);

/* Submits and waits, also for room. 0 or an errno as above. May sleep, not interruptible. */
int block_wait(struct block_device *d, struct block_request *r);

/* Reads or writes [sector, + len bytes) through one buffer of the direct map, in as many requests as the device needs. May sleep. */
int block_transfer(struct block_device *d, enum block_op op, uint64_t sector, void *data, size_t len, uint32_t flags);

/* What was written and has ended is on the medium. May sleep. */
int block_flush(struct block_device *d);

/*
 * Writes any bytes: `buffer` is memory of whole blocks around [pos, pos + len), with the bytes in their place; what lies before and
 * behind them is filled from the device. Neighbouring writes at the same time lose nothing. May sleep.
 */
int block_write_bytes(struct block_device *d, uint64_t pos, void *buffer, size_t len);

/*
 * Turns swap on and off on the device that is open as f. -EINVAL: it is no block device, or carries no swap area; else as swap_on() and
 * swap_off() (cloudos/swap.h). May sleep for long.
 */
struct file;
int block_swap_on(struct file *f, bool preferred, int priority);
int block_swap_off(struct file *f);

static inline uint64_t block_bytes(const struct block_device *d)
{
	return READ_ONCE(d->sectors) << BLOCK_SECTOR_SHIFT;
}

#endif
