/* SPDX-License-Identifier: MIT */
/*
 * A disk behind a device's model: in real time a file of the host (realtime/disk.c), in the deterministic world memory with faults
 * (deterministic/disk.c). Requests are submitted, and completed later, in any order. Bus lock held for all of it.
 */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include <hal/types.h>
#include <sim/event.h>

#define SIM_DISK_SECTOR	      512u
#define SIM_DISK_SEGMENTS_MAX 128

enum sim_disk_op { SIM_DISK_READ, SIM_DISK_WRITE, SIM_DISK_FLUSH };

struct sim_disk_segment {
	void *data; /* RAM */
	size_t len;
};

/* The submitter's storage until done() is called: error 0 or -errno. */
struct sim_disk_request {
	enum sim_disk_op op;
	bool fua;	 /* a write that is on the medium when it is done */
	uint64_t sector; /* the range lies on the disk: the submitter has checked */
	uint32_t segment_count;
	struct sim_disk_segment segments[SIM_DISK_SEGMENTS_MAX];
	void (*done)(struct sim_disk_request *r, int error);

	/* the disk's */
	struct sim_disk *disk;
	struct sim_disk_request *next;
	struct sim_event event;
	int error;
};

struct sim_disk;
struct sim_disk_ops {
	void (*submit)(struct sim_disk *d, struct sim_disk_request *r);
	/* Forgets all that is in flight, at once: done() is not called, no memory is touched. Null: wait until it is done. */
	void (*forget)(struct sim_disk *d);
};

struct sim_disk {
	const struct sim_disk_ops *ops;
	uint64_t sectors;
	bool read_only;
	bool gone; /* it answers nothing any more, and its device vanishes */
};

/* The machine's n-th `--disk`, as the chosen world has it; null at the end. */
struct sim_disk *sim_machine_disk(unsigned number);

/* Calls done() of what has been completed meanwhile by the host; answers SIM_IRQ_DISK. Real time. */
void sim_disks_completed(void);

/* ---- the deterministic world's disks (deterministic/disk.c) ---- */

struct sim_disk_options {
	uint64_t sectors;
	bool read_only;
	bool write_through; /* no volatile cache: what is done is on the medium */
};

/* What was done to the data without saying so, and to requests: for whoever must know what can be expected of the disk. */
struct sim_disk_counts {
	uint64_t reads, writes, flushes;
	uint64_t read_errors, write_errors, flush_errors;
	uint64_t lost, misdirected, rotten, flushes_that_lied, hung;
	uint64_t cuts, kept, dropped, torn; /* power cuts, and sectors in the cache at them */
};

/* Memory of the host, never given back; null: none. Any time before or while the world runs. */
struct sim_disk *sim_memory_disk_create(const struct sim_disk_options *options);

/*
 * The power fails now: what is in flight is never completed; of what the disk had in its cache, and of writes in flight, any part survives
 * that the contract allows. Until sim_disk_power_on() it completes nothing. The other one: at the n-th write from now (1: the next).
 */
void sim_disk_power_cut(struct sim_disk *d);
void sim_disk_power_cut_at(struct sim_disk *d, uint64_t writes);
bool sim_disk_has_power(const struct sim_disk *d);
void sim_disk_power_on(struct sim_disk *d);

/* Looks at, or sets, a sector as a read would see it; no latency, no faults. */
void sim_disk_peek(struct sim_disk *d, uint64_t sector, void *to);
void sim_disk_poke(struct sim_disk *d, uint64_t sector, const void *from);
void sim_disk_counts(const struct sim_disk *d, struct sim_disk_counts *ret);

/* ---- hosted half: files (realtime/host_disk.c) ---- */

/* Opens an image, read-only if it may not be written: its number for the functions below, or -errno. */
int host_disk_open(const char *name, uint64_t *ret_bytes, bool *ret_read_only);
/* Starts the thread that does its requests; 0 or -errno. It calls sim_disk_arrived() after each. */
int host_disk_start(int number);
void host_disk_submit(int number, struct sim_disk_request *r);
struct sim_disk_request *host_disk_take(int number); /* one that is done, with `error` set, or null */
void host_disk_read(int number, void *to, uint64_t len); /* from the start; ends the process if it cannot */
void sim_disk_arrived(void);

/* Zeroed memory of the host for ever, given only where it is touched; null: none. */
void *host_memory(size_t size);

#endif
