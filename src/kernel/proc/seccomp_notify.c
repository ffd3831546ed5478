/* SPDX-License-Identifier: MIT */
/*
 * Filters that ask another program (seccomp_unotify(2)): a filter that was installed with SECCOMP_FILTER_FLAG_NEW_LISTENER has a descriptor, the
 * listener. A call for which the filter says SECCOMP_RET_USER_NOTIF waits as a request until the listener's program has answered it:
 *
 *   WAITING -- SECCOMP_IOCTL_NOTIF_RECV --> TAKEN -- NOTIF_SEND; ADDFD with SEND; the listener is closed --> ANSWERED
 *   WAITING, TAKEN -- a signal (once TAKEN with WAIT_KILLABLE_RECV: SIGKILL alone) --> withdrawn: the call is made again, or EINTR
 *
 * A request lies on the stack of the thread that makes the call, and is on its filter's list from beginning to end; so are orders to give that
 * thread a descriptor (ADDFD) on the stacks of those that wait for them. The thread itself puts the file into its table, with no lock held: what
 * it replaces may be the last descriptor of the listener.
 *
 * N1  Who is asked is the filter whose answer it was: the newest of those that say the least.
 * N2  A request is answered once, by whoever makes it ANSWERED. The answer to an order with SEND becomes TAKEN again when there was no descriptor.
 * N3  An order ends in one way: done by the thread, withdrawn by who gave it, or -ESRCH because the request has ended.
 * N4  Without a listener nothing waits: closing answers all with -ENOSYS, and there is no new request.
 *
 * Lock: notify->lock, for the list and all that is in it.
 */
#include "proc_internal.h"
#include <asm/fcntl.h>
#include <asm/ioctl.h>
#include <asm/poll.h>
#include <cloudos/random.h>
#include <cloudos/seccomp.h>
#include <cloudos/uaccess.h>
#include <cloudos/vfs.h>

#define ADDFD_SIZE_FIRST 24u /* of struct seccomp_notif_addfd as it was first */
_Static_assert(sizeof(struct seccomp_notif_addfd) == ADDFD_SIZE_FIRST, "nothing has been added to it");

enum request_state { WAITING, TAKEN, ANSWERED };

struct request {
	struct list link; /* in notify->requests */
	uint64_t id;
	struct task *task; /* the thread that waits: it stays while the request does */
	const struct seccomp_data *data;
	enum request_state state;
	bool poked; /* there is something new for the thread */
	int32_t error;
	int64_t value;
	uint32_t flags; /* SECCOMP_USER_NOTIF_FLAG_* */
	struct list orders;
	struct wait_queue wait;
};

/* To give the thread a file. */
struct order {
	struct list link; /* in request->orders; empty: taken off, by its thread or because the request has ended */
	struct file *file;
	int wanted; /* the descriptor to replace; -1: any */
	bool close_on_exec, send;
	int64_t result;
	bool done;
};

int seccomp_notify_create(bool killable, struct seccomp_notify **ret)
{
	struct seccomp_notify *n = kzalloc(sizeof(*n));

	if (!n)
		return -ENOMEM;
	mutex_init(&n->lock, RANK_SLEEP_LEAF);
	list_init(&n->requests);
	wait_queue_init(&n->changed);
	wait_queue_init(&n->orders_done);
	n->killable = killable;
	n->next_id = random_u64();
	*ret = n;
	return 0;
}

/* ---- the thread that makes the call ---- */

static void poke(struct request *r)
{
	WRITE_ONCE(r->poked, true);
	wake_all(&r->wait);
}

static bool told_to_exit(void)
{
	return READ_ONCE(thread_current()->work) & THREAD_WORK_EXIT;
}

/* n->lock is held, and let go of meanwhile. 0: poked; -ERESTARTSYS. */
static int sleep_locked(struct seccomp_notify *n, struct request *r)
{
	bool killable = n->killable && r->state != WAITING;
	int err;

	mutex_unlock(&n->lock);
	if (killable)
		err = wait_until(&r->wait, THREAD_STOPPED, HAL_TIMER_NEVER, READ_ONCE(r->poked) || told_to_exit());
	else
		err = wait_event_interruptible(&r->wait, READ_ONCE(r->poked));
	if (killable && !READ_ONCE(r->poked))
		err = -ERESTARTSYS;
	mutex_lock(&n->lock);
	WRITE_ONCE(r->poked, false);
	if (r->state == ANSWERED || (n->killable && !killable && r->state == TAKEN && !told_to_exit()))
		return 0; /* what was accepted counts, or it sleeps on in the other way */
	return err;
}

static int64_t install(const struct order *o)
{
	int fd;

	file_get(o->file);
	if (o->wanted < 0) {
		fd = fd_reserve(0, o->close_on_exec);
		if (fd >= 0)
			fd_install(fd, o->file);
	} else {
		fd = fd_replace(o->wanted, o->file, o->close_on_exec);
		fd = fd < 0 ? fd : o->wanted;
	}
	if (fd < 0)
		file_put(o->file);
	return fd;
}

static void answer_locked(struct request *r, int32_t error, int64_t value, uint32_t flags)
{
	r->state = ANSWERED;
	r->error = error;
	r->value = value;
	r->flags = flags;
}

/* n->lock is held, and let go of meanwhile. */
static void obey_locked(struct seccomp_notify *n, struct request *r)
{
	struct order *o = list_first(&r->orders, struct order, link);
	int64_t result;

	list_del(&o->link);
	list_init(&o->link);
	mutex_unlock(&n->lock);
	result = install(o);
	mutex_lock(&n->lock);
	if (o->send && result >= 0)
		answer_locked(r, 0, result, 0);
	else if (o->send && n->closed)
		answer_locked(r, -ENOSYS, 0, 0);
	else if (o->send)
		r->state = TAKEN;
	o->result = result;
	WRITE_ONCE(o->done, true);
	wake_all(&n->orders_done);
}

static void end_request_locked(struct seccomp_notify *n, struct request *r)
{
	struct order *o, *tmp;

	list_for_each_safe(o, tmp, &r->orders, link) {
		list_del(&o->link);
		list_init(&o->link);
		o->result = -ESRCH;
		WRITE_ONCE(o->done, true);
	}
	list_del(&r->link);
	wake_all(&n->orders_done);
}

bool seccomp_ask_listener(const struct seccomp_filter *f, const struct seccomp_data *d, int64_t *ret_result)
{
	struct seccomp_notify *n = f->notify;
	struct request r = { .task = task_self(), .data = d };
	int err = 0;

	*ret_result = -ENOSYS;
	if (!n)
		return true;
	list_init(&r.orders);
	wait_queue_init(&r.wait);
	mutex_lock(&n->lock);
	if (n->closed) {
		mutex_unlock(&n->lock);
		return true;
	}
	r.id = n->next_id++;
	list_add_tail(&n->requests, &r.link);
	WRITE_ONCE(n->waiting, n->waiting + 1);
	wake_events(&n->changed, POLLIN | POLLRDNORM, false);
	while (err == 0 && (r.state != ANSWERED || !list_empty(&r.orders))) {
		if (list_empty(&r.orders))
			err = sleep_locked(n, &r);
		else
			obey_locked(n, &r);
	}
	if (r.state == WAITING)
		WRITE_ONCE(n->waiting, n->waiting - 1);
	end_request_locked(n, &r);
	mutex_unlock(&n->lock);
	if (err < 0) {
		*ret_result = err;
		return true;
	}
	*ret_result = r.error ? r.error : r.value;
	return !(r.flags & SECCOMP_USER_NOTIF_FLAG_CONTINUE);
}

/* ---- the listener ---- */

static struct request *find_locked(struct seccomp_notify *n, uint64_t id)
{
	struct request *r;

	list_for_each(r, &n->requests, link)
		if (r->id == id)
			return r;
	return NULL;
}

static struct request *find_waiting_locked(struct seccomp_notify *n)
{
	struct request *r;

	list_for_each(r, &n->requests, link)
		if (r->state == WAITING)
			return r;
	return NULL;
}

/* Of the thread, for the running process. */
static uint32_t number_of(const struct task *t)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	int number = task_number(t);

	spin_unlock_irq(&proc_lock, flags);
	return (uint32_t)number;
}

/* Takes what waits longest: 0; -ENOENT: nothing does any more. */
static int take(struct seccomp_notify *n, struct seccomp_notif *ret)
{
	struct request *r;
	int err = -ENOENT;

	mutex_lock(&n->lock);
	r = find_waiting_locked(n);
	if (r) {
		*ret = (struct seccomp_notif){ .id = r->id, .pid = number_of(r->task), .data = *r->data };
		r->state = TAKEN;
		WRITE_ONCE(n->waiting, n->waiting - 1);
		if (n->killable)
			poke(r); /* to sleep in the other way from now on */
		err = 0;
	}
	mutex_unlock(&n->lock);
	if (r)
		wake_events(&n->changed, POLLOUT | POLLWRNORM, false);
	return err;
}

/* The program could not be told: as if nobody had taken it. */
static void untake(struct seccomp_notify *n, uint64_t id)
{
	struct request *r;

	mutex_lock(&n->lock);
	r = find_locked(n, id);
	if (r && r->state == TAKEN) {
		r->state = WAITING;
		WRITE_ONCE(n->waiting, n->waiting + 1);
		if (n->killable)
			poke(r);
		wake_events(&n->changed, POLLIN | POLLRDNORM, false);
	}
	mutex_unlock(&n->lock);
}

static int check_zero(uaddr_t at)
{
	static const struct seccomp_notif zero;
	struct seccomp_notif given;

	if (get_user(given, at) < 0)
		return -EFAULT;
	return memcmp(&given, &zero, sizeof(zero)) ? -EINVAL : 0;
}

static int64_t receive(const struct seccomp_filter *f, uaddr_t at)
{
	struct seccomp_notify *n = f->notify;
	struct seccomp_notif taken;
	int err = check_zero(at);

	if (err == 0)
		err = wait_event_interruptible(&n->changed, READ_ONCE(n->waiting) > 0 || !seccomp_is_used(f));
	if (err < 0)
		return err == -ERESTARTSYS ? -EINTR : err;
	err = take(n, &taken);
	if (err < 0)
		return err;
	err = copy_to_user(at, &taken, sizeof(taken));
	if (err < 0)
		untake(n, taken.id);
	return err;
}

static int64_t respond(struct seccomp_notify *n, uaddr_t at)
{
	struct seccomp_notif_resp resp;
	struct request *r;
	int err = 0;

	if (get_user(resp, at) < 0)
		return -EFAULT;
	if ((resp.flags & ~(uint32_t)SECCOMP_USER_NOTIF_FLAG_CONTINUE) || (resp.flags && (resp.error || resp.val)))
		return -EINVAL;
	mutex_lock(&n->lock);
	r = find_locked(n, resp.id);
	if (!r) {
		err = -ENOENT;
	} else if (r->state != TAKEN) {
		err = -EINPROGRESS;
	} else {
		answer_locked(r, resp.error, resp.val, resp.flags);
		poke(r);
	}
	mutex_unlock(&n->lock);
	return err;
}

static int64_t is_valid(struct seccomp_notify *n, uaddr_t at)
{
	struct request *r;
	uint64_t id;
	bool valid;

	if (get_user(id, at) < 0)
		return -EFAULT;
	mutex_lock(&n->lock);
	r = find_locked(n, id);
	valid = r && r->state == TAKEN;
	mutex_unlock(&n->lock);
	return valid ? 0 : -ENOENT;
}

/* ---- orders ---- */

static int give_order_locked(struct seccomp_notify *n, uint64_t id, struct order *o)
{
	struct request *r = find_locked(n, id);

	if (!r)
		return -ENOENT;
	if (r->state != TAKEN)
		return -EINPROGRESS;
	if (o->send && !list_empty(&r->orders))
		return -EBUSY;
	if (o->send)
		r->state = ANSWERED;
	list_add_tail(&r->orders, &o->link);
	poke(r);
	return 0;
}

/* An answer that was to come with a descriptor does not: the request is open again. */
static void withdraw_locked(struct seccomp_notify *n, uint64_t id, struct order *o)
{
	struct request *r = find_locked(n, id);

	list_del(&o->link);
	if (!r || !o->send)
		return;
	if (n->closed)
		answer_locked(r, -ENOSYS, 0, 0);
	else
		r->state = TAKEN;
	poke(r);
}

static int64_t order(struct seccomp_notify *n, uint64_t id, struct order *o)
{
	bool withdrawn = false;
	int64_t err;

	mutex_lock(&n->lock);
	err = give_order_locked(n, id, o);
	mutex_unlock(&n->lock);
	if (err < 0)
		return err;
	err = wait_event_interruptible(&n->orders_done, READ_ONCE(o->done));
	mutex_lock(&n->lock);
	if (!o->done && !list_empty(&o->link)) {
		withdraw_locked(n, id, o);
		withdrawn = true;
	}
	mutex_unlock(&n->lock);
	if (withdrawn)
		return err;
	wait_event(&n->orders_done, READ_ONCE(o->done)); /* the thread is at it */
	mutex_lock(&n->lock);			     /* and done with it */
	mutex_unlock(&n->lock);
	return o->result;
}

/* What a program that knows more says beyond the structure must be zero. */
static int copy_order(uaddr_t at, size_t size, struct seccomp_notif_addfd *ret)
{
	char more[64];

	if (size < ADDFD_SIZE_FIRST || size >= PAGE_SIZE)
		return -EINVAL;
	if (get_user(*ret, at) < 0)
		return -EFAULT;
	for (size_t done = sizeof(*ret); done < size;) {
		size_t n = min(size - done, sizeof(more));

		if (copy_from_user(more, at + done, n) < 0)
			return -EFAULT;
		for (size_t i = 0; i < n; i++)
			if (more[i])
				return -E2BIG;
		done += n;
	}
	return 0;
}

static int64_t add_fd(struct seccomp_notify *n, uaddr_t at, size_t size)
{
	struct seccomp_notif_addfd a;
	struct order o = { 0 };
	int64_t result = copy_order(at, size, &a);

	if (result < 0)
		return result;
	if ((a.newfd_flags & ~(uint32_t)O_CLOEXEC) || (a.flags & ~(uint32_t)(SECCOMP_ADDFD_FLAG_SETFD | SECCOMP_ADDFD_FLAG_SEND)) ||
	    (a.newfd && !(a.flags & SECCOMP_ADDFD_FLAG_SETFD)))
		return -EINVAL;
	o.file = fd_get((int)a.srcfd);
	if (!o.file)
		return -EBADF;
	o.wanted = a.flags & SECCOMP_ADDFD_FLAG_SETFD ? (int)a.newfd : -1;
	o.close_on_exec = a.newfd_flags & O_CLOEXEC;
	o.send = a.flags & SECCOMP_ADDFD_FLAG_SEND;
	if ((o.file->mode & FILE_PATH) || ((a.flags & SECCOMP_ADDFD_FLAG_SETFD) && o.wanted < 0))
		result = -EBADF;
	else
		result = order(n, a.id, &o);
	file_put(o.file);
	return result;
}

/* ---- the file ---- */

static int64_t listener_ioctl(struct file *file, unsigned cmd, uaddr_t arg)
{
	const struct seccomp_filter *f = file->private;
	struct seccomp_notify *n = f->notify;

	switch (cmd) {
	case SECCOMP_IOCTL_NOTIF_RECV:
		return receive(f, arg);
	case SECCOMP_IOCTL_NOTIF_SEND:
		return respond(n, arg);
	case SECCOMP_IOCTL_NOTIF_ID_VALID:
	case SECCOMP_IOR(2, uint64_t): /* as the headers of old had it */
		return is_valid(n, arg);
	default:
		break;
	}
	if (_IOC_TYPE(cmd) == SECCOMP_IOC_MAGIC && _IOC_NR(cmd) == _IOC_NR(SECCOMP_IOCTL_NOTIF_ADDFD))
		return add_fd(n, arg, _IOC_SIZE(cmd));
	return -EINVAL;
}

static uint32_t listener_poll(struct file *file, struct poll_table *pt)
{
	const struct seccomp_filter *f = file->private;
	struct seccomp_notify *n = f->notify;
	struct request *r;
	uint32_t ready = 0;

	poll_wait(pt, &n->changed);
	mutex_lock(&n->lock);
	list_for_each(r, &n->requests, link) {
		if (r->state == WAITING)
			ready |= POLLIN | POLLRDNORM;
		else if (r->state == TAKEN)
			ready |= POLLOUT | POLLWRNORM;
	}
	mutex_unlock(&n->lock);
	return seccomp_is_used(f) ? ready : ready | POLLHUP;
}

static void listener_release(struct file *file)
{
	struct seccomp_filter *f = file->private;
	struct seccomp_notify *n = f->notify;
	struct request *r;

	mutex_lock(&n->lock);
	WRITE_ONCE(n->closed, true);
	list_for_each(r, &n->requests, link) {
		if (r->state == ANSWERED)
			continue;
		if (r->state == WAITING)
			WRITE_ONCE(n->waiting, n->waiting - 1);
		answer_locked(r, -ENOSYS, 0, 0);
		poke(r);
	}
	mutex_unlock(&n->lock);
	seccomp_put(f);
}

static int listener_name(struct file *file, char *buf, size_t size)
{
	(void)file;
	return fmt_string(buf, size, "anon_inode:seccomp notify");
}

static const struct file_ops listener_ops = {
	.poll = listener_poll,
	.ioctl = listener_ioctl,
	.release = listener_release,
	.name = listener_name,
};

int seccomp_listener_open(struct seccomp_filter *f, struct file **ret)
{
	int err = file_create_anonymous(&listener_ops, f, FILE_READ | FILE_WRITE | FILE_STREAM, O_RDWR, 0, ret);

	if (err == 0)
		seccomp_get(f);
	return err;
}
