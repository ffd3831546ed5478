/* SPDX-License-Identifier: MIT */
/*
 * Futexes. Two processes of two threads each share a page; each has private words besides.
 *
 *   mutexes      as C libraries make them (0 free, 1 held, 2 held and perhaps waited for); two counters that must agree stand
 *                behind each
 *   a buffer     behind such a mutex, with two condition variables (a sequence number; broadcast requeues to the mutex); what is
 *                put is taken, once
 *   bare words   wait, wake, bitsets, requeue, wake-op, in any order: each thread that a call says to have woken is one whose
 *                wait says so (F1), a wait times out no earlier than it should (F2) and refuses to sleep only if the word
 *                is not what it expects (F3); who is woken has a bit in common with a call that was made meanwhile (F5)
 *   robust ones  whose owner exits or is killed: the next one is told, and nobody waits for ever (F4)
 *
 * A lost wake-up shows as a deadlock, which the world notices. Nothing of this allocates memory in the kernel, so no
 * allocation fails here: a program that died in the middle of a lock would keep the others waiting rightly.
 */
#include "program.h"

#include <asm/mman.h>
#include <asm/signal.h>
#include <cloudos/errno.h>
#include <cloudos/string.h>
#include <hal/hal.h>
#include <linux/futex.h>
#include <linux/mman.h>
#include <linux/sched.h>
#include <linux/wait.h>
#include <sim/scenario.h>

#define WORKERS	    4
#define MUTEXES	    2 /* of each kind */
#define WORDS	    3
#define BUFFER	    2
#define ROBUST	    2
#define TIMEOUT_MAX 60000
#define BITS	    2
#define ALL_BITS    ((UINT64_C(1) << BITS) - 1)

/* The page that all share, and at the same offsets in USER_GLOBALS what is private to a process. */
#define SHARED	     USER_FREE
#define MUTEX(i)     (64 * (i)) /* word, and at 8 and 16 the counters */
#define WORD(i)	     (0x200 + 64 * (i))
#define OP_WORD	     0x300
#define BUFFER_MUTEX 0x400
#define NOT_FULL     0x440
#define NOT_EMPTY    0x480
#define SLOT(i)	     (0x4c0 + 8 * (i))
#define ROBUST_AT(i) (0x600 + 64 * (i)) /* list entry, and at 8 the word */
#define TID	     0x800
#define HEAD	     384 /* of a thread's robust list, in its scratch memory */

static uint32_t holders[3][MUTEXES]; /* shared, and private of both processes: threads inside */

static struct {
	uint64_t put, taken, sum_put, sum_taken;
} buffer;

static struct {
	uint64_t versions[3][WORDS];
	uint64_t waits, wakes, ops[3];
	uint64_t calls[3][BITS];     /* that wake waiters with this bit, begun so far */
	unsigned under_way[3][BITS]; /* those that have not ended */
} bare;

#define FREE 0u
#define DEAD UINT32_MAX
static uint32_t robust_owner[ROBUST]; /* by the reference: 1 + user_number(), or FREE, or DEAD */
static uint64_t robust_deaths, robust_recoveries;

/* Where a worker's words are: shared (domain 0) or its process's own. */
struct domain {
	unsigned number;
	uaddr_t at;
	uint64_t flag;
};

static struct domain domain_of(struct model_op *op)
{
	if (model_below(op, 2))
		return (struct domain){0, SHARED, 0};
	return (struct domain){1 + (unsigned)op->worker / 2, USER_GLOBALS, FUTEX_PRIVATE_FLAG};
}

static int64_t futex(uaddr_t word, uint64_t command, uint64_t value, uint64_t timeout, uaddr_t word2, uint64_t value3)
{
	return user_call(__NR_futex, word, command, value, timeout, word2, value3);
}

static uaddr_t duration(uint64_t ns)
{
	uaddr_t at = user_scratch() + 64;

	user_store(at, 0);
	user_store(at + 8, ns);
	return at;
}

static void rest(struct model_op *op)
{
	if (model_chance(op, 30))
		user_call(__NR_nanosleep, duration(model_below(op, 20000)), 0);
	else if (model_chance(op, 30))
		user_call(__NR_sched_yield);
}

/* ---- mutexes and condition variables ---- */

static void wait_on(uaddr_t word, uint32_t value, uint64_t flag)
{
	int64_t result = futex(word, FUTEX_WAIT | flag, value, 0, 0, 0);

	MODEL_CHECK(result == 0 || result == -EAGAIN);
}

static void lock_contended(uaddr_t mutex, uint64_t flag)
{
	while (user_swap32(mutex, 2) != 0)
		wait_on(mutex, 2, flag);
}

static void lock(uaddr_t mutex, uint64_t flag)
{
	if (user_cmpxchg32(mutex, 0, 1) != 0)
		lock_contended(mutex, flag);
}

static void unlock(uaddr_t mutex, uint64_t flag)
{
	if (user_swap32(mutex, 0) == 2)
		MODEL_CHECK(futex(mutex, FUTEX_WAKE | flag, 1, 0, 0, 0) <= 1);
}

static void with_mutex(struct model_op *op)
{
	struct domain d = domain_of(op);
	unsigned i = (unsigned)model_below(op, MUTEXES);
	uaddr_t mutex = d.at + MUTEX(i);
	uint64_t a;

	lock(mutex, d.flag);
	MODEL_EQUAL(holders[d.number][i]++, 0);
	a = user_load(mutex + 8);
	MODEL_EQUAL(user_load(mutex + 16), a);
	user_store(mutex + 8, a + 1);
	rest(op);
	user_store(mutex + 16, a + 1);
	MODEL_EQUAL(holders[d.number][i]--, 1);
	unlock(mutex, d.flag);
}

static void condition_wait(uaddr_t condition)
{
	uint32_t sequence = user_load32(condition);

	unlock(SHARED + BUFFER_MUTEX, 0);
	wait_on(condition, sequence, 0);
	lock_contended(SHARED + BUFFER_MUTEX, 0); /* it may have been requeued, and others with it */
}

static void condition_wake(uaddr_t condition, bool all)
{
	uint32_t sequence = user_load32(condition) + 1;
	int64_t result;

	user_store32(condition, sequence);
	if (!all) {
		MODEL_CHECK(futex(condition, FUTEX_WAKE, 1, 0, 0, 0) <= 1);
		return;
	}
	result = futex(condition, FUTEX_CMP_REQUEUE, 1, INT32_MAX, SHARED + BUFFER_MUTEX, sequence);
	MODEL_CHECK(result >= 0 && result < (int64_t)WORKERS);
}

/* Even workers put, odd ones take, each as often as the other side. */
static void pass(uint64_t worker, uint64_t number)
{
	bool put = worker % 2 == 0;

	lock(SHARED + BUFFER_MUTEX, 0);
	while (put ? buffer.put - buffer.taken == BUFFER : buffer.put == buffer.taken)
		condition_wait(SHARED + (put ? NOT_FULL : NOT_EMPTY));
	if (put) {
		user_store(SHARED + SLOT(buffer.put % BUFFER), number);
		buffer.put++;
		buffer.sum_put += number;
	} else {
		buffer.sum_taken += user_load(SHARED + SLOT(buffer.taken % BUFFER));
		buffer.taken++;
	}
	condition_wake(SHARED + (put ? NOT_EMPTY : NOT_FULL), number & 1);
	unlock(SHARED + BUFFER_MUTEX, 0);
}

/* ---- bare words ---- */

static void wake_begins(unsigned domain, uint64_t bits)
{
	for (unsigned i = 0; i < BITS; i++) {
		bare.calls[domain][i] += bits >> i & 1;
		bare.under_way[domain][i] += bits >> i & 1;
	}
}

static void wake_ends(unsigned domain, uint64_t bits)
{
	for (unsigned i = 0; i < BITS; i++)
		bare.under_way[domain][i] -= bits >> i & 1;
}

/* Calls that wake one with such bits: changes if there was a new one, or may be if one is under way. */
static uint64_t wakes_so_far(unsigned domain, uint64_t bits, bool *ret_under_way)
{
	uint64_t sum = 0;

	*ret_under_way = false;
	for (unsigned i = 0; i < BITS; i++) {
		sum += bits >> i & 1 ? bare.calls[domain][i] : 0;
		*ret_under_way |= (bits >> i & 1) && bare.under_way[domain][i];
	}
	return sum;
}

static void bare_wait(struct model_op *op)
{
	struct domain d = domain_of(op);
	unsigned i = (unsigned)model_below(op, WORDS);
	uaddr_t word = d.at + WORD(i);
	bool bitset = model_below(op, 2);
	uint64_t ns = model_below(op, TIMEOUT_MAX), bits = bitset ? 1 + model_below(op, ALL_BITS) : FUTEX_BITSET_MATCH_ANY;
	uint32_t value = user_load32(word);
	uint64_t version = bare.versions[d.number][i], from, calls;
	uaddr_t timeout = duration(ns);
	bool under_way, now;
	int64_t result;

	from = hal_clock_ns();
	if (bitset)
		timeout = duration(from + ns); /* an absolute time */
	calls = wakes_so_far(d.number, bits, &under_way);
	result = futex(word, (bitset ? FUTEX_WAIT_BITSET : FUTEX_WAIT) | d.flag, value, timeout, 0, bits);
	if (result == 0) {
		bare.waits++;
		MODEL_CHECK(under_way || wakes_so_far(d.number, bits, &now) != calls);
	} else if (result == -ETIMEDOUT) {
		MODEL_CHECK((uint64_t)hal_clock_ns() >= from + ns);
	} else {
		MODEL_CHECK(result == -EAGAIN && bare.versions[d.number][i] != version);
	}
}

static void bare_change(struct model_op *op)
{
	struct domain d = domain_of(op);
	unsigned i = (unsigned)model_below(op, WORDS);
	uaddr_t word = d.at + WORD(i);

	bare.versions[d.number][i]++;
	user_store32(word, user_load32(word) + 1);
	bare.versions[d.number][i]++;
}

static void count_woken(int64_t result, uint64_t most)
{
	if (result < 0 || (uint64_t)result > most)
		model_failed(__FILE__, __LINE__, "a call that wakes up to %lu gives %ld", (unsigned long)most, (long)result);
	bare.wakes += (uint64_t)result;
}

static void bare_wake(struct model_op *op)
{
	struct domain d = domain_of(op);
	uaddr_t word = d.at + WORD(model_below(op, WORDS));
	uint64_t most = 1 + model_below(op, 3);
	bool bitset = model_below(op, 2);
	uint64_t bits = bitset ? 1 + model_below(op, ALL_BITS) : ALL_BITS;

	wake_begins(d.number, bits);
	count_woken(futex(word, (bitset ? FUTEX_WAKE_BITSET : FUTEX_WAKE) | d.flag, most, 0, 0, bits), most);
	wake_ends(d.number, bits);
}

static void bare_requeue(struct model_op *op)
{
	struct domain d = domain_of(op);
	unsigned from = (unsigned)model_below(op, WORDS), to = (unsigned)model_below(op, WORDS);
	uint64_t wake = model_below(op, 2), move = model_below(op, 4), version = bare.versions[d.number][from];
	bool compare = model_below(op, 2), outdated = model_chance(op, 20); /* words only grow */
	uint32_t value = user_load32(d.at + WORD(from)) - outdated;
	int64_t result;

	wake_begins(d.number, wake ? ALL_BITS : 0);
	result = futex(d.at + WORD(from), (compare ? FUTEX_CMP_REQUEUE : FUTEX_REQUEUE) | d.flag, wake, move,
		       d.at + WORD(to), value);
	wake_ends(d.number, wake ? ALL_BITS : 0);
	if (result == -EAGAIN) {
		MODEL_CHECK(compare && (outdated || bare.versions[d.number][from] != version));
		return;
	}
	MODEL_CHECK(!(compare && outdated));
	MODEL_CHECK(result >= 0 && (uint64_t)result <= wake + move);
	count_woken((uint64_t)result < wake ? result : (int64_t)wake, wake);
}

static void bare_wake_op(struct model_op *op)
{
	struct domain d = domain_of(op);
	uaddr_t word = d.at + WORD(model_below(op, WORDS));
	uint64_t how = FUTEX_OP(FUTEX_OP_ADD, 1, model_below(op, 6), model_below(op, 4));

	bare.ops[d.number]++;
	wake_begins(d.number, ALL_BITS);
	count_woken(futex(word, FUTEX_WAKE_OP | d.flag, 1, 1, d.at + OP_WORD, how), 2);
	wake_ends(d.number, ALL_BITS);
}

/* ---- robust mutexes ---- */

/* The thread's list: at most one mutex, and the one that it is about to take or give. */
static uaddr_t robust_begin(void)
{
	uaddr_t head = user_scratch() + HEAD;

	user_store(head, head);
	user_store(head + 8, 8); /* from a list entry to its word */
	user_store(head + 16, 0);
	MODEL_EQUAL(user_call(__NR_set_robust_list, head, 24), 0);
	return head;
}

static void robust_take(unsigned i)
{
	MODEL_CHECK(robust_owner[i] == FREE || robust_owner[i] == DEAD);
	robust_owner[i] = 1 + user_number();
}

/* As glibc does it. */
static void robust_lock(uaddr_t head, unsigned i)
{
	uaddr_t entry = SHARED + ROBUST_AT(i), word = entry + 8;
	uint32_t tid = (uint32_t)user_call(__NR_gettid), value = 0, seen, others = 0;

	user_store(head + 16, entry);
	for (;;) {
		if ((value & FUTEX_TID_MASK) == 0) {
			seen = user_cmpxchg32(word, value, tid | (value & FUTEX_WAITERS) | others);
			if (seen == value)
				break;
		} else if (value & FUTEX_WAITERS) {
			wait_on(word, value, 0);
			others = FUTEX_WAITERS; /* who was woken cannot know that it was the only one */
			seen = user_load32(word);
		} else {
			seen = user_cmpxchg32(word, value, value | FUTEX_WAITERS);
			if (seen == value)
				seen = value | FUTEX_WAITERS;
		}
		value = seen;
	}
	if (value & FUTEX_OWNER_DIED)
		robust_recoveries++;
	robust_take(i);
	user_store(entry, head);
	user_store(head, entry);
	user_store(head + 16, 0);
}

static void robust_unlock(uaddr_t head, unsigned i)
{
	uaddr_t entry = SHARED + ROBUST_AT(i), word = entry + 8;

	user_store(head + 16, entry);
	user_store(head, head);
	robust_owner[i] = FREE;
	if (user_swap32(word, 0) & FUTEX_WAITERS)
		MODEL_CHECK(futex(word, FUTEX_WAKE, 1, 0, 0, 0) <= 1);
	user_store(head + 16, 0);
}

static void robust(struct model_op *op)
{
	unsigned i = (unsigned)model_below(op, ROBUST);
	uaddr_t head = robust_begin();

	robust_lock(head, i);
	rest(op);
	robust_unlock(head, i);
}

/* A thread, or process, that ends with the mutex. */
static void victim(uint64_t i)
{
	robust_lock(robust_begin(), (unsigned)(i & 7));
	robust_owner[i & 7] = DEAD;
	robust_deaths++;
	if (i & 8)
		user_call(__NR_kill, (uint64_t)user_call(__NR_getpid), SIGKILL);
	user_exit_thread(0);
}

static void robust_death(struct model_op *op)
{
	uint64_t i = model_below(op, ROBUST);
	int64_t pid;

	if (model_below(op, 2)) {
		MODEL_CHECK(user_clone(USER_THREAD, 0, victim, i) > 0);
		return;
	}
	pid = user_fork(victim, i | 8);
	MODEL_CHECK(pid > 0);
	MODEL_EQUAL(user_call(__NR_wait4, (uint64_t)pid, 0, 0, 0), pid);
}

/* ---- workers ---- */

static void work(struct model_op *op)
{
	switch (model_below(op, 12)) {
	case 0:
	case 1:
		with_mutex(op);
		break;
	case 2:
	case 3:
	case 4:
		bare_wait(op);
		break;
	case 5:
		bare_change(op);
		break;
	case 6:
	case 7:
		bare_wake(op);
		break;
	case 8:
		bare_requeue(op);
		break;
	case 9:
		bare_wake_op(op);
		break;
	case 10:
		robust(op);
		break;
	case 11:
		robust_death(op);
		break;
	}
}

static void worker(uint64_t arg)
{
	struct model_op op = MODEL_OPS(arg);

	user_place((unsigned)arg);
	while (model_next(&op)) {
		work(&op);
		model_state(bare.waits ^ bare.wakes << 8 ^ robust_owner[0] << 16 ^ (buffer.put - buffer.taken) << 24);
	}
	for (uint64_t i = 0; i < model_operations() / 2; i++)
		pass(arg, arg << 20 | i);
	if (arg % 2)
		user_exit_thread(0);
}

/* A process: the caller and a thread of its, then what must hold of the process's own words. */
static void pair(uint64_t first)
{
	uaddr_t tid = USER_GLOBALS + TID;
	uint32_t now;

	user_store(tid, 1);
	MODEL_CHECK(user_clone(USER_THREAD | CLONE_CHILD_CLEARTID, tid, worker, first + 1) > 0);
	worker(first);
	while ((now = user_load32(tid)) != 0)
		futex(tid, FUTEX_WAIT, now, 0, 0, 0);
	for (unsigned i = 0; i < MUTEXES; i++)
		MODEL_EQUAL(user_load(USER_GLOBALS + MUTEX(i) + 8), user_load(USER_GLOBALS + MUTEX(i) + 16));
	MODEL_EQUAL(user_load32(USER_GLOBALS + OP_WORD), bare.ops[1 + first / 2]);
}

static void program(uint64_t arg)
{
	uaddr_t status = user_scratch();
	int64_t pid;

	(void)arg;
	MODEL_EQUAL(user_call(__NR_mmap, SHARED, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED,
			      UINT64_MAX, 0),
		    SHARED);
	pid = user_fork(pair, 2);
	MODEL_CHECK(pid > 0);
	pair(0);
	MODEL_EQUAL(user_call(__NR_wait4, (uint64_t)pid, status), pid);
	MODEL_EQUAL((uint32_t)user_load(status), 0);
	MODEL_EQUAL(user_load32(SHARED + OP_WORD), bare.ops[0]);
	MODEL_EQUAL(bare.waits, bare.wakes);
	MODEL_EQUAL(buffer.put, buffer.taken);
	MODEL_EQUAL(buffer.sum_put, buffer.sum_taken);
	for (unsigned i = 0; i < ROBUST; i++)
		robust_lock(robust_begin(), i);
	MODEL_EQUAL(robust_recoveries, robust_deaths);
	user_finished();
}

static void run(void)
{
	sim_fault_set(SIM_FAULT_MEMORY_ALLOC, 0);
	sim_scenario.fail_allocation = 0;
	programs_run(program);
	MODEL_CHECK(programs_ended_well());
}

MODEL_DEFINE(futexes, .what = "futexes, mutexes made of them, robust lists", .prepare = programs_prepare, .run = run, .cpus = 4,
	     .operations = 16);
