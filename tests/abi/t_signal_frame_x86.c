/* SPDX-License-Identifier: MIT */
/*
 * x86_64's signal frames: what a handler finds in its registers and in the frame, what it may change there,
 * and what becomes of a frame that is bent. glibc, debuggers and unwinders rely on each of these.
 */
#include <asm/prctl.h>
#include <cpuid.h>
#include <immintrin.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include "check.h"

#define FP_MAGIC1     0x46505853u
#define FP_MAGIC2     0x46505845u
#define FPU_XSTATE_BV 512
#define FPU_SOFTWARE  464

static volatile ucontext_t *seen_uc;
static volatile siginfo_t *seen_info;
static volatile int seen_signo;
static volatile uintptr_t seen_sp;
static volatile int frame_ok, fpu_initial;
static void (*change)(ucontext_t *uc);

/* In the frame as Linux lays it out: FPU area, its software bytes, the second magic number. */
static int fpu_area_ok(const uint8_t *area)
{
	uint32_t magic1, extended, size, magic2;
	uint64_t present, features;

	memcpy(&magic1, area + FPU_SOFTWARE, 4);
	memcpy(&extended, area + FPU_SOFTWARE + 4, 4);
	memcpy(&features, area + FPU_SOFTWARE + 8, 8);
	memcpy(&size, area + FPU_SOFTWARE + 16, 4);
	memcpy(&present, area + FPU_XSTATE_BV, 8);
	if ((uintptr_t)area % 64 != 0 || magic1 != FP_MAGIC1 || extended != size + 4)
		return 0;
	memcpy(&magic2, area + size, 4);
	return magic2 == FP_MAGIC2 && (present & 3) == 3 && (features & 3) == 3 && (present & ~features) == 0;
}

static void handler(int signo, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	uint32_t mxcsr = _mm_getcsr();
	uint16_t control;

	__asm__ volatile("fnstcw %0" : "=m"(control));
	fpu_initial = mxcsr == 0x1f80 && control == 0x37f;
	seen_signo = signo;
	seen_info = info;
	seen_uc = uc;
	seen_sp = (uintptr_t)__builtin_frame_address(0) +
		  8; /* behind the pushed frame pointer: the return address */
	frame_ok = (uc->uc_flags & 7) == 7 && (uc->uc_mcontext.gregs[REG_CSGSFS] & 0xffff) == 0x33 &&
		   ((uint64_t)uc->uc_mcontext.gregs[REG_CSGSFS] >> 48) == 0x2b &&
		   fpu_area_ok((const uint8_t *)uc->uc_mcontext.fpregs);
	if (change != NULL)
		change(uc);
}

static void catch (int signo, int flags)
{
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};

	sigaction(signo, &action, NULL);
}

/* ---- what a handler finds ---- */

/* Raises a signal with known values in all registers that a system call keeps, and returns whether they are
 * the same. */
static int registers_survive(void)
{
	uint64_t out[8];
	long tid = syscall(SYS_gettid), pid = getpid();
	register long r8 __asm__("r8") = 8;
	register long r9 __asm__("r9") = 9;
	register long r10 __asm__("r10") = 10;
	long result = SYS_tgkill;

	__asm__ volatile(
	    "movq $12, %%r12\n\tmovq $13, %%r13\n\tmovq $14, %%r14\n\tmovq $15, %%r15\n\tstd\n\tsyscall\n\t"
	    "pushfq\n\tpopq %%rcx\n\tcld\n\t"
	    "movq %%r12, 0(%5)\n\tmovq %%r13, 8(%5)\n\tmovq %%r14, 16(%5)\n\tmovq %%r15, 24(%5)\n\t"
	    "movq %%rcx, 32(%5)"
	    : "+a"(result), "+r"(r8), "+r"(r9), "+r"(r10)
	    : "D"(pid), "b"(out), "S"(tid), "d"((long)SIGUSR1)
	    : "rcx", "r11", "r12", "r13", "r14", "r15", "memory");
	return result == 0 && r8 == 8 && r9 == 9 && r10 == 10 && out[0] == 12 && out[1] == 13 &&
	       out[2] == 14 && out[3] == 15 && (out[4] & 0x400) != 0;
}

static void entry(void)
{
	change = NULL;
	catch (SIGUSR1, 0);
	CHECK("registers and the direction flag survive", registers_survive());
	CHECK("the signal's number", seen_signo == SIGUSR1);
	CHECK("si_signo and si_code", seen_info != NULL && frame_ok);
	CHECK("the stack is aligned as behind a call", seen_sp % 16 == 8);
	CHECK("the FPU is in its initial state in a handler", fpu_initial);
}

/* ---- vector registers ---- */

static int has_avx(void)
{
	unsigned a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_OSXSAVE) && (c & bit_AVX);
}

__attribute__((target("avx"), noinline)) static int avx_survives(void)
{
	__m256d v = _mm256_set_pd(1.5, 2.5, 3.5, 4.5);
	double out[4];

	__asm__ volatile("vmovapd %1, %%ymm9\n\tsyscall\n\tvmovapd %%ymm9, %%ymm8\n\tvmovupd %%ymm8, %0"
			 : "=m"(out)
			 : "x"(v), "a"((long)SYS_tgkill), "D"((long)getpid()), "S"(syscall(SYS_gettid)),
			   "d"((long)SIGUSR1)
			 : "rcx", "r11", "xmm8", "xmm9", "memory");
	return out[0] == 4.5 && out[1] == 3.5 && out[2] == 2.5 && out[3] == 1.5;
}

static void clobber_vectors(ucontext_t *uc)
{
	(void)uc;
	__asm__ volatile("pcmpeqd %%xmm9, %%xmm9" : : : "xmm9");
}

static void set_xmm3(ucontext_t *uc)
{
	uc->uc_mcontext.fpregs->_xmm[3].element[0] = 0x12345678;
}

static void vectors(void)
{
	uint64_t low;
	uint32_t old = _mm_getcsr();

	change = clobber_vectors;
	CHECK("AVX registers survive a handler", !has_avx() || avx_survives());
	change = set_xmm3;
	__asm__ volatile("pxor %%xmm3, %%xmm3\n\tsyscall\n\tmovq %%xmm3, %0"
			 : "=r"(low)
			 : "a"((long)SYS_tgkill), "D"((long)getpid()), "S"(syscall(SYS_gettid)),
			   "d"((long)SIGUSR1)
			 : "rcx", "r11", "xmm3", "memory");
	CHECK("what a handler puts into the frame's XMM arrives", low == 0x12345678);
	change = NULL;
	_mm_setcsr(0x3f80);
	raise(SIGUSR1);
	CHECK("MXCSR survives", _mm_getcsr() == 0x3f80);
	_mm_setcsr(old);
}

/* ---- faults ---- */

static void skip_ud2(ucontext_t *uc)
{
	uc->uc_mcontext.gregs[REG_RIP] += 2;
	uc->uc_mcontext.gregs[REG_RAX] = 77;
}

static void skip_store(ucontext_t *uc)
{
	uc->uc_mcontext.gregs[REG_RIP] += 3; /* movb %al, (%rdx) with a REX prefix */
}

static void faults(void)
{
	long rax = 0;

	catch (SIGILL, 0);
	catch (SIGSEGV, 0);
	change = skip_ud2;
	__asm__ volatile("ud2" : "+a"(rax) : : "memory");
	CHECK("a handler steps over ud2 and sets rax", rax == 77 && seen_info->si_code == ILL_ILLOPN);
	CHECK("trapno of an invalid opcode", seen_uc->uc_mcontext.gregs[REG_TRAPNO] == 6);
	change = skip_store;
	__asm__ volatile(".byte 0x40, 0x88, 0x02" : : "a"(1l), "d"(16l) : "memory");
	CHECK("a store to a bad address",
	      seen_info->si_code == SEGV_MAPERR && seen_info->si_addr == (void *)16);
	CHECK("trapno, error code and cr2 of it", seen_uc->uc_mcontext.gregs[REG_TRAPNO] == 14 &&
						      seen_uc->uc_mcontext.gregs[REG_ERR] == 6 &&
						      seen_uc->uc_mcontext.gregs[REG_CR2] == 16);
	change = NULL;
	signal(SIGILL, SIG_DFL);
	signal(SIGSEGV, SIG_DFL);
}

/* ---- bent frames: each in a child, which dies of it or lives ---- */

static void with_change(void *arg)
{
	change = (void (*)(ucontext_t *))arg;
	raise(SIGUSR1);
	_exit(0);
}

static void bad_rip(ucontext_t *uc)
{
	uc->uc_mcontext.gregs[REG_RIP] = (greg_t)0x8000000000000000;
}

static void kernel_rip(ucontext_t *uc)
{
	uc->uc_mcontext.gregs[REG_RIP] = (greg_t)0xffffffff80100000;
}

static void bad_fpu_pointer(ucontext_t *uc)
{
	uc->uc_mcontext.fpregs = (void *)0xdead000;
}

static void kernel_fpu_pointer(ucontext_t *uc)
{
	uc->uc_mcontext.fpregs = (void *)0xffff800000000000;
}

static void no_fpu(ucontext_t *uc)
{
	uc->uc_mcontext.fpregs = NULL;
}

static void privileged_flags(ucontext_t *uc)
{
	uc->uc_mcontext.gregs[REG_EFL] |= 0x3000 | 0x20000; /* IOPL, VM */
	uc->uc_mcontext.gregs[REG_EFL] &= ~0x200l;	    /* interrupts off */
}

static void no_magic(ucontext_t *uc)
{
	memset((uint8_t *)uc->uc_mcontext.fpregs + FPU_SOFTWARE, 0, 48);
}

static void flags_are_filtered(void *arg)
{
	uint64_t flags;

	(void)arg;
	change = privileged_flags;
	raise(SIGUSR1);
	__asm__ volatile("pushfq\n\tpopq %0" : "=r"(flags));
	_exit((flags & 0x3000) == 0 && (flags & 0x200) != 0 ? 0 : 1);
}

static void no_frame(void *arg)
{
	(void)arg;
	__asm__ volatile("movq $8, %%rsp\n\tsyscall\n\tud2" : : "a"((long)SYS_rt_sigreturn) : "memory");
	_exit(0);
}

static void bent(void)
{
	CHECK("a non-canonical rip", check_in_child(with_change, (void *)bad_rip) == -SIGSEGV);
	CHECK("a kernel rip", check_in_child(with_change, (void *)kernel_rip) == -SIGSEGV);
	CHECK("an unmapped FPU area", check_in_child(with_change, (void *)bad_fpu_pointer) == -SIGSEGV);
	CHECK("a kernel FPU area", check_in_child(with_change, (void *)kernel_fpu_pointer) == -SIGSEGV);
	CHECK("no FPU area", check_in_child(with_change, (void *)no_fpu) == 0);
	CHECK("an FPU area without its magic number", check_in_child(with_change, (void *)no_magic) == 0);
	CHECK("flags are filtered", check_in_child(flags_are_filtered, NULL) == 0);
	CHECK("rt_sigreturn without a frame", check_in_child(no_frame, NULL) == -SIGSEGV);
}

/* ---- segment bases ---- */

static void bases(void)
{
	static unsigned long word = 4711;
	unsigned long fs = 0, gs = 1, value;

	CHECK("ARCH_GET_FS is the thread pointer", syscall(SYS_arch_prctl, ARCH_GET_FS, &fs) == 0 &&
						       fs == (unsigned long)__builtin_thread_pointer());
	CHECK("ARCH_SET_GS", syscall(SYS_arch_prctl, ARCH_SET_GS, &word) == 0);
	__asm__ volatile("movq %%gs:0, %0" : "=r"(value));
	CHECK("it is used", value == 4711);
	raise(SIGUSR1);
	__asm__ volatile("movq %%gs:0, %0" : "=r"(value));
	CHECK("and survives a signal", value == 4711);
	CHECK("ARCH_GET_GS", syscall(SYS_arch_prctl, ARCH_GET_GS, &gs) == 0 && gs == (unsigned long)&word);
	CHECK_ERRNO("a kernel base", syscall(SYS_arch_prctl, ARCH_SET_GS, 0xffff800000000000), EPERM);
	CHECK_ERRNO("a bad pointer", syscall(SYS_arch_prctl, ARCH_GET_GS, 1l), EFAULT);
	CHECK_ERRNO("an unknown code", syscall(SYS_arch_prctl, 0x4711, 0), EINVAL);
}

int main(void)
{
	entry();
	vectors();
	faults();
	change = NULL;
	bent();
	bases();
	return checks_failed;
}
