/* SPDX-License-Identifier: MIT */
/* Terminals, through a pseudo terminal: line discipline, modes, signals, job control, hang-up, ioctls. */
#include "cases.h"
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>

static int master, slave;
static char name[64];

static bool open_pair(void)
{
	int zero = 0;
	unsigned number;

	master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	if (master < 0 || ioctl(master, TIOCSPTLCK, &zero) || ioctl(master, TIOCGPTN, &number))
		return false;
	snprintf(name, sizeof(name), "/dev/pts/%u", number);
	slave = open(name, O_RDWR | O_NOCTTY);
	return slave >= 0;
}

static void close_pair(void)
{
	close(slave);
	close(master);
}

static void type(const char *text)
{
	ssize_t len = (ssize_t)strlen(text);

	EXPECT(write(master, text, (size_t)len) == len);
}

/* What the screen shows now. */
static const char *screen(void)
{
	static char buf[8192];
	ssize_t n;

	fcntl(master, F_SETFL, O_NONBLOCK);
	usleep(5000);
	n = read(master, buf, sizeof(buf) - 1);
	buf[n > 0 ? n : 0] = 0;
	fcntl(master, F_SETFL, 0);
	return buf;
}

static const char *line(void)
{
	static char buf[8192];
	ssize_t n;

	fcntl(slave, F_SETFL, O_NONBLOCK);
	usleep(5000);
	n = read(slave, buf, sizeof(buf) - 1);
	fcntl(slave, F_SETFL, 0);
	if (n < 0)
		return "nothing";
	buf[n] = 0;
	return buf;
}

static void change(tcflag_t iflag_on, tcflag_t lflag_off, unsigned min, unsigned time)
{
	struct termios t;

	EXPECT(tcgetattr(slave, &t) == 0);
	t.c_iflag |= iflag_on;
	t.c_lflag &= ~lflag_off;
	if (lflag_off & ICANON) {
		t.c_cc[VMIN] = (cc_t)min;
		t.c_cc[VTIME] = (cc_t)time;
	}
	EXPECT(tcsetattr(slave, TCSANOW, &t) == 0);
}

static void lines(void)
{
	EXPECT(open_pair());
	EXPECT(isatty(slave) && isatty(master));
	type("ab");
	EXPECT(strcmp(line(), "nothing") == 0);
	type("c\rsecond\n");
	EXPECT(strcmp(line(), "abc\n") == 0);
	EXPECT(strcmp(line(), "second\n") == 0);
	EXPECT(strcmp(screen(), "abc\r\nsecond\r\n") == 0);
	type("\x04");
	EXPECT(strcmp(line(), "") == 0);
	type("part\x04");
	EXPECT(strcmp(line(), "part") == 0);
	close_pair();
}

static void editing(void)
{
	EXPECT(open_pair());
	type("ab\x7f\x7f\x7fz\n");
	EXPECT(strcmp(screen(), "ab\b \b\b \bz\r\n") == 0);
	EXPECT(strcmp(line(), "z\n") == 0);
	type("\x16\x01\x7f");
	EXPECT(strcmp(screen(), "^\b^A\b \b\b \b") == 0);
	type("abc\t\x7f\n");
	EXPECT(strcmp(screen(), "abc\t\b\b\b\b\b\r\n") == 0);
	EXPECT(strcmp(line(), "abc\n") == 0);
	type("foo bar_1  \x17x\n");
	EXPECT(strcmp(line(), "foo x\n") == 0);
	EXPECT(strcmp(screen(), "foo bar_1  \b \b\b \b\b \b\b \b\b \b\b \b\b \bx\r\n") == 0);
	type("gone\x15kept\n");
	EXPECT(strcmp(line(), "kept\n") == 0);
	EXPECT(strcmp(screen(), "gone\b \b\b \b\b \b\b \bkept\r\n") == 0);
	type("re\x12" "do\n");
	EXPECT(strcmp(screen(), "re^R\r\nredo\r\n") == 0);
	EXPECT(strcmp(line(), "redo\n") == 0);
	close_pair();
}

static void raw_input(void)
{
	char buf[8];
	int n;

	EXPECT(open_pair());
	change(0, ICANON | ECHO | ISIG, 1, 0);
	type("a\x03\x04");
	usleep(5000);
	EXPECT(ioctl(slave, FIONREAD, &n) == 0 && n == 3);
	EXPECT(read(slave, buf, 2) == 2 && buf[1] == 3);
	EXPECT(read(slave, buf, 8) == 1 && buf[0] == 4);
	EXPECT(strcmp(screen(), "") == 0);
	change(0, ICANON, 0, 0);
	EXPECT(read(slave, buf, 8) == 0);
	change(0, ICANON, 0, 1);
	EXPECT(read(slave, buf, 8) == 0);
	change(0, ICANON, 3, 1);
	type("xy");
	EXPECT(read(slave, buf, 8) == 2);
	change(0, ICANON, 3, 0);
	type("pqr");
	EXPECT(read(slave, buf, 8) == 3);
	close_pair();
}

/* System V's struct termio, as <asm/termbits.h> has it, which cannot be had beside <termios.h>. */
struct short_termios {
	uint16_t iflag, oflag, cflag, lflag;
	uint8_t line, cc[8];
};

static void old_form(void)
{
	struct short_termios old;
	struct termios t;
	int waiting = 0;

	EXPECT(open_pair());
	EXPECT(ioctl(slave, TCGETA, &old) == 0 && tcgetattr(slave, &t) == 0);
	EXPECT(old.iflag == (uint16_t)t.c_iflag && old.lflag == (uint16_t)t.c_lflag && old.cc[VINTR] == 3 && old.cc[VEOF] == 4);
	old.lflag &= (uint16_t)~(ECHO | ICANON);
	old.cc[VMIN] = 2;
	EXPECT(ioctl(slave, TCSETAW, &old) == 0 && tcgetattr(slave, &t) == 0);
	EXPECT(!(t.c_lflag & (ECHO | ICANON)) && (t.c_lflag & IEXTEN) && t.c_cc[VMIN] == 2 && t.c_cc[VLNEXT] == 22);
	type("ab");
	do
		EXPECT(ioctl(slave, FIONREAD, &waiting) == 0);
	while (waiting < 2); /* Linux brings them over by and by */
	EXPECT(ioctl(slave, TCSETAF, &old) == 0);
	type("cd");
	EXPECT(strcmp(line(), "cd") == 0);
	EXPECT_ERRNO(ioctl(slave, TCGETA, (void *)16), EFAULT);
	EXPECT_ERRNO(ioctl(slave, TCSETA, (void *)16), EFAULT);
	close_pair();
}

static void mappings(void)
{
	struct termios t;

	EXPECT(open_pair());
	EXPECT(tcgetattr(slave, &t) == 0);
	EXPECT(t.c_iflag == (ICRNL | IXON) && t.c_oflag == (OPOST | ONLCR));
	EXPECT(t.c_lflag == (ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN));
	EXPECT(t.c_cc[VINTR] == 3 && t.c_cc[VERASE] == 127 && t.c_cc[VEOF] == 4 && t.c_cc[VMIN] == 1);
	EXPECT(cfgetospeed(&t) == B38400);
	EXPECT(write(slave, "x\n", 2) == 2);
	EXPECT(strcmp(screen(), "x\r\n") == 0);
	t.c_oflag &= ~(tcflag_t)OPOST;
	t.c_iflag = IGNCR | INLCR;
	EXPECT(tcsetattr(slave, TCSADRAIN, &t) == 0);
	EXPECT(write(slave, "x\n", 2) == 2);
	EXPECT(strcmp(screen(), "x\n") == 0);
	type("a\rb\nc");
	t.c_lflag &= ~(tcflag_t)ICANON;
	EXPECT(tcsetattr(slave, TCSANOW, &t) == 0);
	EXPECT(strcmp(line(), "ab\rc") == 0);
	EXPECT(strcmp(screen(), "ab^Mc") == 0);
	close_pair();
}

static void flow(void)
{
	struct pollfd p;

	EXPECT(open_pair());
	p = (struct pollfd){ .fd = slave, .events = POLLOUT };
	EXPECT(poll(&p, 1, 0) == 1);
	EXPECT(tcflow(slave, TCOOFF) == 0);
	fcntl(slave, F_SETFL, O_NONBLOCK);
	EXPECT_ERRNO(write(slave, "x", 1), EAGAIN);
	EXPECT(tcflow(slave, TCOON) == 0);
	EXPECT(write(slave, "x", 1) == 1);
	EXPECT(strcmp(screen(), "x") == 0);
	type("a\n");
	usleep(5000);
	EXPECT(tcflush(slave, TCIFLUSH) == 0);
	EXPECT(strcmp(line(), "nothing") == 0);
	EXPECT_ERRNO(tcflush(slave, 77), EINVAL);
	EXPECT(tcdrain(slave) == 0);
	close_pair();
}

/* ---- sessions ---- */

static volatile sig_atomic_t last_signal;

static void on_signal(int signo)
{
	last_signal = signo;
}

static void catch_signal(int signo)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(signo, &sa, NULL);
	last_signal = 0;
}

/* Runs fn in a new session whose terminal is the pair's slave: its exit status. */
static int in_session(int (*fn)(void))
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		setsid();
		if (ioctl(slave, TIOCSCTTY, 0))
			_exit(99);
		_exit(fn());
	}
	return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int leader(void)
{
	int tty, pgrp;
	char c;

	if (tcgetsid(slave) != getpid() || tcgetpgrp(slave) != getpid())
		return 1;
	tty = open("/dev/tty", O_RDWR);
	if (tty < 0 || ioctl(tty, TIOCGPGRP, &pgrp) || pgrp != getpid())
		return 2;
	catch_signal(SIGINT);
	if (write(master, "abc\x03", 4) != 4)
		return 3;
	usleep(20000);
	if (last_signal != SIGINT)
		return 4;
	catch_signal(SIGWINCH);
	if (ioctl(master, TIOCSWINSZ, &(struct winsize){ .ws_row = 24, .ws_col = 81 }))
		return 5;
	usleep(20000);
	if (last_signal != SIGWINCH)
		return 6;
	if (write(master, "\x1c", 1) != 1) /* SIGQUIT while ignored: nothing but the flush */
		return 7;
	fcntl(slave, F_SETFL, O_NONBLOCK);
	return read(slave, &c, 1) == -1 && errno == EAGAIN ? 0 : 8;
}

static void controlling_terminals(void)
{
	struct winsize size;

	EXPECT(open_pair());
	EXPECT_ERRNO(tcgetpgrp(slave), ENOTTY);
	signal(SIGQUIT, SIG_IGN);
	EXPECT(in_session(leader) == 0);
	EXPECT(ioctl(slave, TIOCGWINSZ, &size) == -1 || size.ws_col == 81);
	close_pair();
}

static int background(void)
{
	int status;
	pid_t child = fork();
	char c;

	if (child == 0) {
		setpgid(0, 0);
		catch_signal(SIGTTIN);
		if (read(slave, &c, 1) != -1 || errno != EINTR || last_signal != SIGTTIN)
			_exit(1);
		signal(SIGTTIN, SIG_IGN);
		if (read(slave, &c, 1) != -1 || errno != EIO)
			_exit(2);
		if (write(slave, "w", 1) != 1)
			_exit(3);
		catch_signal(SIGTTOU);
		if (tcsetpgrp(slave, getpid()) != -1 || errno != EINTR || last_signal != SIGTTOU)
			_exit(4);
		signal(SIGTTOU, SIG_IGN);
		if (tcsetpgrp(slave, getpid()) || tcgetpgrp(slave) != getpid())
			_exit(5);
		_exit(0);
	}
	setpgid(child, child);
	if (waitpid(child, &status, 0) != child || status)
		return 10 + WEXITSTATUS(status);
	signal(SIGTTOU, SIG_IGN);
	if (tcsetpgrp(slave, getpid()))
		return 2;
	return tcsetpgrp(slave, 999999) == -1 && errno == ESRCH ? 0 : 3;
}

static void job_control(void)
{
	EXPECT(open_pair());
	EXPECT(in_session(background) == 0);
	close_pair();
}

static int stopped_child(void)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		setpgid(0, 0);
		for (;;)
			pause();
	}
	setpgid(child, child);
	signal(SIGTTOU, SIG_IGN);
	if (tcsetpgrp(slave, child) || write(master, "\x1a", 1) != 1)
		return 1;
	if (waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status) || WSTOPSIG(status) != SIGTSTP)
		return 2;
	kill(child, SIGCONT);
	if (waitpid(child, &status, WCONTINUED) != child || !WIFCONTINUED(status))
		return 3;
	if (write(master, "\x03", 1) != 1)
		return 4;
	return waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGINT ? 0 : 5;
}

static void keys_stop_and_end_jobs(void)
{
	EXPECT(open_pair());
	EXPECT(in_session(stopped_child) == 0);
	close_pair();
}

static int hung_up(void)
{
	struct pollfd p = { .fd = slave, .events = POLLIN };
	char c;

	catch_signal(SIGHUP);
	close(master);
	usleep(20000);
	if (last_signal != SIGHUP)
		return 1;
	if (read(slave, &c, 1) != 0)
		return 2;
	if (write(slave, "x", 1) != -1 || errno != EIO)
		return 3;
	if (poll(&p, 1, 0) != 1 || !(p.revents & POLLHUP))
		return 4;
	return open("/dev/tty", O_RDWR) == -1 && errno == ENXIO ? 0 : 5;
}

static void hang_up(void)
{
	int status;
	pid_t child;

	EXPECT(open_pair());
	child = fork();
	if (child == 0) {
		setsid();
		if (ioctl(slave, TIOCSCTTY, 0))
			_exit(99);
		_exit(hung_up());
	}
	close(master);
	EXPECT(waitpid(child, &status, 0) == child && status == 0);
	close(slave);
	EXPECT_ERRNO(open(name, O_RDWR | O_NOCTTY), ENOENT);
}

static void the_last_slave_ends_the_master(void)
{
	struct pollfd p;
	char buf[8];

	EXPECT(open_pair());
	EXPECT(write(slave, "bye", 3) == 3);
	close(slave);
	p = (struct pollfd){ .fd = master, .events = POLLIN };
	EXPECT(poll(&p, 1, 0) == 1 && p.revents == (POLLIN | POLLHUP));
	EXPECT(read(master, buf, 8) == 3);
	EXPECT_ERRNO(read(master, buf, 8), EIO);
	slave = open(name, O_RDWR | O_NOCTTY);
	EXPECT(slave >= 0);
	EXPECT(write(slave, "x", 1) == 1 && read(master, buf, 8) == 1);
	close_pair();
}

static void ioctls(void)
{
	struct winsize size = { .ws_row = 7, .ws_col = 9 }, got;
	int n, locked;

	EXPECT(open_pair());
	EXPECT(ioctl(slave, TIOCSWINSZ, &size) == 0 && ioctl(master, TIOCGWINSZ, &got) == 0);
	EXPECT(got.ws_row == 7 && got.ws_col == 9);
	EXPECT(ioctl(master, TIOCGPTLCK, &locked) == 0 && locked == 0);
	EXPECT(ioctl(slave, TIOCOUTQ, &n) == 0 && n == 0);
	EXPECT(ioctl(slave, TIOCGETD, &n) == 0 && n == 0);
	EXPECT_ERRNO(ioctl(slave, 0x54ff, &n), ENOTTY);
	EXPECT_ERRNO(ioctl(slave, TCGETS, (void *)16), EFAULT);
	EXPECT_ERRNO(ioctl(slave, TCSETS, (void *)16), EFAULT);
	EXPECT_ERRNO(ioctl(slave, TIOCSWINSZ, (void *)0xffff800000000000ul), EFAULT);
	EXPECT_ERRNO(ioctl(slave, TIOCGPTN, &n), ENOTTY);
	EXPECT_ERRNO(read(slave, NULL, 0) == 0 ? ioctl(slave, TIOCSPGRP, &n) : 0, ENOTTY);
	close_pair();
	locked = 1;
	master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	EXPECT(ioctl(master, TIOCGPTN, &n) == 0);
	snprintf(name, sizeof(name), "/dev/pts/%d", n);
	EXPECT_ERRNO(open(name, O_RDWR | O_NOCTTY), EIO);
	close(master);
}

static void the_peer(void)
{
	struct stat a, b;
	int peer;

	EXPECT(open_pair());
	peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY);
	EXPECT(peer >= 0 && fstat(peer, &a) == 0 && fstat(slave, &b) == 0 && a.st_ino == b.st_ino && a.st_rdev == b.st_rdev);
	EXPECT(write(peer, "p", 1) == 1);
	EXPECT(strcmp(screen(), "p") == 0);
	close(peer);
	close_pair();
}

/* What led to a slave that is gone leads to no later one of its number. */
static void an_old_name_stays_old(void)
{
	enum { TRIES = 16 };
	char path[64], first[sizeof(name)];
	int old, masters[TRIES], made = 0;
	bool again = false;

	EXPECT(open_pair());
	strcpy(first, name);
	old = open(name, O_PATH);
	EXPECT(old >= 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", old);
	close_pair();
	EXPECT_ERRNO(open(path, O_RDWR | O_NOCTTY), EIO);
	while (made < TRIES && !again) {
		EXPECT(open_pair());
		close(slave);
		masters[made++] = master;
		again = strcmp(name, first) == 0;
	}
	EXPECT(again);
	EXPECT_ERRNO(open(path, O_RDWR | O_NOCTTY), EIO);
	slave = open(name, O_RDWR | O_NOCTTY);
	EXPECT(slave >= 0);
	close(slave);
	while (made > 0)
		close(masters[--made]);
	close(old);
}

/* A chroot may show none. */
static bool there_are_terminals(void)
{
	char slave_name[32] = "";
	int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	bool found = fd >= 0 && ptsname_r(fd, slave_name, sizeof(slave_name)) == 0 && access(slave_name, F_OK) == 0;

	close(fd);
	return found;
}

int main(void)
{
	if (!there_are_terminals()) {
		printf("skipped: no pseudo-terminals here\n");
		return 0;
	}
	CASE(lines);
	CASE(editing);
	CASE(raw_input);
	CASE(mappings);
	CASE(old_form);
	CASE(flow);
	CASE(controlling_terminals);
	CASE(job_control);
	CASE(keys_stop_and_end_jobs);
	CASE(hang_up);
	CASE(the_last_slave_ends_the_master);
	CASE(ioctls);
	CASE(the_peer);
	CASE(an_old_name_stays_old);
	return abi_result();
}
