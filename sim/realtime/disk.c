/* SPDX-License-Identifier: MIT */
/*
 * Disks in real time: files of the host. A thread of each file (host_disk.c) does its requests, so that no vCPU waits for the host; vCPU 0
 * is interrupted when one is done, and calls done() for it under the bus lock.
 */
#include <sim/device.h>
#include <sim/disk.h>
#include <sim/host.h>
#include "realtime.h"

struct file_disk {
	struct sim_disk disk; /* first, see submit() */
	int number;
};
static struct file_disk disks[SIM_DISKS_MAX];
static unsigned count;

static void submit(struct sim_disk *d, struct sim_disk_request *r)
{
	struct file_disk *f = (struct file_disk *)(void *)d;

	r->disk = d;
	host_disk_submit(f->number, r);
}
_Static_assert(offsetof(struct file_disk, disk) == 0, "see submit()");

static const struct sim_disk_ops file_ops = {.submit = submit};

struct sim_disk *realtime_disk(unsigned number)
{
	struct file_disk *f = &disks[count];

	f->number = sim_machine.disks[number].number;
	f->disk = (struct sim_disk){
	    .ops = &file_ops,
	    .sectors = sim_machine.disks[number].bytes / SIM_DISK_SECTOR,
	    .read_only = sim_machine.disks[number].read_only,
	};
	if (host_disk_start(f->number) < 0)
		host_fatal("no thread for disk %u", number);
	count++;
	return &f->disk;
}

void sim_disk_arrived(void)
{
	sim_world->kick(&sim_vcpus[0], SIM_IRQ_DISK);
}

void sim_disks_completed(void)
{
	bool irq = sim_bus_lock();

	for (unsigned i = 0; i < count; i++) {
		struct sim_disk_request *r;

		while ((r = host_disk_take(disks[i].number)))
			r->done(r, r->error);
	}
	sim_bus_unlock(irq);
}
