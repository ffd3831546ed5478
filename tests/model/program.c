/* SPDX-License-Identifier: MIT */
/*
 * Scripted user programs (program.h): a coroutine for each user thread, and the program file of process 1.
 *
 * sim_user_script is called where a CPU would enter user mode. It finds the thread's coroutine and continues it on the
 * coroutine's own stack; when the script makes a call, faults, or is interrupted, it switches back and the kernel goes on.
 *
 * Which coroutine a thread is, its registers say, which fork copies and signal frames keep: r12 is the number of the
 * coroutine, r13, in a clone, that of the child's. A thread whose r12 names a coroutine of another thread is a new child. Numbers are
 * never used twice; stacks of the host are, once their thread has exited by itself.
 *
 * The program counter tells what the kernel did: at CALL, the call is to be made again; at a handler's address, a
 * frame was pushed, and the C function runs before the restored registers are asked for.
 */
#include "program.h"

#include <asm/signal.h>
#include <cloudos/fs.h>
#include <cloudos/panic.h>
#include <cloudos/proc.h>
#include <cloudos/signal.h>
#include <cloudos/string.h>
#include <cloudos/thread.h>
#include <cloudos/vfs.h>
#include <cloudos/wait.h>
#include <linux/elf.h>
#include <linux/fcntl.h>
#include <linux/sched.h>
#include <sim/context.h>
#include <sim/host.h>
#include <sim/scenario.h>
#include <sim/soft.h>
#include <sim/user.h>
#include <sim/verdict.h>

#define USERS_MAX    1024
#define HANDLERS_MAX 32
#define DEPTH_MAX    16 /* of handlers in handlers that have scratch space */

/* The program's memory: one page of text, of which only the addresses count, and zeroed data. */
#define TEXT	  USER_TEXT
#define CALL	  (TEXT + 0x100) /* a system call instruction, two bytes */
#define RETURN	  (CALL + 2)
#define ACCESS	  USER_ACCESS_PC
#define RESTORER  (TEXT + 0x300)
#define HANDLERS  (TEXT + 0x400) /* and 16 bytes a handler */
#define STACKS	  (USER_GLOBALS + USER_GLOBALS_SIZE)
#define STACK_SIZE UINT64_C(0x10000) /* scratch memory, then the stack */
#define SCRATCH_SIZE UINT64_C(512)
#define DATA_SIZE (USER_GLOBALS_SIZE + USERS_MAX * STACK_SIZE)

#define HOST_STACKS	(SIM_BOOT_STACK + (UINT64_C(16) << 20))
#define HOST_STACK_SIZE (UINT64_C(128) << 10)

#define WAKE_SIGNAL 64 /* process 1 sleeps until it gets this */

struct user {
	struct hal_context context; /* of the script                        */
	struct hal_context *kernel; /* the thread that runs it              */
	struct hal_user *user;	    /* registers; null before it first runs */
	struct hal_exit *exit;
	enum hal_exit_kind kind;
	user_fn fn;
	uint64_t arg;
	unsigned number, depth;
	void *stack;
	int caught; /* the last access was answered with this signal */
	bool ended; /* it has made its last call */
	unsigned diversions;
};

static struct user users[USERS_MAX];
static unsigned user_count;
static struct user *running[HAL_CPU_MAX];

static user_handler handlers[HANDLERS_MAX];
static unsigned handler_count;

static void *free_stacks[USERS_MAX];
static unsigned free_stack_count, stack_count;

/* What process 1 is to do, and has done. */
static struct {
	user_fn fn;
	bool armed; /* faults, for the program */
	bool done, finished;
	struct wait_queue wait;
} job = {.wait = WAIT_QUEUE_INIT(job.wait)};

/* ---- coroutines ---- */

static struct user *self(void)
{
	return running[hal_cpu_id()];
}

unsigned user_number(void)
{
	return self()->number;
}

static void *host_stack_take(void)
{
	void *stack;

	if (free_stack_count)
		return free_stacks[--free_stack_count];
	stack = host_stack_create(HOST_STACKS + stack_count++ * 2 * HOST_STACK_SIZE, HOST_STACK_SIZE);
	if (!stack)
		panic("no memory for a script's stack");
	return stack;
}

static void leave(struct user *u, enum hal_exit_kind kind);
static void run_handlers(struct user *u);

/* On the new stack. A signal may have come before the first instruction. */
static void begin(void *arg)
{
	struct user *u = arg;

	run_handlers(u);
	u->fn(u->arg);
	user_exit(0);
}

/* A coroutine that nobody runs yet. */
static struct user *user_create(user_fn fn, uint64_t arg)
{
	struct user *u = &users[user_count];

	if (user_count == USERS_MAX)
		panic("a model starts more than %d user threads", USERS_MAX);
	u->number = user_count++;
	u->fn = fn;
	u->arg = arg;
	u->stack = host_stack_take();
	sim_context_prepare(&u->context, u->stack, HOST_STACK_SIZE, begin, u);
	return u;
}

static struct user *user_of(struct hal_user *registers)
{
	struct user *u = &users[registers->regs.r12];

	if (u->user == registers)
		return u;
	u = &users[registers->regs.r13];
	ASSERT(!u->user || u->user == registers); /* again: a handler that came before the first instruction puts back what the child was given */
	u->user = registers;
	registers->regs.r12 = u->number;
	registers->regs.r13 = 0;
	return u;
}

static enum hal_exit_kind play(struct hal_user *registers, struct hal_exit *ret)
{
	struct user *u = user_of(registers);

	u->kernel = u->context.thread = sim_self()->running;
	u->exit = ret;
	running[hal_cpu_id()] = u;
	sim_context_go(u->kernel, &u->context);
	if (u->ended)
		free_stacks[free_stack_count++] = u->stack;
	return u->kind;
}

static void go(struct user *u, enum hal_exit_kind kind)
{
	u->kind = kind;
	sim_context_go(&u->context, u->kernel);
}

/* ---- calls and signal handlers ---- */

static void set_call(struct user *u, uint64_t number)
{
	struct hal_regs *r = &u->user->regs;

	r->orig_rax = number;
	r->rip = r->rcx = RETURN;
	r->cs = X86_USER_CS;
}

static bool at_handler(const struct user *u)
{
	return u->user->regs.rip >= HANDLERS && u->user->regs.rip < HANDLERS + HANDLERS_MAX * 16;
}

/* The kernel has pushed a frame: the C function, then what the restorer does. Handlers in handlers nest in here. */
static void run_handler(struct user *u)
{
	struct hal_regs *r = &u->user->regs;
	user_handler fn = handlers[(r->rip - HANDLERS) / 16];
	uaddr_t frame = r->rsp, info = r->rsi, context = r->rdx;
	int signo = (int)r->rdi;

	r->rip = ACCESS;
	u->depth++;
	fn(signo, info, context);
	u->depth--;
	r->rsp = frame + 8;
	set_call(u, __NR_rt_sigreturn);
	go(u, HAL_EXIT_SYSCALL);
}

static void run_handlers(struct user *u)
{
	while (at_handler(u))
		run_handler(u);
}

static void leave(struct user *u, enum hal_exit_kind kind)
{
	go(u, kind);
	run_handlers(u);
}

int64_t user_syscall(uint64_t number, const uint64_t args[6])
{
	struct user *u = self();
	struct hal_regs *r = &u->user->regs;

	r->rdi = args[0];
	r->rsi = args[1];
	r->rdx = args[2];
	r->r10 = args[3];
	r->r8 = args[4];
	r->r9 = args[5];
	set_call(u, number);
	leave(u, HAL_EXIT_SYSCALL);
	while (r->rip == CALL) {
		set_call(u, r->rax);
		leave(u, HAL_EXIT_SYSCALL);
	}
	ASSERT(r->rip == RETURN);
	return (int64_t)r->rax;
}

/* ---- memory ---- */

static void *reach(uaddr_t addr, enum hal_access access)
{
	struct user *u = self();

	u->caught = 0;
	for (;;) {
		enum hal_exit_kind kind;
		void *p;

		u->user->regs.rip = ACCESS;
		p = sim_soft_access(u->user, addr, access, &kind, u->exit);
		if (p)
			return p;
		leave(u, kind);
		u->diversions += u->user->regs.rip != ACCESS;
		if (u->caught) {
			u->caught = 0;
			return NULL;
		}
	}
}

unsigned user_diversions(void)
{
	return self()->diversions;
}

static void *must_reach(uaddr_t addr, enum hal_access access)
{
	void *p = reach(addr, access);

	if (!p)
		model_failed(__FILE__, __LINE__, "user memory at %#lx cannot be reached", (unsigned long)addr);
	return p;
}

bool user_try_load(uaddr_t addr, uint64_t *ret)
{
	uint64_t *p = reach(addr, HAL_ACCESS_READ);

	if (p)
		*ret = __atomic_load_n(p, __ATOMIC_SEQ_CST);
	return p;
}

bool user_try_store(uaddr_t addr, uint64_t value)
{
	uint64_t *p = reach(addr, HAL_ACCESS_WRITE);

	if (p)
		__atomic_store_n(p, value, __ATOMIC_SEQ_CST);
	return p;
}

bool user_try_cmpxchg(uaddr_t addr, uint64_t *expected, uint64_t value, bool *ret_done)
{
	uint64_t *p = reach(addr, HAL_ACCESS_WRITE);

	if (p)
		*ret_done = __atomic_compare_exchange_n(p, expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	return p;
}

uint64_t user_load(uaddr_t addr)
{
	return *(uint64_t *)must_reach(addr, HAL_ACCESS_READ);
}

void user_store(uaddr_t addr, uint64_t value)
{
	*(uint64_t *)must_reach(addr, HAL_ACCESS_WRITE) = value;
}

uint32_t user_load32(uaddr_t addr)
{
	return *(uint32_t *)must_reach(addr, HAL_ACCESS_READ);
}

void user_store32(uaddr_t addr, uint32_t value)
{
	*(uint32_t *)must_reach(addr, HAL_ACCESS_WRITE) = value;
}

uint32_t user_cmpxchg32(uaddr_t addr, uint32_t expected, uint32_t value)
{
	uint32_t *p = must_reach(addr, HAL_ACCESS_WRITE), old = *p;

	if (old == expected)
		*p = value;
	return old;
}

uint32_t user_swap32(uaddr_t addr, uint32_t value)
{
	uint32_t *p = must_reach(addr, HAL_ACCESS_WRITE), old = *p;

	*p = value;
	return old;
}

void user_write(uaddr_t addr, const void *from, size_t len)
{
	for (size_t i = 0; i < len; i += sizeof(uint64_t)) {
		uint64_t word;

		memcpy(&word, (const char *)from + i, sizeof(word));
		user_store(addr + i, word);
	}
}

void user_read(void *to, uaddr_t addr, size_t len)
{
	for (size_t i = 0; i < len; i += sizeof(uint64_t)) {
		uint64_t word = user_load(addr + i);

		memcpy((char *)to + i, &word, sizeof(word));
	}
}

static uaddr_t stack_of(unsigned number)
{
	return STACKS + number * STACK_SIZE;
}

uaddr_t user_scratch(void)
{
	struct user *u = self();

	ASSERT(u->depth < DEPTH_MAX);
	return stack_of(u->number) + u->depth * SCRATCH_SIZE;
}

void user_place(unsigned worker)
{
	user_store(user_scratch(), model_affinity(worker));
	(void)user_call(__NR_sched_setaffinity, 0, sizeof(uint64_t), user_scratch());
}

uaddr_t user_stack_pointer(void)
{
	return self()->user->regs.rsp;
}

void user_prepare_stack(void)
{
	uaddr_t top = align_up(user_stack_pointer(), PAGE_SIZE);

	user_store(user_scratch(), 0);
	user_store(user_scratch() + PAGE_SIZE, 0);
	for (uaddr_t at = top - (STACK_SIZE - DEPTH_MAX * SCRATCH_SIZE); at < top; at += PAGE_SIZE)
		user_store(at, 0);
}

/* ---- processes and threads ---- */

int64_t user_clone(uint64_t flags, uaddr_t tid, user_fn fn, uint64_t arg)
{
	struct user *u = self(), *child = user_create(fn, arg);
	uint64_t stack = flags & CLONE_VM ? stack_of(child->number) + STACK_SIZE : 0;
	int64_t result;

	u->user->regs.r13 = child->number;
	result = user_call(__NR_clone, flags, stack, tid, tid);
	u->user->regs.r13 = 0;
	if (result < 0)
		free_stacks[free_stack_count++] = child->stack;
	return result;
}

int64_t user_fork(user_fn fn, uint64_t arg)
{
	return user_clone(SIGCHLD, 0, fn, arg);
}

static _Noreturn void end(uint64_t number, int status)
{
	self()->ended = true;
	user_call(number, (uint64_t)status);
	panic("a process goes on after exit");
}

void user_exit(int status)
{
	end(__NR_exit_group, status);
}

void user_exit_thread(int status)
{
	end(__NR_exit, status);
}

/* ---- signals ---- */

static uaddr_t handler_address(user_handler fn)
{
	unsigned i;

	for (i = 0; i < handler_count && handlers[i] != fn; i++)
		;
	if (i == handler_count) {
		ASSERT(handler_count < HANDLERS_MAX);
		handlers[handler_count++] = fn;
	}
	return HANDLERS + i * 16;
}

static int64_t set_action(int signo, const struct signal_action *action)
{
	uaddr_t at = user_scratch();

	user_write(at, action, sizeof(*action));
	return user_call(__NR_rt_sigaction, (uint64_t)signo, at, 0, 8);
}

int64_t user_action(int signo, user_handler fn, uint64_t flags, uint64_t mask)
{
	struct signal_action action = {
	    .handler = fn ? handler_address(fn) : SIGNAL_ACTION_DEFAULT,
	    .flags = flags | SA_RESTORER,
	    .restorer = RESTORER,
	    .mask = mask,
	};

	return set_action(signo, &action);
}

int64_t user_ignore(int signo)
{
	return set_action(signo, &(struct signal_action){.handler = SIGNAL_ACTION_IGNORE});
}

static void caught(int signo, uaddr_t info, uaddr_t context)
{
	(void)info;
	(void)context;
	self()->caught = signo;
}

void user_catch_faults(void)
{
	(void)user_action(SIGSEGV, caught, SA_NODEFER, 0);
	(void)user_action(SIGBUS, caught, SA_NODEFER, 0);
}

int64_t user_mask(int how, uint64_t set)
{
	uaddr_t at = user_scratch();

	user_store(at, set);
	return user_call(__NR_rt_sigprocmask, (uint64_t)how, at, 0, 8);
}

/* ---- process 1 ---- */

static void nothing(uint64_t arg)
{
	(void)arg;
}

static void sleep_until_woken(void)
{
	while (user_call(__NR_rt_sigtimedwait, user_scratch(), 0, 0, 8) != WAKE_SIGNAL)
		;
}

/* The program begins with faults as the model has them; process 1, which starts it, may not meet any. */
static void start(uint64_t arg)
{
	sim_faults_arm(job.armed);
	job.fn(arg);
}

/* Starts the program, and waits until none is left. Touches no memory: process 1 must not need any. */
static void do_job(void)
{
	int64_t pid = user_fork(start, 0);

	if (pid < 0)
		model_failed(__FILE__, __LINE__, "the model's program cannot be started: %ld", (long)pid);
	while (user_call(__NR_wait4, UINT64_MAX) != pid)
		;
	sim_faults_arm(false);
	do
		user_call(__NR_kill, UINT64_MAX, SIGKILL);
	while (user_call(__NR_wait4, UINT64_MAX) > 0);
}

static void first_program(uint64_t arg)
{
	int64_t fd;

	(void)arg;
	user_store(user_scratch(), UINT64_C(1) << (WAKE_SIGNAL - 1));
	user_call(__NR_rt_sigprocmask, SIG_BLOCK, user_scratch(), 0, 8);
	if (user_fork(nothing, 0) < 0 || user_call(__NR_wait4, UINT64_MAX) < 0) /* the first time that these are used */
		panic("process 1 cannot have children");
	fd = user_call(__NR_pidfd_open, 1, 0); /* what stands for process 1 stays */
	if (fd < 0 || user_call(__NR_close, (uint64_t)fd) < 0)
		panic("process 1 cannot have a descriptor of itself");
	for (;;) {
		job.done = true;
		wake_all(&job.wait);
		sleep_until_woken();
		do_job();
	}
}

/* ---- the program file ---- */

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
	     .p_vaddr = USER_GLOBALS,
	     .p_memsz = DATA_SIZE,
	     .p_align = PAGE_SIZE},
	},
};

static void write_program(void)
{
	struct io_iter from;
	struct file *file;
	int64_t pos = 0;

	io_iter_kernel(&from, &program, sizeof(program));
	if (vfs_open(AT_FDCWD, "/init", O_CREAT | O_WRONLY, 0755, &file) < 0)
		panic("no room for the program of process 1");
	if (file_write(file, &from, &pos) != sizeof(program))
		panic("the program of process 1 cannot be written");
	file_put(file);
}

void programs_prepare(void)
{
	static const char *const argv[] = {"/init", NULL}, *const envp[] = {NULL};

	sim_soft_start();
	sim_user_script = play;
	user_create(first_program, 0);
	if (vfs_adopt_kernel_thread() < 0)
		panic("no memory for the model's thread");
	write_program();
	if (process_start_init("/init", argv, envp) < 0)
		panic("process 1 cannot be started");
	wait_event(&job.wait, READ_ONCE(job.done));
}

void programs_run(user_fn fn)
{
	struct process *first = process_find(1);

	job.fn = fn;
	job.armed = sim_faults_armed();
	job.done = job.finished = false;
	sim_faults_arm(false);
	signal_process(first, WAKE_SIGNAL);
	process_put(first);
	wait_event(&job.wait, READ_ONCE(job.done));
}

void user_finished(void)
{
	job.finished = true;
}

bool programs_ended_well(void)
{
	return job.finished;
}

bool programs_may_die(void)
{
	return sim_fault_rate(SIM_FAULT_MEMORY_ALLOC) || sim_fault_rate(SIM_FAULT_MEMORY_PRESSURE) || sim_scenario.fail_allocation;
}
