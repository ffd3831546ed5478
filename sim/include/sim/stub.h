/* SPDX-License-Identifier: MIT */
/*
 * Stub processes, as the hosted half offers them to user/: a process of the host whose memory below
 * HAL_USER_TOP is whatever was mapped for it from RAM, and whose every system call, fault and trap stops it.
 * All functions are called by the thread that created the stub (ptrace knows no other).
 */
#ifndef SIM_STUB_H
#define SIM_STUB_H

#include <hal/types.h>

/*
 * Above HAL_USER_TOP: one page of code (user/host_stub.c) and one that holds the calls which it is to make,
 * read-only.
 */
#define SIM_STUB_CODE UINT64_C(0x7fff00000000)
#define SIM_STUB_DATA (SIM_STUB_CODE + PAGE_SIZE)
#define SIM_STUB_END  (SIM_STUB_DATA + PAGE_SIZE)

struct host_stub; /* opaque */

/* Once, before the first stub: 0 or -errno. */
int host_stub_setup(void);

/*
 * Makes a stub with nothing mapped, which lives as long as the calling thread and on its host CPU; null when
 * the host has no process or memory left.
 */
struct host_stub *host_stub_create(void);

int host_stub_pid(const struct host_stub *stub);

/* Queued changes of the stub's memory, done in order before it next runs. */
void host_stub_map(struct host_stub *stub, uaddr_t addr, size_t len, paddr_t pa, unsigned prot);
void host_stub_unmap(struct host_stub *stub, uaddr_t addr, size_t len);

enum sim_stop_kind {
	SIM_STOP_SYSCALL,
	SIM_STOP_SIGNAL, /* a fault or trap: signo, code, addr                          */
	SIM_STOP_KICK,	 /* host_stub_kick(), or another signal from outside             */
	SIM_STOP_REGS,	 /* the host does not accept these registers; nothing was run     */
	SIM_STOP_FULL, /* the host has no room for the mappings; nothing was run, and the queue is dropped */
};

struct sim_stop {
	enum sim_stop_kind kind;
	int signo, code;
	uaddr_t addr;
};

/*
 * Runs the queued changes, then user code with the registers `regs` (Linux's struct user_regs_struct) until
 * it stops; they are up to date then. The process is gone only if somebody on the host killed it: fatal.
 */
void host_stub_run(struct host_stub *stub, void *regs, struct sim_stop *ret);

/* Makes a running stub stop. Any thread. */
void host_stub_kick(int pid);

/* The FPU and vector state, XSAVE's standard format: 0 or -errno. */
int host_stub_get_fpu(struct host_stub *stub, void *area, size_t len);
int host_stub_set_fpu(struct host_stub *stub, const void *area, size_t len);

#endif
