/* SPDX-License-Identifier: MIT */
/*
 * System calls at random. Two processes, and children of theirs, open, duplicate and close descriptors of every kind, and use
 * them; a reference knows which numbers are open in each, and which of them close at exec. Besides, "wild" children, as nobody and on a
 * file system of their own, make any calls at all, by the table of calls and the kinds of their arguments, until they end or
 * are killed.
 *
 * C1  A new descriptor has the lowest free number; with none below the limit the call says EMFILE. C2  A call on a number that is not open
 * says EBADF, and a close works once. C3  The kernel neither panics nor keeps anything when all is over.
 */
#include "program.h"

#include <asm/fcntl.h>
#include <asm/mman.h>
#include <asm/signal.h>
#include <cloudos/errno.h>
#include <cloudos/string.h>
#include <hal/hal.h>
#include <linux/eventpoll.h>
#include <linux/fcntl.h>
#include <linux/msg.h>
#include <linux/resource.h>
#include <linux/sem.h>
#include <linux/shm.h>
#include <linux/wait.h>
#include <syscall_internal.h>

#define WORKERS	    2
#define LIMIT	    20 /* RLIMIT_NOFILE, at most */
#define LIMIT_LEAST 5
#define TABLES	    64
#define WILD_CALLS  8
#define WILD_SLEEPS 3
#define SLEEP_NS    20000
#define NOBODY	    65534
#define STRINGS	    (USER_GLOBALS + 0x1000)
#define STRING_SIZE 16
#define BUFFER	    (USER_GLOBALS + 0x2000) /* what calls read into and write from */
#define BUFFER_SIZE UINT64_C(0x2000)
#define LATER	    UINT64_C(100000) /* ns, for what must not wait long */

static const char strings[][STRING_SIZE] = {"/w", "/w/a", "/w/b", "/w/d", "/w/d/e", ".", "..", "", "a", "tmpfs", "/", "/w/s", "/x", "/y"};

/* The names of strings: the wild's folder, a file system, and two files that only root may touch. */
enum { WILD = 0, TMPFS = 9, FILES = 12 };

struct table {
	bool open[LIMIT], cloexec[LIMIT];
	struct sim_generator draws;
};

static struct table tables[TABLES];
static unsigned table_count;
static unsigned limit; /* RLIMIT_NOFILE */

static uint64_t string(unsigned i)
{
	return STRINGS + i * STRING_SIZE;
}

/* Errors that calls may give for want of memory. */
static bool starved(int64_t result)
{
	return programs_may_die() && (result == -ENOMEM || result == -EAGAIN || result == -ENFILE || result == -EFAULT || result == -ENOSPC);
}

/* ---- the reference ---- */

static int lowest_free(const struct table *t, unsigned from)
{
	for (unsigned i = from; i < limit; i++)
		if (!t->open[i])
			return (int)i;
	return -EMFILE;
}

static void note_open(struct table *t, int fd, bool cloexec)
{
	t->open[fd] = true;
	t->cloexec[fd] = cloexec;
}

/* A call that makes one descriptor gave `result`. */
static void check_new(struct table *t, int64_t result, unsigned from, bool cloexec)
{
	if (starved(result))
		return;
	MODEL_EQUAL(result, lowest_free(t, from));
	if (result >= 0)
		note_open(t, (int)result, cloexec);
}

static unsigned any_fd(struct model_op *op)
{
	return (unsigned)model_below(op, LIMIT);
}

/* ---- descriptors ---- */

static void make_one(struct table *t, struct model_op *op)
{
	bool cloexec = model_below(op, 2);
	uint64_t flags = O_NONBLOCK | (cloexec ? O_CLOEXEC : 0);

	switch (model_below(op, 5)) {
	case 0:
		check_new(t, user_call(__NR_open, string(FILES + (unsigned)model_below(op, 2)), O_CREAT | O_RDWR | flags, 0666), 0, cloexec);
		break;
	case 1:
		check_new(t, user_call(__NR_eventfd2, model_below(op, 3), flags), 0, cloexec);
		break;
	case 2:
		check_new(t, user_call(__NR_timerfd_create, 1, flags), 0, cloexec);
		break;
	case 3:
		check_new(t, user_call(__NR_epoll_create1, flags & O_CLOEXEC), 0, cloexec);
		break;
	case 4:
		check_new(t, user_call(__NR_open, string(WILD), O_RDONLY | flags, 0), 0, cloexec);
		break;
	}
}

static void make_two(struct table *t, struct model_op *op)
{
	bool cloexec = model_below(op, 2);
	uint64_t flags = O_NONBLOCK | (cloexec ? O_CLOEXEC : 0);
	int first = lowest_free(t, 0), second = first < 0 ? first : lowest_free(t, (unsigned)first + 1);
	uaddr_t at = user_scratch();
	int64_t result;

	user_store(at, UINT64_MAX);
	if (model_below(op, 2))
		result = user_call(__NR_pipe2, at, flags);
	else
		result = user_call(__NR_socketpair, 1 /* AF_UNIX */, 1 + model_below(op, 2) + flags, 0, at);
	if (starved(result))
		return;
	MODEL_EQUAL(result, second < 0 ? -EMFILE : 0);
	if (result < 0)
		return;
	MODEL_EQUAL(user_load(at), (uint64_t)second << 32 | (uint64_t)first);
	note_open(t, first, cloexec);
	note_open(t, second, cloexec);
}

static void duplicate(struct table *t, struct model_op *op)
{
	unsigned from = any_fd(op), to = any_fd(op);
	bool cloexec = model_below(op, 2);
	int64_t result;

	switch (model_below(op, 3)) {
	case 0:
		result = user_call(__NR_dup, from);
		to = 0;
		cloexec = false;
		break;
	case 1:
		result = user_call(__NR_fcntl, from, cloexec ? F_DUPFD_CLOEXEC : F_DUPFD, to);
		break;
	default:
		result = user_call(__NR_dup3, from, to, cloexec ? O_CLOEXEC : 0);
		if (from != to && t->open[from] && to < limit && !starved(result)) {
			MODEL_EQUAL(result, to);
			note_open(t, (int)to, cloexec);
			return;
		}
		MODEL_CHECK(from != to ? result == -EBADF || starved(result) : result == -EINVAL);
		return;
	}
	if (t->open[from] && to < limit)
		check_new(t, result, to, cloexec);
	else
		MODEL_EQUAL(result, t->open[from] ? -EINVAL : -EBADF);
}

static void close_one(struct table *t, struct model_op *op)
{
	unsigned fd = any_fd(op);

	MODEL_EQUAL(user_call(__NR_close, fd), t->open[fd] ? 0 : -EBADF);
	t->open[fd] = false;
}

static void ask_flags(struct table *t, struct model_op *op)
{
	unsigned fd = any_fd(op);

	if (model_below(op, 2)) {
		MODEL_EQUAL(user_call(__NR_fcntl, fd, F_GETFD), t->open[fd] ? t->cloexec[fd] : -EBADF);
		return;
	}
	MODEL_EQUAL(user_call(__NR_fcntl, fd, F_SETFD, FD_CLOEXEC), t->open[fd] ? 0 : -EBADF);
	t->cloexec[fd] = true;
}

/* ---- using them ---- */

static void transfer(struct table *t, struct model_op *op)
{
	static const uint16_t calls[] = {__NR_read, __NR_write, __NR_pread64, __NR_pwrite64};
	unsigned fd = any_fd(op);
	uint64_t length = model_below(op, 600);
	int64_t result = user_call(calls[model_below(op, ARRAY_SIZE(calls))], fd, BUFFER + model_below(op, BUFFER_SIZE - 600), length,
				   model_below(op, 10000));

	if (!t->open[fd])
		MODEL_EQUAL(result, -EBADF);
	else
		MODEL_CHECK(result <= (int64_t)length);
}

static void watch(struct table *t, struct model_op *op)
{
	unsigned epoll = any_fd(op), fd = any_fd(op);
	uaddr_t at = user_scratch();
	int64_t result;

	user_store(at, EPOLLIN | EPOLLOUT | (model_below(op, 2) ? EPOLLET : 0));
	user_store(at + 8, fd);
	result = user_call(__NR_epoll_ctl, epoll, 1 + model_below(op, 3), fd, at);
	if (!t->open[epoll] || !t->open[fd])
		MODEL_EQUAL(result, -EBADF);
	result = user_call(__NR_epoll_wait, epoll, at + 64, 8, model_below(op, 2));
	if (!t->open[epoll])
		MODEL_EQUAL(result, -EBADF);
	else
		MODEL_CHECK(result <= 8);
}

static void poll_some(struct model_op *op)
{
	uaddr_t at = user_scratch();

	for (unsigned i = 0; i < 4; i++)
		user_store(at + i * 8, any_fd(op) | model_below(op, 8) << 32);
	MODEL_CHECK(user_call(__NR_poll, at, 4, model_below(op, 2)) <= 4);
}

static void other(struct table *t, struct model_op *op)
{
	unsigned fd = any_fd(op);
	uaddr_t at = user_scratch();

	switch (model_below(op, 6)) {
	case 0:
		user_call(__NR_lseek, fd, model_below(op, 10000), model_below(op, 5));
		break;
	case 1:
		user_call(__NR_ftruncate, fd, model_below(op, 10000));
		break;
	case 2:
		user_call(__NR_fstat, fd, BUFFER);
		break;
	case 3:
		user_store(at, 0);
		user_store(at + 8, 0);
		user_store(at + 16, 0);
		user_store(at + 24, model_below(op, LATER));
		user_call(__NR_timerfd_settime, fd, 0, at, 0);
		break;
	case 4:
		user_call(__NR_mmap, USER_FREE, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_FIXED | (1 + model_below(op, 2)), fd, 0);
		user_call(__NR_munmap, USER_FREE, 2 * PAGE_SIZE);
		break;
	case 5:
		user_call(model_below(op, 2) ? __NR_unlink : __NR_rename, string(FILES), string(FILES + 1));
		break;
	}
	(void)t;
}

/* ---- wild children ---- */

static bool allowed(uint64_t number)
{
	switch (number) {
	case __NR_clone: /* no script would run the child */
	case __NR_clone3:
	case __NR_fork:
	case __NR_vfork:
	case __NR_execve:
	case __NR_execveat:
	case __NR_rt_sigaction: /* nor the handler */
	case __NR_rt_sigreturn:
	case __NR_reboot:
	case __NR_pivot_root: /* it would move clean_up() as well */
		return false;
	}
	return syscall_infos[number].name;
}

static uint64_t wild_pointer(struct sim_generator *g)
{
	static const uint64_t odd[] = {0, 1, BUFFER + BUFFER_SIZE - 4, HAL_USER_TOP - 8, HAL_USER_TOP, UINT64_MAX - 7, USER_FREE};

	if (sim_generate_below(g, 8) == 0)
		return odd[sim_generate_below(g, ARRAY_SIZE(odd))];
	return BUFFER + sim_generate_below(g, BUFFER_SIZE) / 8 * 8;
}

static uint64_t wild_integer(struct sim_generator *g)
{
	switch (sim_generate_below(g, 8)) {
	case 0:
		return UINT64_C(1) << sim_generate_below(g, 64);
	case 1:
		return 0 - sim_generate_below(g, 8);
	case 2:
		return sim_generate(g);
	default:
		return sim_generate_below(g, 80);
	}
}

static uint64_t wild_argument(struct sim_generator *g, enum syscall_arg_kind kind)
{
	switch (kind) {
	case SYSCALL_ARG_FD:
		return sim_generate_below(g, 16) ? sim_generate_below(g, 12) : (uint64_t)AT_FDCWD;
	case SYSCALL_ARG_STR:
		return sim_generate_below(g, 16) ? string((unsigned)sim_generate_below(g, ARRAY_SIZE(strings))) : wild_pointer(g);
	case SYSCALL_ARG_PTR:
		return wild_pointer(g);
	case SYSCALL_ARG_SIG:
		return sim_generate_below(g, 66);
	default:
		return wild_integer(g);
	}
}

static void wild_call(struct sim_generator *g)
{
	uint64_t number = sim_generate_below(g, SYSCALL_NUMBERS), args[6];

	while (!allowed(number))
		number = (number + 1) % SYSCALL_NUMBERS;
	for (unsigned i = 0; i < 6; i++)
		args[i] = i < syscall_infos[number].args ? wild_argument(g, syscall_infos[number].kinds[i]) : 0;
	user_syscall(number, args);
}

static void wild(uint64_t arg)
{
	struct sim_generator g = tables[arg].draws;

	user_catch_faults();
	user_call(__NR_close_range, 0, UINT32_MAX, 0);
	MODEL_CHECK(user_call(__NR_setresuid, NOBODY, NOBODY, NOBODY) == 0 || programs_may_die());
	if (user_call(__NR_geteuid) != NOBODY)
		return;
	for (unsigned i = 0; i < WILD_CALLS; i++) {
		for (uint64_t n = sim_generate_below(&g, 4); n > 0; n--)
			(void)user_try_store(BUFFER + sim_generate_below(&g, BUFFER_SIZE) / 8 * 8,
					     sim_generate_below(&g, 2) ? wild_pointer(&g) : sim_generate(&g));
		wild_call(&g);
	}
}

static void rest(void)
{
	uaddr_t at = user_scratch();

	user_store(at, 0);
	user_store(at + 8, SLEEP_NS);
	user_call(__NR_nanosleep, at, 0);
}

/* Gives a wild child some time, then ends it. */
static void tame(int64_t pid)
{
	for (unsigned i = 0; i < WILD_SLEEPS; i++) {
		if (user_call(__NR_wait4, (uint64_t)pid, 0, WNOHANG) != 0)
			return;
		rest();
	}
	MODEL_EQUAL(user_call(__NR_kill, (uint64_t)pid, SIGKILL), 0);
	MODEL_EQUAL(user_call(__NR_wait4, (uint64_t)pid), pid);
}

/* ---- processes ---- */

static void heir(uint64_t arg)
{
	struct table *t = &tables[arg];

	for (unsigned i = 0; i < LIMIT; i++) {
		unsigned fd = (unsigned)sim_generate_below(&t->draws, LIMIT);

		MODEL_EQUAL(user_call(__NR_fcntl, fd, F_GETFD), t->open[fd] ? t->cloexec[fd] : -EBADF);
		if (sim_generate_below(&t->draws, 2)) {
			MODEL_EQUAL(user_call(__NR_close, fd), t->open[fd] ? 0 : -EBADF);
			t->open[fd] = false;
		}
	}
}

static void fork(struct table *t, struct model_op *op)
{
	struct table *copy = &tables[table_count];
	bool is_wild = model_chance(op, 70);
	int64_t pid;

	copy->draws = sim_generator(model_draw(op), 0);
	if (table_count == TABLES)
		return;
	memcpy(copy->open, t->open, sizeof(t->open));
	memcpy(copy->cloexec, t->cloexec, sizeof(t->cloexec));
	pid = user_fork(is_wild ? wild : heir, table_count++);
	if (pid < 0)
		MODEL_CHECK(starved(pid));
	else if (is_wild)
		tame(pid);
}

static void work(struct table *t, struct model_op *op)
{
	unsigned what = (unsigned)model_below(op, 20);

	if (what < 4)
		make_one(t, op);
	else if (what < 6)
		make_two(t, op);
	else if (what < 8)
		duplicate(t, op);
	else if (what < 10)
		close_one(t, op);
	else if (what < 11)
		ask_flags(t, op);
	else if (what < 13)
		transfer(t, op);
	else if (what < 15)
		watch(t, op);
	else if (what < 16)
		poll_some(op);
	else if (what < 18)
		other(t, op);
	else
		fork(t, op);
}

static void worker(uint64_t arg)
{
	struct model_op op = MODEL_OPS(arg);
	struct table *t = &tables[arg];
	uint64_t open = 0;

	user_place((unsigned)arg);
	while (model_next(&op)) {
		work(t, &op);
		open = 0;
		for (unsigned i = 0; i < LIMIT; i++)
			open |= (uint64_t)t->open[i] << i;
		model_state(open ^ arg << LIMIT);
	}
}

static void program(uint64_t arg)
{
	struct model_op op = MODEL_OPS(WORKERS);
	bool armed = sim_faults_armed();
	uaddr_t at = user_scratch();

	(void)arg;
	sim_faults_arm(false);
	(void)model_next(&op);
	limit = LIMIT_LEAST + (unsigned)model_below(&op, LIMIT - LIMIT_LEAST + 1);
	user_ignore(SIGPIPE);
	user_write(STRINGS, strings, sizeof(strings));
	user_store(at, limit);
	user_store(at + 8, limit);
	MODEL_EQUAL(user_call(__NR_prlimit64, 0, RLIMIT_NOFILE, at, 0), 0);
	user_call(__NR_close_range, 0, UINT32_MAX, 0);
	table_count = WORKERS;
	MODEL_CHECK(user_fork(worker, 1) > 0);
	sim_faults_arm(armed);
	worker(0);
	model_recover();
	while (user_call(__NR_wait4, UINT64_MAX) > 0)
		;
	user_finished();
}

/* ---- the file system of the wild ---- */

static void set_up(uint64_t arg)
{
	(void)arg;
	user_write(STRINGS, strings, sizeof(strings));
	MODEL_EQUAL(user_call(__NR_mkdir, string(WILD), 0777), 0);
	MODEL_EQUAL(user_call(__NR_mount, string(TMPFS), string(WILD), string(TMPFS), 0, 0), 0);
	MODEL_EQUAL(user_call(__NR_chmod, string(WILD), 0777), 0);
}

/* Objects of System V IPC outlive who made them. */
static void remove_objects(uint64_t control, uint64_t info, uint64_t stat, bool semaphores)
{
	uint64_t zero = 0;
	int64_t last;

	user_write(BUFFER, &zero, sizeof(zero));
	last = semaphores ? user_call(control, 0, 0, info, BUFFER) : user_call(control, 0, info, BUFFER);
	MODEL_CHECK(last >= 0);
	for (int64_t i = 0; i <= last; i++) {
		int64_t id = semaphores ? user_call(control, (uint64_t)i, 0, stat, BUFFER) : user_call(control, (uint64_t)i, stat, BUFFER);

		if (id >= 0)
			MODEL_EQUAL(semaphores ? user_call(control, (uint64_t)id, 0, IPC_RMID, 0) : user_call(control, (uint64_t)id, IPC_RMID, 0), 0);
	}
}

/* Likewise message queues, whatever their names are: in a mount of them they are files. */
static void remove_queues(void)
{
	static const char type[8] = "mqueue";
	int64_t folder, n;
	bool removed;

	user_write(BUFFER, type, sizeof(type));
	MODEL_EQUAL(user_call(__NR_mount, BUFFER, string(WILD), BUFFER, 0, 0), 0);
	folder = user_call(__NR_open, string(WILD), O_RDONLY | O_DIRECTORY, 0);
	MODEL_CHECK(folder >= 0);
	do { /* from the beginning, since the folder changes on the way */
		removed = false;
		MODEL_EQUAL(user_call(__NR_lseek, (uint64_t)folder, 0, 0 /* SEEK_SET */), 0);
		n = user_call(__NR_getdents64, (uint64_t)folder, BUFFER, BUFFER_SIZE);
		MODEL_CHECK(n >= 0);
		for (uint64_t at = 0; at < (uint64_t)n;) { /* struct linux_dirent64: d_reclen at 16, d_name at 19 */
			uint64_t head = user_load(BUFFER + at + 16);

			removed |= user_call(__NR_unlinkat, (uint64_t)folder, BUFFER + at + 19, 0) == 0;
			at += head & 0xffff;
		}
	} while (removed);
	user_call(__NR_close, (uint64_t)folder);
	MODEL_EQUAL(user_call(__NR_umount2, string(WILD), 0), 0);
}

static void clean_up(uint64_t arg)
{
	(void)arg;
	remove_objects(__NR_shmctl, SHM_INFO, SHM_STAT, false);
	remove_objects(__NR_semctl, SEM_INFO, SEM_STAT, true);
	remove_objects(__NR_msgctl, MSG_INFO, MSG_STAT, false);
	user_write(STRINGS, strings, sizeof(strings));
	remove_queues();
	MODEL_EQUAL(user_call(__NR_umount2, string(WILD), 0), 0);
	MODEL_EQUAL(user_call(__NR_rmdir, string(WILD)), 0);
	user_call(__NR_unlink, string(FILES));
	user_call(__NR_unlink, string(FILES + 1));
}

static void run(void)
{
	bool armed = sim_faults_armed();

	sim_faults_arm(false);
	programs_run(set_up);
	sim_faults_arm(armed);
	programs_run(program);
	model_recover();
	MODEL_CHECK(programs_ended_well() || programs_may_die());
	programs_run(clean_up);
}

MODEL_DEFINE(calls, .what = "system calls at random, descriptors", .prepare = programs_prepare, .run = run, .cpus = 4,
	     .operations = 30);
