/* SPDX-License-Identifier: MIT */
/* open and its relatives. */
#include <linux/fcntl.h>
#include <linux/openat2.h>
#include "call_name.h"
#include "call_open.h"
#include "call_struct.h"
#include "syscalls_gen.h"

#define OPEN_FLAGS                                                                                                      \
	(O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC | O_DSYNC | FASYNC | O_DIRECT | \
	 O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH | O_TMPFILE)
#define RESOLVE_FLAGS \
	(RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH | RESOLVE_IN_ROOT | RESOLVE_CACHED)

static int64_t do_open(int dirfd, uaddr_t name, const struct open_request *r)
{
	struct name_arg n;
	struct file *f;
	int fd, error = name_get(&n, name);

	if (unlikely(error))
		return error;
	fd = fd_reserve(0, r->flags & O_CLOEXEC);
	if (likely(fd >= 0)) {
		error = vfs_open_request(dirfd, n.text, r, &f);
		if (likely(!error)) {
			fd_install(fd, f);
		} else {
			fd_release(fd);
			fd = error;
		}
	}
	name_put(&n);
	return fd;
}

void call_open_flags(unsigned flags, uint32_t mode, struct open_request *ret)
{
	*ret = (struct open_request){ .flags = flags & OPEN_FLAGS, .mode = mode };
}

int64_t sys_openat(int dirfd, uaddr_t name, unsigned flags, uint32_t mode)
{
	struct open_request r;

	call_open_flags(flags, mode, &r);
	return do_open(dirfd, name, &r);
}

int64_t sys_open(uaddr_t name, unsigned flags, uint32_t mode)
{
	return sys_openat(AT_FDCWD, name, flags, mode);
}

int64_t sys_creat(uaddr_t name, uint32_t mode)
{
	return sys_openat(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

int call_open_how(uaddr_t how_at, size_t size, struct open_request *ret)
{
	struct open_how how;
	int error = size < sizeof(how) ? -EINVAL : call_copy_struct(&how, sizeof(how), how_at, size);

	if (error)
		return error;
	if ((how.flags & ~(uint64_t)OPEN_FLAGS) || (how.resolve & ~(uint64_t)RESOLVE_FLAGS) || (how.mode & ~UINT64_C(07777)))
		return -EINVAL;
	if (how.mode && !(how.flags & (O_CREAT | __O_TMPFILE)))
		return -EINVAL;
	if ((how.resolve & RESOLVE_BENEATH) && (how.resolve & RESOLVE_IN_ROOT))
		return -EINVAL;
	if (how.resolve & RESOLVE_CACHED)
		return -EAGAIN; /* the caller tries again without */
	*ret = (struct open_request){ .flags = (uint32_t)how.flags, .mode = (uint32_t)how.mode, .resolve = (unsigned)how.resolve };
	return 0;
}

int64_t sys_openat2(int dirfd, uaddr_t name, uaddr_t how, size_t size)
{
	struct open_request r;
	int error = call_open_how(how, size, &r);

	return error ? error : do_open(dirfd, name, &r);
}
