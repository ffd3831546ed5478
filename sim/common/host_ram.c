/* SPDX-License-Identifier: MIT */
/*
 * Physical memory (hosted): one memfd, mapped whole as the direct map, page by page in the kernel's virtual
 * area, and by stubs.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>
#include <fcntl.h>

#include <sim/host.h>

#define KEEP_FD 100 /* above the descriptors of a stub (user/host_stub.c) */

static int ram_fd = -1;

static int map_fixed(uintptr_t at, size_t size, int prot, int flags, int fd)
{
	void *p = mmap((void *)at, size, prot, flags | MAP_FIXED_NOREPLACE, fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	return p == (void *)at ? 0 : -EEXIST;
}

int host_ram_create(uintptr_t at, uint64_t size, uintptr_t area, size_t area_size)
{
	int low = memfd_create("cloudos-ram", MFD_CLOEXEC), error;

	if (low < 0)
		return -errno;
	ram_fd = fcntl(low, F_DUPFD_CLOEXEC, KEEP_FD);
	close(low);
	if (ram_fd < 0 || ftruncate(ram_fd, (off_t)size) < 0)
		return -errno;
	error = map_fixed(at, size, PROT_READ | PROT_WRITE, MAP_SHARED, ram_fd);
	if (!error)
		error =
		    map_fixed(area, area_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	return error;
}

/* A hole costs nothing, while a page that is written costs a fault now and its memory for ever. */
void host_ram_clear(paddr_t from, uint64_t size)
{
	if (fallocate(ram_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)size) < 0)
		host_fatal("cannot clear memory: the host's tmpfs makes no holes");
}

int host_ram_fd(void)
{
	return ram_fd;
}

int host_area_map(uintptr_t va, paddr_t pa, size_t size)
{
	void *p =
	    mmap((void *)va, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, ram_fd, (off_t)pa);

	return p == MAP_FAILED ? -errno : 0;
}

int host_area_unmap(uintptr_t va, size_t size)
{
	void *p = mmap((void *)va, size, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);

	return p == MAP_FAILED ? -errno : 0;
}

void *host_stack_create(uintptr_t at, size_t size)
{
	char *p = mmap((void *)(at - PAGE_SIZE), size + PAGE_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (p != (char *)at - PAGE_SIZE || mprotect(p, PAGE_SIZE, PROT_NONE) < 0)
		return NULL;
	return p + PAGE_SIZE;
}

bool host_peek(uintptr_t addr, void *dst, size_t len)
{
	struct iovec to = {dst, len}, from = {(void *)addr, len};

	return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == (ssize_t)len;
}
