/* SPDX-License-Identifier: MIT */
/*
 * System V IPC. Processes share a set, a queue and a segment, and make short-lived ones of their own.
 *
 *   lock      a semaphore of 1 lets one in at a time; who dies inside, with SEM_UNDO, lets the next one in, with all that it did taken back
 *   permits   a semaphore of 2, of which one or both are taken at once, is never over
 *   pair      amounts move from one semaphore to another in one call: the sum of both is the same at any time
 *   messages  a receiver finds the messages of one sender in their order; all that is sent is received or left in the queue
 *   memory    a word written through one attachment is read through all, also in a child, after removal, and nothing of it after the end
 *   removal   who waits for what is removed is told; ids of what was removed are no longer good
 *
 * Signals come at any time. A lost wake-up is a deadlock; what is left over, the world counts. Where programs may die for want of memory, all
 * is done under SEM_UNDO, nothing waits for messages, and figures are not compared.
 */
#include "program.h"

#include <asm/signal.h>
#include <cloudos/errno.h>
#include <cloudos/fs.h>
#include <cloudos/string.h>
#include <cloudos/sysv.h>
#include <hal/hal.h>
#include <linux/wait.h>

#define WORKERS	  3
#define PAIR_SUM  6
#define WORDS_EACH 2
#define ROOM	  64 /* bytes that the queue takes */
#define TEXT_MAX  40
#define NAP_MAX_NS UINT64_C(100000000)
#define INDICES	  64 /* of ids: more objects than there are at a time */
#define ATTACH_AT(worker, i) (USER_FREE + (uaddr_t)(worker) * 0x100000 + (uaddr_t)(i) * 0x10000)

enum { LOCK, PERMITS, PAIR_A, PAIR_B, MARK, SEMS };

static int set, queue, segment;
static int64_t pids[WORKERS];

static struct {
	unsigned holder; /* 1 + user_number() */
	bool doomed;	 /* the holder is about to end */
	unsigned permits;
} inside;

static struct {
	uint64_t sent[WORKERS], received[WORKERS];
	uint64_t last[WORKERS + 1][WORKERS]; /* by receiver and sender */
} mail;

static uint64_t words[WORKERS * WORDS_EACH]; /* of the shared segment: each worker's own, or two would store in another order than they note */

/* ---- semaphores ---- */

static int64_t operate(int id, const struct sembuf *ops, unsigned n, uint64_t timeout_ns)
{
	uint64_t packed[4] = {0};
	uaddr_t at = user_scratch(), time = at + 64;

	memcpy(packed, ops, n * sizeof(*ops));
	user_write(at, packed, sizeof(packed));
	user_store(time, 0);
	user_store(time + 8, timeout_ns);
	return user_call(__NR_semtimedop, (uint64_t)id, at, n, timeout_ns ? time : 0);
}

/* Until it is done, whatever signals come. False: there is no memory for an undo list. */
static bool operate_all(const struct sembuf *ops, unsigned n)
{
	int64_t result;

	do
		result = operate(set, ops, n, 0);
	while (result == -EINTR);
	MODEL_CHECK(result == 0 || ((result == -ENOMEM || result == -EFAULT) && programs_may_die()));
	return result == 0;
}

static void rest(struct model_op *op)
{
	if (model_chance(op, 40))
		user_call(__NR_sched_yield);
}

static void enter(void)
{
	MODEL_CHECK(inside.holder == 0 || inside.doomed || programs_may_die());
	inside.holder = 1 + user_number();
	inside.doomed = false;
}

/* A flag of operations that do not outlive the process. */
static short flag_undo(bool wanted)
{
	return wanted || programs_may_die() ? SEM_UNDO : 0;
}

static void lock(struct model_op *op)
{
	short undo = flag_undo(model_chance(op, 50));

	if (!operate_all(&(struct sembuf){LOCK, -1, undo}, 1))
		return;
	enter();
	MODEL_EQUAL(user_call(__NR_semctl, (uint64_t)set, MARK, GETVAL, 0), 0);
	rest(op);
	MODEL_EQUAL(inside.holder, 1 + user_number());
	inside.holder = 0;
	(void)operate_all(&(struct sembuf){LOCK, 1, undo}, 1);
}

static void permits(struct model_op *op)
{
	short n = (short)(1 + model_below(op, 2));

	if (!operate_all(&(struct sembuf){PERMITS, (short)-n, flag_undo(false)}, 1))
		return;
	inside.permits += (unsigned)n;
	MODEL_CHECK(inside.permits <= 2 || programs_may_die());
	rest(op);
	inside.permits -= (unsigned)n;
	(void)operate_all(&(struct sembuf){PERMITS, n, flag_undo(false)}, 1);
}

static void move(struct model_op *op)
{
	unsigned short from = (unsigned short)(PAIR_A + model_below(op, 2)), to = PAIR_A + PAIR_B - from;
	short n = (short)(1 + model_below(op, 4)), flags = model_chance(op, 50) ? IPC_NOWAIT : 0;
	uint64_t ns = 1000 + model_below(op, 50000), start = hal_clock_ns();
	const struct sembuf down = {from, (short)-n, flags}, up = {to, n, flags};
	bool up_first = model_chance(op, 50);
	int64_t result = operate(set, up_first ? (struct sembuf[]){up, down} : (struct sembuf[]){down, up}, 2, ns);

	MODEL_CHECK(result == 0 || result == -EINTR || result == -EAGAIN || (result == -EFAULT && programs_may_die()));
	if (result == -EAGAIN && !flags)
		MODEL_CHECK(hal_clock_ns() - start >= ns);
}

static void look_at_pair(void)
{
	uaddr_t at = user_scratch();
	uint64_t packed[2];
	uint16_t values[SEMS];
	int64_t result = user_call(__NR_semctl, (uint64_t)set, 0, GETALL, at);

	if (result == -ENOMEM || result == -EFAULT) {
		MODEL_CHECK(programs_may_die());
		return;
	}
	MODEL_EQUAL(result, 0);
	user_read(packed, at, sizeof(packed));
	memcpy(values, packed, sizeof(values));
	MODEL_EQUAL(values[PAIR_A] + values[PAIR_B], PAIR_SUM);
	MODEL_CHECK(values[LOCK] <= 1 && values[PERMITS] <= 2);
}

static void die_inside(uint64_t killed)
{
	const struct sembuf ops[] = {{LOCK, -1, SEM_UNDO}, {MARK, 1, SEM_UNDO}};

	if (!operate_all(ops, 2))
		user_exit(0);
	enter();
	inside.doomed = true;
	if (killed)
		user_call(__NR_kill, (uint64_t)user_call(__NR_getpid), SIGKILL);
	user_exit(0);
}

static void reap(int64_t pid)
{
	if (pid > 0)
		while (user_call(__NR_wait4, (uint64_t)pid, 0, 0, 0) == -EINTR)
			;
	else
		MODEL_CHECK(model_may_fail());
}

/* ---- messages ---- */

static void store_message(uaddr_t at, unsigned sender, uint64_t number, size_t size)
{
	user_store(at, 1 + sender);
	user_store(at + 8, number);
	user_store(at + 16, size);
}

static void send(struct model_op *op, unsigned worker)
{
	size_t size = 16 + model_below(op, TEXT_MAX - 16);
	uint64_t flags = model_chance(op, 60) || programs_may_die() ? IPC_NOWAIT : 0;
	int64_t result;

	store_message(user_scratch(), worker, mail.sent[worker] + 1, size);
	mail.sent[worker]++;
	result = user_call(__NR_msgsnd, (uint64_t)queue, user_scratch(), size, flags);
	MODEL_CHECK(result == 0 || result == -EINTR || (result == -EAGAIN && flags) ||
		    ((result == -ENOMEM || result == -EFAULT) && programs_may_die()));
	if (result)
		mail.sent[worker]--;
}

static void check_message(unsigned worker, uaddr_t at, int64_t size)
{
	uint64_t sender = user_load(at) - 1, number = user_load(at + 8);

	MODEL_CHECK(sender < WORKERS);
	MODEL_EQUAL(user_load(at + 16), (uint64_t)size);
	MODEL_CHECK(number > mail.last[worker][sender] && (number <= mail.sent[sender] || programs_may_die()));
	mail.last[worker][sender] = number;
	mail.received[sender]++;
}

static int64_t receive(unsigned worker, int64_t type, uint64_t flags)
{
	int64_t result = user_call(__NR_msgrcv, (uint64_t)queue, user_scratch(), TEXT_MAX, (uint64_t)type, flags);

	if (result >= 0)
		check_message(worker, user_scratch(), result);
	else
		MODEL_CHECK(result == -EINTR || result == -ENOMSG || result == -E2BIG || (result == -EFAULT && programs_may_die()));
	return result;
}

static void receive_some(struct model_op *op, unsigned worker)
{
	int64_t type = (int64_t)model_below(op, 2 * WORKERS + 1) - WORKERS;

	uint64_t flags = (type > 0 && model_chance(op, 40) ? MSG_EXCEPT : 0) | (model_chance(op, 60) ? IPC_NOWAIT : 0);

	(void)receive(worker, type, programs_may_die() ? flags | IPC_NOWAIT : flags); /* the first process sees to it that none waits for ever */
}

/* ---- memory ---- */

static void attach(struct model_op *op, unsigned worker)
{
	unsigned i = (unsigned)model_below(op, 3), word = worker * WORDS_EACH + (unsigned)model_below(op, WORDS_EACH);
	uaddr_t at = ATTACH_AT(worker, i);
	int64_t result = user_call(__NR_shmat, (uint64_t)segment, at, 0);

	MODEL_CHECK(result == (int64_t)at || (result == -ENOMEM && model_may_fail()) || result == -EINVAL);
	if (result == -EINVAL || result == (int64_t)at) {
		user_store(at + 0x1000 * (word & 1) + 8 * word, op->number + 1);
		words[word] = op->number + 1; /* nothing comes between the two */
	}
	if (model_chance(op, 50) && result != -ENOMEM)
		MODEL_EQUAL(user_call(__NR_shmdt, at), 0);
}

struct heir {
	int id;
	uaddr_t at;
	uint64_t word;
};

static struct heir heirs[WORKERS];

static void inherit(uint64_t worker)
{
	const struct heir *h = &heirs[worker];

	user_call(__NR_sched_yield);
	MODEL_EQUAL(user_load(h->at), h->word);
	MODEL_EQUAL(user_call(__NR_shmdt, h->at), 0);
	user_exit(0);
}

static uint64_t attached(int id)
{
	uaddr_t at = user_scratch();

	if (user_call(__NR_shmctl, (uint64_t)id, IPC_STAT, at))
		return UINT64_MAX;
	return user_load(at + offsetof(struct shmid64_ds, shm_nattch));
}

/* A segment that is removed while it is mapped, perhaps by a child too. */
static void inheritance(struct model_op *op, unsigned worker)
{
	struct heir *h = &heirs[worker];
	bool leave_first = model_chance(op, 50);
	int64_t id = user_call(__NR_shmget, IPC_PRIVATE, 0x2000, 0600), pid;

	*h = (struct heir){(int)id, ATTACH_AT(worker, 8), op->number + 1};
	if (id < 0 || user_call(__NR_shmat, (uint64_t)id, h->at, 0) < 0) {
		MODEL_CHECK(model_may_fail());
		if (id >= 0)
			user_call(__NR_shmctl, (uint64_t)id, IPC_RMID, 0);
		return;
	}
	user_store(h->at, h->word);
	MODEL_EQUAL(attached(h->id), 1);
	pid = user_fork(inherit, worker);
	MODEL_EQUAL(user_call(__NR_shmctl, (uint64_t)id, IPC_RMID, 0), 0);
	if (leave_first)
		MODEL_EQUAL(user_call(__NR_shmdt, h->at), 0);
	else
		MODEL_EQUAL(user_load(h->at), h->word);
	reap(pid);
	if (!leave_first && pid > 0)
		MODEL_EQUAL(attached(h->id), 1);
	if (!leave_first)
		MODEL_EQUAL(user_call(__NR_shmdt, h->at), 0);
	MODEL_EQUAL(attached(h->id), UINT64_MAX);
}

/* ---- removal ---- */

static int doomed[WORKERS];

static void wait_for_set(uint64_t worker)
{
	int64_t result;

	do
		result = operate(doomed[worker], &(struct sembuf){0, -1, model_may_fail() ? 0 : SEM_UNDO}, 1, 0);
	while (result == -EINTR);
	MODEL_CHECK(result == -EIDRM || result == -EINVAL || programs_may_die());
	user_exit(0);
}

static void wait_for_queue(uint64_t worker)
{
	int64_t result = user_call(__NR_msgrcv, (uint64_t)doomed[worker], user_scratch(), TEXT_MAX, 0, 0);

	MODEL_CHECK(result == -EIDRM || result == -EINVAL || programs_may_die());
	user_exit(0);
}

static void removal(struct model_op *op, unsigned worker)
{
	bool is_set = model_chance(op, 50);
	int64_t id = is_set ? user_call(__NR_semget, IPC_PRIVATE, 2, 0600) : user_call(__NR_msgget, IPC_PRIVATE, 0600), pid, result;

	if (id < 0) {
		MODEL_CHECK(id == -ENOMEM && model_may_fail());
		return;
	}
	doomed[worker] = (int)id;
	pid = user_fork(is_set ? wait_for_set : wait_for_queue, worker);
	rest(op);
	rest(op);
	if (is_set)
		result = user_call(__NR_semctl, (uint64_t)id, 0, IPC_RMID, 0);
	else
		result = user_call(__NR_msgctl, (uint64_t)id, IPC_RMID, 0);
	MODEL_EQUAL(result, 0);
	reap(pid);
	if (is_set)
		MODEL_EQUAL(user_call(__NR_semctl, (uint64_t)id, 0, GETVAL, 0), -EINVAL);
}

/* ---- one change for several that wait ---- */

static void take_one(uint64_t worker)
{
	MODEL_CHECK(operate(doomed[worker], &(struct sembuf){1, -1, 0}, 1, 0) == 0 || programs_may_die());
	user_exit(0);
}

static void crowd(struct model_op *op, unsigned worker)
{
	int64_t id = user_call(__NR_semget, IPC_PRIVATE, 2, 0600), children[2];

	if (id < 0) {
		MODEL_CHECK(id == -ENOMEM && model_may_fail());
		return;
	}
	doomed[worker] = (int)id;
	for (unsigned i = 0; i < 2; i++)
		children[i] = user_fork(take_one, worker);
	rest(op);
	rest(op);
	(void)operate((int)id, &(struct sembuf){1, 2, 0}, 1, 0);
	for (unsigned i = 0; i < 2; i++)
		reap(children[i]);
	MODEL_EQUAL(user_call(__NR_semctl, (uint64_t)id, 0, IPC_RMID, 0), 0);
}

/* ---- all of it ---- */

static void nothing(int signo, uaddr_t info, uaddr_t context)
{
	(void)signo;
	(void)info;
	(void)context;
}

static void interrupt(int64_t pid)
{
	if (pid > 0)
		user_call(__NR_kill, (uint64_t)pid, SIGUSR1);
}

static void operation(struct model_op *op, unsigned worker)
{
	switch (model_below(op, 15)) {
	case 0:
	case 1:
		return lock(op);
	case 2:
		return permits(op);
	case 3:
	case 4:
		return move(op);
	case 5:
		return look_at_pair();
	case 6:
		return reap(user_fork(die_inside, model_below(op, 2)));
	case 7:
	case 8:
		return send(op, worker);
	case 9:
		return receive_some(op, worker);
	case 10:
		return attach(op, worker);
	case 11:
		return inheritance(op, worker);
	case 12:
		return removal(op, worker);
	case 13:
		return crowd(op, worker);
	default:
		return interrupt(pids[model_below(op, WORKERS)]);
	}
}

static void work(uint64_t worker)
{
	struct model_op op = MODEL_OPS(worker);

	user_place((unsigned)worker);
	while (model_next(&op)) {
		operation(&op, (unsigned)worker);
		model_state(mail.sent[0] << 32 ^ mail.received[0] << 16 ^ inside.holder);
	}
	user_exit(0);
}

static void set_up(void)
{
	uaddr_t at = user_scratch();
	const uint16_t values[SEMS] = {1, 2, PAIR_SUM, 0, 0};
	uint64_t packed[2] = {0};

	set = (int)user_call(__NR_semget, IPC_PRIVATE, SEMS, 0600);
	queue = (int)user_call(__NR_msgget, IPC_PRIVATE, 0600);
	segment = (int)user_call(__NR_shmget, IPC_PRIVATE, 0x2000, 0600);
	MODEL_CHECK(set >= 0 && queue >= 0 && segment >= 0);
	memcpy(packed, values, sizeof(values));
	user_write(at, packed, sizeof(packed));
	MODEL_EQUAL(user_call(__NR_semctl, (uint64_t)set, 0, SETALL, at), 0);
	MODEL_EQUAL(user_call(__NR_msgctl, (uint64_t)queue, IPC_STAT, at), 0);
	user_store(at + offsetof(struct msqid64_ds, msg_qbytes), ROOM);
	MODEL_EQUAL(user_call(__NR_msgctl, (uint64_t)queue, IPC_SET, at), 0);
}

static void nap(uint64_t ns)
{
	uaddr_t at = user_scratch();

	user_store(at, 0);
	user_store(at + 8, ns);
	user_call(__NR_nanosleep, at, 0);
}

/* A sender that waits for room while nobody receives is helped by the first process, and a receiver is interrupted. */
static void wait_for_workers(unsigned n)
{
	uint64_t ns = 50000;

	while (n > 0) {
		int64_t pid = user_call(__NR_wait4, UINT64_MAX, 0, WNOHANG, 0);

		if (pid > 0)
			n--;
		else if (receive(WORKERS, 0, IPC_NOWAIT) < 0)
			nap(ns = min(ns * 2, NAP_MAX_NS)); /* slow CPUs must get on between two signals */
		for (unsigned i = 0; i < WORKERS; i++)
			interrupt(pids[i]);
	}
}

static void take_down(void)
{
	while (receive(WORKERS, 0, IPC_NOWAIT) >= 0)
		;
	look_at_pair();
	for (unsigned i = 0; i < WORKERS && !programs_may_die(); i++)
		MODEL_EQUAL(mail.sent[i], mail.received[i]);
	if (!programs_may_die()) {
		MODEL_EQUAL(user_call(__NR_semctl, (uint64_t)set, LOCK, GETVAL, 0), 1);
		MODEL_EQUAL(user_call(__NR_semctl, (uint64_t)set, PERMITS, GETVAL, 0), 2);
	}
	MODEL_CHECK(attached(segment) == 0 || programs_may_die()); /* children of the dead may be left */
	MODEL_EQUAL(user_call(__NR_shmat, (uint64_t)segment, ATTACH_AT(0, 0), 0), ATTACH_AT(0, 0));
	for (unsigned i = 0; i < WORKERS * WORDS_EACH && !programs_may_die(); i++)
		MODEL_EQUAL(user_load(ATTACH_AT(0, 0) + 0x1000 * (i & 1) + 8 * i), words[i]);
	MODEL_EQUAL(user_call(__NR_shmctl, (uint64_t)segment, IPC_RMID, 0), 0);
	MODEL_EQUAL(user_call(__NR_semctl, (uint64_t)set, 0, IPC_RMID, 0), 0);
	MODEL_EQUAL(user_call(__NR_msgctl, (uint64_t)queue, IPC_RMID, 0), 0);
}

static void program(uint64_t arg)
{
	unsigned started = 0;

	(void)arg;
	sim_faults_arm(false);
	user_action(SIGUSR1, nothing, 0, 0);
	user_prepare_stack();
	set_up();
	for (unsigned i = 0; i < WORKERS; i++) {
		pids[i] = user_fork(work, i);
		started += pids[i] > 0;
	}
	sim_faults_arm(true);
	wait_for_workers(started);
	model_recover();
	take_down();
	user_finished();
	user_exit(0);
}

/* What programs that died have left behind. */
static void clear(void)
{
	struct semid64_ds sem;
	struct msqid64_ds msg;
	struct shmid64_ds shm;
	int64_t id;

	MODEL_EQUAL(vfs_adopt_kernel_thread(), 0);
	for (int i = 0; i < INDICES; i++) {
		if ((id = sem_stat(i, IPC_BY_INDEX_ANY, &sem)) >= 0)
			MODEL_EQUAL(sem_remove((int)id), 0);
		if ((id = msg_stat(i, IPC_BY_INDEX_ANY, &msg)) >= 0)
			MODEL_EQUAL(msg_remove((int)id), 0);
		if ((id = shm_stat(i, IPC_BY_INDEX_ANY, &shm)) >= 0)
			MODEL_EQUAL(shm_remove((int)id), 0);
	}
	vfs_release_kernel_thread();
}

static void run(void)
{
	programs_run(program);
	MODEL_CHECK(programs_ended_well() || programs_may_die());
	model_recover();
	if (programs_may_die())
		clear();
}

MODEL_DEFINE(sysv, .what = "System V semaphores, messages and shared memory", .prepare = programs_prepare, .run = run, .cpus = 4,
	     .operations = 60);
