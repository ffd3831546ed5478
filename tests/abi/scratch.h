/* SPDX-License-Identifier: MIT */
/* A folder of its own for a test program: scratch_enter() makes it and goes there, scratch_leave() removes it with all in it. */
#ifndef SCRATCH_H
#define SCRATCH_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch_path[64];

static int scratch_enter(const char *name)
{
	snprintf(scratch_path, sizeof scratch_path, "/tmp/%s.XXXXXX", name);
	return mkdtemp(scratch_path) && chdir(scratch_path) == 0 ? 0 : -1;
}

static void scratch_empty(int dir)
{
	DIR *d = fdopendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (unlinkat(dirfd(d), e->d_name, 0) == 0)
			continue;
		fchmodat(dirfd(d), e->d_name, 0700, 0);
		scratch_empty(openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY));
		unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
	}
	if (d)
		closedir(d);
}

static void scratch_leave(void)
{
	if (chdir("/"))
		return;
	scratch_empty(open(scratch_path, O_RDONLY | O_DIRECTORY));
	rmdir(scratch_path);
}

#endif
