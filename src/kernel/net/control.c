/* SPDX-License-Identifier: MIT */
/*
 * Control messages (cmsg(3)): open files and credentials that travel with data.
 *
 * Files on their way are counted, and bounded by RIGHTS_IN_FLIGHT_MAX: -ETOOMANYREFS beyond. A file that is dropped may be a socket with
 * files in its own queue, and so on without end; rights_drop() therefore only queues a bundle when somebody is emptying the queue
 * already, so that the depth of calls stays bounded.
 */
#include <linux/capability.h>
#include <cloudos/errno.h>
#include <cloudos/mm.h>
#include <cloudos/proc.h>
#include <cloudos/socket.h>
#include <cloudos/task.h>
#include <cloudos/uaccess.h>
#include <cloudos/user_namespace.h>

#define CONTROL_MAX	     20480u /* bytes of control messages: Linux's net.core.optmem_max */
#define RIGHTS_IN_FLIGHT_MAX 65536u

static uint32_t in_flight; /* A: files of all bundles */
static struct spinlock drop_lock = SPINLOCK_INIT(RANK_LEAF);
static struct rights *to_drop; /* by drop_lock */
static bool dropping;	       /* by drop_lock */

/* ---- bundles of files ---- */

static struct rights *rights_alloc(uint32_t count)
{
	struct rights *r;

	if (__atomic_add_fetch(&in_flight, count, __ATOMIC_RELAXED) > RIGHTS_IN_FLIGHT_MAX) {
		__atomic_fetch_sub(&in_flight, count, __ATOMIC_RELAXED);
		return err_ptr(-ETOOMANYREFS);
	}
	r = kmalloc(sizeof(*r) + count * sizeof(r->files[0]));
	if (!r) {
		__atomic_fetch_sub(&in_flight, count, __ATOMIC_RELAXED);
		return err_ptr(-ENOMEM);
	}
	r->next = NULL;
	r->count = count;
	return r;
}

/* Frees the bundle alone. */
static void rights_free(struct rights *r, uint32_t allocated)
{
	__atomic_fetch_sub(&in_flight, allocated, __ATOMIC_RELAXED);
	kfree(r);
}

static void put_files(struct rights *r)
{
	for (uint32_t i = 0; i < r->count; i++)
		file_put(r->files[i]);
	rights_free(r, r->count);
}

void rights_drop(struct rights *r)
{
	if (!r)
		return;
	spin_lock(&drop_lock);
	r->next = to_drop;
	to_drop = r;
	if (!dropping) {
		dropping = true;
		while ((r = to_drop)) {
			to_drop = r->next;
			spin_unlock(&drop_lock);
			put_files(r);
			spin_lock(&drop_lock);
		}
		dropping = false;
	}
	spin_unlock(&drop_lock);
}

struct rights *rights_copy(const struct rights *from)
{
	struct rights *r = rights_alloc(from->count);

	if (is_err(r))
		return NULL;
	for (uint32_t i = 0; i < r->count; i++) {
		r->files[i] = from->files[i];
		file_get(r->files[i]);
	}
	return r;
}

/* ---- from the user ---- */

/* Several messages of files make one bundle. */
static int rights_from_user(uaddr_t data, uint64_t len, struct socket_control *ret)
{
	struct rights *before = ret->rights, *r;
	uint32_t first = before ? before->count : 0, got = first, count;
	int error = 0;

	if (len / sizeof(int32_t) > SCM_RIGHTS_MAX - first)
		return -EINVAL;
	count = first + (uint32_t)(len / sizeof(int32_t));
	if (count == first)
		return 0;
	r = rights_alloc(count);
	if (is_err(r))
		return ptr_err(r);
	for (; got < count; got++) {
		int32_t fd;

		if (get_user(fd, data + (got - first) * sizeof(fd)))
			error = -EFAULT;
		else if (!(r->files[got] = fd_get(fd)))
			error = -EBADF;
		if (error)
			break;
		if (unlikely(r->files[got]->mode & FILE_UNSENT)) {
			error = -EINVAL;
			got++; /* it is put with the others */
			break;
		}
	}
	if (!error) {
		for (uint32_t i = 0; i < first; i++)
			r->files[i] = before->files[i];
		if (before)
			rights_free(before, first);
		ret->rights = r;
		return 0;
	}
	while (got > first)
		file_put(r->files[--got]);
	rights_free(r, count);
	return error;
}

/* A process may say that it is itself, with any of its ids; who may change ids may say more (unix(7)). */
static bool cred_ok(const struct socket_cred *c)
{
	const struct cred *own = thread_current()->cred;
	bool uid = c->uid == own->uid || c->uid == own->euid || c->uid == own->suid || cred_capable_here(own, CAP_SETUID);
	bool gid = c->gid == own->gid || c->gid == own->egid || c->gid == own->sgid || cred_capable_here(own, CAP_SETGID);

	return uid && gid && (c->pid == process_pid(process_current()) || pid_namespace_capable(CAP_SYS_ADMIN));
}

static int cred_from_user(uaddr_t data, uint64_t len, struct socket_control *ret)
{
	if (len != sizeof(ret->cred))
		return -EINVAL;
	if (get_user(ret->cred, data))
		return -EFAULT;
	ret->cred = (struct socket_cred){ pid_global(ret->cred.pid), uid_in(ret->cred.uid), gid_in(ret->cred.gid) };
	if (ret->cred.uid == ID_NONE || ret->cred.gid == ID_NONE)
		return -EINVAL;
	if (!cred_ok(&ret->cred))
		return -EPERM;
	if (ret->cred.pid == 0)
		return -ESRCH;
	ret->has_cred = true;
	return 0;
}

static int one_from_user(const struct control_header *h, uaddr_t data, struct socket_control *ret)
{
	if (h->level != SOL_SOCKET)
		return 0;
	if (h->type == SCM_RIGHTS)
		return rights_from_user(data, h->len - sizeof(*h), ret);
	if (h->type == SCM_CREDENTIALS)
		return cred_from_user(data, h->len - sizeof(*h), ret);
	return -EINVAL;
}

int control_from_user(uaddr_t control, uint64_t len, struct socket_control *ret)
{
	uint64_t at = 0;
	int error = 0;

	*ret = (struct socket_control){ 0 };
	if (len > CONTROL_MAX)
		return -ENOBUFS;
	while (!error && len - at >= sizeof(struct control_header)) {
		struct control_header h;

		if (get_user(h, control + at))
			error = -EFAULT;
		else if (h.len < sizeof(h) || h.len > len - at)
			error = -EINVAL;
		else
			error = one_from_user(&h, control + at + sizeof(h), ret);
		if (!error)
			at = min(at + align_up(h.len, UINT64_C(8)), len);
	}
	if (error) {
		rights_drop(ret->rights);
		ret->rights = NULL;
	}
	return error;
}

/* ---- to the user ---- */

struct control_writer {
	uaddr_t at;
	uint64_t left, written;
	unsigned *flags;
};

/* A header for `len` bytes of data, which are there already, and on to the next one's place. */
static void finish_one(struct control_writer *w, int type, uint64_t len)
{
	struct control_header h = { .len = sizeof(h) + len, .level = SOL_SOCKET, .type = type };
	uint64_t step = min(align_up(h.len, UINT64_C(8)), w->left);

	if (put_user(h, w->at)) {
		*w->flags |= MSG_CTRUNC;
		w->left = 0;
		return;
	}
	w->at += step;
	w->left -= step;
	w->written += step;
}

struct socket_cred socket_cred_seen(const struct socket_cred *c)
{
	return (struct socket_cred){ pid_seen(c->pid), uid_out(c->uid), gid_out(c->gid) };
}

static void cred_to_user(struct control_writer *w, const struct socket_cred *cred)
{
	uint64_t room = w->left > sizeof(struct control_header) ? w->left - sizeof(struct control_header) : 0;
	uint64_t len = min((uint64_t)sizeof(*cred), room);

	if (len < sizeof(*cred))
		*w->flags |= MSG_CTRUNC;
	if (w->left < sizeof(struct control_header) || copy_to_user(w->at + sizeof(struct control_header), cred, len))
		return;
	finish_one(w, SCM_CREDENTIALS, len);
}

/* One more open file for the process: 0, or an errno that ends the list. */
static int install_one(struct file *f, uaddr_t to, bool close_on_exec)
{
	int fd = fd_reserve(0, close_on_exec);

	if (fd < 0)
		return fd;
	if (put_user((int32_t)fd, to)) {
		fd_release(fd);
		return -EFAULT;
	}
	file_get(f);
	fd_install(fd, f);
	return 0;
}

static void rights_to_user(struct control_writer *w, struct rights *r)
{
	uint64_t room = w->left > sizeof(struct control_header) ? w->left - sizeof(struct control_header) : 0;
	uint32_t fit = (uint32_t)min(room / sizeof(int32_t), (uint64_t)r->count), n = 0;
	uaddr_t data = w->at + sizeof(struct control_header);

	while (n < fit && install_one(r->files[n], data + n * sizeof(int32_t), *w->flags & MSG_CMSG_CLOEXEC) == 0)
		n++;
	if (n < r->count)
		*w->flags |= MSG_CTRUNC;
	if (n > 0)
		finish_one(w, SCM_RIGHTS, n * sizeof(int32_t));
	rights_drop(r);
}

uint64_t control_to_user(struct socket_control *c, uaddr_t control, uint64_t len, unsigned *flags)
{
	struct control_writer w = { .at = control, .left = len, .flags = flags };

	if (c->has_cred) {
		struct socket_cred seen = socket_cred_seen(&c->cred);

		cred_to_user(&w, &seen);
	}
	if (c->rights)
		rights_to_user(&w, c->rights);
	c->rights = NULL;
	return w.written;
}

/* 0 is the kernel: a thread of no process. */
static int32_t own_pid(void)
{
	const struct process *p = process_current();

	return p ? process_pid(p) : 0;
}

struct socket_cred socket_cred_real(void)
{
	const struct cred *c = thread_current()->cred;

	return (struct socket_cred){ own_pid(), c->uid, c->gid };
}

struct socket_cred socket_cred_effective(void)
{
	const struct cred *c = thread_current()->cred;

	return (struct socket_cred){ own_pid(), c->euid, c->egid };
}
