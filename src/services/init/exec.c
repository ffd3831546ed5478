/* SPDX-License-Identifier: MIT */
/* Executing a command the way a shell does, and waiting for it as the parent of all orphans. */

#include "init.h"

#include <linux/errno.h>

#define PATH_MAX 4096
#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Puts "folder/name" into ret; false where it does not fit. An empty folder means the working directory. */
static bool join(char ret[static PATH_MAX], const char *folder, size_t folder_len, const char *name)
{
	size_t name_len = text_len(name), at = 0;

	if (folder_len + name_len + 2 > PATH_MAX)
		return false;
	while (at < folder_len) {
		ret[at] = folder[at];
		at++;
	}
	if (folder_len > 0)
		ret[at++] = '/';
	for (size_t i = 0; i <= name_len; i++)
		ret[at + i] = name[i];
	return true;
}

static bool has_slash(const char *name)
{
	while (*name && *name != '/')
		name++;
	return *name == '/';
}

/* Tries each folder of PATH in turn; the errno of the one that came nearest. */
static int exec_by_path(char *const argv[], const struct vector *environment)
{
	static char path[PATH_MAX];
	const char *folder = vector_value(environment, "PATH", PATH_DEFAULT);
	int result = -ENOENT;

	for (;;) {
		size_t len = 0;

		while (folder[len] && folder[len] != ':')
			len++;
		if (join(path, folder, len, argv[0])) {
			int err = sys_execve(path, argv, environment->items);

			if (err != -ENOENT && err != -ENOTDIR)
				result = err;
		}
		if (!folder[len])
			return result;
		folder += len + 1;
	}
}

_Noreturn void exec_command(char *const argv[], const struct vector *environment)
{
	int err;

	if (has_slash(argv[0]))
		err = sys_execve(argv[0], argv, environment->items);
	else
		err = exec_by_path(argv, environment);
	bool missing = err == -ENOENT || err == -ENOTDIR;
	char number[24];
	(void)text_decimal(number, (unsigned long)-err);
	if (missing)
		text_write(2, "cloudos: ", argv[0], ": not found\n", NULL);
	else
		text_write(2, "cloudos: ", argv[0], ": cannot execute (errno ", number, ")\n", NULL);
	sys_exit(missing ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE);
}

int exec_wait(int child)
{
	int status = 0;

	for (;;) {
		int ended = sys_wait(&status);

		if (ended == child)
			break;
		if (ended < 0 && ended != -EINTR)
			return STATUS_NOT_FOUND; /* no children at all: the command never began */
	}
	int signal = status & 0x7f; /* wait(2): WIFSIGNALED, WTERMSIG, WEXITSTATUS */
	return signal ? 128 + signal : status >> 8 & 0xff;
}
