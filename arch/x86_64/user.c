/* SPDX-License-Identifier: MIT */
/*
 * The part of a user thread that stays in the CPU while the kernel runs: x87, SSE and AVX registers, FS base,
 * and GS base (which waits in the MSR that `swapgs` exchanges). A thread's state is live on a CPU when the
 * CPU's `live` is the thread and the thread's `live_cpu` is the CPU; both must agree, so either side can end
 * it:
 *
 *   hal_user_load()     makes it live, from memory, unless it still is since it last ran here
 *   hal_user_save()     brings memory up to date; it stays live, in case the thread is the next to come
 *   another thread's    hal_user_load() changes `live`; running on another CPU changes `live_cpu`
 *
 * Memory holds XSAVE's standard format, since signal frames and debuggers show it. Interrupts are off in all
 * that looks at `live`.
 */
#include <x86/cpu.h>
#include <x86/features.h>
#include <x86/percpu.h>
#include <x86/usercopy.h>

#define FPU_INITIAL_SIZE 576u /* legacy part and header */

static bool is_live(const struct cpu *c, const struct hal_user *u)
{
	return c->live == u && u->live_cpu == c->id;
}

static uint32_t states_low(void)
{
	return (uint32_t)x86_features.xcr0;
}

/* Writes every component, also those in their initial state. */
static void fpu_store_all(void *area)
{
	if (x86_features.xsave)
		__asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(states_low()), "d"(0) : "memory");
	else
		__asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}

/* May leave out what has not changed since the area was loaded. */
static void fpu_store(void *area)
{
	if (x86_features.xsaveopt)
		__asm__ volatile("xsaveopt64 (%0)" : : "r"(area), "a"(states_low()), "d"(0) : "memory");
	else
		fpu_store_all(area);
}

static void fpu_load(const void *area)
{
	if (x86_features.xsave)
		__asm__ volatile("xrstor64 (%0)" : : "r"(area), "a"(states_low()), "d"(0) : "memory");
	else
		__asm__ volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
}

/* Without FSGSBASE a program changes them by arch_prctl() alone, and memory is always right. */
static void bases_store(struct hal_regs *r)
{
	if (!x86_features.fsgsbase)
		return;
	__asm__ volatile("rdfsbase %0" : "=r"(r->fs_base));
	__asm__ volatile("swapgs\n\trdgsbase %0\n\tswapgs" : "=r"(r->gs_base) : : "memory");
}

static void bases_load(const struct hal_regs *r)
{
	if (!x86_features.fsgsbase) {
		wrmsr(MSR_FS_BASE, r->fs_base);
		wrmsr(MSR_KERNEL_GS_BASE, r->gs_base);
		return;
	}
	__asm__ volatile("wrfsbase %0" : : "r"(r->fs_base));
	__asm__ volatile("swapgs\n\twrgsbase %0\n\tswapgs" : : "r"(r->gs_base) : "memory");
}

size_t hal_user_fpu_size(void)
{
	return x86_fpu_size();
}

void hal_user_init(struct hal_user *u, void *fpu)
{
	__builtin_memset(u, 0, sizeof(*u));
	u->regs.cs = X86_USER_CS;
	u->regs.ss = X86_USER_SS;
	u->regs.rflags = X86_FLAG_ONE | X86_FLAG_IF;
	u->regs.orig_rax = UINT64_MAX;
	u->x86.fpu = fpu;
	u->live_cpu = X86_CPU_NONE;
	x86_fpu_init_area(fpu);
}

void hal_user_fork(struct hal_user *dst, void *fpu, struct hal_user *src)
{
	hal_user_sync(src);
	*dst = *src;
	dst->live_cpu = X86_CPU_NONE;
	dst->x86.fpu = fpu;
	__builtin_memcpy(fpu, src->x86.fpu, x86_fpu_size());
}

void hal_user_save(struct hal_user *u)
{
	if (!is_live(this_cpu(), u) || u->x86.fpu_memory_newer)
		return;
	fpu_store(u->x86.fpu);
	bases_store(&u->regs);
}

void hal_user_load(struct hal_user *u)
{
	struct cpu *c = this_cpu();

	if (is_live(c, u))
		return;
	c->live = u;
	u->live_cpu = c->id;
	bases_load(&u->regs);
	if (!u->x86.fpu_memory_newer)
		fpu_load(u->x86.fpu);
}

void hal_user_sync(struct hal_user *u)
{
	unsigned long irq = hal_irq_save();

	if (is_live(this_cpu(), u) && !u->x86.fpu_memory_newer) {
		fpu_store_all(u->x86.fpu);
		bases_store(&u->regs);
	}
	hal_irq_restore(irq);
}

void x86_regs_complete(struct hal_user *u)
{
	if (u->x86.regs_partial) {
		u->regs.rcx = u->regs.rip;
		u->regs.r11 = u->regs.rflags;
		u->x86.regs_partial = false;
	}
}

void x86_user_reload(struct hal_user *u)
{
	unsigned long irq = hal_irq_save();

	if (is_live(this_cpu(), u)) {
		fpu_load(u->x86.fpu);
		bases_load(&u->regs);
	} else {
		u->live_cpu = X86_CPU_NONE;
	}
	hal_irq_restore(irq);
}

/* ---- signal frames: straight between registers and user memory ---- */

/*
 * A fault on the way may sleep. The thread is then saved and loaded like any other, and the instruction
 * begins anew, so the registers need no protection. A frame whose area was cut goes through memory.
 */
int x86_fpu_to_user(struct hal_user *u, uaddr_t dst)
{
	(void)u;
	return x86_features.xsave ? x86_xsave_user(dst, x86_features.xcr0) : x86_fxsave_user(dst, 0);
}

int x86_fpu_from_user(struct hal_user *u, uaddr_t src, size_t len)
{
	int err;

	if (len != x86_fpu_size())
		return x86_fpu_area_from_user(u, src, len);
	err = x86_features.xsave ? x86_xrstor_user(src, x86_features.xcr0) : x86_fxrstor_user(src, 0);
	if (err != 0)
		x86_fpu_reset(u);
	return err;
}

/* An area whose header names no state makes XRSTOR set them all to their initial values. */
void x86_fpu_reset(struct hal_user *u)
{
	static const struct {
		uint16_t control;
		uint8_t pad[22];
		uint32_t mxcsr;
		uint8_t rest[FPU_INITIAL_SIZE - 28];
	} initial __attribute__((aligned(64))) = {.control = 0x37f, .mxcsr = 0x1f80};

	(void)u;
	fpu_load(&initial);
}
