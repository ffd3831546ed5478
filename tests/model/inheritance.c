/* SPDX-License-Identifier: MIT */
/*
 * Locks with priority inheritance. Two processes of two threads each take locks, shared ones and their own, several at a time and in any order, in
 * user space or by calls, change priorities, and end with locks.
 *
 *   P1  One thread at a time has a lock, and the word has its id.
 *   P2  Who would wait for itself is told (EDEADLK), and only somebody who has another lock: all come to an end.
 *   P3  At any moment a thread is lent the urgency of the most urgent one that waits for a lock of its, directly or through others.
 *   P4  Who has no lock is lent nothing.
 *   P5  A thread that computes without end, less urgent than one that waits and more than the one that has the lock, holds neither of them up: also
 *       where there is another lock between the two.
 *   P6  The lock of an owner that ended goes to the next one, which is told; if nobody waited and it is in no robust list, ESRCH.
 *   P7  No time-out is early.
 *   P8  Who waits for a word and is moved to a lock comes back with that lock, or by a time-out; no call wakes it without. A word gives no more
 *       waiters than are there.
 */
#include "program.h"

#include <asm/mman.h>
#include <asm/signal.h>
#include <cloudos/errno.h>
#include <cloudos/task.h>
#include <hal/hal.h>
#include <linux/futex.h>
#include <linux/mman.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/wait.h>

#define WORKERS	    4
#define LOCKS	    2 /* of each kind */
#define HELD_MAX    3
#define TIMEOUT_MAX 60000
#define HOG_MAX	    400000 /* turns of the thread that computes without end */
#define SHARED	    USER_FREE
#define ENTRY(i)    (64 * (i)) /* of a robust list; the word is behind */
#define WORD(i)	    (ENTRY(i) + 8)
#define TRIAL(w, i) (USER_GLOBALS + 0x1000 + 64 * (w) + 16 * (i)) /* words of P5 */
#define CONDITION   0x900 /* a word, from which waiters are moved to any of the locks of its kind */
#define TID	    0x800
#define HEAD	    384 /* of a thread's robust list, in its scratch memory */

#define FREE 0u
#define DEAD UINT32_MAX
#define REVIVED (UINT32_MAX - 1) /* dead, and somebody may have made the word 0 */
static uint32_t holders[3][LOCKS]; /* by the reference: thread id, FREE, DEAD, REVIVED; of shared locks, and of both processes' own */

static int tids[WORKERS];	    /* 0: it has ended, unless it was killed for want of memory */
static unsigned changing;	    /* priorities that are being changed */
static unsigned forking, trying;    /* forks and trials of P5 under way: a fork keeps all from the memory for a while, however urgent */
static unsigned victims[2];	    /* threads of a process that are about to end, and may not yet */
static uint64_t taken;

struct lock {
	unsigned domain, i;
	uaddr_t word;
	uint64_t flag;
};

static struct lock lock_at(unsigned process, unsigned number)
{
	unsigned i = number % LOCKS;

	if (number < LOCKS)
		return (struct lock){0, i, SHARED + WORD(i), 0};
	return (struct lock){1 + process, i, USER_GLOBALS + WORD(i), FUTEX_PRIVATE_FLAG};
}

static int64_t futex(uaddr_t word, uint64_t command, uint64_t timeout)
{
	return user_call(__NR_futex, word, command, 0, timeout, 0, 0);
}

static uaddr_t store_time(uint64_t ns)
{
	uaddr_t at = user_scratch() + 64;

	user_store(at, ns / NSEC_PER_SEC);
	user_store(at + 8, ns % NSEC_PER_SEC);
	return at;
}

static void nap(uint64_t ns)
{
	user_call(__NR_nanosleep, store_time(ns), 0);
}

static void rest(struct model_op *op)
{
	if (model_chance(op, 30))
		nap(model_below(op, 20000));
	else if (model_chance(op, 50))
		user_call(__NR_sched_yield);
}

/* ---- what the kernel knows ---- */

static void check_lending(void)
{
	for (unsigned i = 0; i < WORKERS; i++) {
		struct task *t = tids[i] ? task_find(tids[i]) : NULL;

		if (!t)
			continue;
		if (!changing && !inherit_is_settled(t) && !changing && tids[i])
			model_failed(__FILE__, __LINE__, "worker %u runs at urgency %u and is lent %u", i, thread_urgency(&t->thread),
				     t->inherit.lent); /* P3 */
		task_put(t);
	}
}

static void check_owns_nothing(void)
{
	const struct task *t = task_self();

	MODEL_EQUAL(t->inherit.lent, URGENCY_NONE); /* P4 */
	MODEL_EQUAL(t->thread.lent, URGENCY_NONE);
	if (!changing)
		MODEL_EQUAL(t->thread.urgency, t->thread.rt_priority ? 99u - t->thread.rt_priority : (unsigned)(120 + t->thread.nice));
}

/* ---- locking ---- */

static uint32_t *holder_of(const struct lock *l)
{
	return &holders[l->domain][l->i];
}

/* It is this thread's now. */
static void note_taken(const struct lock *l, uint32_t tid)
{
	uint32_t value = user_load32(l->word), *holder = holder_of(l), seen;

	MODEL_EQUAL(value & FUTEX_TID_MASK, tid); /* P1 */
	if (*holder != FREE && *holder < REVIVED && !programs_may_die())
		model_failed(__FILE__, __LINE__, "thread %u has a lock that %u has", tid, *holder);
	if (!programs_may_die() && *holder != REVIVED)
		MODEL_EQUAL(*holder == DEAD, (value & FUTEX_OWNER_DIED) != 0); /* P6 */
	*holder = tid;
	taken++;
	for (; value & FUTEX_OWNER_DIED; value = seen) {
		seen = user_cmpxchg32(l->word, value, value & ~(uint32_t)FUTEX_OWNER_DIED);
		if (seen == value)
			break;
	}
}

/* Its owner is gone, and nobody would give it back: makes it free, unless another was faster. */
static void revive(const struct lock *l)
{
	uint32_t value = user_load32(l->word), *holder = holder_of(l), before = *holder;
	struct task *owner = task_find((int)(value & FUTEX_TID_MASK));

	if (owner)
		task_put(owner);
	if (owner || !(value & FUTEX_TID_MASK) || *holder != before)
		return;
	MODEL_CHECK(before >= REVIVED || programs_may_die());
	*holder = REVIVED;
	user_cmpxchg32(l->word, value, 0);
}

struct attempt {
	uint64_t command, ns; /* ns 0: no time-out */
	bool fast, has_others;
};

static struct attempt draw_attempt(struct model_op *op)
{
	static const unsigned commands[] = {FUTEX_LOCK_PI, FUTEX_LOCK_PI2, FUTEX_LOCK_PI, FUTEX_TRYLOCK_PI};

	return (struct attempt){
	    .command = commands[model_below(op, 4)],
	    .ns = model_chance(op, 30) ? 1 + model_below(op, TIMEOUT_MAX) : 0,
	    .fast = model_chance(op, 50),
	};
}

static bool lock(const struct lock *l, const struct attempt *a, uint32_t tid)
{
	if (a->fast && user_cmpxchg32(l->word, 0, tid) == 0) {
		note_taken(l, tid);
		return true;
	}
	for (;;) {
		uint64_t clock = hal_clock_ns(), wall = hal_wall_ns();
		uaddr_t until = a->ns ? store_time((a->command == FUTEX_LOCK_PI ? wall : clock) + a->ns) : 0;
		int64_t result = futex(l->word, a->command | l->flag, until);

		check_lending();
		if (result == 0) {
			note_taken(l, tid);
			return true;
		}
		if (result == -ESRCH) {
			revive(l);
			continue;
		}
		if (result == -EDEADLK)
			MODEL_CHECK(a->has_others); /* P2 */
		else if (result == -ETIMEDOUT)
			MODEL_CHECK(a->ns && (hal_clock_ns() >= clock + a->ns || hal_wall_ns() >= wall + a->ns)); /* P7 */
		else if (!(result == -EAGAIN && a->command == FUTEX_TRYLOCK_PI))
			MODEL_CHECK(programs_may_die() && (result == -ENOMEM || result == -EFAULT));
		return false;
	}
}

static void unlock(const struct lock *l, uint32_t tid)
{
	int64_t result;

	MODEL_EQUAL(*holder_of(l), tid);
	*holder_of(l) = FREE;
	if (user_cmpxchg32(l->word, tid, 0) == tid)
		return;
	result = futex(l->word, FUTEX_UNLOCK_PI | l->flag, 0);
	MODEL_CHECK(result == 0 || (result == -EFAULT && programs_may_die()));
}

/* Several, in any order: circles come about. */
static void with_locks(struct model_op *op, unsigned process, uint32_t tid)
{
	unsigned wanted = 1 + (unsigned)model_below(op, HELD_MAX), held = 0, first = (unsigned)model_below(op, 2 * LOCKS);
	unsigned step = 1 + 2 * (unsigned)model_below(op, LOCKS); /* odd: each one comes once */
	struct lock locks[HELD_MAX];

	for (unsigned i = 0; i < wanted; i++) {
		struct attempt a = draw_attempt(op);

		a.has_others = held > 0;
		locks[held] = lock_at(process, (first + i * step) % (2 * LOCKS));
		if (!lock(&locks[held], &a, tid))
			break;
		held++;
		rest(op);
	}
	check_lending();
	while (held > 0) {
		unlock(&locks[--held], tid);
		rest(op);
	}
	check_owns_nothing();
}

/* ---- from a word to a lock ---- */

/* Which lock of which kind a condition is for: the number of both. */
static struct lock condition_lock(struct model_op *op, unsigned process)
{
	return lock_at(process, (unsigned)model_below(op, 2) * LOCKS);
}

static uaddr_t condition_of(const struct lock *l)
{
	return l->domain ? USER_GLOBALS + CONDITION : SHARED + CONDITION;
}

static void wait_for_lock(struct model_op *op, unsigned process, uint32_t tid)
{
	struct lock l = condition_lock(op, process);
	uaddr_t word = condition_of(&l);
	uint64_t from = (uint64_t)hal_clock_ns(), ns = 1 + model_below(op, TIMEOUT_MAX);
	uint32_t value = user_load32(word);
	int64_t result;

	result = user_call(__NR_futex, word, FUTEX_WAIT_REQUEUE_PI | l.flag, value, store_time(from + ns), l.word, 0);
	check_lending();
	if (result == 0) {
		note_taken(&l, tid); /* P8, P1 */
		rest(op);
		unlock(&l, tid);
	} else if (result == -ETIMEDOUT) {
		MODEL_CHECK((uint64_t)hal_clock_ns() >= from + ns); /* P7 */
	} else {
		MODEL_CHECK(result == -EAGAIN || (programs_may_die() && (result == -ENOMEM || result == -EFAULT)));
	}
	check_owns_nothing();
}

/* As who signals a condition does, with the lock or without it. */
static void move_to_lock(struct model_op *op, unsigned process, uint32_t tid)
{
	struct lock l = condition_lock(op, process);
	uaddr_t word = condition_of(&l);
	bool with_lock = model_chance(op, 50);
	struct attempt a = {.command = FUTEX_LOCK_PI, .fast = true};
	uint64_t most = 1 + model_below(op, 3);
	uint32_t value;
	int64_t result;

	if (with_lock && !lock(&l, &a, tid))
		return;
	value = user_load32(word) + 1;
	user_store32(word, value);
	if (model_chance(op, 20))
		MODEL_CHECK(user_call(__NR_futex, word, FUTEX_WAKE | l.flag, 1, 0, 0, 0) <= 0); /* P8 */
	result = user_call(__NR_futex, word, FUTEX_CMP_REQUEUE_PI | l.flag, 1, most - 1, l.word, value);
	if (result >= 0)
		MODEL_CHECK((uint64_t)result <= most && result < (int64_t)WORKERS); /* P8 */
	else
		MODEL_CHECK(result == -EAGAIN || result == -ESRCH || (programs_may_die() && (result == -ENOMEM || result == -EFAULT)));
	check_lending();
	if (with_lock)
		unlock(&l, tid);
	check_owns_nothing();
}

/* ---- priorities ---- */

static void set_priority(int64_t tid, unsigned real_time, int nice)
{
	uaddr_t at = user_scratch();

	changing++;
	user_store(at, real_time);
	user_call(__NR_sched_setscheduler, (uint64_t)tid, real_time ? SCHED_FIFO : SCHED_NORMAL, at);
	if (!real_time)
		user_call(__NR_setpriority, PRIO_PROCESS, (uint64_t)tid, (uint64_t)nice);
	changing--;
}

static void change_priority(struct model_op *op)
{
	int tid = tids[model_below(op, WORKERS)];
	unsigned real_time = model_chance(op, 50) ? 1 + (unsigned)model_below(op, 3) : 0;
	int nice = (int)model_below(op, 6);

	if (tid)
		set_priority(tid, real_time, nice);
}

/* ---- ends ---- */

/* bits: 0 .. 1 the lock, 2: shared by a robust list, 3: a process, which kills itself; 4: the process that it is of */
static void victim(uint64_t bits)
{
	struct lock l = lock_at((unsigned)(bits >> 4 & 1), bits & (2 * LOCKS - 1));
	uint32_t tid = (uint32_t)user_call(__NR_gettid);
	struct attempt a = {.command = FUTEX_LOCK_PI};
	uaddr_t head = user_scratch() + HEAD, entry = l.word - 8;

	user_store(head, head);
	user_store(head + 8, 8);
	user_store(head + 16, 0);
	if (lock(&l, &a, tid)) {
		if (bits & 4) {
			user_store(entry, head);
			user_store(head, entry | 1);
			user_call(__NR_set_robust_list, head, 24);
		}
		*holder_of(&l) = DEAD;
		if (bits & 8)
			user_call(__NR_kill, (uint64_t)user_call(__NR_getpid), SIGKILL);
	}
	victims[bits >> 4 & 1] -= !(bits & 8);
	user_exit_thread(0);
}

static void death(struct model_op *op, unsigned process)
{
	uint64_t bits = model_below(op, 8) | process << 4;
	int64_t pid;

	_Static_assert(2 * LOCKS == 4, "two bits");
	if (model_chance(op, 50) || trying) {
		victims[process]++;
		pid = user_clone(USER_THREAD, 0, victim, bits);
		MODEL_CHECK(pid > 0 || model_may_fail());
		victims[process] -= pid < 0;
		return;
	}
	if ((bits & 3) >= LOCKS) /* a child's private lock is its own */
		bits -= LOCKS;
	forking++;
	pid = user_fork(victim, bits | 8);
	forking--;
	MODEL_CHECK(pid > 0 || model_may_fail());
	if (pid > 0)
		while (user_call(__NR_wait4, (uint64_t)pid, 0, 0, 0) == -EINTR)
			;
}

/* ---- an inversion ---- */

static struct trial {
	bool chain, first_taken, second_taken, ready, done;
	unsigned ended;
} trials[WORKERS];

static void prepare_trial(unsigned real_time)
{
	user_store(user_scratch(), 1);
	user_call(__NR_sched_setaffinity, 0, 8, user_scratch());
	set_priority(0, real_time, 0);
}

static void take_trial_lock(uint64_t w, unsigned i)
{
	MODEL_EQUAL(futex(TRIAL(w, i), FUTEX_LOCK_PI_PRIVATE, 0), 0);
}

static void give_trial_lock(uint64_t w, unsigned i)
{
	MODEL_EQUAL(futex(TRIAL(w, i), FUTEX_UNLOCK_PI_PRIVATE, 0), 0);
}

static void trial_low(uint64_t w)
{
	prepare_trial(0);
	take_trial_lock(w, 0);
	trials[w].first_taken = true;
	nap(30000);
	for (unsigned i = 0; i < 5; i++)
		user_call(__NR_sched_yield);
	give_trial_lock(w, 0);
	trials[w].ended++;
	user_exit_thread(0);
}

/* Waits for the first lock with the second. */
static void trial_between(uint64_t w)
{
	prepare_trial(0);
	take_trial_lock(w, 1);
	trials[w].second_taken = true;
	take_trial_lock(w, 0);
	give_trial_lock(w, 0);
	give_trial_lock(w, 1);
	trials[w].ended++;
	user_exit_thread(0);
}

static bool trial_is_set(uint64_t w)
{
	return trials[w].ready && trials[w].first_taken && (!trials[w].chain || trials[w].second_taken);
}

/* Less and less often, or those who are to set it would not get on. */
static void await_set(uint64_t w)
{
	for (uint64_t ns = 10000; !trial_is_set(w); ns *= 2)
		nap(ns);
}

static void trial_high(uint64_t w)
{
	prepare_trial(50);
	trials[w].ready = true; /* before somebody computes without end where it has to start */
	await_set(w);
	take_trial_lock(w, trials[w].chain);
	trials[w].done = true;
	give_trial_lock(w, trials[w].chain);
	trials[w].ended++;
	user_exit_thread(0);
}

static void trial_hog(uint64_t w)
{
	prepare_trial(30);
	await_set(w);
	for (unsigned i = 0; !trials[w].done; i++) {
		if (i == HOG_MAX)
			model_failed(__FILE__, __LINE__, "a thread that waits is held up by one that is less urgent"); /* P5 */
		user_call(__NR_sched_yield);
	}
	trials[w].ended++;
	user_exit_thread(0);
}

static void inversion(struct model_op *op, unsigned worker)
{
	static const user_fn parts[] = {trial_low, trial_high, trial_hog, trial_between};
	struct trial *t = &trials[worker];
	unsigned n;

	if (model_may_fail() || forking)
		return;
	trying++;
	*t = (struct trial){.chain = model_chance(op, 50)};
	n = t->chain ? 4 : 3;
	for (unsigned i = 0; i < 2; i++)
		user_store32(TRIAL(worker, i), 0);
	for (unsigned i = 0; i < n; i++)
		MODEL_CHECK(user_clone(USER_THREAD, 0, parts[i], worker) > 0);
	for (uint64_t ns = 20000; t->ended < n; ns *= 2)
		nap(ns);
	trying--;
}

/* ---- workers ---- */

static void work(struct model_op *op, unsigned worker, uint32_t tid)
{
	switch (model_below(op, 16)) {
	case 0:
	case 1:
		return change_priority(op);
	case 2:
		return death(op, worker / 2);
	case 3:
		return inversion(op, worker);
	case 4:
	case 5:
		return wait_for_lock(op, worker / 2, tid);
	case 6:
	case 7:
		return move_to_lock(op, worker / 2, tid);
	default:
		return with_locks(op, worker / 2, tid);
	}
}

static void worker(uint64_t arg)
{
	struct model_op op = MODEL_OPS(arg);
	uint32_t tid = (uint32_t)user_call(__NR_gettid);

	user_place((unsigned)arg);
	tids[arg] = (int)tid;
	while (model_next(&op)) {
		work(&op, (unsigned)arg, tid);
		model_state(taken ^ (uint64_t)holders[0][0] << 20 ^ (uint64_t)task_self()->thread.urgency << 40);
	}
	tids[arg] = 0;
	if (arg % 2)
		user_exit_thread(0);
}

/* A process: the caller and a thread of its. */
static void pair(uint64_t first)
{
	uaddr_t tid = USER_GLOBALS + TID;
	int64_t second;

	user_store(tid, 1);
	second = user_clone(USER_THREAD | CLONE_CHILD_CLEARTID, tid, worker, first + 1);
	MODEL_CHECK(second > 0 || model_may_fail());
	worker(first);
	for (uint64_t ns = 50000; (second > 0 && user_load32(tid) != 0) || victims[first / 2] > 0; ns *= 2)
		nap(ns);
}

static void program(uint64_t arg)
{
	int64_t pid;

	(void)arg;
	sim_faults_arm(false);
	MODEL_EQUAL(user_call(__NR_mmap, SHARED, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, UINT64_MAX, 0),
		    SHARED);
	user_store(SHARED, 0);
	user_prepare_stack();
	sim_faults_arm(true);
	pid = user_fork(pair, 2);
	MODEL_CHECK(pid > 0 || model_may_fail());
	pair(0);
	if (pid > 0)
		while (user_call(__NR_wait4, (uint64_t)pid, 0, 0, 0) == -EINTR)
			;
	user_finished();
}

static void run(void)
{
	programs_run(program);
	MODEL_CHECK(programs_ended_well() || programs_may_die());
}

MODEL_DEFINE(inheritance, .what = "locks with priority inheritance", .prepare = programs_prepare, .run = run, .cpus = 4, .operations = 24);
