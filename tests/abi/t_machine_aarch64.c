/* SPDX-License-Identifier: MIT */
/*
 * What aarch64 alone has in the ABI: signal frames as glibc, debuggers and unwinders expect them, what faults
 * and traps become, registers that programs may read, and state that belongs to a thread.
 */
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include "cases.h"

#define HWCAP_AES_BIT	(1ul << 3)
#define HWCAP_CPUID_BIT (1ul << 11)
#define FP_MAGIC	0x46508001u
#define FAULT_MAGIC	0x45535201u
#define FP_SIZE		528
#define ESR_DATA_ABORT	0x24

struct record {
	uint32_t magic, size;
};

static struct {
	int signo, code;
	uintptr_t addr, info_at, uc_at, sp, lr, fault_address;
	uint64_t pc, esr;
	bool fp_first, ended;
} seen;
static void (*change)(ucontext_t *uc);

static void read_records(const uint8_t *at)
{
	const uint8_t *end = at + 4096;
	struct record r;

	seen.esr = 0;
	seen.ended = false;
	memcpy(&r, at, sizeof(r));
	seen.fp_first = r.magic == FP_MAGIC && r.size == FP_SIZE;
	while (at + sizeof(r) <= end) {
		memcpy(&r, at, sizeof(r));
		if (r.magic == 0) {
			seen.ended = r.size == 0;
			return;
		}
		if (r.magic == FAULT_MAGIC)
			memcpy(&seen.esr, at + sizeof(r), sizeof(seen.esr));
		at += r.size;
	}
}

static void handler(int signo, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	seen.signo = signo;
	seen.code = info->si_code;
	seen.addr = (uintptr_t)info->si_addr;
	seen.info_at = (uintptr_t)info;
	seen.uc_at = (uintptr_t)uc;
	seen.sp = (uintptr_t)__builtin_frame_address(0);
	seen.lr = (uintptr_t)__builtin_return_address(0);
	seen.pc = uc->uc_mcontext.pc;
	seen.fault_address = uc->uc_mcontext.fault_address;
	read_records((const uint8_t *)uc->uc_mcontext.__reserved);
	/* Whatever the handler does to them, the program's come back. */
	__asm__ volatile("movi v0.16b, #0xee\n\tmovi v15.16b, #0xee\n\tmovi v31.16b, #0xee" ::
			     : "v0", "v15", "v31");
	if (change != NULL)
		change(uc);
}

static void catch_signal(int signo)
{
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};

	sigaction(signo, &action, NULL);
}

static void skip_instruction(ucontext_t *uc)
{
	uc->uc_mcontext.pc += 4;
}

/* Catches `signo` from what fn does; the handler passes over the instruction. */
static void provoke(int signo, void (*fn)(void))
{
	memset(&seen, 0, sizeof(seen));
	catch_signal(signo);
	change = skip_instruction;
	fn();
	change = NULL;
	signal(signo, SIG_DFL);
}

/* ---- frames ---- */

static void a_frame_is_as_linux_lays_it_out(void)
{
	catch_signal(SIGUSR1);
	raise(SIGUSR1);
	EXPECT(seen.signo == SIGUSR1);
	EXPECT(seen.uc_at - seen.info_at == 128);
	EXPECT(seen.info_at % 16 == 0);
	EXPECT(seen.sp < seen.info_at);
	EXPECT(seen.fp_first && seen.ended);
	EXPECT(seen.esr == 0 && seen.fault_address == 0);
	EXPECT(((const uint32_t *)seen.lr)[0] == 0xd2801168 && ((const uint32_t *)seen.lr)[1] == 0xd4000001);
}

static void registers_survive_a_signal(void)
{
	uint64_t x[4], v[6];
	long pid = getpid(), signo = SIGUSR1;

	catch_signal(SIGUSR1);
	__asm__ volatile("mov x19, #0x1919\n\tmov x28, #0x2828\n\tmov x9, #0x0909\n\tmov x18, #0x1818\n\t"
			 "movi v0.16b, #0x11\n\tmovi v15.16b, #0x22\n\tmovi v31.16b, #0x33\n\t"
			 "mov x0, %2\n\tmov x1, %3\n\tmov x8, #129\n\tsvc #0\n\t"
			 "stp x19, x28, [%0]\n\tstp x9, x18, [%0, #16]\n\t"
			 "str q0, [%1]\n\tstr q15, [%1, #16]\n\tstr q31, [%1, #32]"
			 :
			 : "r"(x), "r"(v), "r"(pid), "r"(signo)
			 : "x0", "x1", "x8", "x9", "x18", "x19", "x28", "v0", "v15", "v31", "memory");
	EXPECT(x[0] == 0x1919 && x[1] == 0x2828 && x[2] == 0x0909 && x[3] == 0x1818);
	EXPECT(v[0] == 0x1111111111111111 && v[1] == v[0]);
	EXPECT(v[2] == 0x2222222222222222 && v[3] == v[2]);
	EXPECT(v[4] == 0x3333333333333333 && v[5] == v[4]);
}

static void set_x20_and_v8(ucontext_t *uc)
{
	uint8_t *fp = (uint8_t *)uc->uc_mcontext.__reserved;

	uc->uc_mcontext.regs[20] = 0x2020;
	memset(fp + 16 + 8 * 16, 0x88, 16);
}

static void a_handler_may_change_registers(void)
{
	uint64_t x20, v8[2];
	long pid = getpid(), signo = SIGUSR1;

	catch_signal(SIGUSR1);
	change = set_x20_and_v8;
	__asm__ volatile(
	    "mov x20, #0\n\tmovi v8.16b, #0\n\tmov x0, %2\n\tmov x1, %3\n\tmov x8, #129\n\tsvc #0\n\t"
	    "mov %0, x20\n\tstr q8, [%1]"
	    : "=&r"(x20)
	    : "r"(v8), "r"(pid), "r"(signo)
	    : "x0", "x1", "x8", "x20", "v8", "memory");
	change = NULL;
	EXPECT(x20 == 0x2020);
	EXPECT(v8[0] == 0x8888888888888888 && v8[1] == v8[0]);
}

/* ---- bent frames: the child that returns through one dies of SIGSEGV ---- */

static void bend_fp_size(ucontext_t *uc)
{
	((struct record *)uc->uc_mcontext.__reserved)->size = 512;
}

static void bend_fp_magic(ucontext_t *uc)
{
	((struct record *)uc->uc_mcontext.__reserved)->magic = 0x12345678;
}

static void bend_end(ucontext_t *uc)
{
	((struct record *)(uc->uc_mcontext.__reserved + FP_SIZE))->magic = FP_MAGIC;
}

static void bend_state_to_kernel(ucontext_t *uc)
{
	uc->uc_mcontext.pstate = 5; /* EL1h */
}

static void bend_state_to_masked(ucontext_t *uc)
{
	uc->uc_mcontext.pstate |= 0x80;
}

static void bend_pc_to_kernel(ucontext_t *uc)
{
	uc->uc_mcontext.pc = 0xffff800000000000;
}

static int death_of(void (*bend)(ucontext_t *uc))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		catch_signal(SIGUSR1);
		change = bend;
		raise(SIGUSR1);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void bent_frames_are_refused(void)
{
	EXPECT(death_of(bend_fp_size) == SIGSEGV);
	EXPECT(death_of(bend_fp_magic) == SIGSEGV);
	EXPECT(death_of(bend_end) == SIGSEGV);
	EXPECT(death_of(bend_state_to_kernel) == SIGSEGV);
	EXPECT(death_of(bend_state_to_masked) == SIGSEGV);
	EXPECT(death_of(bend_pc_to_kernel) == SIGSEGV);
	EXPECT(death_of(NULL) == 0);
}

/* ---- faults and traps ---- */

static void read_nowhere(void)
{
	__asm__ volatile("ldr x9, [%0]" ::"r"(0x1238ul) : "x9", "memory");
}

static void write_nowhere(void)
{
	__asm__ volatile("str x9, [%0]" ::"r"(0x1238ul) : "memory");
}

static void read_kernel(void)
{
	__asm__ volatile("ldr x9, [%0]" ::"r"(0xffff800000000000ul) : "x9", "memory");
}

static void breakpoint(void)
{
	__asm__ volatile("brk #0" ::: "memory");
}

static void undefined(void)
{
	__asm__ volatile("udf #0" ::: "memory");
}

static void privileged(void)
{
	__asm__ volatile("mrs x9, sctlr_el1" ::: "x9", "memory");
}

static void unaligned_exclusive(void)
{
	static uint64_t word[2];

	__asm__ volatile("ldxr x9, [%0]" ::"r"((uintptr_t)word + 4) : "x9", "memory");
}

static void faults_tell_where_and_how(void)
{
	provoke(SIGSEGV, read_nowhere);
	EXPECT(seen.code == SEGV_MAPERR && seen.addr == 0x1238 && seen.fault_address == 0x1238);
	EXPECT(seen.esr >> 26 == ESR_DATA_ABORT && (seen.esr & 0x40) == 0);
	provoke(SIGSEGV, write_nowhere);
	EXPECT(seen.code == SEGV_MAPERR && seen.addr == 0x1238);
	EXPECT(seen.esr >> 26 == ESR_DATA_ABORT && (seen.esr & 0x40) != 0);
	provoke(SIGSEGV, read_kernel);
	EXPECT(seen.signo == SIGSEGV && seen.code == SEGV_MAPERR && seen.addr == 0xffff800000000000);
}

static void traps_become_signals(void)
{
	provoke(SIGTRAP, breakpoint);
	EXPECT(seen.signo == SIGTRAP && seen.code == TRAP_BRKPT && seen.addr == seen.pc);
	provoke(SIGILL, undefined);
	EXPECT(seen.signo == SIGILL && seen.code == ILL_ILLOPC && seen.addr == seen.pc);
	provoke(SIGILL, privileged);
	EXPECT(seen.signo == SIGILL && seen.code == ILL_ILLOPC && seen.addr == seen.pc);
	provoke(SIGBUS, unaligned_exclusive);
	EXPECT(seen.signo == SIGBUS && seen.code == BUS_ADRALN);
}

static sigjmp_buf back;

static void jump_back(int signo, siginfo_t *info, void *context)
{
	(void)context;
	seen.signo = signo;
	seen.code = info->si_code;
	seen.addr = (uintptr_t)info->si_addr;
	siglongjmp(back, 1);
}

/* (Of the stack pointer not: QEMU does not check it.) */
static void an_unaligned_pc_is_a_bus_error(void)
{
	static uint8_t stack[16384] __attribute__((aligned(16)));
	stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)}, none = {.ss_flags = SS_DISABLE};
	struct sigaction action = {.sa_sigaction = jump_back, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	uintptr_t odd = (uintptr_t)breakpoint + 2;

	sigaltstack(&alternate, NULL);
	sigaction(SIGBUS, &action, NULL);
	if (sigsetjmp(back, 1) == 0)
		((void (*)(void))odd)();
	EXPECT(seen.signo == SIGBUS && seen.code == BUS_ADRALN && seen.addr == odd);
	signal(SIGBUS, SIG_DFL);
	sigaltstack(&none, NULL);
}

/* ---- registers that programs may read ---- */

static void id_registers_agree_with_hwcap(void)
{
	unsigned long hwcap = getauxval(AT_HWCAP), isar0, midr, unknown;

	EXPECT((hwcap & HWCAP_CPUID_BIT) != 0);
	__asm__ volatile("mrs %0, midr_el1" : "=r"(midr));
	__asm__ volatile("mrs %0, id_aa64isar0_el1" : "=r"(isar0));
	__asm__ volatile("mrs %0, S3_0_C0_C7_7" : "=r"(unknown));
	EXPECT(midr != 0);
	EXPECT(((isar0 >> 4 & 15) >= 1) == ((hwcap & HWCAP_AES_BIT) != 0));
	EXPECT(unknown == 0);
}

static void the_counter_runs(void)
{
	unsigned long a, b, frequency, ctr, zva;

	__asm__ volatile("mrs %0, cntvct_el0\n\tisb\n\tmrs %1, cntvct_el0" : "=r"(a), "=r"(b));
	__asm__ volatile("mrs %0, cntfrq_el0" : "=r"(frequency));
	__asm__ volatile("mrs %0, ctr_el0\n\tmrs %1, dczid_el0" : "=r"(ctr), "=r"(zva));
	EXPECT(b >= a);
	EXPECT(frequency != 0);
	EXPECT(ctr != 0);
	EXPECT((zva & 0x10) == 0);
}

static int64_t in_ns(struct timespec t)
{
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void the_vdso_agrees_with_the_kernel(void)
{
	static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME,
					   CLOCK_MONOTONIC_RAW};

	for (size_t i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
		struct timespec before, between, after;

		syscall(SYS_clock_gettime, clocks[i], &before);
		clock_gettime(clocks[i], &between);
		syscall(SYS_clock_gettime, clocks[i], &after);
		EXPECT(in_ns(before) <= in_ns(between) && in_ns(between) <= in_ns(after));
		EXPECT(between.tv_nsec >= 0 && between.tv_nsec < 1000000000);
	}
	EXPECT_ERRNO(clock_gettime(99, &(struct timespec){0, 0}), EINVAL);
}

/* ---- what is a thread's own ---- */

static void put_v(unsigned value)
{
	__asm__ volatile("dup v9.16b, %w0\n\tmsr fpcr, %1" ::"r"(value), "r"((unsigned long)(value & 3) << 22)
			 : "v9");
}

static bool has_v(unsigned value)
{
	uint64_t v[2], fpcr;

	__asm__ volatile("str q9, [%1]\n\tmrs %0, fpcr" : "=&r"(fpcr) : "r"(v) : "memory");
	return (v[0] & 0xff) == value && v[0] == v[1] && (fpcr >> 22 & 3) == (value & 3);
}

static void fp_state_follows_its_process(void)
{
	bool good = true;
	int status;
	pid_t pid;

	put_v(0x41);
	pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (pid == 0) {
		good = has_v(0x41);
		put_v(0x52);
		for (int i = 0; i < 100 && good; i++) {
			syscall(SYS_sched_yield);
			good = has_v(0x52);
		}
		_exit(!good);
	}
	for (int i = 0; i < 100 && good; i++) {
		syscall(SYS_sched_yield);
		good = has_v(0x41);
	}
	put_v(0);
	EXPECT(good);
	EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
}

/* Code that is written, made executable, run, and replaced. */
static void new_code_is_fetched(void)
{
	uint32_t *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	EXPECT(code != MAP_FAILED);
	for (uint32_t i = 0; i < 10; i++) {
		mprotect(code, 4096, PROT_READ | PROT_WRITE);
		code[0] = 0xd2800000 | i << 5; /* mov x0, #i */
		code[1] = 0xd65f03c0;	       /* ret */
		__builtin___clear_cache((char *)code, (char *)(code + 2));
		mprotect(code, 4096, PROT_READ | PROT_EXEC);
		EXPECT(((unsigned long (*)(void))code)() == i);
	}
	munmap(code, 4096);
}

int main(void)
{
	CASE(a_frame_is_as_linux_lays_it_out);
	CASE(registers_survive_a_signal);
	CASE(a_handler_may_change_registers);
	CASE(bent_frames_are_refused);
	CASE(faults_tell_where_and_how);
	CASE(traps_become_signals);
	CASE(an_unaligned_pc_is_a_bus_error);
	CASE(id_registers_agree_with_hwcap);
	CASE(the_counter_runs);
	CASE(the_vdso_agrees_with_the_kernel);
	CASE(fp_state_follows_its_process);
	CASE(new_code_is_fetched);
	return abi_result();
}
