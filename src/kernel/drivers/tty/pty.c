/* SPDX-License-Identifier: MIT */
/*
 * Pseudo terminals (pty(7)): opening /dev/ptmx makes a pair. The slave, /dev/pts/N, is a terminal like any other; the master is where
 * its keyboard and screen would be.
 *
 * What programs write to the slave waits in `out` for the master's read; what the master writes is typed on the slave. When the last
 * file of the master goes, the slave is hung up and its node removed; when the slave has been opened and all its files are
 * closed, the master reads what is left and then EIO.
 *
 * A ptmx of devpts (vfs/devpts.c) makes a pair whose slave is there; the one of /dev makes it in /dev/pts.
 *
 * The pairs stay in `ptys` and are used again: a node that somebody still looks at never points at nothing, but to a pair that may be another's by
 * now. So a slave is opened by its own node alone, and not by others of its number, of an earlier pair or by mknod(2). slave.lock guards all
 * of a pair but `in_use` and `node`, which ptys_lock guards.
 */
#include <asm/poll.h>
#include <asm/signal.h>
#include <linux/fcntl.h>
#include <linux/stat.h>
#include <cloudos/errno.h>
#include <cloudos/format.h>
#include <cloudos/fs.h>
#include <cloudos/mm.h>
#include <cloudos/service.h>
#include <cloudos/string.h>
#include <cloudos/uaccess.h>
#include "tty_internal.h"

#define PTYS_MAX      256  /* pairs at a time: ENOSPC beyond              */
#define PTY_OUT_BYTES 4096u /* output that waits for the master: writers wait */
#define PTY_MAJOR     136  /* Linux's UNIX98_PTY_SLAVE_MAJOR               */

struct pty {
	struct tty slave;
	unsigned number;
	bool in_use;	      /* by ptys_lock */
	struct dentry *node;  /* by ptys_lock: the slave's, with a reference; null: the pair is not in use */
	struct super_block *instance; /* C: the devpts whose ptmx was opened, which the master's file keeps; null: devtmpfs */
	bool locked;	      /* TIOCSPTLCK: the slave cannot be opened yet */
	bool packet;	      /* TIOCPKT */
	bool slave_opened;    /* since the pair was made */
	uint8_t packet_status; /* TIOCPKT_*: told with the next read */
	uint32_t head, tail;  /* of out: positions that wrap */
	struct wait_queue master_read, master_write;
	char out[PTY_OUT_BYTES];
};

static struct mutex ptys_lock = MUTEX_INIT(ptys_lock, RANK_TTY);
static struct pty *ptys[PTYS_MAX];

static struct pty *pty_of(struct tty *t)
{
	return container_of(t, struct pty, slave);
}

/* ---- the slave's driver; slave.lock is held ---- */

static size_t out_room(struct ldisc *l)
{
	const struct pty *p = pty_of(tty_of_ldisc(l));

	return PTY_OUT_BYTES - (READ_ONCE(p->head) - READ_ONCE(p->tail));
}

static void out_write(struct ldisc *l, const char *buf, size_t len)
{
	struct pty *p = pty_of(tty_of_ldisc(l));

	for (size_t i = 0; i < len; i++)
		p->out[(p->head + i) % PTY_OUT_BYTES] = buf[i];
	WRITE_ONCE(p->head, p->head + (uint32_t)len);
	wake_events(&p->master_read, POLLIN | POLLRDNORM, false);
}

static void input_room(struct tty *t)
{
	wake_events(&pty_of(t)->master_write, POLLOUT | POLLWRNORM, false);
}

static void flush_output(struct tty *t)
{
	struct pty *p = pty_of(t);

	WRITE_ONCE(p->head, 0);
	WRITE_ONCE(p->tail, 0);
	WRITE_ONCE(p->packet_status, p->packet_status | TIOCPKT_FLUSHWRITE);
	wake_events(&p->master_read, POLLIN | POLLRDNORM, false);
}

static size_t output_waiting(struct tty *t)
{
	const struct pty *p = pty_of(t);

	return p->head - p->tail;
}

static void slave_closed(struct tty *t)
{
	wake_all(&pty_of(t)->master_read);
}

static const struct tty_driver slave_driver = {
	.port = { .room = out_room, .write = out_write },
	.input_room = input_room,
	.flush_output = flush_output,
	.output_waiting = output_waiting,
	.last_close = slave_closed,
};

/* ---- opening the slave ---- */

static int open_slave_file(struct pty *p, struct file *f)
{
	int error;

	if (READ_ONCE(p->locked))
		return -EIO;
	error = tty_open_file(&p->slave, f, false);
	if (!error)
		WRITE_ONCE(p->slave_opened, true);
	return error;
}

static int slave_open(struct file *f)
{
	struct pty *p = f->private;
	int error;

	mutex_lock(&ptys_lock); /* until the pair has a file and stays whose it is */
	error = p->node && p->node->inode == f->inode ? open_slave_file(p, f) : -EIO;
	mutex_unlock(&ptys_lock);
	if (!error && !(f->flags & O_NOCTTY))
		tty_become_controlling(&p->slave);
	return error;
}

static const struct file_ops slave_device_ops = { .open = slave_open };

/* ---- the master's file ---- */

static bool slave_gone(const struct pty *p)
{
	return READ_ONCE(p->slave_opened) && READ_ONCE(p->slave.opens) == 0;
}

static bool master_readable(const struct pty *p)
{
	return READ_ONCE(p->head) != READ_ONCE(p->tail) || (p->packet && READ_ONCE(p->packet_status) != 0);
}

static size_t take_out(struct pty *p, char *buf, size_t max)
{
	size_t n = 0;
	unsigned long flags = spin_lock_irq(&p->slave.lock);

	for (; n < max && p->tail + (uint32_t)n != p->head; n++)
		buf[n] = p->out[(p->tail + n) % PTY_OUT_BYTES];
	WRITE_ONCE(p->tail, p->tail + (uint32_t)n);
	spin_unlock_irq(&p->slave.lock, flags);
	return n;
}

/* Packet mode: a byte of control before the data, or alone. True if that was all of this read. */
static bool read_packet_head(struct pty *p, struct io_iter *to, ssize_t *ret)
{
	unsigned long flags = spin_lock_irq(&p->slave.lock);
	uint8_t status = p->packet_status;

	WRITE_ONCE(p->packet_status, 0);
	spin_unlock_irq(&p->slave.lock, flags);
	*ret = io_copy_to(to, &status, 1) == 1 ? 1 : -EFAULT;
	return *ret < 0 || status != 0;
}

static ssize_t read_out(struct pty *p, struct io_iter *to)
{
	char chunk[TTY_CHUNK];
	ssize_t done = 0;

	while (to->count > 0) {
		size_t n = take_out(p, chunk, min(to->count, sizeof(chunk)));

		if (n == 0)
			break;
		if (io_copy_to(to, chunk, n) != n)
			return done > 0 ? done : -EFAULT;
		done += (ssize_t)n;
	}
	return done;
}

static ssize_t master_read(struct file *f, struct io_iter *to, int64_t *pos)
{
	struct pty *p = f->private;
	ssize_t head = 0, n;

	(void)pos;
	if (to->count == 0)
		return 0;
	while (!master_readable(p)) {
		int error;

		if (slave_gone(p))
			return -EIO;
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		error = wait_event_interruptible(&p->master_read, master_readable(p) || slave_gone(p));
		if (error)
			return error;
	}
	if (p->packet && read_packet_head(p, to, &head))
		return head;
	n = read_out(p, to);
	if (n > 0)
		wake_events(&p->slave.can_write, POLLOUT | POLLWRNORM, false);
	return n < 0 ? n : head + n;
}

/* The slave's input takes more; an estimate, since what a character becomes depends on the line discipline. */
static bool master_writable(const struct pty *p)
{
	const struct ldisc *l = &p->slave.ldisc;

	return READ_ONCE(l->head) - READ_ONCE(l->tail) < LDISC_BYTES - 1 || (ldisc_canonical(l) && !ldisc_readable(l));
}

static int type_chunk(struct file *f, struct pty *p, const char *buf, size_t len, size_t *ret_done)
{
	size_t done = 0;
	int error = 0;

	while (!error && done < len) {
		done += tty_receive(&p->slave, buf + done, len - done);
		if (done == len)
			break;
		error = f->flags & O_NONBLOCK ? -EAGAIN : wait_event_interruptible(&p->master_write, master_writable(p));
	}
	*ret_done = done;
	return error;
}

static ssize_t master_write(struct file *f, struct io_iter *from, int64_t *pos)
{
	struct pty *p = f->private;
	char chunk[TTY_CHUNK];
	ssize_t total = 0;
	int error = 0;

	(void)pos;
	while (!error && from->count > 0) {
		size_t n = io_copy_from(from, chunk, min(from->count, sizeof(chunk))), done;

		if (n == 0) {
			error = -EFAULT;
			break;
		}
		error = type_chunk(f, p, chunk, n, &done);
		total += (ssize_t)done;
	}
	return total > 0 ? total : error;
}

static uint32_t master_poll(struct file *f, struct poll_table *pt)
{
	struct pty *p = f->private;
	uint32_t ready = 0;

	poll_wait(pt, &p->master_read);
	poll_wait(pt, &p->master_write);
	if (master_readable(p))
		ready |= POLLIN | POLLRDNORM;
	if (p->packet && READ_ONCE(p->packet_status) != 0)
		ready |= POLLPRI;
	if (slave_gone(p))
		ready |= POLLHUP;
	if (master_writable(p))
		ready |= POLLOUT | POLLWRNORM;
	return ready;
}

/* ---- the master's ioctls ---- */

static int64_t set_flag(bool *flag, uaddr_t arg)
{
	int32_t value;

	if (get_user(value, arg))
		return -EFAULT;
	WRITE_ONCE(*flag, value != 0);
	return 0;
}

/* The name of the slave in the mount that the master was opened in. The master is open, so the node stays. */
static int path_of_slave(struct file *master, struct path *ret)
{
	const struct pty *p = master->private;

	*ret = (struct path){ master->path.mount, p->node };
	if (ret->mount->sb != ret->dentry->inode->sb)
		return -ENODEV; /* a ptmx by mknod(2) */
	path_get(ret);
	return 0;
}

static int64_t open_peer(struct file *master, uaddr_t flags)
{
	struct path path;
	struct file *f;
	int fd, error;

	if (flags & ~(uaddr_t)(O_RDWR | O_WRONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	fd = fd_reserve(0, flags & O_CLOEXEC);
	if (fd < 0)
		return fd;
	error = path_of_slave(master, &path);
	if (!error)
		error = vfs_open_known(path, (uint32_t)flags, &f);
	if (error) {
		fd_release(fd);
		return error;
	}
	fd_install(fd, f);
	return fd;
}

static int64_t send_signal(struct pty *p, uaddr_t signo)
{
	if (signo != SIGINT && signo != SIGQUIT && signo != SIGTSTP)
		return -EINVAL;
	tty_signal_foreground(&p->slave, (int)signo);
	return 0;
}

static const struct file_ops master_ops;

static int64_t master_ioctl(struct file *f, unsigned cmd, uaddr_t arg)
{
	struct pty *p = f->private;

	switch (cmd) {
	case TIOCGPTN:
		return put_user((uint32_t)p->number, arg);
	case TIOCSPTLCK:
		return set_flag(&p->locked, arg);
	case TIOCGPTLCK:
		return put_user((int32_t)p->locked, arg);
	case TIOCPKT:
		return set_flag(&p->packet, arg);
	case TIOCGPKT:
		return put_user((int32_t)p->packet, arg);
	case TIOCGPTPEER:
		return open_peer(f, arg);
	case TIOCSIG:
		return send_signal(p, arg);
	case FIONREAD:
		return put_user((int32_t)(p->head - p->tail), arg);
	case TIOCGPGRP:
		return put_user((int32_t)pid_seen(p->slave.foreground), arg);
	case TIOCGSID:
		return p->slave.session > 0 ? put_user((int32_t)pid_seen(p->slave.session), arg) : -ENOTTY;
	default:
		return tty_ioctl_common(&p->slave, cmd, arg);
	}
}

int pty_unlock(struct file *master)
{
	struct pty *p = master->private;

	if (master->ops != &master_ops)
		return -ENOTTY;
	WRITE_ONCE(p->locked, false);
	return (int)p->number;
}

static void node_name(const struct pty *p, char *buf, size_t size)
{
	fmt_string(buf, size, "pts/%u", p->number);
}

static void remove_node(struct pty *p)
{
	char name[16];
	struct dentry *node;

	node_name(p, name, sizeof(name));
	if (p->instance)
		devpts_remove(p->instance, name + strlen("pts/"));
	else
		devfs_remove_node(name, dev_make(PTY_MAJOR, p->number));
	mutex_lock(&ptys_lock);
	node = p->node;
	p->node = NULL;
	p->in_use = false;
	mutex_unlock(&ptys_lock);
	dentry_put(node);
}

static void master_release(struct file *f)
{
	struct pty *p = f->private;
	unsigned long flags = spin_lock_irq(&p->slave.lock);

	WRITE_ONCE(p->slave.peer_gone, true);
	spin_unlock_irq(&p->slave.lock, flags);
	tty_hangup(&p->slave);
	remove_node(p);
}

static const struct file_ops master_ops = {
	.read = master_read,
	.write = master_write,
	.poll = master_poll,
	.ioctl = master_ioctl,
	.release = master_release,
	.splice = SPLICE_READ | SPLICE_WRITE,
	.async = true,
};

/* ---- making pairs ---- */

/* Pair i, which the device number of its slave leads to from now on. */
static struct pty *create(unsigned i)
{
	struct pty *p = kzalloc(sizeof(*p));
	char name[16];
	int error;

	if (!p)
		return err_ptr(-ENOMEM);
	p->number = i;
	node_name(p, name, sizeof(name));
	error = device_add(name, S_IFCHR, PTY_MAJOR, i, &slave_device_ops, p);
	if (error) {
		kfree(p);
		return err_ptr(error);
	}
	ptys[i] = p;
	return p;
}

/* A pair that nobody uses: a slave that is still open from before is not handed out again. */
static struct pty *find_free(void)
{
	for (unsigned i = 0; i < PTYS_MAX; i++) {
		struct pty *p = ptys[i];

		if (!p)
			return create(i);
		if (!p->in_use && READ_ONCE(p->slave.opens) == 0)
			return p;
	}
	return err_ptr(-ENOSPC);
}

static void start_over(struct pty *p)
{
	static uint32_t generations;
	unsigned number = p->number;

	memset(p, 0, offsetof(struct pty, out));
	tty_init(&p->slave, &slave_driver, PTY_MAJOR, number);
	p->slave.generation = ++generations << 8; /* no file of an earlier use is alive in this one */
	p->number = number;
	p->in_use = p->locked = true;
	wait_queue_init(&p->master_read);
	wait_queue_init(&p->master_write);
}

/* The node belongs to who opened the master, unless the instance says otherwise. */
static int add_node(struct pty *p)
{
	uint64_t rdev = dev_make(PTY_MAJOR, p->number);
	struct dentry *node;
	char name[16];
	int error;

	node_name(p, name, sizeof(name));
	if (p->instance)
		error = devpts_add(p->instance, name + strlen("pts/"), rdev, &node);
	else
		error = devfs_add_node(name, S_IFCHR | 0620, rdev, &node);
	mutex_lock(&ptys_lock);
	if (error)
		p->in_use = false;
	else
		p->node = node;
	mutex_unlock(&ptys_lock);
	return error;
}

static int ptmx_open(struct file *f)
{
	struct pty *p;
	int error;

	mutex_lock(&ptys_lock);
	p = find_free();
	if (!is_err(p))
		start_over(p);
	mutex_unlock(&ptys_lock);
	if (is_err(p))
		return ptr_err(p);
	p->instance = devpts_is(f->inode->sb) ? f->inode->sb : NULL;
	error = add_node(p);
	if (error)
		return error;
	f->private = p;
	f->mode = (f->mode & ~(uint32_t)FILE_SEEKABLE) | FILE_STREAM;
	f->ops = &master_ops;
	return 0;
}

static const struct file_ops ptmx_ops = { .open = ptmx_open };

static int pty_start(void)
{
	return devfs_add("ptmx", S_IFCHR | 0666, 5, 2, &ptmx_ops, NULL);
}
SERVICE_DEFINE(pty, .requires = SERVICE_REQUIRES("devfs"), .start = pty_start);
