/* SPDX-License-Identifier: MIT */
/* inotify: which events come, in which order, and what calls refuse. */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "cases.h"
#include "scratch.h"

static char seen[4096]; /* the events as text: "WD:MASK[:NAME] ..." */
static uint32_t cookies[64];
static int events;

static const char *letters(uint32_t mask)
{
	static const struct { uint32_t bit; const char *name; } names[] = {
		{ IN_ACCESS, "access" }, { IN_MODIFY, "modify" }, { IN_ATTRIB, "attrib" }, { IN_CLOSE_WRITE, "closew" },
		{ IN_CLOSE_NOWRITE, "close" }, { IN_OPEN, "open" }, { IN_MOVED_FROM, "from" }, { IN_MOVED_TO, "to" },
		{ IN_CREATE, "create" }, { IN_DELETE, "delete" }, { IN_DELETE_SELF, "gone" }, { IN_MOVE_SELF, "moved" },
		{ IN_UNMOUNT, "unmount" }, { IN_Q_OVERFLOW, "overflow" }, { IN_IGNORED, "ignored" },
	};
	static char text[64];

	text[0] = 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (mask & names[i].bit)
			strcat(text, names[i].name);
	if (mask & IN_ISDIR)
		strcat(text, "/");
	return text;
}

/* Reads all events that are there. */
static const char *events_of(int fd)
{
	_Alignas(struct inotify_event) char buf[4096];
	ssize_t n;

	seen[0] = 0;
	events = 0;
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		for (char *p = buf; p < buf + n;) {
			const struct inotify_event *e = (void *)p;

			sprintf(seen + strlen(seen), "%s%d:%s%s%s", events ? " " : "", e->wd, letters(e->mask), e->len ? ":" : "",
				e->len ? e->name : "");
			cookies[events++ % 64] = e->cookie;
			p += sizeof(*e) + e->len;
		}
	return seen;
}

#define EXPECT_EVENTS(fd, text) EXPECT(!strcmp(events_of(fd), text) || (fprintf(stderr, "%d: %s\n", __LINE__, seen), 0))

static int start(void)
{
	return inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
}

static void make(const char *name)
{
	close(open(name, O_CREAT | O_RDWR, 0644));
}

static void arguments(void)
{
	int fd = start(), other = open(".", O_RDONLY), wd;

	EXPECT_ERRNO(inotify_init1(1), EINVAL);
	EXPECT(fcntl(fd, F_GETFD) == FD_CLOEXEC && (fcntl(fd, F_GETFL) & O_NONBLOCK));
	EXPECT_ERRNO(inotify_add_watch(fd, "nothing", IN_ALL_EVENTS), ENOENT);
	EXPECT_ERRNO(inotify_add_watch(fd, ".", 0), EINVAL);
	EXPECT_ERRNO(inotify_add_watch(fd, ".", 0x00010000), EINVAL);
	EXPECT_ERRNO(inotify_add_watch(fd, ".", IN_OPEN | IN_MASK_ADD | IN_MASK_CREATE), EINVAL);
	EXPECT_ERRNO(inotify_add_watch(other, ".", IN_OPEN), EINVAL);
	EXPECT_ERRNO(inotify_add_watch(-1, ".", IN_OPEN), EBADF);
	EXPECT_ERRNO(syscall(SYS_inotify_add_watch, fd, NULL, IN_OPEN), EFAULT);
	EXPECT_ERRNO(inotify_rm_watch(fd, 1), EINVAL);
	EXPECT_ERRNO(inotify_rm_watch(other, 1), EINVAL);
	EXPECT_ERRNO(inotify_rm_watch(-1, 1), EBADF);
	make("file");
	EXPECT_ERRNO(inotify_add_watch(fd, "file", IN_OPEN | IN_ONLYDIR), ENOTDIR);
	wd = inotify_add_watch(fd, ".", IN_OPEN);
	EXPECT(wd == 1 && inotify_add_watch(fd, "../.", IN_OPEN) >= 1);
	EXPECT(inotify_add_watch(fd, ".", IN_CLOSE) == wd);
	EXPECT_ERRNO(inotify_add_watch(fd, ".", IN_OPEN | IN_MASK_CREATE), EEXIST);
	EXPECT(inotify_rm_watch(fd, wd) == 0);
	EXPECT_ERRNO(inotify_rm_watch(fd, wd), EINVAL);
	EXPECT(inotify_add_watch(fd, ".", IN_OPEN | IN_MASK_CREATE) > wd); /* numbers are not used again */
	EXPECT_ERRNO(write(fd, "x", 1), EBADF);
	close(fd);
	close(other);
	unlink("file");
}

static void file_events(void)
{
	int fd = start(), f;
	char buf[8];

	EXPECT(inotify_add_watch(fd, ".", IN_ALL_EVENTS) == 1);
	f = open("a", O_CREAT | O_RDWR, 0644);
	EXPECT_EVENTS(fd, "1:create:a 1:open:a");
	EXPECT(write(f, "hello", 5) == 5 && write(f, "more", 4) == 4);
	EXPECT_EVENTS(fd, "1:modify:a"); /* two alike are one */
	EXPECT(pread(f, buf, 8, 0) == 8 && read(f, buf, 8) == 0);
	EXPECT_EVENTS(fd, "1:access:a");
	EXPECT(ftruncate(f, 2) == 0);
	EXPECT_EVENTS(fd, "1:modify:a");
	EXPECT(fchmod(f, 0600) == 0);
	EXPECT_EVENTS(fd, "1:attrib:a");
	EXPECT(futimens(f, NULL) == 0);
	EXPECT_EVENTS(fd, "1:attrib:a");
	EXPECT(futimens(f, (struct timespec[]){ { 1, 0 }, { 0, UTIME_OMIT } }) == 0);
	EXPECT_EVENTS(fd, "1:access:a");
	EXPECT(futimens(f, (struct timespec[]){ { 0, UTIME_OMIT }, { 1, 0 } }) == 0);
	EXPECT_EVENTS(fd, "1:modify:a");
	EXPECT(close(f) == 0);
	EXPECT_EVENTS(fd, "1:closew:a");
	close(open("a", O_RDONLY));
	EXPECT_EVENTS(fd, "1:open:a 1:close:a");
	close(open("a", O_RDONLY | O_PATH));
	EXPECT_EVENTS(fd, "");
	close(open("a", O_WRONLY | O_TRUNC));
	EXPECT(strstr(events_of(fd), "1:modify:a") && events == 3); /* before or after it is opened, as kernels differ */
	EXPECT(truncate("a", 9) == 0);
	EXPECT_EVENTS(fd, "1:modify:a");
	EXPECT(unlink("a") == 0);
	EXPECT_EVENTS(fd, "1:delete:a");
	close(fd);
}

static void folder_events(void)
{
	int fd = start();
	DIR *d;

	EXPECT(inotify_add_watch(fd, ".", IN_ALL_EVENTS) == 1);
	EXPECT(mkdir("sub", 0755) == 0 && symlink("x", "sym") == 0 && mknod("pipe", S_IFIFO | 0600, 0) == 0);
	EXPECT_EVENTS(fd, "1:create/:sub 1:create:sym 1:create:pipe");
	d = opendir("sub");
	EXPECT(d && readdir(d) && closedir(d) == 0);
	EXPECT_EVENTS(fd, "1:open/:sub 1:access/:sub 1:close/:sub");
	EXPECT(inotify_add_watch(fd, "sub", IN_ALL_EVENTS) == 2);
	make("sub/x");
	EXPECT_EVENTS(fd, "2:create:x 2:open:x 2:closew:x");
	EXPECT(link("sub/x", "y") == 0);
	EXPECT_EVENTS(fd, "1:create:y");
	EXPECT(chmod("sub", 0700) == 0);
	EXPECT_EVENTS(fd, "1:attrib/:sub 2:attrib/");
	unlink("sub/x");
	EXPECT_EVENTS(fd, "2:delete:x");
	EXPECT(rmdir("sub") == 0);
	EXPECT_EVENTS(fd, "2:gone 2:ignored 1:delete/:sub");
	EXPECT_ERRNO(inotify_rm_watch(fd, 2), EINVAL);
	unlink("y"), unlink("sym"), unlink("pipe");
	close(fd);
}

static void moves(void)
{
	int fd = start();

	make("a");
	mkdir("d", 0755);
	EXPECT(inotify_add_watch(fd, ".", IN_MOVE | IN_MOVE_SELF) == 1);
	EXPECT(inotify_add_watch(fd, "d", IN_ALL_EVENTS) == 2);
	EXPECT(inotify_add_watch(fd, "a", IN_ALL_EVENTS) == 3);
	EXPECT(rename("a", "b") == 0);
	EXPECT_EVENTS(fd, "1:from:a 1:to:b 3:moved");
	EXPECT(cookies[0] && cookies[0] == cookies[1] && cookies[2] == 0);
	EXPECT(rename("b", "d/c") == 0);
	EXPECT_EVENTS(fd, "1:from:b 2:to:c 3:moved");
	EXPECT(cookies[0] && cookies[0] == cookies[1]);
	EXPECT(rename("d", "e") == 0);
	EXPECT_EVENTS(fd, "1:from/:d 1:to/:e 2:moved");
	make("n");
	EXPECT(inotify_add_watch(fd, "n", IN_ALL_EVENTS) == 4);
	EXPECT(rename("n", "e/c") == 0); /* over the watched file */
	EXPECT_EVENTS(fd, "1:from:n 2:to:c 3:attrib 4:moved 3:gone 3:ignored");
	make("e/z");
	events_of(fd);
	EXPECT(syscall(SYS_renameat2, AT_FDCWD, "e/c", AT_FDCWD, "e/z", 2 /* RENAME_EXCHANGE */) == 0);
	EXPECT_EVENTS(fd, "2:from:c 2:to:z 4:moved 2:from:z 2:to:c");
	EXPECT(cookies[0] == cookies[1] && cookies[3] == cookies[4] && cookies[0] != cookies[3]);
	unlink("e/c"), unlink("e/z"), rmdir("e");
	close(fd);
}

static void self_events(void)
{
	int fd = start(), f;

	make("a");
	EXPECT(inotify_add_watch(fd, "a", IN_ALL_EVENTS) == 1);
	EXPECT(inotify_add_watch(fd, ".", IN_ALL_EVENTS) == 2);
	close(open("a", O_RDWR));
	EXPECT_EVENTS(fd, "2:open:a 1:open 2:closew:a 1:closew");
	EXPECT(link("a", "b") == 0);
	EXPECT_EVENTS(fd, "1:attrib 2:create:b");
	EXPECT(unlink("a") == 0);
	EXPECT_EVENTS(fd, "1:attrib 2:delete:a"); /* a name less, but not gone */
	f = open("b", O_RDWR);
	EXPECT(unlink("b") == 0);
	EXPECT_EVENTS(fd, "2:open:b 1:open 1:attrib 2:delete:b");
	EXPECT(write(f, "x", 1) == 1);
	EXPECT_EVENTS(fd, "2:modify:b 1:modify"); /* the folder still hears of it */
	close(f);
	EXPECT_EVENTS(fd, "2:closew:b 1:closew 1:gone 1:ignored");
	make("c");
	EXPECT(inotify_add_watch(fd, "c", IN_DELETE_SELF) == 3);
	events_of(fd);
	unlink("c");
	EXPECT_EVENTS(fd, "3:gone 3:ignored 2:delete:c");
	close(fd);
}

static void flags(void)
{
	int fd = start(), f, wd;

	make("a");
	EXPECT(symlink("a", "s") == 0);
	wd = inotify_add_watch(fd, "s", IN_OPEN | IN_ONESHOT);
	close(open("a", O_RDONLY)), close(open("a", O_RDONLY));
	EXPECT_EVENTS(fd, "1:open 1:ignored");
	EXPECT_ERRNO(inotify_rm_watch(fd, wd), EINVAL);
	wd = inotify_add_watch(fd, "s", IN_ALL_EVENTS | IN_DONT_FOLLOW);
	close(open("s", O_RDONLY));
	EXPECT_EVENTS(fd, "");
	EXPECT(inotify_rm_watch(fd, wd) == 0);
	EXPECT_EVENTS(fd, "2:ignored");
	EXPECT(inotify_add_watch(fd, "a", IN_OPEN) == 3 && inotify_add_watch(fd, "a", IN_CLOSE_NOWRITE | IN_MASK_ADD) == 3);
	close(open("a", O_RDONLY));
	EXPECT_EVENTS(fd, "3:open 3:close");
	EXPECT(inotify_add_watch(fd, "a", IN_CLOSE_WRITE) == 3);
	close(open("a", O_RDONLY));
	EXPECT_EVENTS(fd, "");
	EXPECT(inotify_add_watch(fd, ".", IN_MODIFY | IN_EXCL_UNLINK) == 4);
	f = open("a", O_RDWR);
	EXPECT(write(f, "1", 1) == 1);
	unlink("a");
	EXPECT(write(f, "2", 1) == 1);
	EXPECT_EVENTS(fd, "4:modify:a");
	close(f);
	unlink("s");
	close(fd);
}

static void reading(void)
{
	int fd = start(), ep = epoll_create1(0), n = -1;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct epoll_event e = { .events = EPOLLIN };
	_Alignas(struct inotify_event) char buf[64];
	pid_t pid;
	int status;

	make("a");
	EXPECT_ERRNO(read(fd, buf, sizeof(buf)), EAGAIN);
	EXPECT(ioctl(fd, FIONREAD, &n) == 0 && n == 0 && poll(&p, 1, 0) == 0);
	EXPECT(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) == 0 && epoll_wait(ep, &e, 1, 0) == 0);
	EXPECT(inotify_add_watch(fd, ".", IN_OPEN | IN_CLOSE) == 1);
	close(open("a", O_RDONLY));
	EXPECT(poll(&p, 1, 0) == 1 && p.revents == POLLIN && epoll_wait(ep, &e, 1, 0) == 1);
	EXPECT(ioctl(fd, FIONREAD, &n) == 0 && n == 64); /* a name is filled up to 16 bytes */
	EXPECT_ERRNO(read(fd, buf, 31), EINVAL);
	EXPECT(read(fd, buf, 63) == 32);
	EXPECT_ERRNO(syscall(SYS_read, fd, 16, 64), EFAULT);
	EXPECT_ERRNO(read(fd, buf, 64), EAGAIN); /* that one is lost */
	EXPECT(fcntl(fd, F_SETFL, 0) == 0);
	pid = fork();
	if (pid == 0) {
		usleep(20000);
		close(open("a", O_RDONLY));
		_exit(0);
	}
	EXPECT(read(fd, buf, 64) >= 32);
	waitpid(pid, &status, 0);
	close(ep);
	close(fd);
	unlink("a");
}

static void overflow(void)
{
	int fd = start(), wd = inotify_add_watch(fd, ".", IN_OPEN | IN_CLOSE), most = 0;
	FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
	_Alignas(struct inotify_event) char buf[32 * 1024];
	ssize_t n;
	int count = 0, overflows = 0;

	EXPECT(f && fscanf(f, "%d", &most) == 1 && most >= 16 && wd == 1);
	fclose(f);
	make("a");
	for (int i = 0; i < most / 2 + 10; i++)
		close(open("a", O_RDONLY));
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		for (char *p = buf; p < buf + n;) {
			const struct inotify_event *e = (void *)p;

			count++;
			if (e->mask & IN_Q_OVERFLOW)
				overflows += e->wd == -1;
			p += sizeof(*e) + e->len;
		}
	EXPECT(count == most + 1 && overflows == 1);
	close(open("a", O_RDONLY));
	EXPECT_EVENTS(fd, "1:open:a 1:close:a");
	close(fd);
	unlink("a");
}

static void unmounting(void)
{
	int fd = start();

	mkdir("m", 0755);
	if (geteuid() == 0 && mount("none", "m", "tmpfs", 0, NULL) == 0) {
		make("m/a");
		EXPECT(inotify_add_watch(fd, "m/a", IN_OPEN) == 1);
		EXPECT(umount("m") == 0);
		EXPECT_EVENTS(fd, "1:unmount 1:ignored");
	}
	rmdir("m");
	close(fd);
}

static void limits(void)
{
	FILE *f = fopen("/proc/sys/fs/inotify/max_user_instances", "r");
	static int fds[1000];
	int n = 0, most = 0, error;

	EXPECT(f && fscanf(f, "%d", &most) == 1 && most > 0);
	fclose(f);
	while (n < 1000 && (fds[n] = inotify_init()) >= 0)
		n++;
	error = errno;
	EXPECT(n <= most && (n == 1000 || error == EMFILE));
	for (int i = 0; i < n; i++)
		close(fds[i]);
}

int main(void)
{
	if (scratch_enter("inotify"))
		return 1;
	CASE(arguments);
	CASE(file_events);
	CASE(folder_events);
	CASE(moves);
	CASE(self_events);
	CASE(flags);
	CASE(reading);
	CASE(overflow);
	CASE(unmounting);
	CASE(limits);
	scratch_leave();
	return abi_result();
}
