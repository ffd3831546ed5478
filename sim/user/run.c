/* SPDX-License-Identifier: MIT */
/*
 * Running user code: the loop around a stub, and what its stops mean.
 *
 * A fault of the stub is first a TLB miss: if the page table allows the access, the page is mapped and the
 * program goes on without the kernel hearing of it. The host says where a fault was, not what kind of access
 * it was; see classify().
 */
#include <asm/errno.h>
#include <asm/siginfo.h>
#include <asm/signal.h>

#include <sim/host.h>
#include <sim/soft.h>
#include <sim/trace.h>
#include <sim/user.h>
#include <sim/walk.h>
#include <sim/world.h>

#define INSN_MAX 15 /* bytes of the longest x86 instruction */
#define FULL_MAX 16 /* times in a row that the host has no room even for a few mappings */

/* What a vCPU remembers from one stop to the next. */
static struct {
	const struct hal_user
	    *faulted; /* the thread that left with a page fault, of which the kernel may have taken care */
	uaddr_t addr;
	enum hal_access access;
	uaddr_t retried_addr, retried_pc; /* the last miss that was answered with a mapping */
	unsigned full;			  /* SIM_STOP_FULL in a row                          */
} memory[SIM_CPU_MAX];

enum next {
	NEXT_RUN, /* nothing that the kernel must see: run again */
	NEXT_EXIT,
};

static enum hal_exit_kind trap(struct hal_exit *ret, int signo, int code, uaddr_t addr)
{
	*ret = (struct hal_exit){.signo = signo, .code = code, .addr = addr};
	return HAL_EXIT_TRAP;
}

static bool allows(hal_pte_t pte, enum hal_access access)
{
	if (!hal_pte_present(pte) || !hal_pte_prot(pte))
		return false;
	return (!(access & HAL_ACCESS_WRITE) || pte & SIM_PTE_WRITE) &&
	       (!(access & HAL_ACCESS_EXEC) || pte & SIM_PTE_EXEC);
}

/*
 * The kind of a faulting access.
 *
 * A page that was not mapped in the stub (SEGV_MAPERR): at the program counter it is the fetch that missed;
 * just behind it perhaps that, so a read; elsewhere what the instruction does, or a read. What is really a
 * write comes back as the next case once the page is there.
 *
 * A page that was mapped (SEGV_ACCERR) could be read: it refused a fetch, or else a write. A fetch that the
 * entry allows is tried once more with a fresh mapping; then the instruction was writing to itself.
 */
static enum hal_access classify(const struct hal_user *u, const struct hal_aspace *as,
				const struct sim_stop *stop, hal_pte_t pte)
{
	unsigned cpu = hal_cpu_id();
	bool mapped = stop->code == SEGV_ACCERR && allows(pte, HAL_ACCESS_READ);
	bool in_insn = stop->addr - u->regs.rip < INSN_MAX;
	bool retried = memory[cpu].retried_addr == stop->addr && memory[cpu].retried_pc == u->regs.rip;
	enum hal_access guess;

	if (!mapped && in_insn)
		return stop->addr == u->regs.rip ? HAL_ACCESS_EXEC : HAL_ACCESS_READ;
	guess = sim_access_guess(as, &u->regs, stop->addr);
	if (!mapped)
		return guess;
	if (stop->addr == u->regs.rip && !(pte & SIM_PTE_EXEC))
		return HAL_ACCESS_EXEC;
	if (in_insn && guess != HAL_ACCESS_WRITE && (!(pte & SIM_PTE_EXEC) || !retried))
		return HAL_ACCESS_EXEC;
	return HAL_ACCESS_WRITE;
}

/* A page fault of the stub: answered from the page table, or else the kernel's. */
static enum next fault(struct hal_user *u, struct sim_stub *stub, const struct sim_stop *stop,
		       struct hal_exit *ret)
{
	struct hal_aspace *as = sim_self()->aspace;
	unsigned cpu = hal_cpu_id();
	hal_pte_t *slot = sim_walk_slot(as, stop->addr);
	hal_pte_t pte = slot ? __atomic_load_n(slot, __ATOMIC_ACQUIRE) : 0;
	enum hal_access access = classify(u, as, stop, pte);

	if (allows(pte, access) && sim_walk_access(as, stop->addr, access)) {
		sim_tlb_fill(stub, as, stop->addr, SIM_FILL_ALL);
		memory[cpu].retried_addr = stop->addr;
		memory[cpu].retried_pc = u->regs.rip;
		return NEXT_RUN;
	}
	memory[cpu].faulted = u;
	memory[cpu].addr = stop->addr;
	memory[cpu].access = access;
	*ret = (struct hal_exit){.addr = stop->addr, .access = access};
	x86_trap_note(u, HAL_EXIT_FAULT, ret, hal_pte_present(pte));
	return NEXT_EXIT;
}

static void fill_if_allowed(struct sim_stub *stub, uaddr_t addr, enum hal_access access, enum sim_fill what)
{
	struct hal_aspace *as = sim_self()->aspace;

	if (sim_walk_access(as, addr, access))
		sim_tlb_fill(stub, as, addr, what);
}

/*
 * Each miss costs two stops, so what the thread is sure to want is mapped ahead: what it left for with a page
 * fault, of which the kernel has taken care by now (and perhaps of neighbours too), and in an empty stub its
 * code and stack.
 */
static void refill(struct hal_user *u, struct sim_stub *stub)
{
	unsigned cpu = hal_cpu_id();

	if (stub->empty) {
		fill_if_allowed(stub, u->regs.rip, HAL_ACCESS_EXEC, SIM_FILL_ALL);
		fill_if_allowed(stub, u->regs.rsp, HAL_ACCESS_READ, SIM_FILL_ALL);
	}
	if (memory[cpu].faulted == u)
		fill_if_allowed(stub, memory[cpu].addr, memory[cpu].access, SIM_FILL_NEW);
	memory[cpu].faulted = NULL;
}

/*
 * Only `syscall` leaves rip in rcx. int 0x80 and sysenter are no way into this kernel: a general protection
 * fault.
 */
static enum hal_exit_kind system_call(const struct hal_user *u, struct hal_exit *ret)
{
	if (u->regs.rcx != u->regs.rip || u->regs.cs != X86_USER_CS)
		return trap(ret, SIGSEGV, SI_KERNEL, 0);
	return HAL_EXIT_SYSCALL;
}

/* Neither call nor page fault: the program's, unless we play the instruction. */
static enum next trapped(struct hal_user *u, const struct sim_stop *stop, enum hal_exit_kind *kind,
			 struct hal_exit *ret)
{
	enum sim_emulated emulated = SIM_NOT_EMULATED;

	if (stop->signo == SIGSEGV && stop->code == SI_KERNEL)
		emulated = sim_emulate(&u->regs, sim_self()->aspace);
	if (emulated == SIM_EMULATED)
		return NEXT_RUN;
	if (emulated == SIM_EMULATED_STEP)
		*kind = trap(ret, SIGTRAP, TRAP_TRACE, u->regs.rip);
	else if (emulated == SIM_UNDEFINED)
		*kind = trap(ret, SIGILL, ILL_ILLOPN, u->regs.rip);
	else
		*kind = trap(ret, stop->signo, stop->code, stop->addr);
	x86_trap_note(u, *kind, ret, false);
	return NEXT_EXIT;
}

/*
 * The program jumped into the stub's own pages, where there is nothing for it; whatever it did to the stub
 * ends with that.
 */
static enum hal_exit_kind lost(struct hal_user *u, struct sim_stub *stub, const struct sim_stop *stop,
			       struct hal_exit *ret)
{
	sim_stub_revive(stub);
	u->fpu_live = false;
	u->regs.rip = stop->addr;
	*ret = (struct hal_exit){.addr = stop->addr, .access = HAL_ACCESS_EXEC};
	x86_trap_note(u, HAL_EXIT_FAULT, ret, false);
	return HAL_EXIT_FAULT;
}

static enum next stopped(struct hal_user *u, struct sim_stub *stub, const struct sim_stop *stop,
			 enum hal_exit_kind *kind, struct hal_exit *ret)
{
	unsigned *full = &memory[hal_cpu_id()].full;

	*full = stop->kind == SIM_STOP_FULL ? *full + 1 : 0;
	switch (stop->kind) {
	case SIM_STOP_SYSCALL:
		*kind = system_call(u, ret);
		return NEXT_EXIT;
	case SIM_STOP_SIGNAL:
		if (stop->signo == SIGSEGV && (stop->code == SEGV_MAPERR || stop->code == SEGV_ACCERR)) {
			*kind = HAL_EXIT_FAULT;
			return fault(u, stub, stop, ret);
		}
		return trapped(u, stop, kind, ret);
	case SIM_STOP_REGS:
		u->regs.fs_base = u->regs.gs_base = 0;
		*kind = trap(ret, SIGSEGV, SI_KERNEL, 0);
		return NEXT_EXIT;
	case SIM_STOP_FULL:
		if (*full == FULL_MAX)
			host_fatal("the host has no room for the memory of user programs (vm.max_map_count, "
				   "or memory)");
		stub->empty = true;
		break;
	case SIM_STOP_LOST:
		*kind = lost(u, stub, stop, ret);
		return NEXT_EXIT;
	case SIM_STOP_KICK:
		break;
	}
	return NEXT_RUN;
}

/* One stretch of user code; false when an interrupt came first and nothing was run. */
static bool run_once(struct hal_user *u, struct sim_vcpu *v, struct sim_stub *stub, struct sim_stop *stop)
{
	bool clear;

	sim_world->user_enter(v);
	atomic_store(&v->stub_pid, host_stub_pid(stub->host));
	clear = !atomic_load(&v->pending);
	if (clear) {
		host_stub_run(stub->host, &u->regs, u->regs_partial, stop);
		u->regs_partial = stop->partial;
		u->fpu_live = true;
	}
	atomic_store(&v->stub_pid, 0);
	return clear;
}

/* Interrupts that are pending came upon user code, if any has run; else upon the kernel on its way there. */
static void leave_user(struct sim_vcpu *v, bool ran)
{
	v->left_user = ran;
	hal_irq_enable();
	sim_self()->left_user = false;
}

enum hal_exit_kind (*sim_user_script)(struct hal_user *u, struct hal_exit *ret);

/* Plays the program's part by a function of a test. */
static enum hal_exit_kind run_script(struct hal_user *u, struct sim_vcpu *v, struct hal_exit *ret)
{
	enum hal_exit_kind kind = HAL_EXIT_INTERRUPT;
	bool ran;

	sim_world->user_enter(v);
	ran = !atomic_load(&v->pending);
	if (ran) {
		if (sim_soft_used)
			sim_soft_enter();
		kind = sim_user_script(u, ret);
	}
	leave_user(v, ran);
	return kind;
}

/*
 * For the trace: why user code came back, with which system call or address, and a hash of what else the kernel may look at. Only of
 * registers that both back ends hand over.
 */
static void trace_exit(const struct hal_user *u, enum hal_exit_kind kind, const struct hal_exit *ret)
{
	const struct hal_regs *r = &u->regs;
	uint64_t words[] = {r->rip, r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9}, hash = 0;

	if (!sim_points)
		return;
	if (kind == HAL_EXIT_SYSCALL) {
		for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			hash = (hash ^ words[i]) * UINT64_C(0x100000001b3);
		sim_trace(SIM_TRACE_USER, kind | hash << 8, hal_abi_syscall_number(r));
	} else {
		sim_trace(SIM_TRACE_USER, kind | r->rip << 8, kind == HAL_EXIT_INTERRUPT ? 0 : ret->addr);
	}
}

enum hal_exit_kind hal_user_run(struct hal_user *u, struct hal_exit *ret)
{
	struct sim_vcpu *v = sim_self();
	enum hal_exit_kind kind = HAL_EXIT_INTERRUPT;
	struct sim_stop stop;
	bool ran = false;

	u->regs.orig_rax = ~UINT64_C(0);
	if (sim_user_script)
		return run_script(u, v, ret);
	do {
		struct sim_stub *stub = sim_stub_select(v);

		refill(u, stub);
		if (sim_fpu_enter(u, stub) < 0) {
			x86_fpu_init_area(u->x86.fpu);
			kind = trap(ret, SIGSEGV, SI_KERNEL, 0);
			break;
		}
		if (!run_once(u, v, stub, &stop)) {
			kind = HAL_EXIT_INTERRUPT;
			break;
		}
		ran = true;
		if (stopped(u, stub, &stop, &kind, ret) == NEXT_EXIT)
			break;
	} while (true);
	trace_exit(u, kind, ret);
	leave_user(v, ran);
	return kind;
}
