/* SPDX-License-Identifier: MIT */
/*
 * posix_bench - micro-benchmarks of a Linux-ABI kernel, in one static program.
 *
 *   posix_bench [options] [test-prefix ...]   run the tests (default: all)
 *   posix_bench net-sink   PORT [COUNT]       accept COUNT connections, drain each
 *   posix_bench net-source HOST PORT [SECS]   send for SECS seconds (default 5)
 *   posix_bench net-echo   PORT [COUNT]       accept COUNT connections, echo each
 *   posix_bench net-rtt    HOST PORT [N]      N one-byte round trips to net-echo
 *   posix_bench hello                         exit at once (the exec target)
 *
 * Options:
 *   -d DIR   scratch directory, meant to be memory-backed   (default /tmp)
 *   -f DIR   directory on a disk file system: enables the disk_* tests
 *   -s MIB   size of the disk_* file                         (default 64)
 *   -n N     files in the file_* tests                       (default 10000)
 *   -r N     repetitions; the median is printed              (default 3)
 *   -t MS    least time of one repetition                    (default 200)
 *   -b       print the best repetition, not the median (for a noisy machine)
 *   -x PATH  program to exec, run as `PATH hello`            (default: this one)
 *   -T       where a test needs a peer, use a thread in place of a process
 *            (for kernels without fork); those names end in _thr
 *   -l       list the tests
 *
 * Each result is one line, "name value unit"; a test that the kernel cannot
 * run prints "name - ERRNO-TEXT" and the next one follows. Lines that start
 * with '#' are comments. The exit status is 0 when every test ran.
 *
 * Only Linux system calls and a C library with POSIX threads are needed:
 *   musl-gcc -O2 -static -o posix_bench posix_bench.c
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KIB 1024u
#define MIB (1024u * 1024u)
#define STREAM_BLOCK (64 * KIB)   /* one read or write of the throughput tests */
#define SMALL_BLOCK 4096u         /* one read or write of the latency tests    */
#define COPY_SIZE (8 * MIB)
#define HASH_SIZE (16 * MIB)
#define HASH_OF_ZEROS 0x080acf35u /* first word of the digest of so many zeros  */
#define FAULT_CHUNK (4 * MIB)     /* mapped and touched at a time              */
#define MAX_REPEATS 99

static struct {
	const char *scratch;
	const char *disk;
	const char *exec_path;
	unsigned disk_mib;
	unsigned files;
	unsigned repeats;
	unsigned min_ms;
	bool best;
	bool threads;
} opt = {
	.scratch = "/tmp",
	.disk_mib = 64,
	.files = 10000,
	.repeats = 3,
	.min_ms = 200,
};

static char stream_buf[STREAM_BLOCK];

/* ---- small helpers ------------------------------------------------------ */

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* A test returns elapsed nanoseconds, or the negated errno of what failed. */
static int64_t failed(void)
{
	return errno > 0 ? -(int64_t)errno : -(int64_t)EIO;
}

static int read_full(int fd, void *buf, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t got = read(fd, (char *)buf + done, len - done);

		if (got > 0) {
			done += (size_t)got;
		} else if (got == 0) {
			errno = EPIPE;
			return -1;
		} else if (errno != EINTR) {
			return -1;
		}
	}
	return 0;
}

static int write_full(int fd, const void *buf, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t put = write(fd, (const char *)buf + done, len - done);

		if (put >= 0)
			done += (size_t)put;
		else if (errno != EINTR)
			return -1;
	}
	return 0;
}

static void path_in(char out[PATH_MAX], const char *dir, const char *name)
{
	snprintf(out, PATH_MAX, "%s/%s", dir, name);
}

/* Opens DIR/posix_bench.tmp, new, empty and already unlinked. */
static int open_scratch(const char *dir)
{
	char path[PATH_MAX];
	int fd;

	path_in(path, dir, "posix_bench.tmp");
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd >= 0)
		unlink(path);
	return fd;
}

/* ---- a peer: the second party of a test, a process or a thread ---------- */

struct peer {
	pid_t pid;              /* 0: it is a thread */
	pthread_t thread;
	int (*run)(struct peer *self);
	int in, out;            /* what the peer reads from and writes to */
	uint64_t count;
	int status;
};

static void *peer_thread(void *arg)
{
	struct peer *p = arg;

	p->status = p->run(p);
	return NULL;
}

/* The child of a fork closes `close_in_child`, the caller's own descriptors. */
static int peer_start(struct peer *p, const int close_in_child[2])
{
	p->pid = 0;
	p->status = 0;
	if (opt.threads) {
		errno = pthread_create(&p->thread, NULL, peer_thread, p);
		return errno ? -1 : 0;
	}
	p->pid = fork();
	if (p->pid == 0) {
		for (int i = 0; i < 2; i++)
			if (close_in_child[i] >= 0)
				close(close_in_child[i]);
		_exit(p->run(p) ? 1 : 0);
	}
	return p->pid < 0 ? -1 : 0;
}

static int peer_wait(struct peer *p)
{
	if (p->pid == 0)
		return pthread_join(p->thread, NULL) ? -1 : p->status;
	if (waitpid(p->pid, &p->status, 0) != p->pid)
		return -1;
	return p->status;
}

static int peer_echo(struct peer *p)
{
	char byte;

	for (uint64_t i = 0; i < p->count; i++)
		if (read_full(p->in, &byte, 1) || write_full(p->out, &byte, 1))
			return -1;
	return 0;
}

static int peer_drain(struct peer *p)
{
	static char buf[STREAM_BLOCK];
	uint64_t left = p->count * STREAM_BLOCK;

	while (left > 0) {
		ssize_t got = read(p->in, buf, sizeof buf);

		if (got <= 0)
			return -1;
		left -= (uint64_t)got;
	}
	return write_full(p->out, "", 1);
}

/* One-byte round trips over `mine` (read end, write end); `theirs` likewise. */
static int64_t ping_pong(uint64_t n, const int mine[2], const int theirs[2])
{
	struct peer p = { .run = peer_echo, .in = theirs[0], .out = theirs[1], .count = n };
	int own[2] = { mine[0], mine[1] == mine[0] ? -1 : mine[1] };
	int64_t start, elapsed;
	char byte = 0;

	if (peer_start(&p, own))
		return failed();
	start = now_ns();
	for (uint64_t i = 0; i < n; i++)
		if (write_full(mine[1], &byte, 1) || read_full(mine[0], &byte, 1))
			return failed();
	elapsed = now_ns() - start;
	return peer_wait(&p) ? failed() : elapsed;
}

static int tcp_pair(int fd[2])
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	socklen_t len = sizeof sa;
	int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);

	fd[0] = fd[1] = -1;
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (listener < 0)
		return -1;
	if (bind(listener, (struct sockaddr *)&sa, sizeof sa) == 0 &&
	    listen(listener, 1) == 0 &&
	    getsockname(listener, (struct sockaddr *)&sa, &len) == 0 &&
	    (fd[0] = socket(AF_INET, SOCK_STREAM, 0)) >= 0 &&
	    connect(fd[0], (struct sockaddr *)&sa, sizeof sa) == 0)
		fd[1] = accept(listener, NULL, NULL);
	if (fd[1] < 0) {
		int saved = errno;

		if (fd[0] >= 0)
			close(fd[0]);
		close(listener);
		errno = saved;
		return -1;
	}
	close(listener);
	for (int i = 0; i < 2; i++)
		setsockopt(fd[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return 0;
}

/* ---- system calls and time ---------------------------------------------- */

static int64_t bench_getpid(uint64_t n)
{
	int64_t start = now_ns();

	for (uint64_t i = 0; i < n; i++)
		syscall(SYS_getpid);
	return now_ns() - start;
}

static int64_t bench_clock_gettime(uint64_t n)
{
	struct timespec ts;
	int64_t start = now_ns();

	for (uint64_t i = 0; i < n; i++)
		clock_gettime(CLOCK_MONOTONIC, &ts);
	return now_ns() - start;
}

static int64_t bench_clock_gettime_sys(uint64_t n)
{
	struct timespec ts;
	int64_t start = now_ns();

	for (uint64_t i = 0; i < n; i++)
		if (syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts))
			return failed();
	return now_ns() - start;
}

static int64_t bench_sched_yield(uint64_t n)
{
	int64_t start = now_ns();

	for (uint64_t i = 0; i < n; i++)
		if (sched_yield())
			return failed();
	return now_ns() - start;
}

static volatile sig_atomic_t signals_seen;

static void on_signal(int sig)
{
	(void)sig;
	signals_seen++;
}

static int64_t bench_signal(uint64_t n)
{
	struct sigaction act = { .sa_handler = on_signal }, old;
	pid_t self = getpid();
	int64_t start;

	if (sigaction(SIGUSR1, &act, &old))
		return failed();
	signals_seen = 0;
	start = now_ns();
	for (uint64_t i = 0; i < n; i++)
		if (kill(self, SIGUSR1))
			return failed();
	start = now_ns() - start;
	sigaction(SIGUSR1, &old, NULL);
	return (uint64_t)signals_seen == n ? start : -EINTR;
}

/* ---- files in memory ---------------------------------------------------- */

static int64_t bench_open_close(uint64_t n)
{
	char path[PATH_MAX];
	int64_t start;
	int fd;

	path_in(path, opt.scratch, "posix_bench.open");
	fd = open(path, O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		return failed();
	close(fd);
	start = now_ns();
	for (uint64_t i = 0; i < n; i++) {
		fd = open(path, O_RDONLY);
		if (fd < 0)
			return failed();
		close(fd);
	}
	start = now_ns() - start;
	unlink(path);
	return start;
}

static int64_t file_4k(uint64_t n, bool writing)
{
	int fd = open_scratch(opt.scratch);
	int64_t start;
	ssize_t done = SMALL_BLOCK;

	if (fd < 0)
		return failed();
	if (pwrite(fd, stream_buf, SMALL_BLOCK, 0) != SMALL_BLOCK) {
		close(fd);
		return failed();
	}
	start = now_ns();
	for (uint64_t i = 0; i < n && done == SMALL_BLOCK; i++)
		done = writing ? pwrite(fd, stream_buf, SMALL_BLOCK, 0)
			       : pread(fd, stream_buf, SMALL_BLOCK, 0);
	start = now_ns() - start;
	close(fd);
	return done == SMALL_BLOCK ? start : failed();
}

static int64_t bench_read_4k(uint64_t n)
{
	return file_4k(n, false);
}

static int64_t bench_write_4k(uint64_t n)
{
	return file_4k(n, true);
}

enum file_phase { FILE_CREATE, FILE_STAT, FILE_UNLINK, FILE_PHASES };

/* Creates, stats and unlinks n empty files in one directory; times one phase. */
static int64_t file_tree(uint64_t n, const char *dir, enum file_phase timed)
{
	char base[PATH_MAX - 32], path[PATH_MAX];
	int64_t elapsed = 0;

	snprintf(base, sizeof base, "%s/posix_bench.dir", dir);
	if (mkdir(base, 0700) && errno != EEXIST)
		return failed();
	for (int phase = 0; phase < FILE_PHASES; phase++) {
		int64_t start = now_ns();

		for (uint64_t i = 0; i < n; i++) {
			struct stat st;
			int err;

			snprintf(path, sizeof path, "%s/f%" PRIu64, base, i);
			if (phase == FILE_CREATE) {
				int fd = open(path, O_WRONLY | O_CREAT, 0600);

				err = fd < 0 ? -1 : close(fd);
			} else if (phase == FILE_STAT) {
				err = timed == FILE_STAT ? stat(path, &st) : 0;
			} else {
				err = unlink(path);
			}
			if (err)
				return failed();
		}
		if (phase == (int)timed)
			elapsed = now_ns() - start;
	}
	return rmdir(base) ? failed() : elapsed;
}

static int64_t bench_file_create(uint64_t n)
{
	return file_tree(n, opt.scratch, FILE_CREATE);
}

static int64_t bench_file_stat(uint64_t n)
{
	return file_tree(n, opt.scratch, FILE_STAT);
}

static int64_t bench_file_unlink(uint64_t n)
{
	return file_tree(n, opt.scratch, FILE_UNLINK);
}

/* ---- communication ------------------------------------------------------ */

static int64_t pipe_ping_pong(uint64_t n)
{
	int there[2], back[2];
	int64_t result;

	if (pipe(there))
		return failed();
	if (pipe(back)) {
		close(there[0]);
		close(there[1]);
		return failed();
	}
	result = ping_pong(n, (int[]){ back[0], there[1] }, (int[]){ there[0], back[1] });
	close(there[0]);
	close(there[1]);
	close(back[0]);
	close(back[1]);
	return result;
}

static int64_t socket_ping_pong(uint64_t n, int (*make_pair)(int fd[2]))
{
	int fd[2];
	int64_t result;

	if (make_pair(fd))
		return failed();
	result = ping_pong(n, (int[]){ fd[0], fd[0] }, (int[]){ fd[1], fd[1] });
	close(fd[0]);
	close(fd[1]);
	return result;
}

static int unix_pair(int fd[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM, 0, fd);
}

static int64_t stream(uint64_t n, int (*make_pair)(int fd[2]))
{
	struct peer p = { .run = peer_drain, .count = n };
	int fd[2];
	int64_t start, result = 0;
	char ack;

	if (make_pair(fd))
		return failed();
	p.in = p.out = fd[1];
	if (peer_start(&p, (int[]){ fd[0], -1 })) {
		result = failed();
	} else {
		start = now_ns();
		for (uint64_t i = 0; i < n && !result; i++)
			if (write_full(fd[0], stream_buf, sizeof stream_buf))
				result = failed();
		if (!result && read_full(fd[0], &ack, 1))
			result = failed();
		if (!result)
			result = now_ns() - start;
		if (peer_wait(&p) && result > 0)
			result = failed();
	}
	close(fd[0]);
	close(fd[1]);
	return result;
}

static int64_t bench_pipe_pingpong(uint64_t n)
{
	return pipe_ping_pong(n);
}

static int64_t bench_unix_pingpong(uint64_t n)
{
	return socket_ping_pong(n, unix_pair);
}

static int64_t bench_tcp_pingpong(uint64_t n)
{
	return socket_ping_pong(n, tcp_pair);
}

static int64_t bench_unix_stream(uint64_t n)
{
	return stream(n, unix_pair);
}

static int64_t bench_tcp_stream(uint64_t n)
{
	return stream(n, tcp_pair);
}

/* A pipe write and read that switch to no one: what to take off context_switch. */
static int64_t bench_pipe_self(uint64_t n)
{
	int fd[2];
	int64_t start, result = 0;
	char byte = 0;

	if (pipe(fd))
		return failed();
	start = now_ns();
	for (uint64_t i = 0; i < n && !result; i++)
		if (write_full(fd[1], &byte, 1) || read_full(fd[0], &byte, 1))
			result = failed();
	if (!result)
		result = now_ns() - start;
	close(fd[0]);
	close(fd[1]);
	return result;
}

/* Half a pipe round trip, with both parties on one CPU where affinity works. */
static int64_t bench_context_switch(uint64_t n)
{
	cpu_set_t one, all;
	bool pinned;
	int64_t both;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	pinned = sched_getaffinity(0, sizeof all, &all) == 0 &&
		 sched_setaffinity(0, sizeof one, &one) == 0;
	both = pipe_ping_pong(n);
	if (pinned)
		sched_setaffinity(0, sizeof all, &all);
	return both < 0 ? both : both / 2;
}

/* ---- processes and threads ---------------------------------------------- */

static int reap(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -1;
	if (status) {
		errno = ECHILD;
		return -1;
	}
	return 0;
}

static int64_t bench_fork_exit(uint64_t n)
{
	int64_t start = now_ns();

	for (uint64_t i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		if (pid < 0 || reap(pid))
			return failed();
	}
	return now_ns() - start;
}

static char *const exec_args[] = { (char *)"posix_bench", (char *)"hello", NULL };
static char *const exec_env[] = { NULL };

static int64_t bench_fork_exec(uint64_t n)
{
	int64_t start = now_ns();

	for (uint64_t i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			execve(opt.exec_path, exec_args, exec_env);
			_exit(127);
		}
		if (pid < 0 || reap(pid))
			return failed();
	}
	return now_ns() - start;
}

static int64_t bench_spawn_exec(uint64_t n)
{
	int64_t start = now_ns();

	for (uint64_t i = 0; i < n; i++) {
		pid_t pid;

		errno = posix_spawn(&pid, opt.exec_path, NULL, NULL, exec_args, exec_env);
		if (errno || reap(pid))
			return failed();
	}
	return now_ns() - start;
}

static void *thread_nothing(void *arg)
{
	return arg;
}

static int64_t bench_thread(uint64_t n)
{
	int64_t start = now_ns();

	for (uint64_t i = 0; i < n; i++) {
		pthread_t t;

		errno = pthread_create(&t, NULL, thread_nothing, NULL);
		if (!errno)
			errno = pthread_join(t, NULL);
		if (errno)
			return failed();
	}
	return now_ns() - start;
}

static int turn;                /* whose turn it is in futex_pingpong */

static void futex_wait_for(int mine)
{
	int seen;

	while ((seen = __atomic_load_n(&turn, __ATOMIC_ACQUIRE)) != mine)
		syscall(SYS_futex, &turn, 128 | 0 /* FUTEX_WAIT_PRIVATE */, seen, NULL, NULL, 0);
}

static void futex_pass_to(int next)
{
	__atomic_store_n(&turn, next, __ATOMIC_RELEASE);
	syscall(SYS_futex, &turn, 128 | 1 /* FUTEX_WAKE_PRIVATE */, 1, NULL, NULL, 0);
}

static void *futex_peer(void *arg)
{
	uint64_t n = *(const uint64_t *)arg;

	for (uint64_t i = 0; i < n; i++) {
		futex_wait_for(1);
		futex_pass_to(0);
	}
	return NULL;
}

static int64_t bench_futex_pingpong(uint64_t n)
{
	pthread_t t;
	int64_t start;

	turn = 0;
	errno = pthread_create(&t, NULL, futex_peer, &n);
	if (errno)
		return failed();
	start = now_ns();
	for (uint64_t i = 0; i < n; i++) {
		futex_pass_to(1);
		futex_wait_for(0);
	}
	start = now_ns() - start;
	pthread_join(t, NULL);
	return start;
}

/* ---- memory and computation --------------------------------------------- */

static void *map_pages(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static int64_t bench_page_fault(uint64_t n)
{
	long page = sysconf(_SC_PAGESIZE);
	uint64_t left = n;
	int64_t elapsed = 0;

	while (left > 0) {
		uint64_t pages = FAULT_CHUNK / (uint64_t)page;
		volatile char *mem = map_pages(FAULT_CHUNK);
		int64_t start;

		if ((void *)mem == MAP_FAILED)
			return failed();
		madvise((void *)mem, FAULT_CHUNK, MADV_NOHUGEPAGE);
		if (pages > left)
			pages = left;
		start = now_ns();
		for (uint64_t i = 0; i < pages; i++)
			mem[i * (uint64_t)page] = 1;
		elapsed += now_ns() - start;
		munmap((void *)mem, FAULT_CHUNK);
		left -= pages;
	}
	return elapsed;
}

static int64_t bench_mmap_munmap(uint64_t n)
{
	int64_t start = now_ns();

	for (uint64_t i = 0; i < n; i++) {
		void *mem = map_pages(64 * KIB);

		if (mem == MAP_FAILED || munmap(mem, 64 * KIB))
			return failed();
	}
	return now_ns() - start;
}

static int64_t bench_memcpy(uint64_t n)
{
	char *from = map_pages(COPY_SIZE), *to = map_pages(COPY_SIZE);
	int64_t start;

	if (from == MAP_FAILED || to == MAP_FAILED)
		return failed();
	memset(from, 1, COPY_SIZE);
	memset(to, 2, COPY_SIZE);
	start = now_ns();
	for (uint64_t i = 0; i < n; i++) {
		memcpy(to, from, COPY_SIZE);
		__asm__ volatile("" : : "r"(to), "r"(from) : "memory");
	}
	start = now_ns() - start;
	if (to[COPY_SIZE - 1] != 1)
		start = -EIO;
	munmap(from, COPY_SIZE);
	munmap(to, COPY_SIZE);
	return start;
}

struct sha256 {
	uint32_t h[8];
};

static const uint32_t sha256_k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2,
};

static const uint32_t sha256_start[8] = {
	0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
	0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

static inline uint32_t ror(uint32_t x, unsigned by)
{
	return x >> by | x << (32 - by);
}

static void sha256_block(struct sha256 *s, const unsigned char *in)
{
	uint32_t w[64];
	uint32_t a = s->h[0], b = s->h[1], c = s->h[2], d = s->h[3];
	uint32_t e = s->h[4], f = s->h[5], g = s->h[6], h = s->h[7];

	for (int i = 0; i < 16; i++, in += 4)
		w[i] = (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 |
		       (uint32_t)in[2] << 8 | in[3];
	for (int i = 16; i < 64; i++) {
		uint32_t x = w[i - 15], y = w[i - 2];

		w[i] = w[i - 16] + (ror(x, 7) ^ ror(x, 18) ^ x >> 3) + w[i - 7] +
		       (ror(y, 17) ^ ror(y, 19) ^ y >> 10);
	}
	for (int i = 0; i < 64; i++) {
		uint32_t t1 = h + (ror(e, 6) ^ ror(e, 11) ^ ror(e, 25)) +
			      ((e & f) ^ (~e & g)) + sha256_k[i] + w[i];
		uint32_t t2 = (ror(a, 2) ^ ror(a, 13) ^ ror(a, 22)) +
			      ((a & b) ^ (a & c) ^ (b & c));

		h = g;
		g = f;
		f = e;
		e = d + t1;
		d = c;
		c = b;
		b = a;
		a = t1 + t2;
	}
	s->h[0] += a;
	s->h[1] += b;
	s->h[2] += c;
	s->h[3] += d;
	s->h[4] += e;
	s->h[5] += f;
	s->h[6] += g;
	s->h[7] += h;
}

/* Hashes `len` bytes, a multiple of 64, and the padding after them. */
static void sha256(struct sha256 *s, const unsigned char *data, uint64_t len)
{
	unsigned char last[64] = { 0x80 };

	memcpy(s->h, sha256_start, sizeof s->h);
	for (uint64_t at = 0; at < len; at += 64)
		sha256_block(s, data + at);
	for (int i = 0; i < 8; i++)
		last[63 - i] = (unsigned char)(len * 8 >> 8 * i);
	sha256_block(s, last);
}

static int64_t bench_sha256(uint64_t n)
{
	unsigned char *data = map_pages(HASH_SIZE);
	struct sha256 s;
	int64_t start;

	if (data == MAP_FAILED)
		return failed();
	memset(data, 0, HASH_SIZE);
	start = now_ns();
	for (uint64_t i = 0; i < n; i++)
		sha256(&s, data, HASH_SIZE);
	start = now_ns() - start;
	munmap(data, HASH_SIZE);
	return s.h[0] == HASH_OF_ZEROS ? start : -EIO;
}

/* ---- a disk file system ------------------------------------------------- */

/* n blocks, written in order and flushed once. */
static int64_t bench_disk_write(uint64_t n)
{
	int fd = open_scratch(opt.disk);
	int64_t start = now_ns();
	int err = fd < 0;

	for (uint64_t i = 0; i < n && !err; i++)
		err = write_full(fd, stream_buf, sizeof stream_buf);
	err = err || fsync(fd);
	start = err ? failed() : now_ns() - start;
	if (fd >= 0)
		close(fd);
	return start;
}

static int64_t disk_read(uint64_t n, bool cold)
{
	int fd = open_scratch(opt.disk);
	int64_t start;
	int err = fd < 0;

	for (uint64_t i = 0; i < n && !err; i++)
		err = write_full(fd, stream_buf, sizeof stream_buf);
	err = err || fsync(fd) || lseek(fd, 0, SEEK_SET) != 0;
	if (!err && cold) {     /* only a kernel that drops its cache is cold */
		errno = posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		err = errno != 0;
	}
	start = now_ns();
	for (uint64_t i = 0; i < n && !err; i++)
		err = read_full(fd, stream_buf, sizeof stream_buf);
	start = err ? failed() : now_ns() - start;
	if (fd >= 0)
		close(fd);
	return start;
}

static int64_t bench_disk_read_cold(uint64_t n)
{
	return disk_read(n, true);
}

static int64_t bench_disk_read_warm(uint64_t n)
{
	return disk_read(n, false);
}

static int64_t bench_disk_fsync_4k(uint64_t n)
{
	int fd = open_scratch(opt.disk);
	int64_t start;
	int err = fd < 0;

	if (!err)
		err = pwrite(fd, stream_buf, SMALL_BLOCK, 0) != SMALL_BLOCK || fsync(fd);
	start = now_ns();
	for (uint64_t i = 0; i < n && !err; i++)
		err = pwrite(fd, stream_buf, SMALL_BLOCK, 0) != SMALL_BLOCK || fsync(fd);
	start = err ? failed() : now_ns() - start;
	if (fd >= 0)
		close(fd);
	return start;
}

static int64_t bench_disk_create(uint64_t n)
{
	return file_tree(n, opt.disk, FILE_CREATE);
}

static int64_t bench_disk_unlink(uint64_t n)
{
	return file_tree(n, opt.disk, FILE_UNLINK);
}

/* ---- the table and its runner ------------------------------------------- */

enum unit { NS, US, MBPS };

enum {
	PEER = 1,       /* has a peer, so that -T changes it           */
	FILES = 2,      /* runs opt.files operations, never more       */
	DISK = 4,       /* needs -f                                    */
	BLOCKS = 8,     /* runs opt.disk_mib worth of stream blocks    */
};

static const struct bench {
	const char *name;
	int64_t (*run)(uint64_t n);
	enum unit unit;
	uint64_t bytes;         /* of one operation, where the unit is MBPS */
	unsigned flags;
} benches[] = {
	{ "getpid", bench_getpid, NS, 0, 0 },
	{ "clock_gettime", bench_clock_gettime, NS, 0, 0 },
	{ "clock_gettime_sys", bench_clock_gettime_sys, NS, 0, 0 },
	{ "sched_yield", bench_sched_yield, NS, 0, 0 },
	{ "signal", bench_signal, NS, 0, 0 },
	{ "open_close", bench_open_close, NS, 0, 0 },
	{ "read_4k", bench_read_4k, NS, 0, 0 },
	{ "write_4k", bench_write_4k, NS, 0, 0 },
	{ "file_create", bench_file_create, NS, 0, FILES },
	{ "file_stat", bench_file_stat, NS, 0, FILES },
	{ "file_unlink", bench_file_unlink, NS, 0, FILES },
	{ "pipe_self", bench_pipe_self, NS, 0, 0 },
	{ "pipe_pingpong", bench_pipe_pingpong, NS, 0, PEER },
	{ "unix_pingpong", bench_unix_pingpong, NS, 0, PEER },
	{ "tcp_pingpong", bench_tcp_pingpong, NS, 0, PEER },
	{ "futex_pingpong", bench_futex_pingpong, NS, 0, 0 },
	{ "context_switch", bench_context_switch, NS, 0, PEER },
	{ "unix_stream", bench_unix_stream, MBPS, STREAM_BLOCK, PEER },
	{ "tcp_stream", bench_tcp_stream, MBPS, STREAM_BLOCK, PEER },
	{ "fork_exit_wait", bench_fork_exit, US, 0, 0 },
	{ "fork_exec_wait", bench_fork_exec, US, 0, 0 },
	{ "spawn_exec_wait", bench_spawn_exec, US, 0, 0 },
	{ "thread_create_join", bench_thread, US, 0, 0 },
	{ "page_fault", bench_page_fault, NS, 0, 0 },
	{ "mmap_munmap", bench_mmap_munmap, NS, 0, 0 },
	{ "memcpy", bench_memcpy, MBPS, COPY_SIZE, 0 },
	{ "sha256", bench_sha256, MBPS, HASH_SIZE, 0 },
	{ "disk_write", bench_disk_write, MBPS, STREAM_BLOCK, DISK | BLOCKS },
	{ "disk_read_cold", bench_disk_read_cold, MBPS, STREAM_BLOCK, DISK | BLOCKS },
	{ "disk_read_warm", bench_disk_read_warm, MBPS, STREAM_BLOCK, DISK | BLOCKS },
	{ "disk_fsync_4k", bench_disk_fsync_4k, US, 0, DISK },
	{ "disk_create", bench_disk_create, NS, 0, DISK | FILES },
	{ "disk_unlink", bench_disk_unlink, NS, 0, DISK | FILES },
};

#define BENCHES (sizeof benches / sizeof benches[0])

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Grows n until one run takes a fair part of the wanted time; negated errno. */
static int64_t calibrate(const struct bench *b)
{
	int64_t want = (int64_t)opt.min_ms * 1000000;
	uint64_t n = 1;

	if (b->flags & FILES)
		return opt.files;
	if (b->flags & BLOCKS)
		return (int64_t)opt.disk_mib * MIB / STREAM_BLOCK;
	for (;;) {
		int64_t took = b->run(n);

		if (took < 0)
			return took;
		if (took >= want)
			return (int64_t)n;
		if (took >= want / 16)
			return (int64_t)(n * (uint64_t)want / (uint64_t)took) + 1;
		if (n >= UINT64_C(1) << 40)
			return (int64_t)n;
		n *= 4;
	}
}

static int run_bench(const struct bench *b)
{
	static const char *const unit_name[] = { "ns", "us", "MB/s" };
	const char *suffix = opt.threads && (b->flags & PEER) ? "_thr" : "";
	double value[MAX_REPEATS];
	int64_t n = calibrate(b);
	unsigned pick;

	for (unsigned i = 0; i < opt.repeats && n >= 0; i++) {
		int64_t took = b->run((uint64_t)n);

		if (took < 0) {
			n = took;
			break;
		}
		value[i] = (double)took / (double)n;
		if (b->unit == US)
			value[i] /= 1000;
		else if (b->unit == MBPS)
			value[i] = value[i] > 0 ? (double)b->bytes * 1000 / value[i] : 0;
	}
	if (n < 0) {
		printf("%s%s - %s\n", b->name, suffix, strerror((int)-n));
		return -1;
	}
	qsort(value, opt.repeats, sizeof value[0], by_value);
	pick = !opt.best ? opt.repeats / 2 : b->unit == MBPS ? opt.repeats - 1 : 0;
	printf("%s%s %.1f %s\n", b->name, suffix, value[pick], unit_name[b->unit]);
	return 0;
}

static bool selected(const char *name, char **prefixes, int count)
{
	for (int i = 0; i < count; i++)
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return count == 0;
}

static int run_all(char **prefixes, int count)
{
	struct utsname u = { .sysname = "?" };
	int status = 0;

	uname(&u);
	printf("# posix_bench on %s %s %s, %ld CPU\n", u.sysname, u.release, u.machine,
	       sysconf(_SC_NPROCESSORS_ONLN));
	for (size_t i = 0; i < BENCHES; i++) {
		if (!selected(benches[i].name, prefixes, count))
			continue;
		if ((benches[i].flags & DISK) && !opt.disk)
			continue;
		if (run_bench(&benches[i]))
			status = 1;
	}
	return status;
}

/* ---- the network from outside ------------------------------------------- */

static int listen_on(const char *port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	sa.sin_port = htons((uint16_t)atoi(port));
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&sa, sizeof sa) || listen(fd, 8)) {
		close(fd);
		return -1;
	}
	return fd;
}

static int connect_to(const char *host, const char *port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	sa.sin_port = htons((uint16_t)atoi(port));
	if (fd < 0)
		return -1;
	if (inet_pton(AF_INET, host, &sa.sin_addr) != 1) {
		errno = EINVAL;
		close(fd);
		return -1;
	}
	if (connect(fd, (struct sockaddr *)&sa, sizeof sa)) {
		close(fd);
		return -1;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

/* Drains or echoes `count` connections, one after the other. */
static int net_serve(const char *port, unsigned count, bool echo)
{
	int on = 1, listener = listen_on(port);

	if (listener < 0)
		return -1;
	printf("# listening on %s\n", port);
	for (unsigned i = 0; i < count; i++) {
		int fd = accept(listener, NULL, NULL);
		int64_t start = 0;
		uint64_t total = 0;
		ssize_t got;

		if (fd < 0)
			return -1;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		while ((got = read(fd, stream_buf, sizeof stream_buf)) > 0) {
			if (total == 0)
				start = now_ns();
			total += (uint64_t)got;
			if (echo && write_full(fd, stream_buf, (size_t)got))
				break;
		}
		close(fd);
		if (!echo && total > 0)
			printf("net_sink %.1f MB/s\n",
			       (double)total * 1000 / (double)(now_ns() - start));
	}
	close(listener);
	return 0;
}

static int net_source(const char *host, const char *port, unsigned seconds)
{
	int fd = connect_to(host, port);
	int64_t start, took;
	uint64_t total = 0;
	char byte;

	if (fd < 0)
		return -1;
	start = now_ns();
	while (now_ns() - start < (int64_t)seconds * 1000000000) {
		if (write_full(fd, stream_buf, sizeof stream_buf))
			return -1;
		total += sizeof stream_buf;
	}
	shutdown(fd, SHUT_WR);
	while (read(fd, &byte, 1) > 0)  /* the sink closes when it has it all */
		;
	took = now_ns() - start;
	close(fd);
	printf("net_source %.1f MB/s\n", (double)total * 1000 / (double)took);
	return 0;
}

static int net_rtt(const char *host, const char *port, unsigned count)
{
	int fd = connect_to(host, port);
	double *us = count ? calloc(count, sizeof *us) : NULL;
	char byte = 0;

	if (fd < 0 || !us)
		return -1;
	for (unsigned i = 0; i < count; i++) {
		int64_t start = now_ns();

		if (write_full(fd, &byte, 1) || read_full(fd, &byte, 1))
			return -1;
		us[i] = (double)(now_ns() - start) / 1000;
	}
	close(fd);
	qsort(us, count, sizeof *us, by_value);
	printf("net_rtt_min %.1f us\nnet_rtt_median %.1f us\nnet_rtt_p99 %.1f us\n",
	       us[0], us[count / 2], us[(size_t)count * 99 / 100]);
	free(us);
	return 0;
}

/* ---- command line ------------------------------------------------------- */

static int usage(void)
{
	fprintf(stderr,
		"usage: posix_bench [-d DIR] [-f DIR] [-s MIB] [-n N] [-r N] [-t MS] [-x PATH]\n"
		"                   [-b] [-T] [-l] [test-prefix ...]\n"
		"       posix_bench net-sink|net-echo PORT [CONNECTIONS]\n"
		"       posix_bench net-source HOST PORT [SECONDS]\n"
		"       posix_bench net-rtt HOST PORT [ROUND-TRIPS]\n");
	return 2;
}

static int net_main(int argc, char **argv)
{
	const char *cmd = argv[1];
	bool serves = !strcmp(cmd, "net-sink") || !strcmp(cmd, "net-echo");
	int fixed = serves ? 3 : 4;
	int err;

	if (argc < fixed || argc > fixed + 1)
		return usage();
	if (serves)
		err = net_serve(argv[2], argc > 3 ? (unsigned)atoi(argv[3]) : 1,
				!strcmp(cmd, "net-echo"));
	else if (!strcmp(cmd, "net-source"))
		err = net_source(argv[2], argv[3], argc > 4 ? (unsigned)atoi(argv[4]) : 5);
	else if (!strcmp(cmd, "net-rtt"))
		err = net_rtt(argv[2], argv[3], argc > 4 ? (unsigned)atoi(argv[4]) : 1000);
	else
		return usage();
	if (err)
		perror(cmd);
	return err ? 1 : 0;
}

int main(int argc, char **argv)
{
	int c;

	if (argc == 2 && !strcmp(argv[1], "hello"))
		return 0;
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	if (argc >= 2 && !strncmp(argv[1], "net-", 4))
		return net_main(argc, argv);

	opt.exec_path = strchr(argv[0], '/') ? argv[0] : "/proc/self/exe";
	while ((c = getopt(argc, argv, "d:f:s:n:r:t:x:bTl")) != -1) {
		switch (c) {
		case 'd': opt.scratch = optarg; break;
		case 'f': opt.disk = optarg; break;
		case 's': opt.disk_mib = (unsigned)atoi(optarg); break;
		case 'n': opt.files = (unsigned)atoi(optarg); break;
		case 'r': opt.repeats = (unsigned)atoi(optarg); break;
		case 't': opt.min_ms = (unsigned)atoi(optarg); break;
		case 'x': opt.exec_path = optarg; break;
		case 'b': opt.best = true; break;
		case 'T': opt.threads = true; break;
		case 'l':
			for (size_t i = 0; i < BENCHES; i++)
				puts(benches[i].name);
			return 0;
		default: return usage();
		}
	}
	if (!opt.disk_mib || !opt.files || !opt.min_ms || !opt.repeats ||
	    opt.repeats > MAX_REPEATS)
		return usage();
	return run_all(argv + optind, argc - optind);
}
