/* SPDX-License-Identifier: MIT */
/* Filters that ask another program: listeners, taking and answering calls, giving descriptors, signals, ends; filters that a tracer reads and suspends. */
#include "cases.h"
#include <fcntl.h>
#include "inside.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
#ifndef PTRACE_O_SUSPEND_SECCOMP
#define PTRACE_O_SUSPEND_SECCOMP (1 << 21)
#endif
#ifndef PTRACE_SECCOMP_GET_FILTER
#define PTRACE_SECCOMP_GET_FILTER 0x420c
#endif
#define NEW_LISTENER SECCOMP_FILTER_FLAG_NEW_LISTENER
#define ASKED	     SYS_getppid
#define PAUSE_MS     50

static int install(long number, uint32_t action, unsigned flags)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

/* ---- a child that is asked about ASKED, and its listener here ---- */

static int send_fd(int through, int fd)
{
	char data = 'f', control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec v = { &data, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(through, &m, 0) == 1 ? 0 : -1;
}

static int receive_fd(int through)
{
	char data, control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec v = { &data, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	int fd = -1;

	if (recvmsg(through, &m, 0) == 1 && CMSG_FIRSTHDR(&m))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return fd;
}

struct child {
	pid_t pid;
	int listener, wire;
};

/* fn runs in the child, filtered; what it returns is its exit status. */
static struct child start(int (*fn)(int wire), unsigned flags)
{
	struct child c = { -1, -1, -1 };
	int wires[2], fd;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, wires))
		return c;
	c.pid = fork();
	if (c.pid == 0) {
		close(wires[0]);
		fd = install(ASKED, SECCOMP_RET_USER_NOTIF, NEW_LISTENER | flags);
		NEED(fd >= 0 && send_fd(wires[1], fd) == 0);
		close(fd);
		_exit(fn(wires[1]));
	}
	close(wires[1]);
	c.wire = wires[0];
	c.listener = receive_fd(c.wire);
	return c;
}

/* The child's exit status, or minus its signal. */
static int finish(struct child *c)
{
	int ending = ending_of(c->pid);

	close(c->listener);
	close(c->wire);
	return ending;
}

static int take(int listener, struct seccomp_notif *ret)
{
	memset(ret, 0, sizeof(*ret));
	return ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, ret);
}

static int answer(int listener, uint64_t id, int error, int64_t value, uint32_t flags)
{
	struct seccomp_notif_resp r = { .id = id, .error = error, .val = value, .flags = flags };

	return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &r);
}

static bool valid(int listener, uint64_t id)
{
	return ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

static int ready(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };

	return poll(&p, 1, timeout_ms) < 0 ? -1 : p.revents;
}

static void rest(void)
{
	nanosleep(&(struct timespec){ 0, PAUSE_MS * 1000000l }, NULL);
}

/* ---- installing ---- */

static void sizes_and_flags(void)
{
	struct seccomp_notif_sizes sizes;
	uint32_t action = SECCOMP_RET_USER_NOTIF;
	unsigned all = SECCOMP_FILTER_FLAG_TSYNC | NEW_LISTENER;

	EXPECT(syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) == 0);
	EXPECT(sizes.seccomp_notif == sizeof(struct seccomp_notif) && sizes.seccomp_notif_resp == sizeof(struct seccomp_notif_resp));
	EXPECT(sizes.seccomp_data == sizeof(struct seccomp_data));
	EXPECT_ERRNO(syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 1, &sizes), EINVAL);
	EXPECT_ERRNO(syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, 16), EFAULT);
	EXPECT(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0);
	EXPECT_ERRNO(install(ASKED, SECCOMP_RET_ALLOW, all), EINVAL);
	EXPECT_ERRNO(install(ASKED, SECCOMP_RET_ALLOW, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV), EINVAL);
}

static void install_twice(void)
{
	int fd = install(ASKED, SECCOMP_RET_USER_NOTIF, NEW_LISTENER), more;
	char path[64], text[64], c;

	NEED(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	NEED(readlink(path, text, sizeof(text)) == 25 && !memcmp(text, "anon_inode:seccomp notify", 25));
	NEED(install(ASKED, SECCOMP_RET_USER_NOTIF, NEW_LISTENER) == -1 && errno == EBUSY);
	NEED(install(SYS_getuid, SECCOMP_RET_ALLOW, 0) == 0);
	NEED(install(ASKED, SECCOMP_RET_USER_NOTIF, NEW_LISTENER) == -1 && errno == EBUSY);
	NEED(read(fd, &c, 1) == -1 && errno == EINVAL);
	NEED(ioctl(fd, 0x1234, 0) == -1 && errno == EINVAL);
	NEED(close(fd) == 0);
	NEED(syscall(ASKED) == -1 && errno == ENOSYS); /* nobody listens any more */
	more = install(SYS_getuid, SECCOMP_RET_ALLOW, NEW_LISTENER | SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH);
	NEED(more == fd);
}

static void one_listener_a_chain(void)
{
	EXPECT(ends(install_twice) == 0);
}

/* ---- taking and answering ---- */

static int asks_for_value(int wire)
{
	(void)wire;
	errno = 0;
	return syscall(ASKED, 1, 2, 3, 4, 5, 6) == 77 && errno == 0 ? 7 : 1;
}

static void a_value(void)
{
	struct child c = start(asks_for_value, 0);
	struct seccomp_notif n;

	EXPECT(ready(c.listener, 5000) == POLLIN);
	EXPECT(take(c.listener, &n) == 0);
	EXPECT(n.pid == (uint32_t)c.pid && n.flags == 0 && n.data.nr == ASKED && n.data.instruction_pointer);
	for (unsigned i = 0; i < 6; i++)
		EXPECT(n.data.args[i] == i + 1);
	EXPECT(ready(c.listener, 0) == POLLOUT && valid(c.listener, n.id));
	EXPECT_ERRNO(answer(c.listener, n.id + 1, 0, 0, 0), ENOENT);
	EXPECT_ERRNO(answer(c.listener, n.id, 0, 0, 2), EINVAL);
	EXPECT_ERRNO(answer(c.listener, n.id, -EPERM, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE), EINVAL);
	EXPECT(answer(c.listener, n.id, 0, 77, 0) == 0);
	EXPECT(answer(c.listener, n.id, 0, 78, 0) == -1 && (errno == EINPROGRESS || errno == ENOENT));
	EXPECT(finish(&c) == 7);
}

static int asks_for_error(int wire)
{
	(void)wire;
	return syscall(ASKED) == -1 && errno == EXDEV ? 7 : 1;
}

static void an_error(void)
{
	struct child c = start(asks_for_error, 0);
	struct seccomp_notif n;

	EXPECT(take(c.listener, &n) == 0 && answer(c.listener, n.id, -EXDEV, 5, 0) == 0);
	EXPECT(finish(&c) == 7);
}

static int asks_for_itself(int wire)
{
	int parent;

	return recv(wire, &parent, sizeof(parent), 0) == sizeof(parent) && syscall(ASKED) == parent ? 7 : 1;
}

static void go_on(void)
{
	struct child c = start(asks_for_itself, 0);
	struct seccomp_notif n;
	int self = getpid();

	EXPECT(send(c.wire, &self, sizeof(self), 0) == sizeof(self));
	EXPECT(take(c.listener, &n) == 0 && answer(c.listener, n.id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE) == 0);
	EXPECT(finish(&c) == 7);
}

static void bad_buffers(void)
{
	struct child c = start(asks_for_value, 0);
	struct seccomp_notif n = { .pid = 1 };

	EXPECT_ERRNO(ioctl(c.listener, SECCOMP_IOCTL_NOTIF_RECV, &n), EINVAL);
	for (size_t i = 0; i < ABI_BAD_ADDRESSES; i++) {
		EXPECT_ERRNO(ioctl(c.listener, SECCOMP_IOCTL_NOTIF_RECV, abi_bad_addresses[i]), EFAULT);
		EXPECT_ERRNO(ioctl(c.listener, SECCOMP_IOCTL_NOTIF_SEND, abi_bad_addresses[i]), EFAULT);
		EXPECT_ERRNO(ioctl(c.listener, SECCOMP_IOCTL_NOTIF_ID_VALID, abi_bad_addresses[i]), EFAULT);
		EXPECT_ERRNO(ioctl(c.listener, SECCOMP_IOCTL_NOTIF_ADDFD, abi_bad_addresses[i]), EFAULT);
	}
	EXPECT(take(c.listener, &n) == 0 && answer(c.listener, n.id, 0, 77, 0) == 0);
	EXPECT(finish(&c) == 7);
}

static void *ask_in_thread(void *arg)
{
	*(long *)arg = syscall(ASKED, arg);
	return NULL;
}

#define THREADS 4

static int asks_in_threads(int wire)
{
	pthread_t threads[THREADS];
	long results[THREADS];

	(void)wire;
	for (int i = 0; i < THREADS; i++)
		NEED(pthread_create(&threads[i], NULL, ask_in_thread, &results[i]) == 0);
	for (int i = 0; i < THREADS; i++)
		NEED(pthread_join(threads[i], NULL) == 0 && results[i] == (long)((uintptr_t)&results[i] & 0xffff));
	return 7;
}

static void many_at_once(void)
{
	struct child c = start(asks_in_threads, 0);
	struct seccomp_notif n[THREADS];

	for (int i = 0; i < THREADS; i++)
		EXPECT(take(c.listener, &n[i]) == 0);
	for (int i = 0; i < THREADS; i++)
		EXPECT((int)n[i].pid > c.pid && (i == 0 || n[i].id != n[i - 1].id));
	EXPECT(ready(c.listener, 0) == POLLOUT);
	for (int i = THREADS; i-- > 0;)
		EXPECT(answer(c.listener, n[i].id, 0, (int64_t)(n[i].data.args[0] & 0xffff), 0) == 0);
	EXPECT(finish(&c) == 7);
}

/* ---- which filter is asked ---- */

static int strictest(int wire)
{
	(void)wire;
	NEED(install(ASKED, SECCOMP_RET_TRACE, 0) == 0); /* newer, and says less */
	NEED(syscall(ASKED) == 77);
	NEED(install(ASKED, SECCOMP_RET_USER_NOTIF, 0) == 0); /* newer, as strict, and has no listener */
	NEED(syscall(ASKED) == -1 && errno == ENOSYS);
	NEED(install(ASKED, SECCOMP_RET_ERRNO | EXDEV, 0) == 0);
	NEED(syscall(ASKED) == -1 && errno == EXDEV);
	return 7;
}

static void the_strictest_and_newest(void)
{
	struct child c = start(strictest, 0);
	struct seccomp_notif n;

	EXPECT(take(c.listener, &n) == 0 && answer(c.listener, n.id, 0, 77, 0) == 0);
	EXPECT(finish(&c) == 7);
}

/* ---- descriptors ---- */

static int add_fd(int listener, uint64_t id, int fd, uint32_t flags, int wanted, uint32_t fd_flags)
{
	struct seccomp_notif_addfd a = { .id = id, .flags = flags, .srcfd = (uint32_t)fd, .newfd = (uint32_t)wanted, .newfd_flags = fd_flags };

	return ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &a);
}

static int uses_descriptors(int wire)
{
	int first = open("/dev/null", O_RDWR), fd;
	struct stat st, null;
	char c;

	NEED(fstat(first, &null) == 0 && close(first) == 0);
	NEED(syscall(ASKED, first) == 77);
	NEED(fstat(first, &st) == 0 && S_ISFIFO(st.st_mode) && fcntl(first, F_GETFD) == FD_CLOEXEC);
	NEED(fstat(50, &st) == 0 && S_ISFIFO(st.st_mode) && fcntl(50, F_GETFD) == 0);
	fd = (int)syscall(ASKED, 50);
	NEED(fd == 50 && read(50, &c, 1) == 1 && c == 'x');
	fd = (int)syscall(ASKED, 0);
	NEED(fd > first && fd != 50 && fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode));
	(void)wire;
	return 7;
}

static void given_descriptors(void)
{
	struct child c = start(uses_descriptors, 0);
	struct seccomp_notif n;
	int pipes[2];

	EXPECT(pipe(pipes) == 0 && write(pipes[1], "xy", 2) == 2);
	EXPECT_ERRNO(add_fd(c.listener, 1, pipes[0], 0, 0, 0), ENOENT);
	EXPECT(take(c.listener, &n) == 0);
	EXPECT_ERRNO(add_fd(c.listener, n.id, 99, 0, 0, 0), EBADF);
	EXPECT_ERRNO(add_fd(c.listener, n.id, pipes[0], 0, 5, 0), EINVAL);
	EXPECT_ERRNO(add_fd(c.listener, n.id, pipes[0], 4, 0, 0), EINVAL);
	EXPECT_ERRNO(add_fd(c.listener, n.id, pipes[0], 0, 0, O_NONBLOCK), EINVAL);
	EXPECT(add_fd(c.listener, n.id, pipes[0], 0, 0, O_CLOEXEC) == (int)n.data.args[0]);
	EXPECT(add_fd(c.listener, n.id, pipes[0], SECCOMP_ADDFD_FLAG_SETFD, 50, 0) == 50);
	EXPECT_ERRNO(add_fd(c.listener, n.id, pipes[0], SECCOMP_ADDFD_FLAG_SETFD | SECCOMP_ADDFD_FLAG_SEND, 1 << 29, 0), EBADF);
	EXPECT(valid(c.listener, n.id)); /* no descriptor, no answer */
	EXPECT(answer(c.listener, n.id, 0, 77, 0) == 0);
	EXPECT(take(c.listener, &n) == 0);
	EXPECT(add_fd(c.listener, n.id, pipes[0], SECCOMP_ADDFD_FLAG_SETFD | SECCOMP_ADDFD_FLAG_SEND, 50, 0) == 50);
	EXPECT(take(c.listener, &n) == 0);
	EXPECT(add_fd(c.listener, n.id, pipes[0], SECCOMP_ADDFD_FLAG_SEND, 0, 0) > 0);
	EXPECT(finish(&c) == 7);
	close(pipes[0]), close(pipes[1]);
}

static void sizes_of_orders(void)
{
	struct child c = start(asks_for_value, 0);
	struct {
		struct seccomp_notif_addfd a;
		uint64_t more;
	} longer = { .more = 1 };
	struct seccomp_notif n;

	EXPECT(take(c.listener, &n) == 0);
	longer.a = (struct seccomp_notif_addfd){ .id = n.id, .srcfd = 0 };
	EXPECT_ERRNO(ioctl(c.listener, _IOW('!', 3, longer), &longer), E2BIG);
	longer.more = 0;
	EXPECT(ioctl(c.listener, _IOW('!', 3, longer), &longer) > 0);
	EXPECT_ERRNO(ioctl(c.listener, _IOW('!', 3, uint64_t), &longer), EINVAL);
	EXPECT(answer(c.listener, n.id, 0, 77, 0) == 0);
	EXPECT(finish(&c) == 7);
}

/* ---- signals and ends ---- */

static volatile sig_atomic_t handled;

static void handle(int signo)
{
	(void)signo;
	handled++;
}

static int asks_interrupted(int wire)
{
	struct sigaction action = { .sa_handler = handle };
	char go;

	sigaction(SIGUSR1, &action, NULL);
	action.sa_flags = SA_RESTART;
	sigaction(SIGUSR2, &action, NULL);
	NEED(send(wire, "r", 1, 0) == 1);
	NEED(syscall(ASKED) == -1 && errno == EINTR && handled == 1);
	NEED(recv(wire, &go, 1, 0) == 1);
	NEED(syscall(ASKED) == 77 && handled == 2);
	return 7;
}

static void signals_withdraw(void)
{
	struct child c = start(asks_interrupted, 0);
	struct seccomp_notif n, again;
	char ready_now;

	EXPECT(recv(c.wire, &ready_now, 1, 0) == 1 && take(c.listener, &n) == 0);
	EXPECT(kill(c.pid, SIGUSR1) == 0);
	EXPECT(send(c.wire, "g", 1, 0) == 1 && take(c.listener, &again) == 0);
	EXPECT(again.id != n.id && !valid(c.listener, n.id));
	EXPECT_ERRNO(answer(c.listener, n.id, 0, 0, 0), ENOENT);
	EXPECT(kill(c.pid, SIGUSR2) == 0);
	EXPECT(take(c.listener, &n) == 0 && n.id != again.id); /* made again */
	EXPECT(answer(c.listener, n.id, 0, 77, 0) == 0);
	EXPECT(finish(&c) == 7);
}

static int asks_killable(int wire)
{
	struct sigaction action = { .sa_handler = handle };

	sigaction(SIGUSR1, &action, NULL);
	NEED(send(wire, "r", 1, 0) == 1);
	NEED(syscall(ASKED) == 77 && handled == 1);
	syscall(ASKED);
	return 1;
}

static void waits_killable(void)
{
	struct child c = start(asks_killable, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
	struct seccomp_notif n;
	char ready_now;

	EXPECT(recv(c.wire, &ready_now, 1, 0) == 1 && take(c.listener, &n) == 0);
	rest();
	EXPECT(kill(c.pid, SIGUSR1) == 0);
	rest();
	EXPECT(valid(c.listener, n.id) && answer(c.listener, n.id, 0, 77, 0) == 0);
	EXPECT(take(c.listener, &n) == 0 && kill(c.pid, SIGKILL) == 0);
	EXPECT(finish(&c) == -SIGKILL);
}

static int asks_without_answer(int wire)
{
	(void)wire;
	return syscall(ASKED) == -1 && errno == ENOSYS && syscall(ASKED) == -1 && errno == ENOSYS ? 7 : 1;
}

static void closing_answers(void)
{
	struct child c = start(asks_without_answer, 0);
	struct seccomp_notif n;

	EXPECT(take(c.listener, &n) == 0);
	close(c.listener);
	c.listener = -1;
	EXPECT(ending_of(c.pid) == 7);
	close(c.wire);
	c = start(asks_without_answer, 0);
	EXPECT(ready(c.listener, 5000) == POLLIN); /* not taken */
	close(c.listener);
	EXPECT(ending_of(c.pid) == 7);
	close(c.wire);
}

static int ends_at_once(int wire)
{
	char go;

	return recv(wire, &go, 1, 0) == 1 ? 7 : 1;
}

static void the_last_user_ends(void)
{
	struct child c = start(ends_at_once, 0);

	EXPECT(ready(c.listener, 0) == 0);
	EXPECT(send(c.wire, "g", 1, 0) == 1 && ending_of(c.pid) == 7);
	EXPECT(ready(c.listener, 5000) == POLLHUP);
	close(c.listener), close(c.wire);
}

static void a_taken_call_dies(void)
{
	struct child c = start(asks_for_value, 0);
	struct seccomp_notif n;

	EXPECT(take(c.listener, &n) == 0 && kill(c.pid, SIGKILL) == 0 && ending_of(c.pid) == -SIGKILL);
	EXPECT(!valid(c.listener, n.id));
	EXPECT_ERRNO(answer(c.listener, n.id, 0, 0, 0), ENOENT);
	EXPECT_ERRNO(add_fd(c.listener, n.id, 0, 0, 0, 0), ENOENT);
	EXPECT(ready(c.listener, 5000) == POLLHUP);
	close(c.listener), close(c.wire);
}

/* ---- tracers ---- */

static int status_of_stop(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && WIFSTOPPED(status) ? WSTOPSIG(status) : -1;
}

static pid_t traced_child(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		NEED(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
		NEED(install(ASKED, SECCOMP_RET_ERRNO | 1, 0) == 0);
		NEED(install(ASKED, SECCOMP_RET_ERRNO | 2, 0) == 0);
		raise(SIGSTOP);
		NEED(syscall(ASKED) > 0); /* suspended */
		raise(SIGSTOP);
		NEED(syscall(ASKED) == -1 && errno == 2);
		_exit(7);
	}
	EXPECT(status_of_stop(pid) == SIGSTOP);
	return pid;
}

static void tracers(void)
{
	struct sock_filter code[8];
	pid_t pid;
	long n;

	if (geteuid())
		return;
	pid = traced_child();
	n = ptrace(PTRACE_SECCOMP_GET_FILTER, pid, 0, NULL);
	EXPECT(n == 4);
	EXPECT(ptrace(PTRACE_SECCOMP_GET_FILTER, pid, 0, code) == 4 && code[2].k == (SECCOMP_RET_ERRNO | 1));
	EXPECT(ptrace(PTRACE_SECCOMP_GET_FILTER, pid, 1, code) == 4 && code[2].k == (SECCOMP_RET_ERRNO | 2));
	EXPECT_ERRNO(ptrace(PTRACE_SECCOMP_GET_FILTER, pid, 2, code), ENOENT);
	EXPECT_ERRNO(ptrace(PTRACE_SECCOMP_GET_FILTER, pid, 0, 16), EFAULT);
	EXPECT(ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_SUSPEND_SECCOMP) == 0);
	EXPECT(ptrace(PTRACE_CONT, pid, 0, 0) == 0 && status_of_stop(pid) == SIGSTOP);
	EXPECT(ptrace(PTRACE_SETOPTIONS, pid, 0, 0) == 0);
	EXPECT(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(ending_of(pid) == 7);
}

static void unprivileged_tracer(void)
{
	pid_t pid;
	int status;

	NEED(install(SYS_getuid, SECCOMP_RET_ALLOW, 0) == 0);
	pid = fork();
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		_exit(0);
	}
	NEED(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
	NEED(ptrace(PTRACE_SECCOMP_GET_FILTER, pid, 0, NULL) == -1 && errno == EACCES);
	NEED(ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_SUSPEND_SECCOMP) == -1 && errno == EPERM);
	kill(pid, SIGKILL);
}

static void filtered_tracers(void)
{
	EXPECT(ends(unprivileged_tracer) == 0);
}

int main(void)
{
	CASE(sizes_and_flags);
	CASE(one_listener_a_chain);
	CASE(a_value);
	CASE(an_error);
	CASE(go_on);
	CASE(bad_buffers);
	CASE(many_at_once);
	CASE(the_strictest_and_newest);
	CASE(given_descriptors);
	CASE(sizes_of_orders);
	CASE(signals_withdraw);
	CASE(waits_killable);
	CASE(closing_answers);
	CASE(the_last_user_ends);
	CASE(a_taken_call_dies);
	CASE(tracers);
	CASE(filtered_tracers);
	return abi_result();
}
