/* SPDX-License-Identifier: MIT */
/*
 * Random system calls with random arguments, through the whole kernel.
 *
 * The kernel boots once, in a thread of its own, from an initramfs made here whose /init is an empty program.
 * From then on this file plays all programs (sim_user_script): process 1 forks a child for each input, waits
 * for it and for whatever it left behind, and kills what takes too long; the child makes the calls that the
 * input spells, by the table of calls and the kinds of their arguments, mixed with writes to its memory and
 * page faults. The children run as root and as nobody in turn.
 *
 * An input is a sequence of steps: a byte that chooses, then what the step takes; bytes behind the end are 0.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#undef PAGE_SIZE
#include <hal/hal.h>
#include <sim/host.h>
#include <sim/host_machine.h>
#include <sim/user.h>
#include <syscall_internal.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT	     UINT64_C(0x400000)
#define DATA	     UINT64_C(0x410000)
#define DATA_SIZE    UINT64_C(0x10000)
#define DATA_END     (DATA + DATA_SIZE)
#define STRINGS	     DATA
#define STRING_SIZE  32
#define SCRATCH	     (DATA + PAGE_SIZE) /* process 1's own */
#define STEPS_MAX    64			/* calls an input */
#define SLEEP_NS     500000
#define SLEEPS_MAX   10	  /* then what is left of an input is killed */
#define SLEEPS_STUCK 2000 /* and when that does not help, something is wrong */
#define MEMORY_MIB   64
#define NOBODY	     65534
#define TASKS_MAX    16

/* What path and string arguments point at. */
static const char strings[][STRING_SIZE] = {
    "/",	 "/tmp",      "/tmp/a",	    "/tmp/b",	      "/tmp/d",		 "/tmp/d/e",
    ".",	 "..",	      "",	    "/dev/null",      "/dev/zero",	 "/dev/tty",
    "/dev/ptmx", "/dev/kmsg", "/proc",	    "/proc/self/fd",  "/proc/self/stat", "/proc/self/maps",
    "/proc/1",	 "/sys",      "/dev/pts/0", "/dev/urandom",   "/init",		 "tmpfs",
    "proc",	 "user.a",    "a",	    "/proc/self/exe", "/dev/full",	 "/proc/self/mem",
    "cgroup2",	 "/sys/fs/cgroup",	    "/sys/fs/cgroup/a",		    "/sys/fs/cgroup/a/cgroup.procs",
    "+pids +cpu", "cgroup.subtree_control", "/sys/fs/cgroup/a/cgroup.events", "/sys/fs/cgroup/a/cgroup.kill",
    "sysfs",	 "devtmpfs",  "/dev",	    "devpts",	      "/tmp/s",		 "/proc/cloudos/services",
    "/dev/zram0", "/sys/block/zram0/disksize", "/sys/block/zram0/reset", "/proc/swaps",
    "system.posix_acl_access", "system.posix_acl_default",
};
#define STRING_COUNT (sizeof(strings) / sizeof(strings[0]))

/* ---- the input ---- */

static struct {
	const uint8_t *data;
	size_t size, at;
	unsigned steps;
	bool demoted; /* the child has become nobody, or shall stay root */
} input;

static uint64_t take(unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes && input.at < input.size; i++)
		value |= (uint64_t)input.data[input.at++] << 8 * i;
	return value;
}

static bool input_done(void)
{
	return input.at >= input.size || input.steps >= STEPS_MAX;
}

static uint64_t pointer(void)
{
	static const uint64_t odd[] = {
	    0,
	    1,
	    TEXT,
	    DATA_END - 4,
	    DATA_END,
	    HAL_USER_TOP - 8,
	    HAL_USER_TOP,
	    UINT64_MAX - 7,
	    SIM_DIRECT_MAP,
	};
	uint8_t choice = (uint8_t)take(1);

	if (choice < sizeof(odd) / sizeof(odd[0]))
		return odd[choice];
	if (choice < 0x20)
		return DATA + (take(1) % (DATA_SIZE / PAGE_SIZE)) * PAGE_SIZE;
	if (choice < 0x28)
		return take(8);
	return DATA + take(2) % DATA_SIZE;
}

static uint64_t integer(void)
{
	uint8_t choice = (uint8_t)take(1);

	if (choice < 0xa0)
		return choice % 0x50;
	if (choice < 0xc0)
		return UINT64_C(1) << choice % 64;
	if (choice < 0xe0)
		return (uint64_t)(int64_t)(int32_t)take(4);
	return choice < 0xf0 ? 0 - (uint64_t)choice % 8 : take(8);
}

static uint64_t argument(enum syscall_arg_kind kind)
{
	uint8_t choice;

	switch (kind) {
	case SYSCALL_ARG_FD:
		choice = (uint8_t)take(1);
		return choice < 0xf0   ? (uint64_t)(choice % 18)
		       : choice < 0xf8 ? (uint64_t)-100 /* AT_FDCWD */
				       : take(4);
	case SYSCALL_ARG_STR:
		choice = (uint8_t)take(1);
		return choice < 0xf0 ? STRINGS + choice % STRING_COUNT * STRING_SIZE : pointer();
	case SYSCALL_ARG_PTR:
		return pointer();
	case SYSCALL_ARG_SIG:
		return take(1) % 66;
	default:
		return integer();
	}
}

/* ---- calls ---- */

static void call(struct hal_user *u, uint64_t number, const uint64_t args[SYSCALL_ARGS])
{
	struct hal_regs *r = &u->regs;

	r->orig_rax = number;
	r->rdi = args[0];
	r->rsi = args[1];
	r->rdx = args[2];
	r->r10 = args[3];
	r->r8 = args[4];
	r->r9 = args[5];
	r->rip = TEXT + 2;
	r->rcx = r->rip;
	r->cs = X86_USER_CS;
}

#define CALL(u, number, ...) (call(u, number, (uint64_t[SYSCALL_ARGS]){__VA_ARGS__}), HAL_EXIT_SYSCALL)

/* Calls that would end the run, or take everything from process 1: not for children. */
static bool allowed(uint64_t number)
{
	return syscall_infos[number].name && number != SYS_reboot;
}

static uint64_t choose_call(void)
{
	uint64_t number = take(2) % SYSCALL_NUMBERS;

	for (unsigned tries = 0; tries < SYSCALL_NUMBERS && !allowed(number); tries++)
		number = (number + 1) % SYSCALL_NUMBERS;
	return number;
}

/* Its requests are far apart, and want a process: often the one that the call before has made. Process 1 must not stop. */
static void shape_ptrace(const struct hal_user *u, uint64_t args[SYSCALL_ARGS])
{
	uint8_t choice = (uint8_t)take(1);

	if (choice < 0x20)
		args[0] = choice;
	else if (choice < 0xc0)
		args[0] = PTRACE_SETOPTIONS + choice % 0x10;
	if (choice & 1)
		args[1] = (uint64_t)hal_abi_result(&u->regs);
	if ((int)args[1] == 1)
		args[1] = 2;
}

static enum hal_exit_kind random_call(struct hal_user *u)
{
	uint64_t number = choose_call(), args[SYSCALL_ARGS];

	for (unsigned i = 0; i < SYSCALL_ARGS; i++)
		args[i] = i < syscall_infos[number].args ? argument(syscall_infos[number].kinds[i]) : 0;
	if (number == SYS_ptrace)
		shape_ptrace(u, args);
	return CALL(u, number, args[0], args[1], args[2], args[3], args[4], args[5]);
}

/* The program writes to its own memory: what structures in arguments hold. */
static void random_write(void)
{
	uint8_t bytes[32];
	uaddr_t at = DATA + take(2) % (DATA_SIZE - sizeof(bytes));
	size_t len = 1 + take(1) % sizeof(bytes);
	bool is_pointer = take(1) & 1;

	for (size_t i = 0; i < len; i += 8) {
		uint64_t word = is_pointer ? pointer() : take(8);

		memcpy(bytes + i, &word, sizeof(word));
	}
	(void)hal_copy_to_user(at, bytes, len);
}

static enum hal_exit_kind random_fault(struct hal_exit *ret)
{
	static const enum hal_access accesses[] = {HAL_ACCESS_READ, HAL_ACCESS_WRITE, HAL_ACCESS_EXEC};

	*ret = (struct hal_exit){.addr = pointer(), .access = accesses[take(1) % 3]};
	return HAL_EXIT_FAULT;
}

static enum hal_exit_kind child_step(struct hal_user *u, struct hal_exit *ret)
{
	if (!input.demoted) {
		input.demoted = true;
		return CALL(u, SYS_setresuid, NOBODY, NOBODY, NOBODY);
	}
	while (!input_done()) {
		uint8_t choice = (uint8_t)take(1);

		input.steps++;
		if (choice < 0x40)
			random_write();
		else if (choice < 0x48)
			return random_fault(ret);
		else
			return random_call(u);
	}
	return CALL(u, SYS_exit_group, 0);
}

/* ---- process 1 ---- */

static _Atomic uint32_t inputs_given, inputs_done;

static uint64_t string(const char *text)
{
	for (size_t i = 0; i < STRING_COUNT; i++)
		if (strcmp(strings[i], text) == 0)
			return STRINGS + i * STRING_SIZE;
	abort();
}

/* What process 1 keeps in its memory. */
#define MASK	SCRATCH
#define TIMEOUT (SCRATCH + 64)
#define LIMIT	(SCRATCH + 128)

static void fill_memory(void)
{
	const uint64_t limit[2] = {TASKS_MAX, TASKS_MAX}, mask = UINT64_C(1) << (SIGCHLD - 1);
	const uint64_t timeout[2] = {0, SLEEP_NS};

	if (hal_copy_to_user(STRINGS, strings, sizeof(strings)) ||
	    hal_copy_to_user(MASK, &mask, sizeof(mask)) ||
	    hal_copy_to_user(TIMEOUT, timeout, sizeof(timeout)) ||
	    hal_copy_to_user(LIMIT, limit, sizeof(limit)))
		abort();
}

/* The calls with which process 1 sets up its world, one after the other; true when all were made. */
static bool setup_step(struct hal_user *u)
{
	static unsigned step;

	switch (step++) {
	case 0:
		fill_memory();
		call(u, SYS_mount, (uint64_t[6]){string("proc"), string("/proc"), string("proc")});
		return false;
	case 1:
		call(u, SYS_mount, (uint64_t[6]){string("sysfs"), string("/sys"), string("sysfs")});
		return false;
	case 2:
		call(u, SYS_mount, (uint64_t[6]){string("devtmpfs"), string("/dev"), string("devtmpfs")});
		return false;
	case 3:
		call(u, SYS_mount, (uint64_t[6]){string("cgroup2"), string("/sys/fs/cgroup"), string("cgroup2")});
		return false;
	case 4:
		call(u, SYS_prlimit64, (uint64_t[6]){0, 6 /* RLIMIT_NPROC */, LIMIT});
		return false;
	case 5:
		call(u, SYS_rt_sigprocmask, (uint64_t[6]){SIG_BLOCK, MASK, 0, 8});
		return false;
	}
	return true;
}

static enum hal_exit_kind next_input(struct hal_user *u)
{
	while (atomic_load(&inputs_given) == atomic_load(&inputs_done))
		host_wait(&inputs_given, atomic_load(&inputs_done), UINT64_MAX);
	return CALL(u, SYS_clone, SIGCHLD);
}

static enum hal_exit_kind sleep_a_little(struct hal_user *u)
{
	return CALL(u, SYS_rt_sigtimedwait, MASK, 0, TIMEOUT, 8);
}

static enum hal_exit_kind reap(struct hal_user *u)
{
	return CALL(u, SYS_wait4, UINT64_MAX, 0, 1 /* WNOHANG */);
}

/* Nobody has ended since the last look: waits more, then uses force. */
static enum hal_exit_kind insist(struct hal_user *u, unsigned sleeps)
{
	if (sleeps % SLEEPS_MAX == 0)
		return CALL(u, SYS_kill, UINT64_MAX, SIGKILL);
	if (sleeps == SLEEPS_STUCK) {
		fprintf(stderr, "a child outlives SIGKILL\n");
		abort();
	}
	return sleep_a_little(u);
}

/* What process 1 does next: by the call that it made last, and its result. */
static enum hal_exit_kind init_step(struct hal_user *u)
{
	static uint64_t last;
	static unsigned sleeps;
	static bool ready;
	int64_t result = hal_abi_result(&u->regs);
	enum hal_exit_kind kind = HAL_EXIT_SYSCALL;

	if (!ready)
		ready = setup_step(u);
	if (!ready)
		return kind;
	if (last == 0) {
		kind = next_input(u);
	} else if (last == SYS_clone) {
		sleeps = 0;
		kind = sleep_a_little(u);
	} else if (last != SYS_wait4 || result > 0) {
		kind = reap(u);
	} else if (result == 0) {
		kind = insist(u, ++sleeps);
	} else {
		atomic_fetch_add(&inputs_done, 1);
		host_wake(&inputs_done);
		kind = next_input(u);
	}
	last = u->regs.orig_rax;
	return kind;
}

static enum hal_exit_kind play(struct hal_user *u, struct hal_exit *ret)
{
	static const struct hal_user *init;

	if (!init)
		init = u;
	return u == init ? init_step(u) : child_step(u, ret);
}

/* ---- the machine ---- */

struct program {
	Elf64_Ehdr header;
	Elf64_Phdr segments[2];
};

static const struct program program = {
    .header =
	{
	    .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
	    .e_type = ET_EXEC,
	    .e_machine = EM_X86_64,
	    .e_version = EV_CURRENT,
	    .e_entry = TEXT,
	    .e_phoff = offsetof(struct program, segments),
	    .e_ehsize = sizeof(Elf64_Ehdr),
	    .e_phentsize = sizeof(Elf64_Phdr),
	    .e_phnum = 2,
	},
    .segments =
	{
	    {.p_type = PT_LOAD,
	     .p_flags = PF_R | PF_X,
	     .p_vaddr = TEXT,
	     .p_filesz = sizeof(struct program),
	     .p_memsz = PAGE_SIZE,
	     .p_align = PAGE_SIZE},
	    {.p_type = PT_LOAD,
	     .p_flags = PF_R | PF_W,
	     .p_vaddr = DATA,
	     .p_memsz = DATA_SIZE,
	     .p_align = PAGE_SIZE},
	},
};

/* One member of a cpio archive, "newc" format. */
static void archive(FILE *file, const char *name, unsigned mode, const void *data, size_t size)
{
	static unsigned inode;

	fprintf(file, "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x", ++inode, mode, 0, 0, 1,
		0, size, 0, 0, 0, 0, strlen(name) + 1, 0);
	fwrite(name, 1, strlen(name) + 1, file);
	while (ftell(file) % 4)
		fputc(0, file);
	fwrite(data, 1, size, file);
	while (ftell(file) % 4)
		fputc(0, file);
}

/* The initramfs, as a file that can be opened by name. */
static const char *make_initramfs(void)
{
	static const char *const folders[] = {"dev", "proc", "sys", "tmp"};
	static char name[32];
	int fd = memfd_create("initramfs", 0);
	FILE *file = fdopen(fd, "w");

	if (!file)
		abort();
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		archive(file, folders[i], 0041777, NULL, 0);
	archive(file, "init", 0100755, &program, sizeof(program));
	archive(file, "TRAILER!!!", 0, NULL, 0);
	fflush(file);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	return name;
}

static void *machine(void *arg)
{
	host_thread_adopt();
	sim_start();
	return arg;
}

static void boot(void)
{
	const struct host_options options = {
	    .initrd = make_initramfs(),
	    .append = "quiet loglevel=1",
	    .cpus = 1,
	    .memory_mib = MEMORY_MIB,
	    .test = true,
	};
	pthread_t thread;

	host_machine_create(&options);
	sim_user_script = play;
	if (pthread_create(&thread, NULL, machine, NULL))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool booted;
	uint32_t done = atomic_load(&inputs_done);

	if (!booted)
		boot();
	booted = true;
	input.data = data;
	input.size = size;
	input.steps = 0;
	input.at = 0;
	input.demoted = !(take(1) & 1);
	atomic_fetch_add(&inputs_given, 1);
	host_wake(&inputs_given);
	while (atomic_load(&inputs_done) == done)
		host_wait(&inputs_done, done, UINT64_MAX);
	return 0;
}
