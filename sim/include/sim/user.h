/* SPDX-License-Identifier: MIT */
/* What the files of user/ tell each other. */
#ifndef SIM_USER_H
#define SIM_USER_H

#include <hal/hal.h>
#include <sim/stub.h>

#define SIM_STUBS_MAX 32 /* stub processes a vCPU; beyond it the one that ran longest ago is recycled */
_Static_assert(SIM_STUBS_MAX < 256, "hal_aspace.stub holds 1 + an index in a byte");

/*
 * A stub process as its vCPU sees it. `owner` is cleared by others (hal_aspace_fini); the rest is the vCPU's
 * own.
 */
struct sim_stub {
	struct host_stub *host;
	struct hal_aspace *_Atomic owner;
	bool empty;			 /* nothing is mapped in it                          */
	const struct hal_user *fpu_user; /* whose FPU state it holds, if that thread agrees */
	uint64_t last_run;		 /* of the vCPU's count of selections                */
};

/* True if flushes of its active address space passed the vCPU by while another one was active: what it remembers must go, once. */
bool sim_tlb_missed(struct sim_vcpu *v);

/* The stub of the vCPU's active address space, created or recycled if need be. */
struct sim_stub *sim_stub_select(struct sim_vcpu *v);

/* Its program meddled with it: a new process, in which nothing is mapped. */
void sim_stub_revive(struct sim_stub *stub);

/* Which neighbours of a page are mapped along with it: all that are present, or those never used so far. */
enum sim_fill { SIM_FILL_ALL, SIM_FILL_NEW };

/* Maps the page of `addr` and neighbours that are present into the stub, as their entries allow. */
void sim_tlb_fill(struct sim_stub *stub, struct hal_aspace *as, uaddr_t addr, enum sim_fill what);

/*
 * The stub is about to run user code of `u`: its FPU shall hold u's state. -EINVAL when the host refuses that
 * state.
 */
int sim_fpu_enter(struct hal_user *u, struct sim_stub *stub);

/*
 * What the instruction at regs->rip was doing with `addr`, outside itself, when it faulted: a write if that
 * is certain, else a read.
 */
enum hal_access sim_access_guess(const struct hal_aspace *as, const struct hal_regs *regs, uaddr_t addr);

/*
 * A general protection fault at regs->rip: perhaps an instruction that faults because the host is hidden. Then
 * registers and program counter are as behind it.
 */
enum sim_emulated {
	SIM_NOT_EMULATED,
	SIM_EMULATED,
	SIM_EMULATED_STEP, /* with the trap flag set: a trap follows */
	SIM_UNDEFINED,	   /* this processor has no such instruction */
};
enum sim_emulated sim_emulate(struct hal_regs *regs, const struct hal_aspace *as);

/* The name of the processor that programs see when the host is hidden. */
const char *sim_fixed_cpu_model(void);

/*
 * Null, or what plays all user programs instead of stubs (a fuzzer): is given the registers as the kernel
 * left them, sets them as the program would, and says why it came back. Interrupts off, its address space
 * active.
 */
extern enum hal_exit_kind (*sim_user_script)(struct hal_user *u, struct hal_exit *ret);

/*
 * True if the instruction in `bytes` (up to 15, fewer at the end of what can be fetched) is known to write to
 * `addr`.
 */
bool sim_insn_writes(const uint8_t *bytes, unsigned length, const struct hal_regs *regs, uaddr_t addr);

#endif
