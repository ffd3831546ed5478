/* SPDX-License-Identifier: MIT */
/*
 * Faults that the deterministic world can inject. Each has a rate in millionths of its opportunities, which a scenario
 * sets or (swarm) the seed chooses, and a stream of draws of its own. In real time, and outside the phase in
 * which faults are armed, none happens.
 */
#ifndef SIM_FAULT_H
#define SIM_FAULT_H

#include <hal/types.h>

/* name, name in scenarios, most that a swarm gives it (ppm) */
#define SIM_FAULT_LIST(X)                                                                                            \
	X(NET_LOSS, "net.loss", 300000)		 /* a frame never arrives                                         */ \
	X(NET_DUPLICATE, "net.duplicate", 100000) /* a frame arrives twice                                       */ \
	X(NET_REORDER, "net.reorder", 200000)	 /* a frame is overtaken by later ones                            */ \
	X(NET_DELAY, "net.delay", 200000)	 /* a frame takes up to a second                                  */ \
	X(NET_CORRUPT, "net.corrupt", 100000)	 /* bits of a frame change                                        */ \
	X(NET_TRUNCATE, "net.truncate", 100000)	 /* a frame's end is missing                                      */ \
	X(NET_PARTITION, "net.partition", 50000) /* nothing arrives any more, one way or both, for a while         */ \
	X(NET_FLAP, "net.flap", 20000)		 /* the link is down for a while, and both ends see that          */ \
	X(NET_MTU, "net.mtu", 20000)		 /* from now on larger frames are dropped                         */ \
	X(NET_FULL, "net.full", 100000)		 /* the sender's queue is full                                    */ \
	X(MEMORY_ALLOC, "memory.alloc", 20000)	 /* an allocation fails                                           */ \
	X(MEMORY_PRESSURE, "memory.pressure", 0) /* this part of RAM (ppm) is taken from the kernel at the start  */ \
	X(TLB_EVICT, "tlb.evict", 200000)	 /* a translation is forgotten, as hardware may                   */ \
	X(IRQ_SPURIOUS, "irq.spurious", 500000)	 /* an interrupt that nobody sent, at each tick of the chaos clock */ \
	X(IRQ_LATE, "irq.late", 200000)		 /* a device's interrupt comes late                               */ \
	X(IRQ_LOST, "irq.lost", 20000)		 /* a device's interrupt never comes                              */ \
	X(IPI_LATE, "ipi.late", 300000)		 /* an interrupt between CPUs, and so a TLB shootdown, comes late  */ \
	X(TIMER_LATE, "timer.late", 300000)	 /* the one-shot timer fires late                                 */ \
	X(CLOCK_STEP, "clock.step", 100000)	 /* the wall clock jumps, at each tick of the chaos clock          */ \
	X(CLOCK_DRIFT, "clock.drift", 50000)	 /* the wall clock runs this much (ppm) fast or slow              */ \
	X(CPU_SLOW, "cpu.slow", 500000)		 /* this part of the CPUs (ppm) is up to 64 times slower          */ \
	X(CPU_STALL, "cpu.stall", 2000)		 /* a CPU stands still for up to a millisecond, at a scheduling point */ \
	X(DISK_READ_ERROR, "disk.read_error", 5000)   /* a read fails; every other time the sector stays bad          */ \
	X(DISK_WRITE_ERROR, "disk.write_error", 5000) /* a write fails, part of it done                              */ \
	X(DISK_FLUSH_ERROR, "disk.flush_error", 5000) /* a flush fails, nothing of it done                           */ \
	X(DISK_TORN, "disk.torn", 200000)	 /* at a power cut: a sector is new up to some byte, old behind      */ \
	X(DISK_LOST, "disk.lost", 0)		 /* a write says that it was done, and was not                       */ \
	X(DISK_MISDIRECTED, "disk.misdirected", 0) /* a write goes elsewhere, and its target stays as it was          */ \
	X(DISK_ROT, "disk.rot", 0)		 /* a bit on the medium has changed when it is read                  */ \
	X(DISK_FLUSH_LIES, "disk.flush_lies", 0) /* a flush says that it was done, and was not                       */ \
	X(DISK_SLOW, "disk.slow", 50000)	 /* a request takes up to a second                                   */ \
	X(DISK_HANGS, "disk.hangs", 0)		 /* a request is never answered                                      */ \
	X(DISK_FULL, "disk.full", 0)		 /* a write finds no room                                            */ \
	X(DISK_READ_ONLY, "disk.read_only", 0)	 /* from a write on, all writes fail                                 */ \
	X(DISK_GONE, "disk.gone", 0)		 /* at a request the disk and its device vanish                      */ \
	X(VIRTIO_RESETS, "virtio.resets", 0)	 /* the device resets itself when it is notified                     */ \
	X(VIRTIO_NEEDS_RESET, "virtio.needs_reset", 0) /* the device asks for a reset when it is notified            */ \
	X(VIRTIO_HANGS, "virtio.hangs", 0)	 /* a request is taken and never answered                            */ \
	X(VIRTIO_REORDERS, "virtio.reorders", 200000) /* an answer is held back until the next, if one is due        */ \
	X(VIRTIO_TWICE, "virtio.twice", 0)	 /* an answer comes twice                                            */ \
	X(VIRTIO_LENGTH, "virtio.length", 0)	 /* an answer claims that other bytes were written than were         */ \
	X(VIRTIO_INDEX, "virtio.index", 0)	 /* the used index jumps                                             */ \
	X(VIRTIO_ID, "virtio.id", 0)		 /* an answer is to something that was not asked                     */ \
	X(VIRTIO_STATUS, "virtio.status", 0)	 /* the status byte is something else                                */ \
	X(VIRTIO_CONFIG, "virtio.config", 0)	 /* the configuration turns into garbage when it is read             */ \
	X(VIRTIO_CAPABILITY, "virtio.capability", 0) /* so does a byte of a capability                               */ \
	X(VIRTIO_QUEUE_SIZE, "virtio.queue_size", 0) /* and a queue's size                                           */ \
	X(VIRTIO_STUCK, "virtio.stuck", 0)	 /* a reset is not carried out                                       */ \
	X(VIRTIO_SPURIOUS, "virtio.spurious", 100000) /* an interrupt more than there should be                      */

enum sim_fault {
#define X(name, text, most) SIM_FAULT_##name,
	SIM_FAULT_LIST(X)
#undef X
	SIM_FAULTS
};

/* True if this opportunity is one at which the fault happens. */
bool sim_fault(enum sim_fault fault);

/* The rate as set, ppm, whether faults are armed or not; 0 in real time. */
uint32_t sim_fault_rate(enum sim_fault fault);

/* More draws about a fault that happened, from its own stream: uniform in [0, n). */
uint64_t sim_fault_draw(enum sim_fault fault, uint64_t n);

const char *sim_fault_name(enum sim_fault fault);

/*
 * Safety phase (armed) and liveness phase (not): a run starts disarmed, so that it boots; models arm faults for
 * their operations and disarm them before they look whether everything recovers.
 */
void sim_faults_arm(bool armed);
bool sim_faults_armed(void);

/* Sets a rate by hand. */
void sim_fault_set(enum sim_fault fault, uint32_t ppm);

#endif
