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
 * Above HAL_USER_TOP: one page of code (user/host_stub_x86_64.S), and the data through which it is told what
 * to do (sim/stub_private.h).
 */
#define SIM_STUB_CODE	   UINT64_C(0x7fff00000000)
#define SIM_STUB_DATA	   (SIM_STUB_CODE + PAGE_SIZE)
#define SIM_STUB_DATA_SIZE (8 * PAGE_SIZE)
#define SIM_STUB_END	   (SIM_STUB_DATA + SIM_STUB_DATA_SIZE)

struct host_stub; /* opaque */

/*
 * Once, before the first stub: 0 or -errno. `user` is "seccomp", "ptrace", or null for the faster one that
 * the host has; ends the process with a message if it is "seccomp" and the host has not what that needs.
 */
int host_stub_setup(const char *user);

/* The host's processor can make CPUID fault, so that what programs see of it is ours to say. */
bool host_stub_can_hide_cpu(void);

/* What this host has not that the way by seccomp needs, or null. */
const char *host_stub_seccomp_lacks(void);

/* Stubs made from now on are run in this way. For tests that compare the two. */
void host_stub_use(const char *user);

/*
 * Makes a stub with nothing mapped, which lives as long as the calling thread and on its host CPU; null when
 * the host has no process or memory left.
 */
struct host_stub *host_stub_create(void);

int host_stub_pid(const struct host_stub *stub);
int host_stub_running(void); /* the process that runs user code for this thread; 0: none does */

/* Queued changes of the stub's memory, done in order before it next runs. */
void host_stub_map(struct host_stub *stub, uaddr_t addr, size_t len, paddr_t pa, unsigned prot);
void host_stub_unmap(struct host_stub *stub, uaddr_t addr, size_t len);

enum sim_stop_kind {
	SIM_STOP_SYSCALL,
	SIM_STOP_SIGNAL, /* a fault or trap: signo, code, addr                          */
	SIM_STOP_KICK,	 /* host_stub_kick(), or another signal from outside             */
	SIM_STOP_REGS,	 /* the host does not accept these registers; nothing was run     */
	SIM_STOP_FULL, /* the host has no room for the mappings; nothing was run, and the queue is dropped */
	SIM_STOP_LOST, /* the program meddled with the stub itself, at `addr`: host_stub_revive() it */
};

struct sim_stop {
	enum sim_stop_kind kind;
	bool partial; /* of the registers only those are told that a system call passes: see
			 host_stub_complete() */
	int signo, code;
	uaddr_t addr;
};

/*
 * Runs the queued changes, then user code with the registers `regs` (Linux's struct user_regs_struct) until
 * it stops; they are up to date then, unless the stop says `partial`: then rax, rcx, rip, orig_rax and the
 * six argument registers are, and the others stay in the stub. `partial` says the same of `regs` as they are
 * given. The process is gone only if somebody on the host killed it: fatal.
 */
void host_stub_run(struct host_stub *stub, void *regs, bool partial, struct sim_stop *ret);

/* Fills in what a partial stop left out. */
void host_stub_complete(struct host_stub *stub, void *regs);

/* Its program meddled with it where no run could say so. */
bool host_stub_is_lost(const struct host_stub *stub);

/* After SIM_STOP_LOST, or that: as new, with nothing mapped and another process. */
void host_stub_revive(struct host_stub *stub);

/* Makes a running stub stop. Any thread. */
void host_stub_kick(int pid);

/* The FPU and vector state, XSAVE's standard format or FXSAVE's: 0 or -errno. */
int host_stub_get_fpu(struct host_stub *stub, void *area, size_t len);
int host_stub_set_fpu(struct host_stub *stub, const void *area, size_t len);

#endif
