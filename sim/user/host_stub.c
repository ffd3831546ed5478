/* SPDX-License-Identifier: MIT */
/*
 * Stub processes: what the two ways to run them have in common (hosted).
 *
 * A stub is made by executing a one-page ELF image from a memfd, so that nothing of the simulator is in it:
 * no memory, no descriptor but RAM's, no thread-local storage or restartable sequence known to the host's
 * kernel. Its own first calls unmap what execve() brought along (stack, vDSO). After that its memory is its
 * own pages and what is mapped for it below them.
 *
 * Changes of memory are calls that the stub makes itself: they are queued in its data page while it is
 * stopped, and done in one go before user code runs again.
 *
 * Signals of the host never reach a program: whatever arrives from outside just stops it (SIM_STOP_KICK).
 * Both ways give the same stops with the same registers (tests/sim/backends_test.c); what differs between
 * them by nature is made equal here, in stub_signal_stop(), and in the files of the two.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <asm/prctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sim/stub_private.h> /* before what includes <hal/mmu.h> */
#include <sim/host.h>
#include <sim/sanitizer.h>

#define STUBS_MAX      2048  /* data pages; no less than SIM_CPU_MAX * SIM_STUBS_MAX */
#define KEEP_FD	       100   /* ours lie above this, away from a stub's low ones */
#define STACK_SIZE     16384 /* of the child until it executes the stub */
#define VSYSCALL_START UINT64_C(0xffffffffff600000)

int host_clone_vfork(int (*fn)(void *), void *arg, void *stack_top, int more_flags);

static struct {
	const struct stub_ops *_Atomic ops;
	bool wanted;	   /* that one and no other */
	atomic_bool works; /* it has been seen to     */
	int image_fd, data_fd;
	struct stub_page *pages; /* STUBS_MAX */
	atomic_uint made;
} all;

int stub_image_fd(void)
{
	return all.image_fd;
}

int stub_data_fd(void)
{
	return all.data_fd;
}

/* ---- the image ---- */

struct image {
	Elf64_Ehdr header;
	Elf64_Phdr segment;
	char code[512];
};
#define IMAGE_ENTRY (SIM_STUB_CODE + offsetof(struct image, code))

uint64_t stub_address(const char *in_code)
{
	return IMAGE_ENTRY + (uint64_t)(in_code - host_stub_code);
}

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
	size_t size = (size_t)(host_stub_code_end - host_stub_code);

	if (size > sizeof(image.code))
		return -1;
	memcpy(image.code, host_stub_code, size);
	return write(fd, &image, sizeof(image)) == (ssize_t)sizeof(image) ? 0 : -1;
}

static int memfd_above(const char *name)
{
	int low = memfd_create(name, MFD_CLOEXEC), high;

	if (low < 0)
		return -1;
	high = fcntl(low, F_DUPFD_CLOEXEC, KEEP_FD);
	close(low);
	return high;
}

/* ---- which way ---- */

static const struct stub_ops *slow_ops(const char *lacking)
{
	dprintf(STDERR_FILENO, "cloudos-sim: user programs run by ptrace, slowly: this host has no %s\n",
		lacking);
	return &host_stub_ptrace;
}

static const struct stub_ops *ops_named(const char *user)
{
	const char *lacking;

	if (user && !strcmp(user, host_stub_ptrace.name))
		return &host_stub_ptrace;
	lacking = host_stub_seccomp_lacks();
	if (!lacking)
		return &host_stub_seccomp;
	if (user)
		host_fatal("--user seccomp: this host has no %s", lacking);
	return slow_ops(lacking);
}

void host_stub_use(const char *user)
{
	all.ops = ops_named(user);
	all.wanted = user != NULL;
}

/* Asked by a call that changes nothing. */
bool host_stub_can_hide_cpu(void)
{
	return syscall(SYS_arch_prctl, ARCH_SET_CPUID, 1) == 0;
}

/* Each stub may need a descriptor of ours. */
static void allow_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int host_stub_setup(const char *user)
{
	const size_t size = STUBS_MAX * sizeof(struct stub_page);

	host_stub_use(user);
	allow_descriptors();
	all.image_fd = memfd_above("cloudos-stub");
	all.data_fd = memfd_above("cloudos-stub-data");
	if (all.image_fd < 0 || all.data_fd < 0 || image_write(all.image_fd) < 0)
		return -errno;
	if (ftruncate(all.data_fd, (off_t)size) < 0)
		return -errno;
	/* A stub inherits these two, and executes nothing else. */
	if (fcntl(all.data_fd, F_SETFD, 0) < 0 || fcntl(host_ram_fd(), F_SETFD, 0) < 0)
		return -errno;
	all.pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, all.data_fd, 0);
	return all.pages == MAP_FAILED ? -errno : 0;
}

/* ---- making a stub ---- */

/*
 * Children share our memory until they execute the stub: system calls only, and none that a sanitizer would
 * count as ours.
 */
SIM_NO_TSAN void stub_child_begin(void)
{
	static const uint64_t no_signals;

	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &no_signals, NULL, sizeof(no_signals));
	syscall(SYS_setsid);
	syscall(SYS_personality, ADDR_NO_RANDOMIZE); /* the stack shall not land on SIM_STUB_CODE */
	syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

void stub_queue(struct host_stub *stub, struct stub_call call)
{
	stub->page->calls[stub->calls++] = call;
}

void stub_queue_settling(struct host_stub *stub)
{
	stub_queue(stub, (struct stub_call){SYS_munmap, {0, SIM_STUB_CODE}});
	stub_queue(stub, (struct stub_call){SYS_munmap, {SIM_STUB_END, STUB_HOST_TOP - SIM_STUB_END}});
	if (!sim_machine.hide_host)
		return;
	if (sim_machine.hide_cpu)
		stub_queue(stub, (struct stub_call){SYS_arch_prctl, {ARCH_SET_CPUID, 0}});
	stub_queue(stub, (struct stub_call){SYS_prctl, {PR_SET_TSC, PR_TSC_SIGSEGV}});
}

static uint64_t random_secret(void)
{
	uint64_t secret;

	do {
		if (getrandom(&secret, sizeof(secret), 0) != (ssize_t)sizeof(secret))
			host_fatal("the host gives no random numbers: %s", strerror(errno));
	} while (!(uint32_t)secret || !(secret >> 32));
	return secret;
}

/* Gives the stub a process: false when the host has none. */
static bool start(struct host_stub *stub)
{
	char *stack = malloc(STACK_SIZE);

	stub->where = STUB_NEW;
	stub->secret = random_secret();
	stub->calls = 0;
	stub->listener = -1;
	memset(stub->page, 0, sizeof(*stub->page));
	stub->pid =
	    stack ? host_clone_vfork(stub->ops->child, stub, stack + STACK_SIZE, stub->ops->more_clone_flags)
		  : -1;
	free(stack);
	if (stub->pid < 0)
		return false;
	if (stub->ops->settle(stub))
		return true;
	kill(stub->pid, SIGKILL);
	waitpid(stub->pid, NULL, __WALL);
	if (stub->listener >= 0)
		close(stub->listener);
	return false;
}

/*
 * A host may have all that the fast way needs and refuse it to this process: under a filter that has a
 * listener already (a container's), there can be no second one.
 */
static bool start_first(struct host_stub *stub)
{
	bool started = start(stub);

	if (!started && !all.wanted && !all.works && stub->ops != &host_stub_ptrace) {
		all.ops = stub->ops = slow_ops("room for another seccomp listener");
		started = start(stub);
	}
	if (started)
		all.works = true;
	return started;
}

struct host_stub *host_stub_create(void)
{
	struct host_stub *stub = calloc(1, sizeof(*stub));
	unsigned number = atomic_fetch_add(&all.made, 1);

	if (!stub || number >= STUBS_MAX)
		goto fail;
	stub->ops = all.ops;
	stub->page = &all.pages[number];
	stub->page_offset = number * sizeof(struct stub_page);
	if (!start_first(stub))
		goto fail;
	return stub;
fail:
	free(stub);
	return NULL;
}

void host_stub_revive(struct host_stub *stub)
{
	if (stub->where != STUB_LOST) {
		host_stub_unmap(stub, 0, SIM_STUB_CODE);
		return;
	}
	kill(stub->pid, SIGKILL);
	waitpid(stub->pid, NULL, __WALL);
	if (stub->listener >= 0)
		close(stub->listener);
	if (!start(stub))
		host_fatal("the host lets us make no process to run user programs in");
}

bool host_stub_is_lost(const struct host_stub *stub)
{
	return stub->where == STUB_LOST;
}

int host_stub_pid(const struct host_stub *stub)
{
	return stub->pid;
}

void host_stub_kick(int pid)
{
	kill(pid, STUB_KICK_SIGNAL);
}

/* ---- memory ---- */

void host_stub_unmap(struct host_stub *stub, uaddr_t addr, size_t len)
{
	if (stub->calls == STUB_CALLS_MAX || len == SIM_STUB_CODE) {
		stub->calls = 0;
		addr = 0;
		len = SIM_STUB_CODE;
		if (stub->ops->forget)
			stub->ops->forget(stub);
	}
	stub_queue(stub, (struct stub_call){SYS_munmap, {addr, len}});
}

/* A mapping that finds the queue full is left out: the program will fault for it. */
void host_stub_map(struct host_stub *stub, uaddr_t addr, size_t len, paddr_t pa, unsigned prot)
{
	if (stub->calls < STUB_CALLS_MAX)
		stub_queue(stub, (struct stub_call){SYS_mmap,
						    {addr, len, prot, MAP_SHARED | MAP_FIXED | MAP_POPULATE,
						     (uint64_t)host_ram_fd(), pa}});
}
_Static_assert(HAL_PROT_READ == PROT_READ && HAL_PROT_WRITE == PROT_WRITE && HAL_PROT_EXEC == PROT_EXEC,
	       "mmap's words");

/* ---- what a signal says ---- */

/*
 * SIGSYS is our filters' answer to a jump to the vsyscall page, where there is nothing (the host has popped
 * the return address by then), to a call made in the 32-bit way, which the kernel will refuse, and to some
 * others.
 */
static void filtered(const siginfo_t *info, struct user_regs_struct *regs, struct sim_stop *ret)
{
	uint64_t addr = (uint64_t)(uintptr_t)info->si_call_addr;

	if (info->si_arch != AUDIT_ARCH_X86_64 || addr < VSYSCALL_START) {
		*ret = (struct sim_stop){.kind = SIM_STOP_SYSCALL};
		regs->orig_rax = (uint64_t)(int64_t)(int)regs->rax;
		regs->rax = (uint64_t)-ENOSYS;
		return;
	}
	regs->rip = addr;
	regs->rsp -= 8;
	*ret =
	    (struct sim_stop){.kind = SIM_STOP_SIGNAL, .signo = SIGSEGV, .code = SEGV_MAPERR, .addr = addr};
}

void stub_signal_stop(int signo, const siginfo_t *info, struct user_regs_struct *regs, struct sim_stop *ret)
{
	*ret = (struct sim_stop){.kind = SIM_STOP_KICK};
	if (info->si_code <= 0)
		return; /* sent by a process of the host */
	switch (signo) {
	case SIGSYS:
		filtered(info, regs, ret);
		break;
	case SIGSEGV:
	case SIGBUS:
	case SIGFPE:
	case SIGILL:
	case SIGTRAP:
		ret->kind = SIM_STOP_SIGNAL;
		ret->signo = signo;
		ret->code = info->si_code;
		ret->addr = (uintptr_t)info->si_addr;
	}
}

/* ---- the rest is the back end's ---- */

static _Thread_local int running; /* for a signal's handler in this thread */

void host_stub_run(struct host_stub *stub, void *regs, bool partial, struct sim_stop *ret)
{
	running = stub->pid;
	stub->ops->run(stub, regs, partial, ret);
	running = 0;
}

int host_stub_running(void)
{
	return running;
}

void host_stub_complete(struct host_stub *stub, void *regs)
{
	stub->ops->complete(stub, regs);
}

int host_stub_get_fpu(struct host_stub *stub, void *area, size_t len)
{
	return stub->ops->get_fpu(stub, area, len);
}

int host_stub_set_fpu(struct host_stub *stub, const void *area, size_t len)
{
	return stub->ops->set_fpu(stub, area, len);
}
