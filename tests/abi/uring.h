/* SPDX-License-Identifier: MIT */
/* A ring of io_uring(7) for test programs: as little as one needs to submit and to look at completions. */
#ifndef ABI_URING_H
#define ABI_URING_H

#include <linux/io_uring.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct uring {
	int fd;
	struct io_uring_params p;
	char *rings;
	size_t rings_size;
	struct io_uring_sqe *sqes;
	uint32_t tail; /* of submissions: those that were filled in */
	uint32_t told; /* and those that the kernel knows of */
};

static inline uint32_t *uring_word(const struct uring *u, uint32_t offset)
{
	return (uint32_t *)(void *)(u->rings + offset);
}

static inline int uring_setup(unsigned entries, struct io_uring_params *p)
{
	return (int)syscall(SYS_io_uring_setup, entries, p);
}

static inline int uring_register(const struct uring *u, unsigned opcode, const void *arg, unsigned n)
{
	return (int)syscall(SYS_io_uring_register, u->fd, opcode, arg, n);
}

static inline int uring_enter(const struct uring *u, unsigned submit, unsigned wait, unsigned flags)
{
	return (int)syscall(SYS_io_uring_enter, u->fd, submit, wait, flags, NULL, 0);
}

static inline bool uring_open_with(struct uring *u, unsigned entries, unsigned flags, unsigned cq_entries)
{
	size_t cqes, array;

	memset(u, 0, sizeof(*u));
	u->p.flags = flags;
	u->p.cq_entries = cq_entries;
	u->fd = uring_setup(entries, &u->p);
	if (u->fd < 0)
		return false;
	cqes = u->p.cq_off.cqes + u->p.cq_entries * sizeof(struct io_uring_cqe);
	array = u->p.sq_off.array + u->p.sq_entries * sizeof(uint32_t);
	u->rings_size = cqes > array ? cqes : array;
	u->rings = mmap(NULL, u->rings_size, PROT_READ | PROT_WRITE, MAP_SHARED, u->fd, IORING_OFF_SQ_RING);
	u->sqes = mmap(NULL, u->p.sq_entries * sizeof(*u->sqes), PROT_READ | PROT_WRITE, MAP_SHARED, u->fd, (off_t)IORING_OFF_SQES);
	return u->rings != MAP_FAILED && (void *)u->sqes != MAP_FAILED;
}

static inline bool uring_open(struct uring *u, unsigned entries)
{
	return uring_open_with(u, entries, 0, 0);
}

static inline void uring_close(struct uring *u)
{
	munmap(u->sqes, u->p.sq_entries * sizeof(*u->sqes));
	munmap(u->rings, u->rings_size);
	close(u->fd);
}

/* The next submission, cleared. */
static inline struct io_uring_sqe *uring_next(struct uring *u, int opcode, int fd, uint64_t user_data)
{
	uint32_t at = u->tail & (u->p.sq_entries - 1);
	struct io_uring_sqe *s = &u->sqes[at];

	memset(s, 0, sizeof(*s));
	s->opcode = (uint8_t)opcode;
	s->fd = fd;
	s->user_data = user_data;
	uring_word(u, u->p.sq_off.array)[at] = at;
	u->tail++;
	return s;
}

/* Submits what was filled in, and waits for so many completions: how many were submitted, or -1. */
static inline int uring_submit(struct uring *u, unsigned wait)
{
	uint32_t n = u->tail - u->told;

	__atomic_store_n(uring_word(u, u->p.sq_off.tail), u->tail, __ATOMIC_RELEASE);
	u->told = u->tail;
	return uring_enter(u, n, wait, wait ? IORING_ENTER_GETEVENTS : 0);
}

static inline uint32_t uring_ready(const struct uring *u)
{
	return __atomic_load_n(uring_word(u, u->p.cq_off.tail), __ATOMIC_ACQUIRE) - *uring_word(u, u->p.cq_off.head);
}

/* Takes the next completion, waiting for it if need be; false: an error. */
static inline bool uring_take(struct uring *u, struct io_uring_cqe *ret)
{
	uint32_t head = *uring_word(u, u->p.cq_off.head);

	if (uring_ready(u) == 0 && uring_enter(u, 0, 1, IORING_ENTER_GETEVENTS) < 0)
		return false;
	if (uring_ready(u) == 0)
		return false;
	memcpy(ret, u->rings + u->p.cq_off.cqes + (head & (u->p.cq_entries - 1)) * sizeof(*ret), sizeof(*ret));
	__atomic_store_n(uring_word(u, u->p.cq_off.head), head + 1, __ATOMIC_RELEASE);
	return true;
}

/* The next completion is that one. */
static inline bool uring_took(struct uring *u, uint64_t user_data, int result)
{
	struct io_uring_cqe c;

	return uring_take(u, &c) && c.user_data == user_data && c.res == result;
}

#endif
