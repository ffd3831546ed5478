/* SPDX-License-Identifier: MIT */
/*
 * POSIX message queues: names, attributes and limits, order by priority, time-outs, who waits first, notification, the file system. Made with the
 * raw calls, since the C library checks some things itself.
 */
#include "cases.h"

#include <fcntl.h>
#include <linux/mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#define NAME   "abi-queue"
#define OTHER  "abi-queue-2"
#define NOBODY 65534
#define MAGIC  0x19800202

static int q_open(const char *name, int flags, mode_t mode, struct mq_attr *attr)
{
	return (int)syscall(SYS_mq_open, name, flags, mode, attr);
}

static int q_unlink(const char *name)
{
	return (int)syscall(SYS_mq_unlink, name);
}

static int q_send(int q, const void *text, size_t len, unsigned priority, const struct timespec *until)
{
	return (int)syscall(SYS_mq_timedsend, q, text, len, priority, until);
}

static int q_receive(int q, void *text, size_t size, unsigned *priority, const struct timespec *until)
{
	return (int)syscall(SYS_mq_timedreceive, q, text, size, priority, until);
}

static int q_notify(int q, const struct sigevent *event)
{
	return (int)syscall(SYS_mq_notify, q, event);
}

static int q_attr(int q, const struct mq_attr *new, struct mq_attr *old)
{
	return (int)syscall(SYS_mq_getsetattr, q, new, old);
}

/* A new queue for `count` messages of 8 bytes. */
static int fresh(long count, int flags)
{
	struct mq_attr attr = { .mq_maxmsg = count, .mq_msgsize = 8 };

	q_unlink(NAME);
	return q_open(NAME, O_CREAT | O_EXCL | O_RDWR | flags, 0600, &attr);
}

static void finish(int q)
{
	EXPECT(close(q) == 0);
	EXPECT(q_unlink(NAME) == 0);
}

static struct timespec in_ms(long ms)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += ms * 1000000;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

static void names(void)
{
	char longest[258];
	int q;

	memset(longest, 'x', sizeof(longest));
	longest[256] = '\0';
	q_unlink(NAME);
	EXPECT_ERRNO(q_open(NAME, O_RDWR, 0, NULL), ENOENT);
	EXPECT_ERRNO(q_unlink(NAME), ENOENT);
	EXPECT_ERRNO(q_open("", O_CREAT | O_RDWR, 0600, NULL), ENOENT);
	EXPECT_ERRNO(q_open("/" NAME, O_CREAT | O_RDWR, 0600, NULL), EACCES);
	EXPECT_ERRNO(q_open("a/b", O_CREAT | O_RDWR, 0600, NULL), EACCES);
	EXPECT_ERRNO(q_open(".", O_RDONLY, 0, NULL), EACCES);
	EXPECT_ERRNO(q_open("..", O_CREAT | O_RDWR, 0600, NULL), EACCES);
	EXPECT_ERRNO(q_unlink("/" NAME), EACCES);
	EXPECT_ERRNO(q_open(longest, O_CREAT | O_RDWR, 0600, NULL), ENAMETOOLONG);
	EXPECT_ERRNO(q_unlink(longest), ENAMETOOLONG);
	longest[255] = '\0';
	q = q_open(longest, O_CREAT | O_RDWR, 0600, NULL);
	EXPECT(q >= 0 && close(q) == 0 && q_unlink(longest) == 0);
	for (size_t i = 0; i < ABI_BAD_ADDRESSES; i++) {
		EXPECT_ERRNO(q_open(abi_bad_addresses[i], O_CREAT | O_RDWR, 0600, NULL), EFAULT);
		EXPECT_ERRNO(q_unlink(abi_bad_addresses[i]), EFAULT);
		if (i > 0)
			EXPECT_ERRNO(q_open(NAME, O_CREAT | O_RDWR, 0600, abi_bad_addresses[i]), EFAULT);
	}
	q = q_open(NAME, O_CREAT | O_EXCL | O_RDWR, 0600, NULL);
	EXPECT(q >= 0 && fcntl(q, F_GETFD) == FD_CLOEXEC);
	EXPECT_ERRNO(q_open(NAME, O_CREAT | O_EXCL | O_RDWR, 0600, NULL), EEXIST);
	EXPECT_ERRNO(q_open(NAME, O_ACCMODE, 0, NULL), EINVAL);
	finish(q);
}

static void attributes(void)
{
	struct mq_attr attr, old;
	int q;

	q_unlink(NAME);
	q = q_open(NAME, O_CREAT | O_RDWR | O_NONBLOCK, 0600, NULL);
	memset(&attr, 0xff, sizeof(attr));
	EXPECT(q_attr(q, NULL, &attr) == 0);
	EXPECT(attr.mq_flags == O_NONBLOCK && attr.mq_maxmsg == 10 && attr.mq_msgsize == 8192 && attr.mq_curmsgs == 0);
	EXPECT(attr.__reserved[0] == 0 && attr.__reserved[3] == 0);
	EXPECT(q_send(q, "a", 1, 0, NULL) == 0 && q_attr(q, NULL, &attr) == 0 && attr.mq_curmsgs == 1);
	attr = (struct mq_attr){ .mq_flags = 0, .mq_maxmsg = 99 };
	EXPECT(q_attr(q, &attr, &old) == 0 && old.mq_flags == O_NONBLOCK && old.mq_maxmsg == 10);
	EXPECT(q_attr(q, NULL, &old) == 0 && old.mq_flags == 0 && !(fcntl(q, F_GETFL) & O_NONBLOCK) && old.mq_maxmsg == 10);
	attr.mq_flags = O_NONBLOCK;
	EXPECT(q_attr(q, &attr, NULL) == 0 && (fcntl(q, F_GETFL) & O_NONBLOCK));
	attr.mq_flags = O_APPEND;
	EXPECT_ERRNO(q_attr(q, &attr, NULL), EINVAL);
	EXPECT_ERRNO(q_attr(1, NULL, &old), EBADF);
	EXPECT_ERRNO(q_attr(-1, NULL, &old), EBADF);
	for (size_t i = 1; i < ABI_BAD_ADDRESSES; i++) {
		EXPECT_ERRNO(q_attr(q, abi_bad_addresses[i], NULL), EFAULT);
		EXPECT_ERRNO(q_attr(q, NULL, abi_bad_addresses[i]), EFAULT);
	}
	finish(q);
	for (int i = 0; i < 4; i++) {
		static const long sizes[4][2] = { { 0, 8 }, { 8, 0 }, { -1, 8 }, { 65537, 8 } };

		attr = (struct mq_attr){ .mq_maxmsg = sizes[i][0], .mq_msgsize = sizes[i][1] };
		EXPECT_ERRNO(q_open(NAME, O_CREAT | O_RDWR, 0600, &attr), EINVAL);
	}
	EXPECT_ERRNO(q_open(NAME, O_RDWR, 0, NULL), ENOENT);
}

static void order(void)
{
	static const struct {
		char text[2];
		unsigned priority;
	} sent[] = { { "a", 1 }, { "b", 5 }, { "c", 1 }, { "d", 32767 }, { "e", 5 }, { "f", 0 } };
	int q = fresh(6, O_NONBLOCK);
	char text[8], all[8] = "";
	unsigned priority, last = 32768;

	for (int i = 0; i < 6; i++)
		EXPECT(q_send(q, sent[i].text, 1, sent[i].priority, NULL) == 0);
	EXPECT_ERRNO(q_send(q, "g", 1, 0, NULL), EAGAIN);
	for (int i = 0; i < 6; i++) {
		EXPECT(q_receive(q, text, 8, &priority, NULL) == 1 && priority <= last);
		last = priority;
		all[i] = text[0];
	}
	EXPECT(!strcmp(all, "dbeacf"));
	EXPECT_ERRNO(q_receive(q, text, 8, NULL, NULL), EAGAIN);
	EXPECT(q_send(q, "", 0, 3, NULL) == 0 && q_receive(q, text, 8, &priority, NULL) == 0 && priority == 3);
	EXPECT(q_send(q, "12345678", 8, 0, NULL) == 0 && q_receive(q, text, 8, NULL, NULL) == 8 && !memcmp(text, "12345678", 8));
	finish(q);
}

static void wrong_arguments(void)
{
	int q = fresh(1, O_NONBLOCK), reader = q_open(NAME, O_RDONLY, 0, NULL), writer = q_open(NAME, O_WRONLY, 0, NULL);
	struct timespec wrong = { .tv_sec = 1, .tv_nsec = 1000000000 }, negative = { .tv_sec = -1 };
	char text[16];

	EXPECT_ERRNO(q_send(q, "123456789", 9, 0, NULL), EMSGSIZE);
	EXPECT_ERRNO(q_receive(q, text, 7, NULL, NULL), EMSGSIZE);
	EXPECT_ERRNO(q_send(q, "a", 1, 32768, NULL), EINVAL);
	EXPECT_ERRNO(q_send(-1, "a", 1, 32768, NULL), EINVAL);
	EXPECT_ERRNO(q_send(-1, "a", 1, 0, NULL), EBADF);
	EXPECT_ERRNO(q_send(1, "a", 1, 0, NULL), EBADF);
	EXPECT_ERRNO(q_send(reader, "a", 1, 0, NULL), EBADF);
	EXPECT_ERRNO(q_receive(writer, text, 16, NULL, NULL), EBADF);
	EXPECT_ERRNO(q_receive(1, text, 16, NULL, NULL), EBADF);
	EXPECT_ERRNO(q_send(-1, "a", 1, 0, &wrong), EINVAL);
	EXPECT_ERRNO(q_receive(q, text, 8, NULL, &negative), EINVAL);
	for (size_t i = 0; i < ABI_BAD_ADDRESSES; i++) {
		EXPECT_ERRNO(q_send(q, abi_bad_addresses[i], 1, 0, NULL), EFAULT);
		if (i > 0)
			EXPECT_ERRNO(q_send(q, "a", 1, 0, abi_bad_addresses[i]), EFAULT);
		EXPECT(q_send(q, "a", 1, 0, NULL) == 0); /* and it is gone after this */
		EXPECT_ERRNO(q_receive(q, abi_bad_addresses[i], 8, NULL, NULL), EFAULT);
		EXPECT(q_send(q, "a", 1, 0, NULL) == 0);
		if (i > 0)
			EXPECT_ERRNO(q_receive(q, text, 8, abi_bad_addresses[i], NULL), EFAULT);
		else
			EXPECT(q_receive(q, text, 8, NULL, NULL) == 1);
	}
	EXPECT_ERRNO(write(q, "a", 1), EINVAL);
	EXPECT_ERRNO(ftruncate(reader, 0), EINVAL);
	EXPECT(close(reader) == 0 && close(writer) == 0);
	finish(q);
}

static void time_outs(void)
{
	int q = fresh(1, 0);
	struct timespec past = { .tv_sec = 1 }, soon, now;
	char text[8];

	EXPECT_ERRNO(q_receive(q, text, 8, NULL, &past), ETIMEDOUT);
	soon = in_ms(30);
	EXPECT_ERRNO(q_receive(q, text, 8, NULL, &soon), ETIMEDOUT);
	clock_gettime(CLOCK_REALTIME, &now);
	EXPECT(now.tv_sec > soon.tv_sec || (now.tv_sec == soon.tv_sec && now.tv_nsec >= soon.tv_nsec));
	EXPECT(q_send(q, "a", 1, 0, &past) == 0); /* there is room: nobody looks at the time */
	EXPECT_ERRNO(q_send(q, "b", 1, 0, &past), ETIMEDOUT);
	soon = in_ms(30);
	EXPECT_ERRNO(q_send(q, "b", 1, 0, &soon), ETIMEDOUT);
	EXPECT(q_receive(q, text, 8, NULL, &past) == 1 && text[0] == 'a');
	finish(q);
}

static void nothing(int signo)
{
	(void)signo;
}

static void interrupted(void)
{
	struct sigaction act = { .sa_handler = nothing };
	struct itimerval once = { .it_value.tv_usec = 20000 };
	int q = fresh(1, 0);
	struct timespec late = in_ms(150);
	char text[8];

	EXPECT(sigaction(SIGALRM, &act, NULL) == 0 && setitimer(ITIMER_REAL, &once, NULL) == 0);
	EXPECT_ERRNO(q_receive(q, text, 8, NULL, NULL), EINTR);
	act.sa_flags = SA_RESTART;
	EXPECT(sigaction(SIGALRM, &act, NULL) == 0 && setitimer(ITIMER_REAL, &once, NULL) == 0);
	EXPECT_ERRNO(q_receive(q, text, 8, NULL, &late), ETIMEDOUT);
	signal(SIGALRM, SIG_DFL);
	finish(q);
}

/* ---- those who wait ---- */

static int shared_queue;

static pid_t waiter; /* the thread that was started last */

static void *receive_one(void *text)
{
	__atomic_store_n(&waiter, gettid(), __ATOMIC_RELEASE);
	return (void *)(intptr_t)q_receive(shared_queue, text, 8, NULL, NULL);
}

static void *send_one(void *text)
{
	__atomic_store_n(&waiter, gettid(), __ATOMIC_RELEASE);
	return (void *)(intptr_t)q_send(shared_queue, text, 1, 7, NULL);
}

static void nap(void)
{
	struct timespec t = { .tv_nsec = 30000000 };

	nanosleep(&t, NULL);
}

/* Starts a thread of one of these, and comes back when it sleeps in the queue. */
static int start(pthread_t *thread, const pthread_attr_t *attr, void *(*body)(void *), void *text)
{
	pid_t tid;
	int error;

	__atomic_store_n(&waiter, 0, __ATOMIC_RELEASE);
	error = pthread_create(thread, attr, body, text);
	if (error)
		return error;
	do {
		nap();
		tid = __atomic_load_n(&waiter, __ATOMIC_ACQUIRE);
	} while (!tid || !abi_asleep(tid));
	return 0;
}

static void waiting(void)
{
	char texts[2][8] = { "", "" }, text[8];
	pthread_t threads[2];
	void *result;
	unsigned priority;

	shared_queue = fresh(1, 0);
	for (int i = 0; i < 2; i++)
		EXPECT(start(&threads[i], NULL, receive_one, texts[i]) == 0);
	EXPECT(q_send(shared_queue, "x", 1, 0, NULL) == 0 && q_send(shared_queue, "y", 1, 9, NULL) == 0);
	for (int i = 0; i < 2; i++)
		EXPECT(pthread_join(threads[i], &result) == 0 && result == (void *)1);
	EXPECT(texts[0][0] == 'x' && texts[1][0] == 'y'); /* first come, first served */
	EXPECT(q_send(shared_queue, "1", 1, 3, NULL) == 0);
	EXPECT(start(&threads[0], NULL, send_one, "2") == 0);
	EXPECT(q_receive(shared_queue, text, 8, &priority, NULL) == 1 && text[0] == '1' && priority == 3);
	EXPECT(pthread_join(threads[0], &result) == 0 && result == (void *)0);
	EXPECT(q_receive(shared_queue, text, 8, &priority, NULL) == 1 && text[0] == '2' && priority == 7);
	finish(shared_queue);
}

/* The more urgent thread gets it, though it came later. */
static void by_urgency(void)
{
	struct sched_param param = { .sched_priority = 10 };
	char texts[2][8] = { "", "" };
	pthread_t threads[2];
	pthread_attr_t attr;

	shared_queue = fresh(1, 0);
	pthread_attr_init(&attr);
	EXPECT(start(&threads[0], &attr, receive_one, texts[0]) == 0);
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attr, SCHED_FIFO);
	pthread_attr_setschedparam(&attr, &param);
	if (start(&threads[1], &attr, receive_one, texts[1]) == 0) {
		EXPECT(q_send(shared_queue, "1", 1, 0, NULL) == 0 && pthread_join(threads[1], NULL) == 0 && texts[1][0] == '1');
	}
	EXPECT(q_send(shared_queue, "2", 1, 0, NULL) == 0 && pthread_join(threads[0], NULL) == 0 && texts[0][0] == '2');
	finish(shared_queue);
}

static void polling(void)
{
	int q = fresh(1, O_NONBLOCK), ep = epoll_create1(0);
	struct epoll_event event = { .events = EPOLLIN | EPOLLET }, got;
	struct pollfd p = { .fd = q, .events = POLLIN | POLLOUT };
	char text[8];

	EXPECT(poll(&p, 1, 0) == 1 && p.revents == POLLOUT);
	EXPECT(epoll_ctl(ep, EPOLL_CTL_ADD, q, &event) == 0 && epoll_wait(ep, &got, 1, 0) == 0);
	EXPECT(q_send(q, "a", 1, 0, NULL) == 0);
	EXPECT(epoll_wait(ep, &got, 1, 1000) == 1 && got.events == EPOLLIN && epoll_wait(ep, &got, 1, 0) == 0);
	EXPECT(poll(&p, 1, 0) == 1 && p.revents == POLLIN);
	EXPECT(q_receive(q, text, 8, NULL, NULL) == 1);
	EXPECT(poll(&p, 1, 0) == 1 && p.revents == POLLOUT);
	EXPECT(close(ep) == 0);
	finish(q);
}

/* ---- notification ---- */

static bool status(int q, long *size, int *how, int *signo, int *pid)
{
	char text[128] = "";

	return pread(q, text, sizeof(text) - 1, 0) > 0 &&
	       sscanf(text, "QSIZE:%ld NOTIFY:%d SIGNO:%d NOTIFY_PID:%d\n", size, how, signo, pid) == 4;
}

static bool listens(int q)
{
	int how, signo, pid;
	long size;

	return status(q, &size, &how, &signo, &pid) && pid == getpid();
}

static void notification(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 4711 };
	int q = fresh(2, O_NONBLOCK), same = q_open(NAME, O_RDWR, 0, NULL), how, signo, pid;
	struct timespec zero = { 0 };
	sigset_t set;
	siginfo_t si;
	char text[8];
	long size;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	EXPECT(q_notify(q, &event) == 0);
	EXPECT_ERRNO(q_notify(q, &event), EBUSY);
	EXPECT(status(q, &size, &how, &signo, &pid) && size == 0 && how == SIGEV_SIGNAL && signo == SIGUSR1 && pid == getpid());
	EXPECT(q_send(q, "abc", 3, 0, NULL) == 0);
	EXPECT(sigtimedwait(&set, &si, &zero) == SIGUSR1 && si.si_code == SI_MESGQ && si.si_value.sival_int == 4711);
	EXPECT(si.si_pid == getpid() && si.si_uid == getuid());
	EXPECT(status(q, &size, &how, &signo, &pid) && size == 3 && how == 0 && signo == 0 && pid == 0);
	EXPECT(q_notify(q, &event) == 0); /* there is a message: nothing comes before the next that finds none */
	EXPECT(q_send(q, "a", 1, 0, NULL) == 0);
	EXPECT_ERRNO(sigtimedwait(&set, &si, &zero), EAGAIN);
	EXPECT(q_receive(q, text, 8, NULL, NULL) == 3 && q_receive(q, text, 8, NULL, NULL) == 1);
	EXPECT(q_notify(q, NULL) == 0 && !listens(q) && q_notify(q, NULL) == 0);
	EXPECT(q_notify(q, &event) == 0 && listens(q));
	EXPECT(close(same) == 0 && !listens(q)); /* any descriptor of it */
	event.sigev_notify = SIGEV_NONE;
	EXPECT(q_notify(q, &event) == 0 && listens(q) && q_send(q, "a", 1, 0, NULL) == 0 && !listens(q));
	EXPECT_ERRNO(sigtimedwait(&set, &si, &zero), EAGAIN);
	finish(q);
}

static void notification_goes_wrong(void)
{
	struct sigevent event = { .sigev_notify = 77 };
	int q = fresh(1, O_NONBLOCK), unix_socket = socket(AF_UNIX, SOCK_STREAM, 0);
	char cookie[NOTIFY_COOKIE_LEN] = "";

	EXPECT_ERRNO(q_notify(q, &event), EINVAL);
	event.sigev_notify = SIGEV_SIGNAL;
	event.sigev_signo = 65;
	EXPECT_ERRNO(q_notify(q, &event), EINVAL);
	event.sigev_signo = -1;
	EXPECT_ERRNO(q_notify(q, &event), EINVAL);
	event.sigev_signo = SIGUSR1;
	EXPECT_ERRNO(q_notify(1, &event), EBADF);
	EXPECT_ERRNO(q_notify(-1, &event), EBADF);
	for (size_t i = 1; i < ABI_BAD_ADDRESSES; i++)
		EXPECT_ERRNO(q_notify(q, abi_bad_addresses[i]), EFAULT);
	event.sigev_notify = SIGEV_THREAD;
	event.sigev_value.sival_ptr = NULL;
	EXPECT_ERRNO(q_notify(q, &event), EFAULT);
	event.sigev_value.sival_ptr = cookie;
	event.sigev_signo = -1;
	EXPECT_ERRNO(q_notify(q, &event), EBADF);
	event.sigev_signo = q;
	EXPECT_ERRNO(q_notify(q, &event), ENOTSOCK);
	event.sigev_signo = unix_socket;
	EXPECT_ERRNO(q_notify(q, &event), EINVAL);
	EXPECT(close(unix_socket) == 0);
	finish(q);
}

/* A receiver that waits gets the message, and nobody is told. */
static void receivers_come_first(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	pthread_t thread;
	char text[8];

	shared_queue = fresh(1, 0);
	EXPECT(q_notify(shared_queue, &event) == 0);
	pthread_create(&thread, NULL, receive_one, text);
	nap();
	EXPECT(q_send(shared_queue, "a", 1, 0, NULL) == 0);
	pthread_join(thread, NULL);
	EXPECT(listens(shared_queue) && q_notify(shared_queue, NULL) == 0);
	finish(shared_queue);
}

/* A child's descriptor is the same queue, but not the same process. */
static void processes(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	int q = fresh(1, O_NONBLOCK), status_;
	pid_t pid;

	EXPECT(q_notify(q, &event) == 0);
	pid = fork();
	if (pid == 0) {
		bool busy = q_notify(q, &event) == -1 && errno == EBUSY, other = !listens(q);

		_exit(busy && other && q_notify(q, NULL) == 0 && close(q) == 0 ? 0 : 1);
	}
	EXPECT(waitpid(pid, &status_, 0) == pid && status_ == 0);
	EXPECT(listens(q) && q_notify(q, NULL) == 0);
	pid = fork();
	if (pid == 0)
		_exit(q_notify(q, &event) == 0 && listens(q) ? 0 : 1);
	EXPECT(waitpid(pid, &status_, 0) == pid && status_ == 0);
	EXPECT(q_notify(q, &event) == 0); /* it has ended */
	finish(q);
}

/* In a namespace of pids where it is number 1. */
static int as_first(int q)
{
	struct sigevent event = { .sigev_notify = SIGEV_NONE };
	int how, signo, pid;
	long size;
	char text[8];

	if (!status(q, &size, &how, &signo, &pid) || how != SIGEV_SIGNAL || pid != 0) /* of one that it does not see */
		return 1;
	if (q_send(q, "a", 1, 0, NULL) || q_receive(q, text, 8, NULL, NULL) != 1)
		return 2;
	return q_notify(q, &event) == 0 && listens(q) && getpid() == 1 ? 0 : 3;
}

static void beyond_a_namespace(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	int q = fresh(1, O_NONBLOCK), own = open("/proc/self/ns/pid", O_RDONLY), status_;
	struct timespec zero = { 0 };
	sigset_t set;
	siginfo_t si;
	pid_t pid;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (getuid() == 0 && unshare(CLONE_NEWPID) == 0) {
		EXPECT(q_notify(q, &event) == 0);
		pid = fork();
		if (pid == 0)
			_exit(as_first(q));
		EXPECT(setns(own, CLONE_NEWPID) == 0);
		EXPECT(waitpid(pid, &status_, 0) == pid && status_ == 0);
		EXPECT(sigtimedwait(&set, &si, &zero) == SIGUSR1 && si.si_code == SI_MESGQ && si.si_pid == pid);
	}
	EXPECT(close(own) == 0);
	finish(q);
}

/* ---- permissions and limits ---- */

static int as_nobody(bool (*fn)(void))
{
	pid_t pid = fork();
	int status_;

	if (pid == 0)
		_exit(setresgid(NOBODY, NOBODY, NOBODY) == 0 && setresuid(NOBODY, NOBODY, NOBODY) == 0 && fn() ? 0 : 1);
	return waitpid(pid, &status_, 0) == pid ? status_ : -1;
}

static bool cannot_use(void)
{
	return q_open(NAME, O_RDWR, 0, NULL) == -1 && errno == EACCES && q_open(NAME, O_WRONLY, 0, NULL) == -1 && errno == EACCES &&
	       q_open(NAME, O_RDONLY, 0, NULL) >= 0 && q_unlink(NAME) == -1 && errno == EPERM;
}

static bool is_limited(void)
{
	struct mq_attr attr = { .mq_maxmsg = 11, .mq_msgsize = 8 };
	int q;

	if (q_open(OTHER, O_CREAT | O_RDWR, 0600, &attr) != -1 || errno != EINVAL)
		return false;
	attr = (struct mq_attr){ .mq_maxmsg = 1, .mq_msgsize = 8193 };
	if (q_open(OTHER, O_CREAT | O_RDWR, 0600, &attr) != -1 || errno != EINVAL)
		return false;
	attr.mq_msgsize = 8192;
	q = q_open(OTHER, O_CREAT | O_RDWR, 0000, &attr); /* who makes it has it open whatever the mode */
	return q >= 0 && q_send(q, "a", 1, 0, NULL) == 0 && q_open(OTHER, O_RDWR, 0, NULL) == -1 && errno == EACCES && close(q) == 0 &&
	       q_unlink(OTHER) == 0;
}

/* One queue of 10 * (8192 + 96) bytes fits. */
static bool is_charged(void)
{
	struct rlimit limit = { 10 * (8192 + 96), 10 * (8192 + 96) };
	struct mq_attr attr = { .mq_maxmsg = 10, .mq_msgsize = 8192 };
	int q, p[2];

	if (setrlimit(RLIMIT_MSGQUEUE, &limit))
		return false;
	q = q_open(OTHER, O_CREAT | O_RDWR, 0600, &attr);
	if (q < 0 || q_open("abi-queue-3", O_CREAT | O_RDWR, 0600, &attr) != -1 || errno != EMFILE)
		return false;
	if (q_unlink(OTHER) || q_open("abi-queue-3", O_CREAT | O_RDWR, 0600, &attr) != -1 || errno != EMFILE)
		return false; /* it is open still */
	if (pipe(p) || close(q))
		return false;
	q = q_open("abi-queue-3", O_CREAT | O_RDWR, 0600, &attr);
	return q >= 0 && close(q) == 0 && q_unlink("abi-queue-3") == 0;
}

static void permissions(void)
{
	mode_t old = umask(022);
	int q;

	q_unlink(NAME);
	q = q_open(NAME, O_CREAT | O_RDWR, 0666, NULL);
	umask(old);
	if (getuid() == 0) {
		EXPECT(as_nobody(cannot_use) == 0);
		EXPECT(as_nobody(is_limited) == 0);
		EXPECT(as_nobody(is_charged) == 0);
	}
	finish(q);
}

static bool number_is(const char *name, long wanted)
{
	char path[64], text[32] = "";
	int fd;
	bool good;

	snprintf(path, sizeof(path), "/proc/sys/fs/mqueue/%s", name);
	fd = open(path, O_RDONLY);
	good = fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && strtol(text, NULL, 10) == wanted;
	close(fd);
	return good;
}

static void limits(void)
{
	EXPECT(number_is("queues_max", 256) && number_is("msg_max", 10) && number_is("msgsize_max", 8192));
	EXPECT(number_is("msg_default", 10) && number_is("msgsize_default", 8192));
}

/* ---- the file system ---- */

static void as_files(void)
{
	int q, file;
	struct stat st;
	struct statfs fs;
	char text[8], path[64];

	if (getuid() != 0 || mkdir("/tmp/abi-mqueue", 0700))
		return;
	if (mount("mqueue", "/tmp/abi-mqueue", "mqueue", 0, NULL)) { /* not every host lets us */
		rmdir("/tmp/abi-mqueue");
		return;
	}
	snprintf(path, sizeof(path), "/tmp/abi-mqueue/%s", NAME);
	q = fresh(2, O_NONBLOCK);
	EXPECT(stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 07777) == 0600 && st.st_size == 80 && st.st_nlink == 1);
	EXPECT(fstat(q, &st) == 0 && st.st_size == 80);
	EXPECT(statfs("/tmp/abi-mqueue", &fs) == 0 && fs.f_type == MAGIC);
	EXPECT(stat("/tmp/abi-mqueue", &st) == 0 && (st.st_mode & 07777) == 01777);
	file = open(path, O_RDWR | O_NONBLOCK); /* such a file is a queue's descriptor as well */
	EXPECT(file >= 0 && q_send(file, "a", 1, 0, NULL) == 0 && q_receive(q, text, 8, NULL, NULL) == 1);
	EXPECT(lseek(file, 0, SEEK_END) == 80 && read(file, text, 8) == 0);
	EXPECT(close(file) == 0);
	EXPECT_ERRNO(rename(path, "/tmp/abi-mqueue/else"), EPERM);
	EXPECT_ERRNO(mkdir("/tmp/abi-mqueue/folder", 0700), EPERM);
	EXPECT_ERRNO(link(path, "/tmp/abi-mqueue/else"), EPERM);
	EXPECT(unlink(path) == 0 && q_send(q, "a", 1, 0, NULL) == 0); /* it lives while it is open */
	EXPECT_ERRNO(q_open(NAME, O_RDWR, 0, NULL), ENOENT);
	EXPECT(close(q) == 0);
	file = open(path, O_CREAT | O_RDWR, 0600);
	EXPECT(file >= 0 && close(file) == 0);
	q = q_open(NAME, O_RDWR, 0, NULL);
	finish(q);
	EXPECT(umount("/tmp/abi-mqueue") == 0 && rmdir("/tmp/abi-mqueue") == 0);
}

int main(void)
{
	CASE(names);
	CASE(attributes);
	CASE(order);
	CASE(wrong_arguments);
	CASE(time_outs);
	CASE(interrupted);
	CASE(waiting);
	CASE(by_urgency);
	CASE(polling);
	CASE(notification);
	CASE(notification_goes_wrong);
	CASE(receivers_come_first);
	CASE(processes);
	CASE(beyond_a_namespace);
	CASE(permissions);
	CASE(limits);
	CASE(as_files);
	return abi_result();
}
