/* SPDX-License-Identifier: MIT */
/*
 * The seccomp filters of stubs (hosted), in classic BPF.
 *
 * I1  What user code does is never executed by the host: every call from outside the stub's page of code goes
 * to the simulator (USER_NOTIF), one made in the 32-bit way or by the vsyscall page becomes a SIGSYS.
 * I2  From the stub's page of code three calls are executed, and only when the upper halves of their fourth and
 * fifth argument hold the stub's secret. The host ignores those halves: mmap() takes an `unsigned int` for the
 * descriptor and drops unknown flags of a MAP_SHARED mapping, the other calls have fewer arguments. Any other
 * call from there goes to the simulator too.
 * I3  execve() of the image, from the child, carries the secret as a whole in an argument that it does not have.
 * Later no program can know the secret, so there is no second one.
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <sim/stub_private.h> /* before what includes <hal/mmu.h> */
#include <sim/sanitizer.h>

#define LOAD(member)	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, member))
#define LOAD_HIGH(member)                                                                                    \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, member) + 4)
#define IF_EQUAL(value, then, otherwise) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)(value), then, otherwise)
#define IF_LESS(value, then, otherwise)	 BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (unsigned)(value), otherwise, then)
#define ANSWER(value)			 BPF_STMT(BPF_RET | BPF_K, value)

#define CODE_HIGH     ((unsigned)(SIM_STUB_CODE >> 32))
#define CODE_LOW      ((unsigned)SIM_STUB_CODE)
#define VSYSCALL_HIGH 0xffffffffu

/*
 * Calls that need all registers, or end in changes of memory, or most often in another thread's turn: they
 * come as a SIGSYS, by way of the handler. A matter of speed alone.
 */
static const unsigned whole[] = {
    SYS_rt_sigreturn, SYS_clone,  SYS_fork,	 SYS_vfork,	      SYS_clone3,	 SYS_execve, SYS_munmap,
    SYS_mprotect,     SYS_mremap, SYS_madvise,	 SYS_kill,	      SYS_tkill,	 SYS_tgkill, SYS_wait4,
    SYS_waitid,	      SYS_futex,  SYS_nanosleep, SYS_clock_nanosleep, SYS_rt_sigsuspend, SYS_pause,
};
#define WHOLE (sizeof(whole) / sizeof(whole[0]))

SIM_NO_TSAN int host_stub_filter_install(uint64_t secret)
{
	const unsigned high = (unsigned)(secret >> 32), low = (unsigned)secret;
	struct sock_filter filter[] = {
	    /* clang-format off */
	    [0] = LOAD(arch),
		  IF_EQUAL(AUDIT_ARCH_X86_64, 0, 20 + WHOLE),
	    [2] = LOAD_HIGH(instruction_pointer),
		  IF_EQUAL(VSYSCALL_HIGH, 18 + WHOLE, 0),
		  IF_EQUAL(CODE_HIGH, 0, 10),
	    [5] = LOAD(instruction_pointer),
		  IF_LESS(CODE_LOW + PAGE_SIZE, 0, 8),
	    [7] = LOAD_HIGH(args[3]),
		  IF_EQUAL(high, 0, 12 + WHOLE),
	    [9] = LOAD_HIGH(args[4]),
		  IF_EQUAL(low, 0, 10 + WHOLE),
	    [11] = LOAD(nr),
		  IF_EQUAL(SYS_munmap, 10 + WHOLE, 0),
		  IF_EQUAL(SYS_mmap, 9 + WHOLE, 0),
		  IF_EQUAL(SYS_rt_sigreturn, 8 + WHOLE, 6 + WHOLE),
	    [15] = LOAD(nr), /* outside the page */
		  IF_EQUAL(SYS_execveat, WHOLE, 0),
	    [17 + WHOLE] = LOAD_HIGH(args[5]),
		  IF_EQUAL(high, 0, 2),
	    [19 + WHOLE] = LOAD(args[5]),
		  IF_EQUAL(low, 2, 0),
	    [21 + WHOLE] = ANSWER(SECCOMP_RET_USER_NOTIF),
	    [22 + WHOLE] = ANSWER(SECCOMP_RET_TRAP),
	    [23 + WHOLE] = ANSWER(SECCOMP_RET_ALLOW),
	    /* clang-format on */
	};
	struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

	for (unsigned i = 0; i < WHOLE; i++)
		filter[17 + i] = (struct sock_filter)IF_EQUAL(whole[i], 4 + WHOLE - i, i + 1 < WHOLE ? 0 : 4);
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			    SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
			    &program);
}

/* For the other back end: ptrace stops all calls but those of the vsyscall page. */
SIM_NO_TSAN int host_stub_filter_install_vsyscall(void)
{
	static struct sock_filter filter[] = {
	    LOAD_HIGH(instruction_pointer),
	    IF_EQUAL(VSYSCALL_HIGH, 0, 1),
	    ANSWER(SECCOMP_RET_TRAP),
	    ANSWER(SECCOMP_RET_ALLOW),
	};
	static struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}
