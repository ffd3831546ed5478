/* SPDX-License-Identifier: MIT */
/* For tests of control groups: their files, and processes to put into them. */
#ifndef CONTROL_H
#define CONTROL_H

#include "cases.h"
#include <fcntl.h>
#include "inside.h"
#include <signal.h>
#include <stdarg.h>
#include <time.h>

static char text[4096];

/* What is in a file, in `text`; "" if there is nothing. */
static inline const char *get(const char *format, ...)
{
	char path[256];
	va_list args;
	ssize_t n = 0;
	int fd;

	va_start(args, format);
	vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	fd = open(path, O_RDONLY);
	if (fd >= 0) {
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static inline bool has(const char *path, const char *part)
{
	return strstr(get("%s", path), part) != NULL;
}

static inline int put_number(const char *path, long value)
{
	char number[24];

	snprintf(number, sizeof(number), "%ld\n", value);
	return write_file(path, number);
}

static inline void rest_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

/* Does a file come to hold `part` within some seconds? */
static inline bool comes(const char *path, const char *part)
{
	for (int i = 0; i < 500; i++) {
		if (has(path, part))
			return true;
		rest_ms(10);
	}
	return false;
}

static inline pid_t sleeper(void)
{
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			pause();
	return pid;
}

static inline pid_t sleeper_in(const char *procs)
{
	pid_t pid = sleeper();

	EXPECT(put_number(procs, pid) == 0);
	return pid;
}

static inline bool ended_by(pid_t pid, int signo)
{
	int status;

	return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == signo;
}

static inline void end(pid_t pid)
{
	EXPECT(kill(pid, SIGKILL) == 0 && ended_by(pid, SIGKILL));
}

/* Is there such a controller? Children of this group have it then. */
static inline bool controller(const char *name)
{
	char plus[16];

	snprintf(plus, sizeof(plus), "+%s", name);
	return has("cgroup.controllers", name) && write_file("cgroup.subtree_control", plus) == 0;
}

#endif
