/* SPDX-License-Identifier: MIT */
/*
 * Terminals, in two parts.
 *
 *   editor   the line discipline alone against a reference: lines as they are edited (erase, word erase, kill, end of file), what a read of any size
 *            gives, canonical and not; and a screen that shows, after each character, the line as it now is
 *   pairs    a pseudo terminal: one types and one shows at the master, one reads and one writes at the slave; bytes come in order and once.
 *            In canonical mode a read ends with a line, else it waits for VMIN bytes. The master is closed whenever its users have ended: then reads
 *            of the slave give 0 and writes EIO.
 */
#include "model.h"

#include <asm/fcntl.h>
#include <asm/poll.h>
#include <cloudos/errno.h>
#include <cloudos/format.h>
#include <cloudos/fs.h>
#include <cloudos/poll.h>
#include <cloudos/string.h>
#include <cloudos/thread.h>
#include "../../src/kernel/drivers/tty/tty_internal.h"

#define WORKERS	    4
#define BYTES_MAX   600
#define LINE_MAX    60 /* of the reference's line: shorter than a screen's */
#define LINES_BYTES 2048
#define AT_CWD	    (-100)
#define ERASE	    0x7f
#define KILL	    0x15
#define WERASE	    0x17
#define END_OF_FILE 0x04
#define PATIENCE_NS (2 * NSEC_PER_MSEC)
#define READS	    12

/* ---- the editor ---- */

static struct ldisc editor;

static struct {
	char row[256];
	unsigned column;
} screen;

/* What a reader is to get: characters, with marks behind those that end a line; END_OF_FILE ends one without being given. */
static struct {
	char line[LINE_MAX];
	unsigned len;
	char ready[LINES_BYTES];
	bool ends[LINES_BYTES];
	unsigned head, tail; /* of `ready` */
} wanted;

static size_t screen_room(struct ldisc *l)
{
	(void)l;
	return 4096;
}

static void screen_write(struct ldisc *l, const char *buf, size_t len)
{
	(void)l;
	for (size_t i = 0; i < len; i++) {
		if (buf[i] == '\b')
			screen.column -= screen.column > 0;
		else if (buf[i] == '\r')
			screen.column = 0;
		else if (buf[i] == '\n')
			memset(screen.row, ' ', sizeof(screen.row));
		else if (screen.column < sizeof(screen.row))
			screen.row[screen.column++] = buf[i];
	}
}

static const struct ldisc_port screen_port = {.room = screen_room, .write = screen_write};

static void check_screen(void)
{
	for (unsigned i = 0; i < sizeof(screen.row); i++)
		MODEL_EQUAL(screen.row[i], i < wanted.len ? wanted.line[i] : ' ');
	MODEL_EQUAL(screen.column, wanted.len);
}

static void make_ready(char c, bool end)
{
	wanted.ready[wanted.head] = c;
	wanted.ends[wanted.head++] = end;
}

static void end_line(char c)
{
	for (unsigned i = 0; i < wanted.len; i++)
		make_ready(wanted.line[i], false);
	make_ready(c, true);
	wanted.len = 0;
}

static void erase_word(void)
{
	while (wanted.len > 0 && wanted.line[wanted.len - 1] == ' ')
		wanted.len--;
	while (wanted.len > 0 && wanted.line[wanted.len - 1] != ' ')
		wanted.len--;
}

static void expect(char c)
{
	switch (c) {
	case ERASE:
		wanted.len -= wanted.len > 0;
		break;
	case WERASE:
		erase_word();
		break;
	case KILL:
		wanted.len = 0;
		break;
	case END_OF_FILE:
	case '\n':
		end_line(c);
		break;
	default:
		wanted.line[wanted.len++] = c;
	}
}

/* The cursor stays behind the text at an end of file that was typed after some: the next line begins there. */
static void new_row(char c)
{
	if (c != END_OF_FILE)
		return;
	memset(screen.row, ' ', sizeof(screen.row));
	screen.column = 0;
	editor.column = editor.line_column = 0;
}

static void type_one(struct model_op *op)
{
	static const char keys[] = {ERASE, ERASE, WERASE, KILL, END_OF_FILE, '\n', '\n', ' ', ' ', 'a', 'b', 'c', 'd', 'e', 'f', 'g'};
	char c = keys[model_below(op, sizeof(keys))];
	struct ldisc_effects effects;

	if (wanted.len == LINE_MAX || wanted.head + LINE_MAX + 2 > LINES_BYTES)
		return;
	if (!ldisc_canonical(&editor))
		c = 'x';
	MODEL_EQUAL(ldisc_receive(&editor, &c, 1, &effects), 1);
	MODEL_CHECK(effects.signal == 0);
	if (!ldisc_canonical(&editor)) {
		make_ready(c, false);
		return;
	}
	expect(c);
	new_row(c);
	check_screen();
}

static void take_some(struct model_op *op)
{
	size_t max = 1 + model_below(op, 20), n = 0, got;
	char buf[32], want[32];
	bool end = false, got_end = false;

	while (wanted.tail < wanted.head && !end) {
		bool silent = wanted.ends[wanted.tail] && wanted.ready[wanted.tail] == END_OF_FILE;

		if (!silent && n == max)
			break;
		end = wanted.ends[wanted.tail];
		if (!silent)
			want[n++] = wanted.ready[wanted.tail];
		wanted.tail++;
	}
	MODEL_EQUAL(ldisc_readable(&editor), n > 0 || end);
	got = ldisc_take(&editor, buf, max, &got_end);
	MODEL_EQUAL(got, n);
	MODEL_EQUAL(got_end, end);
	MODEL_EQUAL(memcmp(buf, want, n), 0);
	if (wanted.tail == wanted.head)
		wanted.head = wanted.tail = 0;
}

/* The other mode, with nothing typed yet. */
static void switch_mode(void)
{
	struct ktermios k = editor.termios;

	ldisc_flush_input(&editor);
	k.c_lflag ^= ICANON;
	ldisc_set_termios(&editor, &k);
	wanted.head = wanted.tail = wanted.len = 0;
	memset(screen.row, ' ', sizeof(screen.row));
	screen.column = editor.column = editor.line_column = 0;
}

static void edit(void)
{
	struct model_op op = MODEL_OPS(50);

	ldisc_init(&editor, &screen_port);
	memset(screen.row, ' ', sizeof(screen.row));
	while (model_next(&op)) {
		uint64_t keys = 1 + model_below(&op, 12), what = model_below(&op, 40);

		for (uint64_t i = 0; what > 0 && what < 28 && i < keys; i++)
			type_one(&op);
		if (what >= 28)
			take_some(&op);
		if (what == 0)
			switch_mode();
		model_state((uint64_t)wanted.len << 8 ^ (wanted.head - wanted.tail));
	}
}

/* ---- pairs ---- */

static struct {
	struct file *master, *reads, *writes; /* the master's file has a reference for each of its two users */
	uint32_t master_users;		      /* A */
	bool canonical;
	size_t least; /* bytes that a read waits for; 0: it may end at any time */
	uint64_t typed, read, written, shown;
} pair;

static char buffers[WORKERS][BYTES_MAX];

/* Letters; in canonical mode every 17th ends a line: at another place each time round the buffer. */
static char byte_of(uint64_t n)
{
	return n % 17 == 16 ? '\n' : (char)('a' + n % 23);
}

static ssize_t write_on(struct file *f, char *buf, uint64_t at, size_t len)
{
	struct io_iter from;

	for (size_t i = 0; i < len; i++)
		buf[i] = byte_of(at + i);
	io_iter_kernel(&from, buf, len);
	return file_write(f, &from, NULL);
}

static ssize_t read_on(struct file *f, char *buf, uint64_t at, size_t len)
{
	struct io_iter to;
	ssize_t n;

	io_iter_kernel(&to, buf, len);
	n = file_read(f, &to, NULL);
	for (ssize_t i = 0; i < n; i++)
		MODEL_EQUAL(buf[i], byte_of(at + (uint64_t)i));
	return n;
}

static void wait_for(struct file *f, uint32_t events)
{
	struct poll_item item = {.file = f, .events = events | POLLHUP | POLLERR};
	int64_t n = poll_items(&item, 1, hal_clock_ns() + PATIENCE_NS);

	MODEL_CHECK(n == 0 || n == 1 || (n == -ENOMEM && model_may_fail()));
}

static void type(struct model_op *op, char *buf)
{
	uint64_t len = 1 + (model_below(op, BYTES_MAX) >> (model_chance(op, 30) ? model_below(op, 10) : 0));
	ssize_t n = write_on(pair.master, buf, pair.typed, len);

	if (n > 0)
		pair.typed += (uint64_t)n;
	else
		MODEL_EQUAL(n, -EAGAIN);
	if (n < 0)
		wait_for(pair.master, POLLOUT);
}

static bool master_there(void)
{
	return __atomic_load_n(&pair.master_users, __ATOMIC_SEQ_CST) > 0;
}

/* False when the master is gone. */
static bool read_slave(struct model_op *op, char *buf)
{
	size_t len = 1 + model_below(op, BYTES_MAX);
	ssize_t n = read_on(pair.reads, buf, pair.read, len);

	if (n == 0) {
		MODEL_CHECK(!master_there() || pair.reads->flags & O_NONBLOCK || !pair.canonical);
		return master_there();
	}
	if (n == -EAGAIN) {
		wait_for(pair.reads, POLLIN);
		return true;
	}
	MODEL_CHECK(n > 0);
	pair.read += (uint64_t)n;
	if (pair.canonical)
		MODEL_CHECK(n == (ssize_t)len || buf[n - 1] == '\n');
	else
		MODEL_CHECK((size_t)n >= min(pair.least, len) || !master_there());
	return true;
}

static bool write_slave(struct model_op *op, char *buf)
{
	size_t len = 1 + model_below(op, BYTES_MAX);
	ssize_t n = write_on(pair.writes, buf, pair.written, len);

	if (n > 0)
		pair.written += (uint64_t)n;
	if (n == (ssize_t)len)
		return true;
	MODEL_CHECK(!master_there() && (n > 0 || n == -EIO));
	return false;
}

static void show(struct model_op *op, char *buf)
{
	ssize_t n = read_on(pair.master, buf, pair.shown, 1 + model_below(op, BYTES_MAX));

	if (n > 0)
		pair.shown += (uint64_t)n;
	else
		MODEL_CHECK(n == -EAGAIN || n == -EIO);
	if (n < 0)
		wait_for(pair.master, POLLIN);
}

static void leave_master(void)
{
	__atomic_fetch_sub(&pair.master_users, 1, __ATOMIC_SEQ_CST);
	file_put(pair.master);
}

static void work(unsigned worker)
{
	struct model_op op = MODEL_OPS(worker);
	bool goes_on = true;
	char *buf = buffers[worker];

	while (vfs_adopt_kernel_thread() == -ENOMEM)
		MODEL_CHECK(model_may_fail());
	while (goes_on && model_next(&op)) {
		if (worker == 0)
			type(&op, buf);
		else if (worker == 1)
			show(&op, buf);
		else if (worker == 3)
			goes_on = write_slave(&op, buf);
		for (unsigned i = 0; worker == 2 && goes_on && i < READS; i++) /* a line each, perhaps */
			goes_on = read_slave(&op, buf);
		model_state(pair.typed << 30 ^ pair.read << 20 ^ pair.written << 10 ^ pair.shown);
	}
	if (worker < 2)
		leave_master();
	else
		file_put(worker == 2 ? pair.reads : pair.writes);
	vfs_release_kernel_thread();
}

static void set_terminal(struct model_op *op)
{
	struct tty *t = pair.reads->private;
	struct ktermios k = t->ldisc.termios;
	unsigned long irq = spin_lock_irq(&t->lock);

	pair.canonical = model_chance(op, 50);
	k.c_lflag = pair.canonical ? ICANON : 0;
	k.c_oflag = k.c_iflag = 0;
	k.c_cc[VMIN] = (cc_t)(model_below(op, 50) >> model_below(op, 6));
	k.c_cc[VTIME] = (cc_t)model_below(op, 2);
	pair.least = k.c_cc[VTIME] || pair.reads->flags & O_NONBLOCK ? 0 : k.c_cc[VMIN];
	ldisc_set_termios(&t->ldisc, &k);
	spin_unlock_irq(&t->lock, irq);
}

static void make_pair(struct model_op *op)
{
	uint32_t nonblock = model_chance(op, 50) ? O_NONBLOCK : 0;
	char name[24];
	int number;

	MODEL_EQUAL(vfs_open(AT_CWD, "/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK, 0, &pair.master), 0);
	number = pty_unlock(pair.master);
	MODEL_CHECK(number >= 0);
	fmt_string(name, sizeof(name), "/dev/pts/%d", number);
	MODEL_EQUAL(vfs_open(AT_CWD, name, O_RDWR | O_NOCTTY | nonblock, 0, &pair.reads), 0);
	MODEL_EQUAL(vfs_open(AT_CWD, name, O_RDWR | O_NOCTTY, 0, &pair.writes), 0);
	file_get(pair.master);
	pair.master_users = 2;
	set_terminal(op);
}

static void prepare(void)
{
	struct file *f;
	struct path dev;

	MODEL_EQUAL(vfs_adopt_kernel_thread(), 0);
	(void)vfs_mkdir(AT_CWD, "/dev", 0755);
	MODEL_EQUAL(path_lookup(AT_CWD, "/dev", 0, &dev), 0);
	MODEL_EQUAL(vfs_mount(&dev, "devtmpfs", "dev", "", 0), 0);
	path_put(&dev);
	MODEL_EQUAL(vfs_open(AT_CWD, "/dev/ptmx", O_RDWR | O_NOCTTY, 0, &f), 0);
	file_put(f); /* a pair's memory stays for the next */
}

static void run(void)
{
	struct model_op op = MODEL_OPS(100);

	sim_faults_arm(false);
	(void)model_next(&op);
	edit();
	make_pair(&op);
	sim_faults_arm(true);
	model_workers(WORKERS, work);
	model_recover();
	MODEL_CHECK(pair.read <= pair.typed && pair.shown <= pair.written);
}

MODEL_DEFINE(ttys, .what = "line discipline and pseudo terminals", .prepare = prepare, .run = run, .cpus = 4, .operations = 40);
