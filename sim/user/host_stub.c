/* SPDX-License-Identifier: MIT */
/*
 * Stub processes by ptrace (hosted).
 *
 * A stub is made by executing a one-page ELF image from a memfd, so that nothing of the simulator is in it:
 * no memory, no descriptor but RAM's, no thread-local storage or restartable sequence known to the host's
 * kernel. Its own first calls unmap what execve() brought along (stack, vDSO). After that its memory is the
 * stub's two pages and what is mapped for it below them.
 *
 * Running: PTRACE_SETREGS, PTRACE_SYSEMU (each system call stops and is not made), wait, PTRACE_GETREGS.
 * Changes of memory are calls that the stub makes itself: they are queued in its data page, which it can only
 * read, and done in one go (PTRACE_CONT over the loop of host_stub_x86_64.S, which ends in a trap) before
 * user code runs again.
 *
 * Signals of the host never reach a stub: whatever arrives from outside just stops it (SIM_STOP_KICK). ptrace
 * knows one tracing thread: all but host_stub_kick() is called by the thread that made the stub. When that
 * thread ends, the host's kernel kills the stub (EXITKILL).
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#undef PAGE_SIZE /* <sys/user.h> has its own */
#undef PAGE_MASK
#include <hal/mmu.h>
#include <sim/host.h>
#include <sim/sanitizer.h>
#include <sim/stub.h>

#define STUBS_MAX    2048 /* data pages; more than SIM_CPU_MAX * SIM_STUBS_MAX */
#define STUB_RAM_FD  0	  /* the stub's descriptors */
#define STUB_DATA_FD 1
#define KEEP_FD	     100 /* ours lie above this, so that those two are free */
#define KICK_SIGNAL  SIGUSR1
#define HOST_TOP     UINT64_C(0x7ffffffff000) /* TASK_SIZE_MAX */
#define STACK_SIZE   16384		      /* of the child until it executes the stub */

struct call {
	uint64_t number, args[6];
};

#define CALLS_MAX (PAGE_SIZE / sizeof(struct call))

struct host_stub {
	int pid;
	unsigned calls; /* queued in data[] */
	struct call *data;
	uint64_t data_offset; /* in the memfd of data pages */
};

/* In host_stub_x86_64.S. */
extern const char host_stub_code[], host_stub_code_end[];
int host_clone_vfork(int (*fn)(void *), void *arg, void *stack_top);
#define CODE_BATCH 3 /* offset of the loop in host_stub_code */

static struct {
	int image_fd, data_fd;
	struct call *data; /* STUBS_MAX pages */
	atomic_uint made;
} all;

/* ---- the image ---- */

struct image {
	Elf64_Ehdr header;
	Elf64_Phdr segment;
	char code[256];
};
#define IMAGE_ENTRY (SIM_STUB_CODE + offsetof(struct image, code))

static int image_write(int fd)
{
	struct image image = {
	    .header =
		{
		    .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		    .e_type = ET_EXEC,
		    .e_machine = EM_X86_64,
		    .e_version = EV_CURRENT,
		    .e_entry = IMAGE_ENTRY,
		    .e_phoff = offsetof(struct image, segment),
		    .e_ehsize = sizeof(Elf64_Ehdr),
		    .e_phentsize = sizeof(Elf64_Phdr),
		    .e_phnum = 1,
		},
	    .segment =
		{
		    .p_type = PT_LOAD,
		    .p_flags = PF_R | PF_X,
		    .p_vaddr = SIM_STUB_CODE,
		    .p_filesz = sizeof(struct image),
		    .p_memsz = sizeof(struct image),
		    .p_align = PAGE_SIZE,
		},
	};

	memcpy(image.code, host_stub_code, (size_t)(host_stub_code_end - host_stub_code));
	return write(fd, &image, sizeof(image)) == (ssize_t)sizeof(image) ? 0 : -1;
}

static int memfd_above(const char *name, unsigned flags)
{
	int low = memfd_create(name, flags | MFD_CLOEXEC), high;

	if (low < 0)
		return -1;
	high = fcntl(low, F_DUPFD_CLOEXEC, KEEP_FD);
	close(low);
	return high;
}

int host_stub_setup(void)
{
	all.image_fd = memfd_above("cloudos-stub", 0);
	all.data_fd = memfd_above("cloudos-stub-data", 0);
	if (all.image_fd < 0 || all.data_fd < 0 || image_write(all.image_fd) < 0)
		return -errno;
	if (ftruncate(all.data_fd, STUBS_MAX * PAGE_SIZE) < 0)
		return -errno;
	all.data = mmap(NULL, STUBS_MAX * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, all.data_fd, 0);
	return all.data == MAP_FAILED ? -errno : 0;
}

/* ---- making a stub ---- */

/*
 * In the child, which shares our memory until it executes the stub: system calls only, and none that a
 * sanitizer would count as ours.
 */
SIM_NO_TSAN static int child(void *arg)
{
	static char *const none[] = {NULL};
	static const uint64_t no_signals;

	(void)arg;
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &no_signals, NULL, sizeof(no_signals));
	syscall(SYS_setsid);
	syscall(SYS_personality, ADDR_NO_RANDOMIZE); /* the stack shall not land on SIM_STUB_CODE */
	if (syscall(SYS_dup2, host_ram_fd(), STUB_RAM_FD) < 0 ||
	    syscall(SYS_dup2, all.data_fd, STUB_DATA_FD) < 0)
		return 1;
	syscall(SYS_close_range, STUB_DATA_FD + 1, KEEP_FD - 1, 0);
	if (syscall(SYS_ptrace, PTRACE_TRACEME, 0, NULL, NULL) < 0)
		return 1;
	syscall(SYS_execveat, all.image_fd, "", none, none, AT_EMPTY_PATH);
	return 1;
}

/* Waits for the stub's next stop; the signal, with 0x80 set for a system call. */
static int wait_stop(const struct host_stub *stub)
{
	int status;

	while (waitpid(stub->pid, &status, __WALL) < 0) {
		if (errno != EINTR)
			host_fatal("waiting for stub process %d: %s", stub->pid, strerror(errno));
	}
	if (!WIFSTOPPED(status))
		host_fatal("somebody killed stub process %d (status %#x)", stub->pid, status);
	return WSTOPSIG(status);
}

static void resume(const struct host_stub *stub, int request)
{
	if (ptrace(request, stub->pid, NULL, NULL) < 0)
		host_fatal("continuing stub process %d: %s", stub->pid, strerror(errno));
}

/* Runs the stub's own code with these registers to its end; false if it ended otherwise than in its
 * breakpoint. */
static bool run_own_code(struct host_stub *stub, struct user_regs_struct *regs)
{
	int signal;

	regs->cs = 0x33;
	regs->ss = 0x2b;
	regs->eflags = 0x202;
	regs->orig_rax = ~0ULL;
	if (ptrace(PTRACE_SETREGS, stub->pid, NULL, regs) < 0)
		host_fatal("setting registers of stub process %d: %s", stub->pid, strerror(errno));
	do {
		resume(stub, PTRACE_CONT);
		signal = wait_stop(stub);
	} while (signal != SIGTRAP && signal != SIGILL && signal != SIGSEGV);
	return signal == SIGTRAP;
}

/* Makes the queued calls; false when one failed, with those after it not made. */
static bool run_calls(struct host_stub *stub)
{
	struct user_regs_struct regs = {
	    .rip = IMAGE_ENTRY + CODE_BATCH,
	    .rbx = SIM_STUB_DATA,
	    .r15 = SIM_STUB_DATA + stub->calls * sizeof(struct call),
	};

	stub->calls = 0;
	return run_own_code(stub, &regs);
}

static void queue(struct host_stub *stub, struct call call)
{
	stub->data[stub->calls++] = call;
}

/* The new process has executed the image: gives it its data page, and takes away all that is not ours. */
static bool settle(struct host_stub *stub)
{
	struct user_regs_struct regs = {
	    .rip = IMAGE_ENTRY,
	    .rax = SYS_mmap,
	    .rdi = SIM_STUB_DATA,
	    .rsi = PAGE_SIZE,
	    .rdx = PROT_READ,
	    .r10 = MAP_SHARED | MAP_FIXED,
	    .r8 = STUB_DATA_FD,
	    .r9 = stub->data_offset,
	};

	if (ptrace(PTRACE_SETOPTIONS, stub->pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) < 0)
		return false;
	if (!run_own_code(stub, &regs))
		return false;
	queue(stub, (struct call){SYS_munmap, {0, SIM_STUB_CODE}});
	queue(stub, (struct call){SYS_munmap, {SIM_STUB_END, HOST_TOP - SIM_STUB_END}});
	queue(stub, (struct call){SYS_close, {STUB_DATA_FD}});
	return run_calls(stub);
}

struct host_stub *host_stub_create(void)
{
	struct host_stub *stub = calloc(1, sizeof(*stub));
	char *stack = malloc(STACK_SIZE);
	unsigned number = atomic_fetch_add(&all.made, 1);

	if (!stub || !stack || number >= STUBS_MAX)
		goto fail;
	stub->data_offset = number * PAGE_SIZE;
	stub->data = (void *)((char *)all.data + stub->data_offset);
	stub->pid = host_clone_vfork(child, NULL, stack + STACK_SIZE);
	if (stub->pid < 0)
		goto fail;
	if (wait_stop(stub) != SIGTRAP || !settle(stub)) {
		kill(stub->pid, SIGKILL);
		goto fail;
	}
	free(stack);
	return stub;
fail:
	free(stack);
	free(stub);
	return NULL;
}

int host_stub_pid(const struct host_stub *stub)
{
	return stub->pid;
}

/* ---- memory ---- */

void host_stub_unmap(struct host_stub *stub, uaddr_t addr, size_t len)
{
	if (stub->calls == CALLS_MAX || len == SIM_STUB_CODE) {
		stub->calls = 0;
		addr = 0;
		len = SIM_STUB_CODE;
	}
	queue(stub, (struct call){SYS_munmap, {addr, len}});
}

/* A mapping that finds the queue full is left out: the program will fault for it. */
void host_stub_map(struct host_stub *stub, uaddr_t addr, size_t len, paddr_t pa, unsigned prot)
{
	if (stub->calls < CALLS_MAX)
		queue(stub, (struct call){
				SYS_mmap,
				{addr, len, prot, MAP_SHARED | MAP_FIXED | MAP_POPULATE, STUB_RAM_FD, pa}});
}
_Static_assert(HAL_PROT_READ == PROT_READ && HAL_PROT_WRITE == PROT_WRITE && HAL_PROT_EXEC == PROT_EXEC,
	       "mmap's words");

/* ---- running ---- */

static void stop_signal(const struct host_stub *stub, int signal, struct sim_stop *ret)
{
	siginfo_t info;

	*ret = (struct sim_stop){.kind = SIM_STOP_KICK};
	if (signal != SIGSEGV && signal != SIGBUS && signal != SIGFPE && signal != SIGILL &&
	    signal != SIGTRAP)
		return;
	if (ptrace(PTRACE_GETSIGINFO, stub->pid, NULL, &info) < 0)
		host_fatal("asking stub process %d for its signal: %s", stub->pid, strerror(errno));
	if (info.si_code <= 0)
		return; /* sent by a process of the host */
	ret->kind = SIM_STOP_SIGNAL;
	ret->signo = signal;
	ret->code = info.si_code;
	ret->addr = (uintptr_t)info.si_addr;
}

void host_stub_run(struct host_stub *stub, void *regs, struct sim_stop *ret)
{
	int signal;

	if (stub->calls && !run_calls(stub)) {
		host_stub_unmap(stub, 0, SIM_STUB_CODE);
		ret->kind = SIM_STOP_FULL;
		return;
	}
	if (ptrace(PTRACE_SETREGS, stub->pid, NULL, regs) < 0) {
		if (errno == ESRCH)
			host_fatal("somebody killed stub process %d", stub->pid);
		ret->kind = SIM_STOP_REGS;
		return;
	}
	resume(stub, PTRACE_SYSEMU);
	signal = wait_stop(stub);
	if (ptrace(PTRACE_GETREGS, stub->pid, NULL, regs) < 0)
		host_fatal("reading registers of stub process %d: %s", stub->pid, strerror(errno));
	if (signal == (SIGTRAP | 0x80))
		ret->kind = SIM_STOP_SYSCALL;
	else
		stop_signal(stub, signal, ret);
}

void host_stub_kick(int pid)
{
	kill(pid, KICK_SIGNAL);
}

/* ---- FPU ---- */

int host_stub_get_fpu(struct host_stub *stub, void *area, size_t len)
{
	struct iovec vec = {area, len};

	return ptrace(PTRACE_GETREGSET, stub->pid, (void *)NT_X86_XSTATE, &vec) < 0 ? -errno : 0;
}

int host_stub_set_fpu(struct host_stub *stub, const void *area, size_t len)
{
	struct iovec vec = {(void *)area, len};

	return ptrace(PTRACE_SETREGSET, stub->pid, (void *)NT_X86_XSTATE, &vec) < 0 ? -errno : 0;
}
