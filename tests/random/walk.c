/* SPDX-License-Identifier: MIT */
/*
 * A random walk through system calls: `walk SEED STEPS` does STEPS calls that the seed chooses, in an empty folder, by itself and in
 * children, and prints what each returned. Only calls whose answer does not depend on timing, on the machine or on who else is there:
 * the same seed must print the same on Linux and on CloudOS, whatever the schedule.
 *
 * Draws stand in statements of their own: the order in which arguments are evaluated is the compiler's.
 *
 * One process runs at a time: a parent waits for its child at once. What they share (files, offsets, pipes) is shared for real.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define FDS	   8   /* slots for descriptors, so that numbers do not matter */
#define NAMES	   7
#define BYTES	   700 /* most of one read or write */
#define DEPTH_MAX  3 /* of children's children */
#define CHILD_STEPS 12

static uint64_t state;
static int fds[FDS];
static int depth;
static unsigned char buffer[BYTES];

static const char *const names[NAMES] = {"a", "b", "c", "d", "d/e", "d/f", "l"};

/* SplitMix64. */
static uint64_t draw(uint64_t n)
{
	uint64_t z = state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (z ^ z >> 31) % n;
}

static const char *name(void)
{
	return names[draw(NAMES)];
}

static int slot(void)
{
	return (int)draw(FDS);
}

static void said(const char *what, long result)
{
	printf("%*s%s %s\n", 2 * depth, "", what, result < 0 ? strerrorname_np(errno) : "");
	if (result >= 0)
		printf("%*s  = %ld\n", 2 * depth, "", result);
}

/* A descriptor is told by its slot. */
static void keep(const char *what, int i, int fd)
{
	said(what, fd < 0 ? fd : i);
	if (fd < 0)
		return;
	if (fds[i] >= 0)
		close(fds[i]);
	fds[i] = fd;
}

static uint32_t hash_of(const unsigned char *bytes, long n)
{
	uint32_t hash = 2166136261u;

	for (long i = 0; i < n; i++)
		hash = (hash ^ bytes[i]) * 16777619u;
	return hash;
}

/* ---- files ---- */

static void do_open(void)
{
	static const int accesses[] = {O_RDONLY, O_WRONLY, O_RDWR};
	static const int flags[] = {0, O_CREAT, O_CREAT | O_EXCL, O_CREAT | O_TRUNC, O_APPEND, O_DIRECTORY, O_NOFOLLOW, O_CREAT | O_APPEND};
	int access_mode = accesses[draw(3)], flag = flags[draw(8)], i = slot();
	const char *path = name();

	if ((flag & O_DIRECTORY) && access_mode != O_RDONLY)
		flag = 0;
	keep("open", i, open(path, access_mode | flag | O_NONBLOCK, 0600 + (int)draw(0100)));
}

static void do_read(void)
{
	int i = slot();
	long n = read(fds[i], buffer, draw(BYTES));

	said("read", n);
	if (n > 0)
		printf("%*s  %08x\n", 2 * depth, "", hash_of(buffer, n));
}

static void do_write(void)
{
	size_t len = draw(BYTES);
	unsigned char first = (unsigned char)draw(256);
	int i = slot();

	for (size_t k = 0; k < len; k++)
		buffer[k] = (unsigned char)(first + k);
	said("write", write(fds[i], buffer, len));
}

static void do_pread(void)
{
	int i = slot();
	size_t len = draw(BYTES);
	long n = pread(fds[i], buffer, len, (off_t)draw(4 * BYTES));

	said("pread", n);
	if (n > 0)
		printf("%*s  %08x\n", 2 * depth, "", hash_of(buffer, n));
}

static void do_pwritev(void)
{
	struct iovec parts[3];
	int i = slot();

	for (int k = 0; k < 3; k++)
		parts[k] = (struct iovec){buffer + 100 * k, draw(100)};
	memset(buffer, (int)draw(256), 300);
	said("pwritev", pwritev(fds[i], parts, 3, (off_t)draw(3 * BYTES)));
}

static void do_seek(void)
{
	static const int whences[] = {SEEK_SET, SEEK_CUR, SEEK_END};
	int i = slot(), whence = whences[draw(3)];

	said("lseek", lseek(fds[i], (off_t)draw(2 * BYTES) - BYTES / 2, whence));
}

static void do_truncate(void)
{
	int i = slot();

	said("ftruncate", ftruncate(fds[i], (off_t)draw(3 * BYTES)));
}

static void do_stat(void)
{
	struct stat st;
	const char *path = name();
	int result = draw(2) ? stat(path, &st) : lstat(path, &st);

	said("stat", result);
	if (result == 0)
		printf("%*s  mode %o links %lu size %ld\n", 2 * depth, "", st.st_mode, (unsigned long)(S_ISDIR(st.st_mode) ? 0 : st.st_nlink),
		       (long)(S_ISDIR(st.st_mode) ? 0 : st.st_size));
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Folders are read in no particular order: told sorted. */
static void do_list(void)
{
	DIR *dir = opendir(draw(2) ? "." : "d");
	char *found[32];
	size_t n = 0;
	struct dirent *entry;

	said("opendir", dir ? 0 : -1);
	if (!dir)
		return;
	while (n < 32 && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			found[n++] = strdup(entry->d_name);
	closedir(dir);
	qsort(found, n, sizeof(found[0]), by_name);
	for (size_t i = 0; i < n; i++) {
		printf("%*s  %s\n", 2 * depth, "", found[i]);
		free(found[i]);
	}
}

/* ---- names ---- */

static void do_mkdir(void)
{
	said("mkdir", mkdir(name(), 0700));
}

static void do_remove(void)
{
	const char *path = name();

	said("unlink", unlinkat(AT_FDCWD, path, draw(2) ? AT_REMOVEDIR : 0));
}

static void do_rename(void)
{
	const char *from = name(), *to = name();

	said("rename", rename(from, to));
}

static void do_link(void)
{
	const char *from = name(), *to = name();

	said("link", link(from, to));
}

static void do_symlink(void)
{
	const char *to = name(), *at = name();

	said("symlink", symlink(to, at));
}

static void do_readlink(void)
{
	char target[64];
	long n = readlink(name(), target, sizeof(target));

	said("readlink", n);
	if (n > 0)
		printf("%*s  %.*s\n", 2 * depth, "", (int)n, target);
}

static void do_chmod(void)
{
	const char *path = name();

	said("chmod", chmod(path, 0700 | (mode_t)draw(0100)));
}

/* ---- descriptors ---- */

static void do_dup(void)
{
	int from = slot(), to = slot();

	if (from != to)
		keep("dup", to, dup(fds[from]));
}

static void do_close(void)
{
	int i = slot();

	said("close", close(fds[i]));
	fds[i] = -1;
}

static void do_pipe(void)
{
	int ends[2], a = (int)draw(FDS / 2), b = a + FDS / 2, result = pipe2(ends, O_NONBLOCK);

	said("pipe", result);
	if (result == 0) {
		keep("reader", a, ends[0]);
		keep("writer", b, ends[1]);
	}
}

static void do_socketpair(void)
{
	int ends[2], a = (int)draw(FDS / 2), b = a + FDS / 2;
	int result = socketpair(AF_UNIX, (draw(2) ? SOCK_STREAM : SOCK_SEQPACKET) | SOCK_NONBLOCK, 0, ends);

	said("socketpair", result);
	if (result == 0) {
		keep("one", a, ends[0]);
		keep("other", b, ends[1]);
	}
}

static void do_fcntl(void)
{
	int i = slot();

	said("F_GETFL", fds[i] < 0 ? fcntl(-1, F_GETFL) : fcntl(fds[i], F_GETFL) & (O_ACCMODE | O_APPEND));
	said("F_SETFD", fcntl(fds[i], F_SETFD, draw(2)));
	said("F_GETFD", fcntl(fds[i], F_GETFD));
}

/* ---- memory ---- */

/* What a mapping of a file shows, up to the end of the file. */
static void do_mmap(void)
{
	int i = slot(), shared = (int)draw(2);
	struct stat st;
	unsigned char *p;
	size_t at;

	if (fstat(fds[i], &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
		return;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, shared ? MAP_SHARED : MAP_PRIVATE, fds[i], 0);
	said("mmap", p == MAP_FAILED ? -1 : 0);
	if (p == MAP_FAILED)
		return;
	printf("%*s  %08x\n", 2 * depth, "", hash_of(p, st.st_size));
	at = draw((uint64_t)st.st_size);
	p[at] = (unsigned char)draw(256);
	printf("%*s  %08x\n", 2 * depth, "", hash_of(p, st.st_size));
	said("munmap", munmap(p, (size_t)st.st_size));
}

/* ---- signals and processes ---- */

static volatile sig_atomic_t arrived;

static void handler(int signo)
{
	arrived = arrived * 64 + signo;
}

static void do_signal(void)
{
	static const int signals[] = {SIGUSR1, SIGUSR2, SIGCHLD, SIGALRM};
	int signo = signals[draw(4)], block = (int)draw(2);
	sigset_t set, old, pending;

	sigemptyset(&set);
	sigaddset(&set, signo);
	signal(signo, handler);
	arrived = 0;
	sigprocmask(block ? SIG_BLOCK : SIG_UNBLOCK, &set, &old);
	said("raise", raise(signo));
	sigpending(&pending);
	printf("%*s  arrived %d pending %d\n", 2 * depth, "", (int)arrived, sigismember(&pending, signo));
	sigprocmask(SIG_SETMASK, &old, NULL);
	printf("%*s  then %d\n", 2 * depth, "", (int)arrived);
	signal(signo, SIG_DFL);
}

static void steps(uint64_t n);

static void do_child(void)
{
	int status = 0, end = (int)draw(3), code = (int)draw(200);
	uint64_t own = draw(UINT64_MAX);
	pid_t pid;

	if (depth == DEPTH_MAX)
		return;
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		said("fork", -1);
	if (pid == 0) {
		depth++;
		state = own;
		steps(draw(CHILD_STEPS));
		fflush(stdout);
		if (end == 0)
			raise(SIGKILL);
		if (end == 1)
			abort();
		_exit(code);
	}
	waitpid(pid, &status, 0);
	printf("%*schild exited %d with %d, signal %d\n", 2 * depth, "", WIFEXITED(status), WIFEXITED(status) ? WEXITSTATUS(status) : 0,
	       WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

/* ---- the walk ---- */

static void (*const calls[])(void) = {
    do_open,   do_open,	 do_open,    do_read,	 do_read,  do_write,  do_write, do_write,      do_pread,   do_pwritev, do_seek,
    do_stat,   do_list,	 do_mkdir,   do_remove,	 do_rename, do_link,  do_symlink, do_readlink, do_chmod,   do_dup,     do_close,
    do_pipe,   do_fcntl, do_truncate, do_mmap,  do_signal, do_child, do_socketpair,
};

static void steps(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		calls[draw(sizeof(calls) / sizeof(calls[0]))]();
}

int main(int argc, char **argv)
{
	const char *top = getenv("TMPDIR");
	char folder[256];

	if (argc != 3) {
		fprintf(stderr, "usage: walk SEED STEPS\n");
		return 2;
	}
	snprintf(folder, sizeof(folder), "%s/walk-XXXXXX", top ? top : "/tmp");
	if (!mkdtemp(folder) || chdir(folder) < 0) {
		perror(folder);
		return 1;
	}
	umask(022);
	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < FDS; i++)
		fds[i] = -1;
	state = strtoull(argv[1], NULL, 0);
	steps(strtoull(argv[2], NULL, 0));
	fflush(stdout);
	return 0;
}
