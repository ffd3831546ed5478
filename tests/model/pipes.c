/* SPDX-License-Identifier: MIT */
/*
 * Pipes. Two workers write and two read, on a pipe that blocks and one that does not; each leaves when it likes.
 *
 *   bytes   a writer's n-th byte into a pipe says who it is and n % 64. Whoever reads alone (a seed decides it) finds each writer's bytes in
 *           order; at the end of file all that was written has been read
 *   whole   a write of up to PIPE_BUF bytes is followed by no other writer's before its end
 *   ends    0 comes only when no writer is left, EPIPE only when no reader is
 *   splice  what is read by way of another pipe or of a file, or written from a file, is the same; a tee leaves it where it is
 *   poll    POLLIN seen by the only reader: a read finds something; POLLOUT seen by the only writer: a small write succeeds
 */
#include "model.h"

#include <asm/fcntl.h>
#include <asm/poll.h>
#include <cloudos/errno.h>
#include <cloudos/fs.h>
#include <cloudos/lock.h>
#include <cloudos/pipe.h>
#include <cloudos/poll.h>
#include <cloudos/splice.h>
#include <cloudos/string.h>
#include <cloudos/thread.h>
#include <cloudos/vfs.h>
#include <linux/limits.h>

#define PIPES	   2
#define WRITERS	   2
#define READERS	   2
#define WORKERS	   (WRITERS + READERS)
#define BYTES_MAX  9000 /* of one write or read */
#define RECORDS	   128	/* remembered of a writer: more than there are operations */
#define AT_CWD	   (-100)
#define FOLDER	   "/model-pipes"
#define PATIENCE_NS (5 * NSEC_PER_MSEC)

struct record {
	uint64_t start, len; /* len 0: not whole */
};

static struct tried {
	struct file *ends[2]; /* 0: reads, 1: writes */
	struct mutex alone[2]; /* taken for a whole operation, if `exclusive` */
	uint32_t users[2];
	struct {
		uint64_t written, read; /* bytes */
		struct record records[RECORDS];
		uint64_t count;
	} writers[WRITERS];
	unsigned whole_writer; /* by alone[0]: in the middle of whose record the reader is */
	uint64_t whole_left;
	bool ended;
} pipes[PIPES];

static bool exclusive[2];
static struct file *own[WORKERS][2]; /* a pipe of each worker's, that nobody else uses */
static struct file *files[WORKERS];  /* and a file */
static char buffers[WORKERS][BYTES_MAX];
static bool left[WORKERS][PIPES];

static char byte_of(unsigned writer, uint64_t n)
{
	return (char)(writer << 6 | (n & 63));
}

static void begin(struct tried *p, unsigned end)
{
	if (exclusive[end])
		mutex_lock(&p->alone[end]);
}

static void end(struct tried *p, unsigned which)
{
	if (exclusive[which])
		mutex_unlock(&p->alone[which]);
}

/* ---- writing ---- */

static ssize_t write_bytes(struct tried *p, unsigned writer, size_t len)
{
	char *buf = buffers[writer];
	uint64_t at = p->writers[writer].written;
	struct record *r = &p->writers[writer].records[p->writers[writer].count];
	struct io_iter from;
	ssize_t n;

	for (size_t i = 0; i < len; i++)
		buf[i] = byte_of(writer, at + i);
	*r = (struct record){at, len <= PIPE_BUF ? len : 0};
	WRITE_ONCE(p->writers[writer].count, p->writers[writer].count + 1);
	io_iter_kernel(&from, buf, len);
	n = file_write(p->ends[1], &from, NULL);
	if (n > 0)
		p->writers[writer].written += (uint64_t)n;
	else
		WRITE_ONCE(p->writers[writer].count, p->writers[writer].count - 1);
	return n;
}

/* The bytes go in by way of a file, as many as there is space for. */
static ssize_t write_spliced(struct tried *p, unsigned writer, size_t len)
{
	char *buf = buffers[writer];
	uint64_t at = p->writers[writer].written;
	struct io_iter from;
	int64_t pos = 0, start = 0;
	ssize_t n;

	for (size_t i = 0; i < len; i++)
		buf[i] = byte_of(writer, at + i);
	io_iter_kernel(&from, buf, len);
	n = file_write(files[writer], &from, &pos);
	if (n != (ssize_t)len) {
		MODEL_CHECK(model_may_fail());
		return 0;
	}
	n = splice_from_file(files[writer], &start, p->ends[1], len, p->ends[1]->flags & O_NONBLOCK);
	if (n > 0)
		p->writers[writer].written += (uint64_t)n;
	MODEL_CHECK(n != 0 && n <= (ssize_t)len && start == max(n, (ssize_t)0));
	return n;
}

static void do_splice_in(struct model_op *op, struct tried *p, unsigned writer)
{
	size_t len = 1 + model_below(op, BYTES_MAX - 1);
	ssize_t n;

	begin(p, 1);
	n = write_spliced(p, writer, len);
	if (n == -EAGAIN)
		MODEL_CHECK(p->ends[1]->flags & O_NONBLOCK);
	else if (n == -EPIPE)
		MODEL_EQUAL(READ_ONCE(p->users[0]), 0);
	else
		MODEL_CHECK(n > 0 || model_may_fail());
	end(p, 1);
}

static void do_write(struct model_op *op, struct tried *p, unsigned writer)
{
	uint64_t size = model_below(op, 3), small = model_below(op, 300), medium = model_below(op, PIPE_BUF),
		 large = model_below(op, BYTES_MAX);
	size_t len = 1 + (size == 0 ? medium : size == 1 && model_chance(op, 50) ? large : small);
	bool nonblock = p->ends[1]->flags & O_NONBLOCK;
	uint32_t ready;
	ssize_t n;

	len = min(len, (size_t)BYTES_MAX);
	begin(p, 1);
	ready = file_poll(p->ends[1], NULL);
	n = write_bytes(p, writer, len);
	if (n == -EAGAIN)
		MODEL_CHECK(nonblock && !(exclusive[1] && (ready & POLLOUT) && len <= PIPE_BUF));
	else if (n == -EPIPE)
		MODEL_EQUAL(READ_ONCE(p->users[0]), 0);
	else if (n == -ENOMEM)
		MODEL_CHECK(model_may_fail());
	else if (n != (ssize_t)len)
		MODEL_CHECK(n > 0 && len > PIPE_BUF && (nonblock || model_may_fail() || READ_ONCE(p->users[0]) == 0));
	end(p, 1);
}

/* ---- reading ---- */

/* The record of a writer that begins with its byte `at`, if it is to be whole. */
static uint64_t whole_from(const struct tried *p, unsigned writer, uint64_t at)
{
	for (uint64_t i = READ_ONCE(p->writers[writer].count); i-- > 0;)
		if (p->writers[writer].records[i].start == at)
			return p->writers[writer].records[i].len;
	return 0;
}

static void check_bytes(struct tried *p, const char *buf, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned writer = (uint8_t)buf[i] >> 6;
		uint64_t at;

		MODEL_CHECK(writer < WRITERS);
		at = p->writers[writer].read++;
		MODEL_EQUAL((uint8_t)buf[i], (uint8_t)byte_of(writer, at));
		if (p->whole_left > 0) {
			MODEL_EQUAL(writer, p->whole_writer);
			p->whole_left--;
			continue;
		}
		p->whole_writer = writer;
		p->whole_left = whole_from(p, writer, at);
		p->whole_left -= p->whole_left > 0;
	}
}

static void count_bytes(struct tried *p, const char *buf, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned writer = (uint8_t)buf[i] >> 6;

		MODEL_CHECK(writer < WRITERS);
		__atomic_fetch_add(&p->writers[writer].read, 1, __ATOMIC_RELAXED);
	}
}

/* All of what was spliced into the worker's own pipe, or file. */
static void collect(struct file *f, int64_t pos, char *buf, ssize_t n)
{
	struct io_iter to;

	io_iter_kernel(&to, buf, (size_t)n);
	MODEL_EQUAL(file_read(f, &to, &pos), n);
}

static ssize_t read_spliced(struct tried *p, unsigned reader, size_t len, bool by_file)
{
	bool nonblock = p->ends[0]->flags & O_NONBLOCK;
	char *buf = buffers[WRITERS + reader];
	struct file **mine = own[WRITERS + reader], *file = files[WRITERS + reader];
	int64_t pos = 0;
	ssize_t n;

	n = by_file ? splice_to_file(p->ends[0], file, &pos, len, nonblock) : splice_between(p->ends[0], mine[1], len, nonblock, false);
	if (n > 0)
		collect(by_file ? file : mine[0], 0, buf, n);
	return n;
}

/* What a tee shows a reader that is alone is what it reads next. */
static void look_ahead(struct tried *p, unsigned reader)
{
	static char seen[READERS][64];
	struct file **mine = own[WRITERS + reader];
	char *buf = buffers[WRITERS + reader];
	struct io_iter to;
	ssize_t n;

	if (!exclusive[0])
		return;
	begin(p, 0);
	n = splice_between(p->ends[0], mine[1], sizeof(seen[0]), true, true);
	if (n > 0) {
		collect(mine[0], 0, seen[reader], n);
		io_iter_kernel(&to, buf, (size_t)n);
		MODEL_EQUAL(file_read(p->ends[0], &to, NULL), n);
		MODEL_EQUAL(memcmp(buf, seen[reader], (size_t)n), 0);
		check_bytes(p, buf, (size_t)n);
	}
	end(p, 0);
}

enum { BY_READ, BY_PIPE, BY_FILE };

static ssize_t do_read(struct tried *p, unsigned reader, size_t len, unsigned how)
{
	bool nonblock = p->ends[0]->flags & O_NONBLOCK;
	char *buf = buffers[WRITERS + reader];
	struct io_iter to;
	uint32_t ready;
	ssize_t n;

	begin(p, 0);
	ready = file_poll(p->ends[0], NULL);
	io_iter_kernel(&to, buf, len);
	n = how == BY_READ ? file_read(p->ends[0], &to, NULL) : read_spliced(p, reader, len, how == BY_FILE);
	if (n == -ENOMEM || n == -ENOSPC)
		MODEL_CHECK(model_may_fail() && how != BY_READ);
	else if (n == -EAGAIN)
		MODEL_CHECK(nonblock && !(exclusive[0] && (ready & (POLLIN | POLLHUP))));
	else if (n == 0)
		MODEL_EQUAL(READ_ONCE(p->users[1]), 0);
	else
		MODEL_CHECK(n > 0 && (size_t)n <= len);
	if (n > 0 && exclusive[0])
		check_bytes(p, buf, (size_t)n);
	else if (n > 0)
		count_bytes(p, buf, (size_t)n);
	end(p, 0);
	return n;
}

/* ---- the rest ---- */

static void wait_ready(struct tried *p, unsigned which, uint32_t events)
{
	struct poll_item item = {.file = p->ends[which], .events = events | POLLERR | POLLHUP};
	uint64_t deadline_ns = hal_clock_ns() + PATIENCE_NS;
	int64_t n = poll_items(&item, 1, deadline_ns);

	if (n == -ENOMEM)
		MODEL_CHECK(model_may_fail());
	else
		MODEL_CHECK(n == 1 ? item.revents != 0 : n == 0 && hal_clock_ns() >= deadline_ns);
}

static void change_capacity(struct model_op *op, struct tried *p, unsigned which)
{
	uint64_t bytes = PAGE_SIZE << model_below(op, 5);
	int64_t got = pipe_set_capacity(p->ends[which], bytes);

	MODEL_CHECK(got == (int64_t)bytes || got == -EBUSY || (got == -ENOMEM && model_may_fail()));
}

/* The worker's reference on its end goes: with the last one the end is closed. */
static void leave(unsigned worker, unsigned i)
{
	unsigned which = worker < WRITERS;
	struct tried *p = &pipes[i];

	if (left[worker][i])
		return;
	left[worker][i] = true;
	__atomic_fetch_sub(&p->users[which], 1, __ATOMIC_SEQ_CST);
	file_put(p->ends[which]);
}

static void operation(struct model_op *op, unsigned worker, unsigned i)
{
	unsigned which = worker < WRITERS;
	uint64_t what = model_below(op, 40), size = 1 + (model_below(op, BYTES_MAX) >> model_below(op, 10));
	struct tried *p = &pipes[i];

	if (left[worker][i])
		return;
	if (what < 24 && which)
		do_write(op, p, worker);
	else if (what < 24)
		(void)do_read(p, worker - WRITERS, size, BY_READ);
	else if (what < 29)
		wait_ready(p, which, which ? POLLOUT : POLLIN);
	else if (what < 31 && !exclusive[1]) /* smaller is another way to no room */
		change_capacity(op, p, which);
	else if (what == 31)
		leave(worker, i);
	else if (what >= 32 && which)
		do_splice_in(op, p, worker);
	else if (what >= 38)
		look_ahead(p, worker - WRITERS);
	else if (what >= 32)
		(void)do_read(p, worker - WRITERS, size, what & 1 ? BY_PIPE : BY_FILE);
}

/* A reader that is still there at the end reads until there is no more. */
static void drain(unsigned reader, unsigned i)
{
	struct tried *p = &pipes[i];
	ssize_t n;

	if (left[WRITERS + reader][i])
		return;
	while ((n = do_read(p, reader, BYTES_MAX, BY_READ)) != 0)
		if (n == -EAGAIN)
			wait_ready(p, 0, POLLIN);
	p->ended = true;
}

static void work(unsigned worker)
{
	struct model_op op = MODEL_OPS(worker);

	while (model_next(&op)) {
		unsigned i = (unsigned)model_below(&op, PIPES);

		operation(&op, worker, i);
		model_state(pipes[i].writers[0].written << 20 ^ pipes[i].writers[0].read);
	}
	for (unsigned i = 0; worker >= WRITERS && i < PIPES; i++)
		drain(worker - WRITERS, i);
	for (unsigned i = 0; i < PIPES; i++)
		leave(worker, i);
}

static void make(struct tried *p, uint32_t flags, uint64_t bytes)
{
	MODEL_EQUAL(pipe_create(flags, &p->ends[0], &p->ends[1]), 0);
	MODEL_CHECK(pipe_set_capacity(p->ends[0], bytes) == (int64_t)bytes);
	for (unsigned i = 1; i < READERS; i++)
		file_get(p->ends[0]);
	for (unsigned i = 1; i < WRITERS; i++)
		file_get(p->ends[1]);
	p->users[0] = READERS;
	p->users[1] = WRITERS;
	mutex_init(&p->alone[0], RANK_FILE_POS);
	mutex_init(&p->alone[1], RANK_FILE_POS);
}

static void run(void)
{
	struct model_op op = MODEL_OPS(100);

	sim_faults_arm(false);
	(void)model_next(&op);
	exclusive[0] = model_chance(&op, 60);
	exclusive[1] = model_chance(&op, 30);
	for (unsigned i = 0; i < PIPES; i++)
		make(&pipes[i], i ? O_NONBLOCK : 0, PAGE_SIZE << model_below(&op, 3));
	for (unsigned i = 0; i < WORKERS; i++) {
		MODEL_EQUAL(pipe_create(O_NONBLOCK, &own[i][0], &own[i][1]), 0);
		MODEL_EQUAL(vfs_open(AT_CWD, FOLDER, O_RDWR | __O_TMPFILE | O_DIRECTORY, 0600, &files[i]), 0);
	}
	sim_faults_arm(true);
	model_workers(WORKERS, work);
	model_recover();
	for (unsigned i = 0; i < WORKERS; i++) {
		file_put(own[i][0]);
		file_put(own[i][1]);
		file_put(files[i]);
	}
	for (unsigned i = 0; i < PIPES; i++)
		for (unsigned w = 0; pipes[i].ended && w < WRITERS; w++)
			MODEL_EQUAL(pipes[i].writers[w].read, pipes[i].writers[w].written);
}

static void prepare(void)
{
	MODEL_EQUAL(vfs_adopt_kernel_thread(), 0);
	MODEL_EQUAL(vfs_mkdir(AT_CWD, FOLDER, 0700), 0);
}

MODEL_DEFINE(pipes, .what = "pipes", .prepare = prepare, .run = run, .cpus = 4, .operations = 40);
