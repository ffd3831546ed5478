/* SPDX-License-Identifier: MIT */
/*
 * No wake-up is lost: many threads talk through pipes, sockets, epolls and counters; every byte arrives, and nobody sleeps for ever (an alarm
 * ends the program if somebody does).
 */
#include "cases.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#define WRITERS 3
#define READERS 3
#define ROUNDS	3000
#define SECONDS 60

static int fd[2];
static uint64_t received;

static void run(void *(*writer)(void *), int writers, void *(*reader)(void *), int readers, void (*when_written)(void))
{
	pthread_t w[8], r[8];

	received = 0;
	alarm(SECONDS);
	for (int i = 0; i < readers; i++)
		EXPECT(pthread_create(&r[i], NULL, reader, (void *)(intptr_t)i) == 0);
	for (int i = 0; i < writers; i++)
		EXPECT(pthread_create(&w[i], NULL, writer, (void *)(intptr_t)i) == 0);
	for (int i = 0; i < writers; i++)
		pthread_join(w[i], NULL);
	if (when_written)
		when_written();
	for (int i = 0; i < readers; i++)
		pthread_join(r[i], NULL);
	alarm(0);
}

static void close_writing_end(void)
{
	close(fd[1]);
}

static void *write_many(void *arg)
{
	static const char data[5000];
	size_t len = 1 + (size_t)(intptr_t)arg * 700;

	for (int i = 0; i < ROUNDS; i++) {
		ssize_t n = write(fd[1], data, i % 16 ? len : sizeof(data));

		if (n != (ssize_t)(i % 16 ? len : sizeof(data)))
			return (void *)1;
	}
	return NULL;
}

static uint64_t written_many(void)
{
	uint64_t total = 0;

	for (uint64_t w = 0; w < WRITERS; w++)
		for (int i = 0; i < ROUNDS; i++)
			total += i % 16 ? 1 + w * 700 : 5000;
	return total;
}

static void *read_many(void *arg)
{
	char buf[3000];
	ssize_t n;

	while ((n = read(fd[0], buf, arg ? sizeof(buf) : 100)) > 0)
		__atomic_fetch_add(&received, (uint64_t)n, __ATOMIC_RELAXED);
	return NULL;
}

static void pipes(void)
{
	EXPECT(pipe(fd) == 0);
	run(write_many, WRITERS, read_many, READERS, close_writing_end);
	EXPECT(received == written_many());
	close(fd[0]);
}

static void streams(void)
{
	EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
	run(write_many, WRITERS, read_many, READERS, close_writing_end);
	EXPECT(received == written_many());
	close(fd[0]);
}

static void *read_polling(void *arg)
{
	struct pollfd p = { .fd = fd[0], .events = POLLIN };
	char buf[3000];
	ssize_t n;

	(void)arg;
	for (;;) {
		if (poll(&p, 1, -1) != 1)
			return (void *)1;
		n = recv(fd[0], buf, sizeof(buf), MSG_DONTWAIT);
		if (n == 0)
			return NULL;
		if (n > 0)
			__atomic_fetch_add(&received, (uint64_t)n, __ATOMIC_RELAXED);
	}
}

static void polled_streams(void)
{
	EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
	run(write_many, WRITERS, read_polling, READERS, close_writing_end);
	EXPECT(received == written_many());
	close(fd[0]);
}

static void *write_polling(void *arg)
{
	static const char data[400];
	struct pollfd p = { .fd = fd[1], .events = POLLOUT };

	(void)arg;
	for (int i = 0; i < ROUNDS;) {
		if (poll(&p, 1, -1) != 1)
			return (void *)1;
		if (send(fd[1], data, sizeof(data), MSG_DONTWAIT) == sizeof(data))
			i++;
	}
	return NULL;
}

static void *read_messages(void *arg)
{
	char buf[1000];
	ssize_t n;

	(void)arg;
	while ((n = read(fd[0], buf, sizeof(buf))) > 0)
		__atomic_fetch_add(&received, (uint64_t)n, __ATOMIC_RELAXED);
	return NULL;
}

static void polled_records(void)
{
	EXPECT(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd) == 0);
	run(write_polling, WRITERS, read_messages, READERS, close_writing_end);
	EXPECT(received == (uint64_t)WRITERS * ROUNDS * 400);
	close(fd[0]);
}

/* ---- epoll: each reader drains what an edge tells it of ---- */

static int ep;

static void *read_epoll(void *arg)
{
	struct epoll_event e;
	char buf[3000];
	ssize_t n;

	(void)arg;
	for (;;) {
		if (epoll_wait(ep, &e, 1, -1) != 1)
			return (void *)1;
		while ((n = read(fd[0], buf, sizeof(buf))) > 0)
			__atomic_fetch_add(&received, (uint64_t)n, __ATOMIC_RELAXED);
		if (n == 0)
			return NULL;
	}
}

static void epoll_case(uint32_t events, int readers)
{
	struct epoll_event e = { .events = events };

	EXPECT(pipe(fd) == 0);
	fcntl(fd[0], F_SETFL, O_NONBLOCK);
	ep = epoll_create1(0);
	EXPECT(epoll_ctl(ep, EPOLL_CTL_ADD, fd[0], &e) == 0);
	run(write_many, WRITERS, read_epoll, readers, close_writing_end);
	EXPECT(received == written_many());
	close(fd[0]);
	close(ep);
}

static void epoll_level(void)
{
	epoll_case(EPOLLIN, READERS);
}

static void epoll_edge(void)
{
	epoll_case(EPOLLIN | EPOLLET, 1);
}

static void epoll_exclusive(void)
{
	epoll_case(EPOLLIN | EPOLLEXCLUSIVE, READERS);
}

/* ---- counters, and many who wait for one ---- */

static void *count_up(void *arg)
{
	uint64_t one = 1;

	(void)arg;
	for (int i = 0; i < ROUNDS; i++)
		if (write(fd[0], &one, 8) != 8)
			return (void *)1;
	return NULL;
}

static void *count_down(void *arg)
{
	uint64_t n;

	(void)arg;
	while (read(fd[0], &n, 8) == 8)
		if (__atomic_add_fetch(&received, n, __ATOMIC_RELAXED) == (uint64_t)WRITERS * ROUNDS)
			break;
	return NULL;
}

static void counters(void)
{
	fd[0] = eventfd(0, 0);
	run(count_up, WRITERS, count_down, 1, NULL);
	EXPECT(received == (uint64_t)WRITERS * ROUNDS);
	close(fd[0]);
}

static void *echo(void *arg)
{
	char c;

	(void)arg;
	for (int i = 0; i < ROUNDS; i++)
		if (read(fd[1], &c, 1) != 1 || write(fd[1], &c, 1) != 1)
			return (void *)1;
	return NULL;
}

/* Both ends of one stream, a byte there and a byte back. */
static void ping_pong(void)
{
	pthread_t other;
	char c;

	EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
	alarm(SECONDS);
	EXPECT(pthread_create(&other, NULL, echo, NULL) == 0);
	for (int i = 0; i < ROUNDS; i++)
		EXPECT(write(fd[0], "x", 1) == 1 && read(fd[0], &c, 1) == 1);
	pthread_join(other, NULL);
	alarm(0);
	close(fd[0]);
	close(fd[1]);
}

int main(void)
{
	CASE(pipes);
	CASE(streams);
	CASE(polled_streams);
	CASE(polled_records);
	CASE(epoll_level);
	CASE(epoll_edge);
	CASE(epoll_exclusive);
	CASE(counters);
	CASE(ping_pong);
	return abi_result();
}
