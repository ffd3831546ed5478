/* SPDX-License-Identifier: MIT */
/*
 * Disk images as files (hosted). A thread each takes requests from a list, does them with preadv, pwritev and fdatasync, and puts them on
 * another; so requests of one disk are done in order.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <sim/disk.h>
#include <sim/host.h>
#include <sim/host_private.h>

#define DISK_STACK (64 * 1024)

struct list {
	struct sim_disk_request *first, **last;
};

struct image {
	int fd;
	pthread_mutex_t lock; /* of both lists */
	pthread_cond_t submitted;
	struct list to_do, done;
};
static struct image images[SIM_DISKS_MAX];
static int image_count;

int host_disk_open(const char *name, uint64_t *ret_bytes, bool *ret_read_only)
{
	struct image *i = &images[image_count];
	struct stat st;

	if (image_count == SIM_DISKS_MAX)
		return -ENOSPC;
	i->fd = open(name, O_RDWR | O_CLOEXEC);
	*ret_read_only = i->fd < 0;
	if (i->fd < 0)
		i->fd = open(name, O_RDONLY | O_CLOEXEC);
	if (i->fd < 0 || fstat(i->fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	*ret_bytes = (uint64_t)st.st_size;
	pthread_mutex_init(&i->lock, NULL);
	pthread_cond_init(&i->submitted, NULL);
	i->to_do.last = &i->to_do.first;
	i->done.last = &i->done.first;
	return image_count++;
}

/* ---- lists; lock held ---- */

static void append(struct list *l, struct sim_disk_request *r)
{
	r->next = NULL;
	*l->last = r;
	l->last = &r->next;
}

static struct sim_disk_request *remove_first(struct list *l)
{
	struct sim_disk_request *r = l->first;

	if (r && !(l->first = r->next))
		l->last = &l->first;
	return r;
}

/* ---- doing ---- */

/* All of it, however the host cuts it; what lies behind a shortened file's end reads as zero. */
static int transfer(int fd, struct sim_disk_request *r)
{
	struct iovec vec[SIM_DISK_SEGMENTS_MAX], *v = vec;
	int n = (int)r->segment_count;
	off_t at = (off_t)(r->sector * SIM_DISK_SECTOR);

	for (int i = 0; i < n; i++)
		vec[i] = (struct iovec){r->segments[i].data, r->segments[i].len};
	while (n > 0) {
		ssize_t done = r->op == SIM_DISK_READ ? preadv(fd, v, n, at) : pwritev(fd, v, n, at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done < 0 ? -errno : -EIO;
		for (at += done; n > 0 && (size_t)done >= v->iov_len; n--)
			done -= (ssize_t)v++->iov_len;
		if (n > 0) {
			v->iov_base = (char *)v->iov_base + done;
			v->iov_len -= (size_t)done;
		}
	}
	return 0;
}

static int perform(int fd, struct sim_disk_request *r)
{
	int error = r->op == SIM_DISK_FLUSH ? 0 : transfer(fd, r);

	if (!error && (r->op == SIM_DISK_FLUSH || r->fua) && fdatasync(fd) < 0)
		error = -errno;
	return error;
}

static void *disk_thread(void *arg)
{
	struct image *i = arg;

	pthread_mutex_lock(&i->lock);
	for (;;) {
		struct sim_disk_request *r;

		while (!(r = remove_first(&i->to_do)))
			pthread_cond_wait(&i->submitted, &i->lock);
		pthread_mutex_unlock(&i->lock);
		r->error = perform(i->fd, r);
		pthread_mutex_lock(&i->lock);
		append(&i->done, r);
		sim_disk_arrived();
	}
	return NULL;
}

int host_disk_start(int number)
{
	return host_thread_create(DISK_STACK, disk_thread, &images[number]);
}

void host_disk_submit(int number, struct sim_disk_request *r)
{
	struct image *i = &images[number];

	pthread_mutex_lock(&i->lock);
	append(&i->to_do, r);
	pthread_mutex_unlock(&i->lock);
	pthread_cond_signal(&i->submitted);
}

struct sim_disk_request *host_disk_take(int number)
{
	struct image *i = &images[number];
	struct sim_disk_request *r;

	pthread_mutex_lock(&i->lock);
	r = remove_first(&i->done);
	pthread_mutex_unlock(&i->lock);
	return r;
}

void host_disk_read(int number, void *to, uint64_t len)
{
	for (uint64_t at = 0; at < len;) {
		ssize_t n = pread(images[number].fd, (char *)to + at, len - at, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			host_fatal("disk %d: %s", number, n < 0 ? strerror(errno) : "shorter than it was a moment ago");
		at += (uint64_t)n;
	}
}

void *host_memory(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}
