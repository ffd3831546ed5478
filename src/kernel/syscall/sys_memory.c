/* SPDX-License-Identifier: MIT */
/* Memory calls: what Linux's flags mean, then vm. */
#include <asm/mman.h>
#include <asm/resource.h>
#include <linux/capability.h>
#include <linux/mman.h>
#include <cloudos/cred.h>
#include <cloudos/errno.h>
#include <cloudos/proc.h>
#include <cloudos/thread.h>
#include <cloudos/vfs.h>
#include <cloudos/vm.h>
#include "syscalls_gen.h"

#define PROT_RWX (PROT_READ | PROT_WRITE | PROT_EXEC)

_Static_assert(PROT_READ == HAL_PROT_READ && PROT_WRITE == HAL_PROT_WRITE && PROT_EXEC == HAL_PROT_EXEC,
	       "areas keep PROT_* as they are");

#define LOW_TOP (UINT64_C(2) << 30) /* of MAP_32BIT: two GiB */

static struct vm_space *space(void)
{
	return thread_current()->vm;
}

/* Bytes that the running process may lock. */
static uint64_t lock_limit(void)
{
	return cred_capable(thread_current()->cred, CAP_IPC_LOCK) ? UINT64_MAX : process_limit(RLIMIT_MEMLOCK);
}

/* ---- mmap ---- */

/* Every flag that MAP_SHARED_VALIDATE lets pass; the others' bits are not looked at. */
#define MAP_KNOWN                                                                                                       \
	(MAP_TYPE | MAP_FIXED | MAP_FIXED_NOREPLACE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_DENYWRITE | MAP_EXECUTABLE |   \
	 MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK | MAP_HUGETLB | MAP_HUGE_2MB | MAP_HUGE_1GB)

static int decode_flags(unsigned flags, struct vm_map_request *r)
{
	unsigned type = flags & MAP_TYPE;

	if (type == MAP_SHARED_VALIDATE && (flags & ~(unsigned)MAP_KNOWN))
		return -EOPNOTSUPP;
	if ((type != MAP_SHARED && type != MAP_PRIVATE && type != MAP_SHARED_VALIDATE) || (flags & MAP_HUGETLB))
		return -EINVAL;
	if (type != MAP_PRIVATE)
		r->flags |= VM_SHARED;
	if (flags & MAP_GROWSDOWN) {
		if (!(flags & MAP_ANONYMOUS) || type != MAP_PRIVATE)
			return -EINVAL;
		r->flags |= VM_GROWSDOWN;
	}
	if (flags & HAL_MAP_LOW)
		r->top = LOW_TOP;
	if (flags & MAP_NORESERVE)
		r->flags |= VM_NORESERVE;
	if (flags & MAP_LOCKED)
		r->flags |= VM_LOCKED;
	r->noreplace = flags & MAP_FIXED_NOREPLACE;
	r->fixed = r->noreplace || (flags & MAP_FIXED);
	r->populate = (flags & (MAP_POPULATE | MAP_NONBLOCK)) == MAP_POPULATE;
	return 0;
}

static int check_locked(const struct vm_map_request *r)
{
	uint64_t limit;

	if (!(r->flags & VM_LOCKED))
		return 0;
	limit = lock_limit();
	if (!limit)
		return -EPERM;
	return r->len > limit || (READ_ONCE(space()->locked_pages) << PAGE_SHIFT) > limit - r->len ? -EAGAIN : 0;
}

static int64_t map(const struct vm_map_request *r)
{
	uaddr_t at = 0;
	int err = check_locked(r);

	if (!err)
		err = vm_map(space(), r, &at);
	return err ? err : (int64_t)at;
}

static int64_t map_anonymous(struct vm_map_request *r)
{
	int64_t result;

	r->may_prot = PROT_RWX;
	r->object_page = 0;
	if (!(r->flags & VM_SHARED))
		return map(r);
	r->object = vm_object_create(NULL, NULL, align_up(r->len, PAGE_SIZE));
	if (!r->object)
		return -ENOMEM;
	result = map(r);
	vm_object_put(r->object);
	return result;
}

/* What the file's mode allows. A shared mapping writes to the file. */
static int check_file(const struct file *f, struct vm_map_request *r)
{
	r->may_prot = PROT_RWX;
	if (!(f->mode & FILE_READ))
		return -EACCES;
	if ((r->flags & VM_SHARED) && !(f->mode & FILE_WRITE)) {
		if (r->prot & PROT_WRITE)
			return -EACCES;
		r->may_prot &= ~(uint32_t)PROT_WRITE;
	}
	return f->ops->mmap ? 0 : -ENODEV;
}

static int64_t map_file(struct file *f, struct vm_map_request *r)
{
	uint32_t may;
	int err = check_file(f, r);

	if (err)
		return err;
	may = r->may_prot;
	r->file = f;
	err = f->ops->mmap(f, r);
	r->may_prot &= may;
	if (!err && (r->prot & ~r->may_prot & PROT_RWX))
		err = r->prot & ~r->may_prot & PROT_EXEC ? -EPERM : -EACCES;
	return err ? err : map(r);
}

static int check_length(uint64_t len, uint64_t offset)
{
	uint64_t pages = (len >> PAGE_SHIFT) + ((len & ~PAGE_MASK) != 0);

	if (len == 0)
		return -EINVAL;
	if (len > HAL_USER_TOP)
		return -ENOMEM;
	return (offset >> PAGE_SHIFT) + pages > UINT64_MAX >> PAGE_SHIFT ? -EOVERFLOW : 0;
}

int64_t sys_mmap(uaddr_t addr, size_t len, unsigned prot, unsigned flags, int fd, int64_t offset)
{
	struct vm_map_request r = { .addr = addr, .len = len, .prot = prot & PROT_RWX,
				    .object_page = (uint64_t)offset >> PAGE_SHIFT };
	struct file *f = NULL;
	bool put = false;
	int64_t result;

	if (!is_aligned((uint64_t)offset, PAGE_SIZE))
		return -EINVAL;
	if (!(flags & MAP_ANONYMOUS)) {
		f = fd_begin(fd, &put);
		if (!f)
			return -EBADF;
	}
	result = f && (f->mode & FILE_PATH) ? -EBADF : check_length(len, (uint64_t)offset);
	if (!result)
		result = decode_flags(flags, &r);
	if (!result)
		result = f ? map_file(f, &r) : map_anonymous(&r);
	if (f)
		fd_end(f, put);
	return result;
}

/* Other pages of the object that is mapped there: done by mapping it anew, as on Linux since 4.0. */
int64_t sys_remap_file_pages(uaddr_t start, size_t size, unsigned prot, uint64_t page, unsigned flags)
{
	struct vm_map_request r = { .fixed = true, .populate = !(flags & MAP_NONBLOCK) };
	int64_t result;

	start &= PAGE_MASK;
	size &= PAGE_MASK;
	if (prot || start + size <= start || page + (size >> PAGE_SHIFT) < page)
		return -EINVAL;
	result = vm_shared_at(space(), start, size, &r);
	if (result)
		return result;
	r.addr = start;
	r.len = size;
	r.object_page = page;
	result = page + (size >> PAGE_SHIFT) > INT64_MAX >> PAGE_SHIFT ? -EOVERFLOW : map(&r);
	vm_object_put(r.object);
	if (r.file)
		vm_file_ops->put(r.file);
	return result < 0 ? result : 0;
}

int64_t sys_munmap(uaddr_t addr, size_t len)
{
	return vm_unmap(space(), addr, len);
}

int64_t sys_mprotect(uaddr_t addr, size_t len, unsigned prot)
{
	if ((prot & ~(unsigned)(PROT_RWX | PROT_SEM | PROT_GROWSDOWN)) || !is_aligned(addr, PAGE_SIZE)) /* nothing grows upwards */
		return -EINVAL;
	if (prot & PROT_GROWSDOWN)
		return vm_protect_down(space(), addr, len, prot & PROT_RWX);
	return vm_protect(space(), addr, len, prot & PROT_RWX);
}

/* ---- protection keys: there are none, and the calls say so as on a processor without them ---- */

#define PKEY_RIGHTS (PKEY_DISABLE_ACCESS | PKEY_DISABLE_WRITE)

int64_t sys_pkey_alloc(unsigned flags, uint64_t rights)
{
	return flags || (rights & ~(uint64_t)PKEY_RIGHTS) ? -EINVAL : -HAL_NO_KEY_ERROR;
}

int64_t sys_pkey_free(int key)
{
	(void)key;
	return -EINVAL;
}

int64_t sys_pkey_mprotect(uaddr_t addr, size_t len, unsigned prot, int key)
{
	return key == -1 ? sys_mprotect(addr, len, prot) : -EINVAL;
}

int64_t sys_mremap(uaddr_t addr, size_t old_len, size_t new_len, unsigned flags, uaddr_t new_addr)
{
	uaddr_t at = 0;
	int err = vm_remap(space(), addr, old_len, new_len, flags, new_addr, &at);

	return err ? err : (int64_t)at;
}

int64_t sys_brk(uaddr_t addr)
{
	return (int64_t)vm_brk(space(), addr);
}

/* ---- advice, questions, write-back ---- */

int64_t sys_madvise(uaddr_t addr, size_t len, int advice)
{
	return vm_advise(space(), addr, len, advice);
}

int64_t sys_mincore(uaddr_t addr, size_t len, uaddr_t vec)
{
	return vm_mincore(space(), addr, len, vec);
}

int64_t sys_msync(uaddr_t addr, size_t len, unsigned flags)
{
	if ((flags & ~(unsigned)(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) || (flags & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC))
		return -EINVAL;
	return vm_sync(space(), addr, len, (int)flags);
}

/* ---- locked memory ---- */

int64_t sys_mlock2(uaddr_t addr, size_t len, unsigned flags)
{
	if (flags & ~(unsigned)MLOCK_ONFAULT)
		return -EINVAL;
	return vm_lock(space(), addr, len, true, flags & MLOCK_ONFAULT, lock_limit());
}

int64_t sys_mlock(uaddr_t addr, size_t len)
{
	return sys_mlock2(addr, len, 0);
}

int64_t sys_munlock(uaddr_t addr, size_t len)
{
	return vm_lock(space(), addr, len, false, false, UINT64_MAX);
}

int64_t sys_mlockall(unsigned flags)
{
	if (!flags || flags == MCL_ONFAULT || (flags & ~(unsigned)(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)))
		return -EINVAL;
	if (!lock_limit())
		return -EPERM;
	return vm_lock_all(space(), flags & MCL_CURRENT, flags & MCL_FUTURE, flags & MCL_ONFAULT, lock_limit());
}

int64_t sys_munlockall(void)
{
	return vm_lock_all(space(), false, false, false, UINT64_MAX);
}
