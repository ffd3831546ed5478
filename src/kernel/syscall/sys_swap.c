/* SPDX-License-Identifier: MIT */
/* swapon and swapoff: block devices alone can be swap areas; no file system here says where on a disk its files lie. */
#include <cloudos/block.h>
#include <cloudos/cred.h>
#include <cloudos/errno.h>
#include <cloudos/swap.h>
#include <cloudos/thread.h>
#include <cloudos/vfs.h>
#include <linux/capability.h>
#include <linux/fcntl.h>
#include "call_name.h"
#include "syscalls_gen.h"

/* swapon(2); the words are not in Linux's headers for programs. Nothing here can be told that blocks are unused, so that DISCARD says nothing. */
#define SWAP_FLAG_PREFER	0x8000
#define SWAP_FLAG_PRIO_MASK	0x7fff
#define SWAP_FLAG_DISCARD	0x10000
#define SWAP_FLAG_DISCARD_ONCE	0x20000
#define SWAP_FLAG_DISCARD_PAGES 0x40000
#define SWAP_FLAGS                                                                                          \
	(SWAP_FLAG_PREFER | SWAP_FLAG_PRIO_MASK | SWAP_FLAG_DISCARD | SWAP_FLAG_DISCARD_ONCE | SWAP_FLAG_DISCARD_PAGES)

static int open_area(uaddr_t path, struct file **ret)
{
	struct name_arg name;
	int err = name_get(&name, path);

	if (err)
		return err;
	err = vfs_open(AT_FDCWD, name.text, O_RDWR | O_LARGEFILE, 0, ret);
	name_put(&name);
	return err;
}

int64_t sys_swapon(uaddr_t path, unsigned flags)
{
	struct file *f;
	int err;

	if (flags & ~(unsigned)SWAP_FLAGS)
		return -EINVAL;
	if (!cred_capable(thread_current()->cred, CAP_SYS_ADMIN))
		return -EPERM;
	err = open_area(path, &f);
	if (err)
		return err;
	err = block_swap_on(f, flags & SWAP_FLAG_PREFER, (int)(flags & SWAP_FLAG_PRIO_MASK));
	file_put(f);
	return err;
}

int64_t sys_swapoff(uaddr_t path)
{
	struct file *f;
	int err;

	if (!cred_capable(thread_current()->cred, CAP_SYS_ADMIN))
		return -EPERM;
	err = open_area(path, &f);
	if (err)
		return err;
	err = block_swap_off(f);
	file_put(f);
	return err;
}
