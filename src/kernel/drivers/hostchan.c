/* SPDX-License-Identifier: MIT */
/*
 * The host channel (cloudos.channel=1): what `./cloudos run` talks to. The console then carries frames between the kernel's log lines.
 *
 *   guest to host   `o` standard output, `e` standard error, `x` the command's exit status (decimal), `w` "I want up to N bytes of
 *                   standard input" (decimal)
 *   host to guest   `i` at most N bytes, as the one answer to a `w`; none: end of file
 *
 * A frame is one call of console_output(), so that no log line comes between. Standard input is asked for only when somebody reads or
 * polls, one request at a time: no piece can arrive that there is no room for, and the wire is never trusted for it. A reader
 * gives out one piece before the next is asked for. After the end of the file every read gives 0.
 *
 * Locking: `lock` (RANK_CONSOLE_INPUT, also taken by interrupts) guards the state of the input.
 */
#define LOG_SUBSYSTEM "hostchan"
#include <asm/fcntl.h>
#include <asm/poll.h>
#include <linux/stat.h>
#include <cloudos/errno.h>
#include <cloudos/format.h>
#include <cloudos/hostchan.h>
#include <cloudos/log.h>
#include <cloudos/string.h>
#include <cloudos/vfs.h>
#include <cloudos/wait.h>
#include "hostchan_parser.h"

#define HOST_MAJOR 240 /* Linux's first of those for local use */
#define STATUS_MAX 16  /* bytes of an exit status in decimal */

/* Bytes of a piece are given out from `read_at`; the piece belongs to the parser while a request is out. */
static struct {
	struct spinlock lock;
	struct hostchan_parser parser; /* L */
	uint32_t read_at;	       /* L */
	bool asked;		       /* L: a request is out */
	bool ended;		       /* L */
	uint64_t errors_told;	       /* L */
	struct wait_queue can_read;
} chan = { .lock = SPINLOCK_INIT(RANK_CONSOLE_INPUT), .can_read = WAIT_QUEUE_INIT(chan.can_read) };

/* ---- frames to the host ---- */

/* Sends buf[HOSTCHAN_HEAD .. HOSTCHAN_HEAD + len) with a head before it. */
static void send_frame(char letter, char *buf, size_t len)
{
	buf[0] = HOSTCHAN_START;
	buf[1] = letter;
	buf[2] = (char)(len & 0xff);
	buf[3] = (char)(len >> 8);
	console_output(buf, HOSTCHAN_HEAD + len, true);
}

static void send_request(uint32_t n)
{
	char buf[HOSTCHAN_HEAD + 12];
	int len = fmt_string(buf + HOSTCHAN_HEAD, sizeof(buf) - HOSTCHAN_HEAD, "%u", n);

	send_frame('w', buf, (size_t)len);
}

/* ---- input ---- */

static bool has_piece(void)
{
	return !chan.asked && chan.read_at < chan.parser.filled;
}

static bool may_read(void)
{
	return has_piece() || chan.ended;
}

/* Asks for a piece unless there is one, or one is on its way, or the end was seen. */
static void ask(void)
{
	unsigned long flags = spin_lock_irq(&chan.lock);
	bool send = !chan.asked && !may_read();

	if (send) {
		hostchan_parser_want(&chan.parser, HOSTCHAN_PIECE_MAX);
		chan.asked = true;
	}
	spin_unlock_irq(&chan.lock, flags);
	if (send)
		send_request(HOSTCHAN_PIECE_MAX);
}

static void tell_errors(uint64_t errors)
{
	log_limited(LOG_WARNING, 1, "%lu frames or bytes from the host were dropped so far: not asked for, too long, or garbled",
		    (unsigned long)errors);
}

size_t hostchan_input(const char *buf, size_t len)
{
	unsigned long flags = spin_lock_irq(&chan.lock);
	size_t done = 0, taken;
	uint64_t errors;
	bool ready = false;

	while (done < len) {
		if (hostchan_parser_feed(&chan.parser, (const uint8_t *)buf + done, len - done, &taken) == HOSTCHAN_PIECE) {
			chan.asked = false;
			chan.read_at = 0;
			WRITE_ONCE(chan.ended, chan.parser.filled == 0);
			ready = true;
		}
		done += taken;
	}
	errors = chan.parser.errors != chan.errors_told ? chan.parser.errors : 0;
	chan.errors_told = chan.parser.errors;
	spin_unlock_irq(&chan.lock, flags);
	if (ready)
		wake_events(&chan.can_read, POLLIN | POLLRDNORM, false);
	if (errors)
		tell_errors(errors);
	return len;
}

static size_t take(char *buf, size_t max)
{
	unsigned long flags = spin_lock_irq(&chan.lock);
	size_t n = 0;

	if (has_piece()) {
		n = min(max, (size_t)(chan.parser.filled - chan.read_at));
		memcpy(buf, chan.parser.piece + chan.read_at, n);
		chan.read_at += (uint32_t)n;
	}
	spin_unlock_irq(&chan.lock, flags);
	return n;
}

/* Moves what there is of the present piece. */
static ssize_t read_piece(struct io_iter *to)
{
	char chunk[512];
	ssize_t done = 0;
	size_t n;

	while (to->count > 0 && (n = take(chunk, min(to->count, sizeof(chunk)))) > 0) {
		if (io_copy_to(to, chunk, n) != n)
			return done > 0 ? done : -EFAULT;
		done += (ssize_t)n;
	}
	return done;
}

static ssize_t stdin_read(struct file *f, struct io_iter *to, int64_t *pos)
{
	(void)pos;
	while (to->count > 0) {
		ssize_t n = read_piece(to);
		int error;

		if (n != 0 || READ_ONCE(chan.ended))
			return n;
		ask();
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		error = wait_event_interruptible(&chan.can_read, may_read());
		if (error)
			return error;
	}
	return 0;
}

static uint32_t stdin_poll(struct file *f, struct poll_table *pt)
{
	(void)f;
	poll_wait(pt, &chan.can_read);
	ask();
	return may_read() ? POLLIN | POLLRDNORM : 0;
}

static const struct file_ops stdin_ops = { .read = stdin_read, .poll = stdin_poll };

/* ---- output ---- */

#define FRAME_BYTES 1024u /* payload sent at a time: what fits a kernel stack */

static ssize_t send_stream(char letter, struct io_iter *from)
{
	char buf[HOSTCHAN_HEAD + FRAME_BYTES];
	ssize_t done = 0;

	while (from->count > 0) {
		size_t n = io_copy_from(from, buf + HOSTCHAN_HEAD, min(from->count, (size_t)FRAME_BYTES));

		if (n == 0)
			return done > 0 ? done : -EFAULT;
		send_frame(letter, buf, n);
		done += (ssize_t)n;
		sched_point();
	}
	return done;
}

static ssize_t stream_write(struct file *f, struct io_iter *from, int64_t *pos)
{
	(void)pos;
	return send_stream(*(const char *)f->private, from);
}

/* The status is one number; what is no number does not go out. */
static ssize_t status_write(struct file *f, struct io_iter *from, int64_t *pos)
{
	char buf[HOSTCHAN_HEAD + STATUS_MAX];
	size_t len = from->count, digits;

	(void)f;
	(void)pos;
	if (len > STATUS_MAX)
		return -EINVAL;
	if (io_copy_from(from, buf + HOSTCHAN_HEAD, len) != len)
		return -EFAULT;
	digits = len > 0 && buf[HOSTCHAN_HEAD + len - 1] == '\n' ? len - 1 : len;
	for (size_t i = 0; i < digits; i++)
		if (buf[HOSTCHAN_HEAD + i] < '0' || buf[HOSTCHAN_HEAD + i] > '9')
			return -EINVAL;
	if (digits == 0)
		return -EINVAL;
	send_frame('x', buf, digits);
	return (ssize_t)len;
}

static const struct file_ops stream_ops = { .write = stream_write };
static const struct file_ops status_ops = { .write = status_write };

int hostchan_start(void)
{
	static char out = 'o', err = 'e';
	static const struct {
		const char *name;
		uint32_t mode;
		const struct file_ops *ops;
		void *private;
	} nodes[] = {
		{ "host/stdin", S_IFCHR | 0444, &stdin_ops, NULL },
		{ "host/stdout", S_IFCHR | 0222, &stream_ops, &out },
		{ "host/stderr", S_IFCHR | 0222, &stream_ops, &err },
		{ "host/status", S_IFCHR | 0200, &status_ops, NULL },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(nodes); i++) {
		int error = devfs_add(nodes[i].name, nodes[i].mode, HOST_MAJOR, i, nodes[i].ops, nodes[i].private);

		if (error)
			return error;
	}
	return 0;
}
