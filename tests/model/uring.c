/* SPDX-License-Identifier: MIT */
/*
 * io_uring. Threads of one program submit reads, polls, time-outs and chains to rings, write to the pipes that those wait for, cancel at random,
 * take completions, close rings while requests are under way, and make children that end with theirs. The reference knows what was
 * submitted and what each completion may say.
 *
 * R1  Every request has one last completion, and none after it; nothing else is completed.
 * R2  What reads have got and what is left in a pipe is what was written: a read that was cancelled has taken nothing.
 * R3  In a chain, what stands behind one that failed is cancelled, and what stands behind one that did not is not, but for its own reasons.
 * R4  A request that drains is completed after all before it, and all behind it after it, but for those that are cancelled.
 * R5  A request whose time comes, whose pipe has bytes, or that is cancelled, comes to its end. In the end nothing is left over.
 *
 * A ring has one user at a time (`busy`); the memory of its submissions is the program's to look after.
 */
#include "program.h"

#include <asm/fcntl.h>
#include <asm/mman.h>
#include <asm/poll.h>
#include <asm/signal.h>
#include <cloudos/errno.h>
#include <cloudos/string.h>
#include <linux/io_uring.h>
#include <linux/mman.h>
#include <linux/sched.h>

#define THREADS	     3
#define RINGS	     2
#define PIPES	     3
#define ENTRIES	     8u
#define COMPLETIONS  8u /* few, so that the ring overflows */
#define REQUESTS_MAX 512
#define BYTES_MAX    8
#define SOON_NS	     20000
#define TURNS_MAX    20
#define ODD_NAME     UINT64_C(0x10000) /* user data of what the reference does not follow */
#define BUFFERS	     (USER_GLOBALS + 0x4000)

enum kind { NOP, READ, POLL, POLL_MANY, TIMEOUT, TIMEOUT_COUNT, GUARD, CANCEL, KINDS };

struct request {
	enum kind kind;
	unsigned ring, pipe, len;
	bool made, over, drains, linked, hard; /* linked: to the one behind it */
	int behind;	/* whom it stands behind in a chain; -1: nobody */
	int result;
	unsigned round; /* of the ring, which may be another one later */
};

struct ring {
	int fd;
	bool open, busy;
	uaddr_t words, sqes;
	struct io_uring_params p;
	uint32_t tail;
	unsigned round, pending;
};

static struct request requests[REQUESTS_MAX];
static struct ring rings[RINGS];
static unsigned request_count, working;
static int pipes[PIPES][2];
static uint64_t written[PIPES], got[PIPES];
static bool unknown[PIPES]; /* a ring with a read of it was closed: what that has taken nobody knows */
static bool lost;	    /* a completion was dropped for want of memory */

static bool starved(int64_t result)
{
	return programs_may_die() && (result == -ENOMEM || result == -EFAULT || result == -EAGAIN || result == -ENFILE || result == -EINTR);
}

/* ---- rings ---- */

static uint32_t word(const struct ring *r, uint32_t offset)
{
	return user_load32(r->words + offset);
}

static bool map_ring(struct ring *r)
{
	uint64_t size = r->p.sq_off.array + r->p.sq_entries * sizeof(uint32_t);
	int64_t words = user_call(__NR_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_SHARED, (uint64_t)r->fd, IORING_OFF_SQ_RING);
	int64_t sqes = user_call(__NR_mmap, 0, r->p.sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE, MAP_SHARED,
				 (uint64_t)r->fd, IORING_OFF_SQES);

	r->words = (uaddr_t)words;
	r->sqes = (uaddr_t)sqes;
	if (words >= 0 && sqes >= 0)
		return true;
	MODEL_CHECK(programs_may_die());
	return false;
}

static void open_ring(struct ring *r)
{
	uaddr_t at = user_scratch();
	int64_t fd;

	r->p = (struct io_uring_params){.flags = IORING_SETUP_CQSIZE, .cq_entries = COMPLETIONS};
	user_write(at, &r->p, sizeof(r->p));
	fd = user_call(__NR_io_uring_setup, ENTRIES, at);
	if (fd < 0) {
		MODEL_CHECK(starved(fd));
		return;
	}
	user_read(&r->p, at, sizeof(r->p));
	r->fd = (int)fd;
	r->tail = 0;
	r->pending = 0;
	if (map_ring(r))
		r->open = true;
	else
		user_call(__NR_close, (uint64_t)fd);
}

static void close_ring(struct ring *r)
{
	for (unsigned i = 0; i < request_count; i++) {
		struct request *q = &requests[i];

		if (!q->made || q->over || q->round != r->round || &rings[q->ring] != r)
			continue;
		unknown[q->pipe] |= q->kind == READ;
		q->over = true;
	}
	r->open = false;
	r->round++;
	MODEL_EQUAL(user_call(__NR_munmap, r->words, PAGE_SIZE), 0);
	MODEL_EQUAL(user_call(__NR_munmap, r->sqes, PAGE_SIZE), 0);
	MODEL_EQUAL(user_call(__NR_close, (uint64_t)r->fd), 0);
}

/* ---- completions ---- */

static bool may_be_cancelled(const struct request *q)
{
	(void)q;
	return true; /* anybody may name it, and rings are cancelled as a whole */
}

static bool result_ok(const struct request *q, int result)
{
	switch (q->kind) {
	case NOP:
		return result == 0 || result == -ECANCELED;
	case READ:
		return (result >= 1 && result <= (int)q->len) || (result == -ECANCELED && may_be_cancelled(q)) || result == -EINTR;
	case POLL:
	case POLL_MANY:
		return (result > 0 && !(result & ~(POLLIN | POLLRDNORM | POLLHUP))) || result == -ECANCELED;
	case TIMEOUT:
		return result == -ETIME || result == -ECANCELED;
	case TIMEOUT_COUNT:
		return result == -ETIME || result == 0 || result == -ECANCELED;
	case GUARD:
		return result == -ETIME || result == -ECANCELED || result == -EALREADY;
	default:
		return result == 0 || result == -ENOENT || result == -EALREADY || result == -ECANCELED;
	}
}

static bool broke(const struct request *q)
{
	return q->result < 0 || (q->kind == READ && q->result < (int)q->len);
}

/* Whom q stands behind is over, and says whether q's turn came. */
static void check_chain(const struct request *q)
{
	const struct request *before = q->behind >= 0 ? &requests[q->behind] : NULL;

	if (!before || q->kind == GUARD || programs_may_die())
		return;
	if (!before->over)
		model_failed(__FILE__, __LINE__, "request %ld is completed before %d, behind which it stands", (long)(q - requests), q->behind);
	if (broke(before) && !before->hard && q->result != -ECANCELED)
		model_failed(__FILE__, __LINE__, "request %ld gives %d behind %d, which failed with %d", (long)(q - requests), q->result,
			     q->behind, before->result);
}

static void check_drain(const struct ring *r, const struct request *q)
{
	for (const struct request *p = requests; p < q; p++)
		if (p->made && !p->over && &rings[p->ring] == r && p->round == q->round)
			model_failed(__FILE__, __LINE__, "request %ld (kind %d), which drains, gives %d before %ld (kind %d, behind %d) is over",
				     (long)(q - requests), q->kind, q->result, (long)(p - requests), p->kind, p->behind);
}

/* And what stands behind one that drains waits for that. */
static void check_behind_drain(const struct ring *r, const struct request *q)
{
	for (const struct request *p = requests; p < q; p++)
		if (p->made && !p->over && p->drains && &rings[p->ring] == r && p->round == q->round)
			model_failed(__FILE__, __LINE__, "request %ld (kind %d) gives %d before %ld, which drains, is over", (long)(q - requests),
				     q->kind, q->result, (long)(p - requests));
}

static void completed(struct ring *r, const struct io_uring_cqe *c)
{
	struct request *q = &requests[c->user_data];

	if (c->user_data >= ODD_NAME)
		return;
	if (c->user_data >= request_count || !q->made || q->over || &rings[q->ring] != r || q->round != r->round)
		model_failed(__FILE__, __LINE__, "a completion of %ld, of which there is none", (long)c->user_data);
	if (!result_ok(q, c->res) && !starved(c->res))
		model_failed(__FILE__, __LINE__, "request %ld of kind %d gives %d", (long)c->user_data, q->kind, c->res);
	if (c->flags & IORING_CQE_F_MORE) {
		MODEL_CHECK(q->kind == POLL_MANY);
		return;
	}
	q->result = c->res;
	if (q->kind == READ && c->res > 0)
		got[q->pipe] += (uint64_t)c->res;
	check_chain(q);
	q->over = true;
	if (q->drains && !lost && q->result != -ECANCELED)
		check_drain(r, q);
	if (!lost && q->result != -ECANCELED && q->kind != GUARD && !programs_may_die())
		check_behind_drain(r, q);
	r->pending--;
}

static void take(struct ring *r)
{
	uint32_t tail = word(r, r->p.cq_off.tail), head = word(r, r->p.cq_off.head);

	lost |= word(r, r->p.cq_off.overflow) != 0;
	MODEL_CHECK(!lost || programs_may_die());
	MODEL_CHECK(tail - head <= COMPLETIONS);
	for (; head != tail; head++) {
		struct io_uring_cqe c;
		uint64_t raw[2];

		user_read(raw, r->words + r->p.cq_off.cqes + (head & (COMPLETIONS - 1)) * sizeof(raw), sizeof(raw));
		memcpy((void *)&c, raw, sizeof(raw));
		user_store32(r->words + r->p.cq_off.head, head + 1);
		completed(r, &c);
	}
}

/* ---- submitting ---- */

static void put(struct ring *r, const struct io_uring_sqe *s)
{
	uint32_t at = r->tail & (ENTRIES - 1);

	user_write(r->sqes + at * sizeof(*s), s, sizeof(*s));
	user_store32(r->words + r->p.sq_off.array + at * sizeof(uint32_t), at);
	r->tail++;
}

static int64_t enter(struct ring *r, uint32_t submit, uint32_t wait)
{
	int64_t n;

	user_store32(r->words + r->p.sq_off.tail, r->tail);
	n = user_call(__NR_io_uring_enter, (uint64_t)r->fd, submit, wait, wait ? IORING_ENTER_GETEVENTS : 0, 0, 0);
	if (n < (int64_t)submit && programs_may_die()) /* the rest is taken back */
		r->tail = word(r, r->p.sq_off.head);
	return n;
}

static void store_time(uaddr_t at, uint64_t ns)
{
	user_store(at, ns / NSEC_PER_SEC);
	user_store(at + 8, ns % NSEC_PER_SEC);
}

static void describe(struct model_op *op, struct request *q, struct io_uring_sqe *s)
{
	uaddr_t buffer = BUFFERS + (uaddr_t)(q - requests) * 16;

	*s = (struct io_uring_sqe){.user_data = (uint64_t)(q - requests), .fd = -1};
	switch (q->kind) {
	case READ:
		s->opcode = IORING_OP_READ;
		s->fd = pipes[q->pipe][0];
		s->addr = buffer;
		s->len = q->len;
		s->flags = model_chance(op, 40) ? IOSQE_ASYNC : 0;
		break;
	case POLL:
	case POLL_MANY:
		s->opcode = IORING_OP_POLL_ADD;
		s->fd = pipes[q->pipe][0];
		s->poll32_events = POLLIN;
		s->len = q->kind == POLL_MANY ? IORING_POLL_ADD_MULTI : 0;
		break;
	case TIMEOUT:
	case TIMEOUT_COUNT:
	case GUARD:
		s->opcode = q->kind == GUARD ? IORING_OP_LINK_TIMEOUT : IORING_OP_TIMEOUT;
		store_time(buffer, 1 + model_below(op, SOON_NS));
		s->addr = buffer;
		s->len = 1;
		s->off = q->kind == TIMEOUT_COUNT ? 1 + model_below(op, 4) : 0;
		break;
	case CANCEL:
		s->opcode = IORING_OP_ASYNC_CANCEL;
		s->addr = request_count > 1 ? model_below(op, request_count) : 0;
		break;
	default:
		s->opcode = IORING_OP_NOP;
	}
	if (q->linked)
		s->flags |= q->hard ? IOSQE_IO_HARDLINK : IOSQE_IO_LINK;
	if (q->drains)
		s->flags |= IOSQE_IO_DRAIN;
}

static enum kind draw_kind(struct model_op *op, bool chained, bool last)
{
	enum kind kind = (enum kind)model_below(op, KINDS);

	if (kind == POLL_MANY && !(last && !chained))
		return POLL;
	return kind == GUARD && (!chained || !last) ? READ : kind;
}

/* Makes n requests, a chain if `chain`; they are known to the reference before the kernel sees them. */
static void submit(struct model_op *op, struct ring *r, unsigned n, bool chain)
{
	bool drains = model_chance(op, 10);
	unsigned first = request_count;
	int64_t done;

	if (request_count + n > REQUESTS_MAX)
		return;
	request_count += n;
	for (unsigned i = 0; i < n; i++) {
		struct request *q = &requests[first + i];
		struct io_uring_sqe s;
		bool last = i + 1 == n;

		*q = (struct request){.ring = (unsigned)(r - rings), .round = r->round, .behind = chain && i > 0 ? (int)(first + i - 1) : -1};
		q->kind = draw_kind(op, chain && i > 0, last);
		q->pipe = (unsigned)model_below(op, PIPES);
		q->len = 1 + (unsigned)model_below(op, BYTES_MAX);
		q->linked = chain && !last;
		q->hard = model_chance(op, 30);
		q->drains = i == 0 && drains && q->kind != POLL_MANY;
		describe(op, q, &s);
		put(r, &s);
		q->made = true;
		r->pending++;
	}
	done = enter(r, n, 0);
	MODEL_CHECK(done == n || (programs_may_die() && done < (int64_t)n));
	for (unsigned i = done < 0 ? 0 : (unsigned)done; i < n; i++) {
		requests[first + i].made = false;
		r->pending--;
	}
}

/* ---- operations ---- */

static struct ring *choose(struct model_op *op)
{
	struct ring *r = &rings[model_below(op, RINGS)];

	return r->busy ? NULL : r;
}

static void write_pipe(struct model_op *op)
{
	unsigned p = (unsigned)model_below(op, PIPES);
	uint64_t n = 1 + model_below(op, 2 * BYTES_MAX);
	int64_t done;

	written[p] += n;
	done = user_call(__NR_write, (uint64_t)pipes[p][1], USER_GLOBALS, n);
	MODEL_CHECK(done == (int64_t)n || starved(done) || (programs_may_die() && done >= 0));
	written[p] -= n - (uint64_t)(done > 0 ? done : 0);
}

/* For a short while, in which what is ready is run. */
static void wait_briefly(struct ring *r)
{
	uaddr_t at = user_scratch();
	struct io_uring_getevents_arg arg = {.ts = at};
	int64_t result;

	store_time(at, SOON_NS);
	user_write(at + 16, &arg, sizeof(arg));
	result = user_call(__NR_io_uring_enter, (uint64_t)r->fd, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, at + 16, sizeof(arg));
	MODEL_CHECK(result == 0 || result == -ETIME || starved(result));
	take(r);
}

static void cancel_all(struct ring *r)
{
	struct io_uring_sqe s = {.opcode = IORING_OP_ASYNC_CANCEL, .fd = -1, .cancel_flags = IORING_ASYNC_CANCEL_ANY, .user_data = ODD_NAME};
	int64_t done;

	put(r, &s);
	done = enter(r, 1, 0);
	MODEL_CHECK(done == 1 || starved(done) || (done == 0 && programs_may_die()));
}

/* The call that does not wait its turn behind requests that drain. */
static void cancel_at_once(struct ring *r)
{
	struct io_uring_sync_cancel_reg reg = {.flags = IORING_ASYNC_CANCEL_ANY, .timeout = {.tv_sec = -1, .tv_nsec = -1}};
	uaddr_t at = user_scratch();
	int64_t result;

	user_write(at, &reg, sizeof(reg));
	result = user_call(__NR_io_uring_register, (uint64_t)r->fd, IORING_REGISTER_SYNC_CANCEL, at, 1);
	MODEL_CHECK(result == 0 || result == -ENOENT || starved(result));
}

static void child(uint64_t arg)
{
	struct ring mine = {.open = false};

	open_ring(&mine);
	for (unsigned i = 0; mine.open && i < 4; i++) {
		struct io_uring_sqe s = {
			.opcode = IORING_OP_POLL_ADD, .fd = pipes[i % PIPES][0], .poll32_events = i < 3 ? POLLPRI : POLLIN, .user_data = i,
			.flags = i == 0 ? IOSQE_IO_LINK : 0,
		};

		put(&mine, &s);
	}
	if (mine.open)
		(void)enter(&mine, 4, arg & 2 ? 1 : 0);
	if (arg & 1)
		user_call(__NR_kill, (uint64_t)user_call(__NR_getpid), SIGKILL);
	user_exit(0);
}

static void make_child(struct model_op *op)
{
	uint64_t how = model_below(op, 2);
	int64_t pid = user_fork(child, how);

	MODEL_CHECK(pid > 0 || starved(pid));
	if (pid > 0)
		MODEL_CHECK(user_call(__NR_wait4, (uint64_t)pid, 0, 0, 0) == pid || programs_may_die());
}

static void use(struct model_op *op, struct ring *r, unsigned what)
{
	r->busy = true;
	if (!r->open)
		open_ring(r);
	if (!r->open)
		;
	else if (what < 5)
		submit(op, r, 1 + (unsigned)model_below(op, 4), model_chance(op, 40));
	else if (what < 8)
		take(r);
	else if (what < 10)
		wait_briefly(r);
	else if (what == 10 && model_chance(op, 60))
		cancel_all(r);
	else if (what == 10)
		cancel_at_once(r);
	else if (model_chance(op, 40))
		close_ring(r);
	r->busy = false;
}

static void act(struct model_op *op)
{
	unsigned what = (unsigned)model_below(op, 18);
	struct ring *r = choose(op);

	if (what >= 17)
		make_child(op);
	else if (what >= 12)
		write_pipe(op);
	else if (r)
		use(op, r, what);
}

static void work(uint64_t worker)
{
	struct model_op op = MODEL_OPS(worker);

	user_place((unsigned)worker);
	while (model_next(&op)) {
		act(&op);
		model_state(request_count ^ (uint64_t)rings[0].pending << 12 ^ (uint64_t)rings[1].pending << 20 ^ worker << 28);
	}
	working--;
	if (worker)
		user_exit_thread(0);
}

/* ---- the end ---- */

static _Noreturn void never_ended(const struct ring *r)
{
	for (const struct request *q = requests; q < requests + request_count; q++)
		if (q->made && !q->over && &rings[q->ring] == r && q->round == r->round)
			model_failed(__FILE__, __LINE__, "%u requests never end: %ld (kind %d, behind %d%s) is the first", r->pending,
				     (long)(q - requests), q->kind, q->behind, q->drains ? ", drains" : "");
	model_failed(__FILE__, __LINE__, "%u requests never end", r->pending);
}

/* All that is under way is cancelled, and comes to its end. What drains may have to wait for what comes to its end only then. */
static void finish_ring(struct ring *r)
{
	if (!r->open)
		return;
	for (unsigned turns = 0; r->pending && !lost; turns++) {
		cancel_at_once(r);
		wait_briefly(r);
		if (turns > REQUESTS_MAX)
			never_ended(r);
	}
}

static uint64_t left_in(unsigned p)
{
	uint64_t left = 0;
	int64_t n;

	MODEL_EQUAL(user_call(__NR_fcntl, (uint64_t)pipes[p][0], F_SETFL, O_NONBLOCK), 0);
	while ((n = user_call(__NR_read, (uint64_t)pipes[p][0], USER_GLOBALS, 512)) > 0)
		left += (uint64_t)n;
	MODEL_EQUAL(n, -EAGAIN);
	return left;
}

static void finish(void)
{
	for (unsigned i = 0; i < RINGS; i++)
		finish_ring(&rings[i]);
	for (unsigned p = 0; p < PIPES; p++) {
		uint64_t left = left_in(p);

		if (lost || unknown[p] ? got[p] + left > written[p] : got[p] + left != written[p])
			model_failed(__FILE__, __LINE__, "pipe %u: %lu were written, %lu read, %lu are left", p, (unsigned long)written[p],
				     (unsigned long)got[p], (unsigned long)left);
	}
	for (unsigned i = 0; i < RINGS; i++)
		if (rings[i].open)
			close_ring(&rings[i]);
}

static void wait_for_threads(void)
{
	uint64_t ns = SOON_NS;
	uaddr_t at = user_scratch();

	for (unsigned turns = 0; working; turns++) {
		store_time(at, ns);
		user_call(__NR_nanosleep, at, 0);
		ns *= 2;
		if (turns == TURNS_MAX)
			model_failed(__FILE__, __LINE__, "%u threads never come back", working);
	}
}

static void set_up(void)
{
	uaddr_t at = user_scratch();

	for (unsigned p = 0; p < PIPES; p++) {
		MODEL_EQUAL(user_call(__NR_pipe2, at, 0), 0);
		pipes[p][0] = (int)user_load32(at);
		pipes[p][1] = (int)user_load32(at + 4);
	}
}

static void program(uint64_t arg)
{
	bool armed = sim_faults_armed();

	(void)arg;
	sim_faults_arm(false);
	user_prepare_stack();
	set_up();
	working = THREADS;
	for (uint64_t i = 1; i < THREADS; i++)
		MODEL_CHECK(user_clone(USER_THREAD, 0, work, i) > 0);
	sim_faults_arm(armed);
	work(0);
	wait_for_threads();
	model_recover();
	finish();
	user_finished();
}

static void run(void)
{
	programs_run(program);
	MODEL_CHECK(programs_ended_well() || programs_may_die());
}

MODEL_DEFINE(uring, .what = "io_uring: requests that wait, are linked, cancelled, and closed on", .prepare = programs_prepare, .run = run,
	     .cpus = 4, .operations = 90);
