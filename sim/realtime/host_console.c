/* SPDX-License-Identifier: MIT */
/*
 * The console (hosted): standard output, written as it is; standard input, read by a thread of its own into a
 * ring that vCPU 0 empties. A terminal is raw while we run: the tty layer is the kernel's. There Ctrl-A is an
 * escape: Ctrl-A x ends the simulator, Ctrl-A Ctrl-A types one.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <sim/host.h>
#include <sim/host_private.h>

#define RING_SIZE    4096 /* a power of two */
#define READER_STACK (64 * 1024)
#define ESCAPE	     1 /* Ctrl-A */

static char ring[RING_SIZE];
static _Atomic uint32_t ring_head, ring_tail; /* bytes ever put in, taken out */

static struct termios saved;
static volatile bool raw;

void host_terminal_raw(void)
{
	struct termios t;

	if (tcgetattr(STDIN_FILENO, &saved) < 0)
		return;
	t = saved;
	cfmakeraw(&t);
	t.c_oflag |=
	    OPOST | ONLCR; /* messages before and beside the kernel's own still start at the margin */
	raw = tcsetattr(STDIN_FILENO, TCSANOW, &t) == 0;
}

void host_terminal_restore(void)
{
	if (raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	raw = false;
}

/* ---- output ---- */

static int output = STDOUT_FILENO;

void host_console_to_stderr(void)
{
	output = STDERR_FILENO;
}

void host_console_write(const char *buf, size_t len)
{
	struct pollfd room = {.fd = output, .events = POLLOUT};

	while (len) {
		ssize_t n = write(output, buf, len);

		if (n > 0) {
			buf += n;
			len -= (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			poll(&room, 1, -1);
		} else if (n == 0 || errno != EINTR) {
			return; /* nobody reads any more */
		}
	}
}

void host_error_write(const char *buf, size_t len)
{
	if (write(STDERR_FILENO, buf, len) < 0)
		return;
}

int host_format(char *buf, size_t size, const char *format, va_list args)
{
	return vsnprintf(buf, size, format, args);
}

/* ---- input ---- */

size_t host_console_peek(const char **ret)
{
	uint32_t tail = atomic_load(&ring_tail), used = atomic_load(&ring_head) - tail;
	uint32_t at = tail % RING_SIZE;

	*ret = ring + at;
	return used < RING_SIZE - at ? used : RING_SIZE - at;
}

void host_console_take(size_t len)
{
	atomic_fetch_add(&ring_tail, (uint32_t)len);
	host_wake(&ring_tail);
}

static void put(char c)
{
	uint32_t head = atomic_load(&ring_head), tail;

	while (head - (tail = atomic_load(&ring_tail)) == RING_SIZE)
		host_wait(&ring_tail, tail, UINT64_MAX);
	ring[head % RING_SIZE] = c;
	atomic_store(&ring_head, head + 1);
}

/* One byte typed at a terminal; handles the escape. */
static void typed(char c)
{
	static bool escaped;

	if (escaped && (c == 'x' || c == 'X'))
		host_exit(SIM_EXIT_OFF);
	if (!escaped && c == ESCAPE) {
		escaped = true;
		return;
	}
	escaped = false;
	put(c);
}

/* Drops the escape from what was typed; may end the process. */
static size_t without_escape(char *buf, size_t len)
{
	static bool escaped;
	size_t kept = 0;

	for (size_t i = 0; i < len; i++) {
		if (escaped && (buf[i] == 'x' || buf[i] == 'X'))
			host_exit(SIM_EXIT_OFF);
		escaped = !escaped && buf[i] == ESCAPE;
		if (!escaped)
			buf[kept++] = buf[i];
	}
	return kept;
}

bool host_console_is_terminal(void)
{
	return raw;
}

size_t host_console_read(char *buf, size_t len)
{
	ssize_t n;

	do {
		n = read(STDIN_FILENO, buf, len);
		if (n > 0 && raw)
			n = (ssize_t)without_escape(buf, (size_t)n);
		else if (n == 0)
			return 0;
	} while (n == 0 || (n < 0 && errno == EINTR));
	return n < 0 ? 0 : (size_t)n;
}

static void *reader(void *arg)
{
	char buf[512];
	ssize_t n;

	while ((n = read(STDIN_FILENO, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		for (ssize_t i = 0; i < n; i++) {
			if (raw)
				typed(buf[i]);
			else
				put(buf[i]);
			if (atomic_load(&ring_head) - atomic_load(&ring_tail) == RING_SIZE)
				sim_console_arrived();
		}
		sim_console_arrived();
	}
	return arg;
}

int host_console_start(void)
{
	return host_thread_create(READER_STACK, reader, NULL);
}
