/* SPDX-License-Identifier: MIT */
/* For tests of namespaces: what is tried in a child, which says by its exit status on which line it failed. */
#ifndef INSIDE_H
#define INSIDE_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define NEED(condition)                                             \
	do {                                                        \
		if (!(condition))                                   \
			_exit(__LINE__ & 127 ? __LINE__ & 127 : 1); \
	} while (0)

/* The exit status of a child, or minus the signal that ended it. */
static inline int ending_of(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1000;
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static inline int ends(void (*fn)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		fn();
		_exit(0);
	}
	return ending_of(pid);
}

/* Replaces a file's text: 0, or -1 with an errno. */
static inline int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), error;
	ssize_t n;

	if (fd < 0)
		return -1;
	n = write(fd, text, strlen(text));
	error = errno;
	close(fd);
	errno = error;
	return n == (ssize_t)strlen(text) ? 0 : -1;
}

static inline bool file_is(const char *path, const char *text)
{
	char got[4096];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, got, sizeof(got) - 1);

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return false;
	got[n] = '\0';
	return strcmp(got, text) == 0;
}

#endif
