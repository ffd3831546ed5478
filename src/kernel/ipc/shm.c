/* SPDX-License-Identifier: MIT */
/*
 * Shared memory: shmget(2), shmat(2), shmctl(2).
 *
 * A segment is a cache object (the same pages as those of a file, or of a shared anonymous mapping) and a file that no descriptor leads
 * to, by which areas know it: an area that comes or goes calls mapped() and unmapped(), whoever made it, be it shmat, fork, a split, exit.
 *
 *   I1 `attached` counts the areas that map the segment, and the shmat() calls under way. Each holds the namespace, which may otherwise go
 *      before the segment.
 *   I2 It falls under the table's lock, and rises from 0 under the object's: who holds both and finds 0 may remove the segment, and nobody
 *      comes to it any more. IPC_RMID while it is not 0 marks the segment (SHM_DEST) and takes its key; the last to leave removes it.
 *
 * `attached` and the times have a leaf lock of their own, since areas come while their space is locked. Shared memory outlives who made it:
 * its pages are limited to a part of the RAM; a fault beyond is a SIGBUS, as in a full tmpfs.
 */
#include <asm/mman.h>
#include <cloudos/format.h>
#include <cloudos/proc.h>
#include <cloudos/thread.h>
#include <cloudos/vm.h>
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/resource.h>
#include "ipc_internal.h"

#define SHM_DEST   01000u /* modes of a segment that user programs see, as linux/shm.h for kernels has them */
#define SHM_LOCKED 02000u
#define SHMLBA	   PAGE_SIZE

/* Fields: C = constant; L = by ipc.lock; A = by attach_lock. */
struct shm {
	struct ipc_object ipc;
	struct vm_object *object; /* C */
	struct file *file;	  /* C: the segment's reference */
	uint64_t size;		  /* C: bytes */
	uint64_t promised;	  /* C: pages counted in the namespace */
	int32_t creator;	  /* C: a process */
	struct spinlock attach_lock;
	uint64_t attached;		    /* A */
	int64_t attached_at, detached_at; /* A: seconds */
	int32_t last;			    /* A: a process */
};

static inline struct shm *shm_of(struct ipc_object *o)
{
	return container_of(o, struct shm, ipc);
}

static struct ipc_ids *ids(void)
{
	return &ipc_current()->shm;
}

/* ---- who maps it ---- */

static void count_attached(struct shm *s)
{
	namespace_get(&s->ipc.ids->ns->base);
	spin_lock(&s->attach_lock);
	s->attached++;
	spin_unlock(&s->attach_lock);
}

static void shm_mapped(struct file *f)
{
	struct shm *s = f->private;

	namespace_get(&s->ipc.ids->ns->base);
	spin_lock(&s->attach_lock);
	s->attached++;
	s->attached_at = ipc_now();
	s->last = ipc_pid();
	spin_unlock(&s->attach_lock);
}

/* True: that was the last one. */
static bool uncount_attached(struct shm *s, bool area)
{
	bool last;

	spin_lock(&s->attach_lock);
	last = --s->attached == 0;
	if (area) {
		s->detached_at = ipc_now();
		s->last = ipc_pid();
	}
	spin_unlock(&s->attach_lock);
	return last;
}

/* An area, or a shmat() under way, is done with the segment. */
static void leave(struct shm *s, bool area)
{
	struct ipc_ids *table = s->ipc.ids;

	ipc_hold(&s->ipc);
	mutex_lock(&table->lock);
	mutex_lock(&s->ipc.lock);
	if (uncount_attached(s, area) && (s->ipc.mode & SHM_DEST))
		ipc_unlink(&s->ipc);
	ipc_unlock_removed(&s->ipc);
	namespace_put(&table->ns->base);
}

static void shm_unmapped(struct file *f)
{
	leave(f->private, true);
}

static int shm_name(struct file *f, char *buf, size_t size)
{
	const struct shm *s = f->private;

	return fmt_string(buf, size, "/SYSV%08x (deleted)", (unsigned)READ_ONCE(s->ipc.key));
}

static const struct file_ops shm_file_ops = { .mapped = shm_mapped, .unmapped = shm_unmapped, .name = shm_name };

static bool is_shm_file(const void *file)
{
	return ((const struct file *)file)->ops == &shm_file_ops;
}

/* ---- pages ---- */

static uint64_t resident; /* atomic: of all namespaces */

static int charge(struct vm_object *o, uint64_t pages)
{
	struct mm_stats mm;

	mm_get_stats(&mm);
	return ipc_take(o->owner, pages, mm.ram_pages / SHM_RAM_SHARE) ? 0 : -ENOSPC;
}

static void uncharge(struct vm_object *o, uint64_t pages)
{
	__atomic_sub_fetch((uint64_t *)o->owner, pages, __ATOMIC_RELAXED);
}

static const struct vm_object_ops object_ops = { .charge = charge, .uncharge = uncharge };

/* ---- life ---- */

void shm_free_object(struct ipc_object *o)
{
	struct shm *s = shm_of(o);

	ASSERT(s->attached == 0);
	file_put(s->file);
	vm_object_put(s->object);
	__atomic_sub_fetch(&o->ids->ns->shm_pages, s->promised, __ATOMIC_RELAXED);
	kfree(s);
}

/* Pages of a segment: all are promised, so more than the RAM holds must be asked for with SHM_NORESERVE. */
static int promise(struct ipc_namespace *ns, const struct ipc_get *g, uint64_t *ret)
{
	uint64_t pages = (g->size >> PAGE_SHIFT) + ((g->size & ~PAGE_MASK) != 0);
	struct mm_stats mm;

	if (g->size < SHMMIN || g->size > READ_ONCE(ns->shm_max))
		return -EINVAL;
	if (g->size > UINT64_MAX - PAGE_SIZE)
		return -ENOSPC;
	mm_get_stats(&mm);
	if (!(g->flags & SHM_NORESERVE) && pages > mm.ram_pages)
		return -ENOMEM;
	if (!ipc_take(&ns->shm_pages, pages, READ_ONCE(ns->shm_all)))
		return -ENOSPC;
	*ret = pages;
	return 0;
}

static int make_parts(struct shm *s)
{
	int error;

	s->object = vm_object_create(&object_ops, &resident, align_up(s->size, PAGE_SIZE));
	if (!s->object)
		return -ENOMEM;
	error = file_create_anonymous(&shm_file_ops, s, FILE_READ | FILE_WRITE, O_RDWR, S_IFREG, &s->file);
	if (error)
		vm_object_put(s->object);
	return error;
}

static int make(const struct ipc_get *g, struct ipc_object **ret)
{
	struct ipc_namespace *ns = ipc_current();
	struct shm *s = kzalloc(sizeof(*s));
	int error = s ? promise(ns, g, &s->promised) : -ENOMEM;

	if (error)
		goto no_promise;
	if (g->flags & SHM_HUGETLB) { /* there are no huge pages to choose from */
		error = -EINVAL;
		goto no_parts;
	}
	s->size = g->size;
	s->creator = ipc_pid();
	spin_init(&s->attach_lock, RANK_LEAF);
	error = make_parts(s);
	if (error)
		goto no_parts;
	*ret = &s->ipc;
	return 0;
no_parts:
	__atomic_sub_fetch(&ns->shm_pages, s->promised, __ATOMIC_RELAXED);
no_promise:
	kfree(s);
	return error;
}

static int check(const struct ipc_get *g, const struct ipc_object *o)
{
	return g->size > container_of(o, const struct shm, ipc)->size ? -EINVAL : 0;
}

int64_t shm_get(int32_t key, uint64_t size, uint32_t flags)
{
	const struct ipc_get g = { .key = key, .flags = flags, .size = size, .make = make, .check = check };

	return ipc_get(ids(), &g);
}

int shm_remove(int id)
{
	struct ipc_object *o;
	int error = ipc_lock_to_remove(ids(), id, &o);
	struct shm *s;
	bool attached;

	if (error)
		return error;
	s = shm_of(o);
	spin_lock(&s->attach_lock);
	attached = s->attached > 0;
	spin_unlock(&s->attach_lock);
	if (attached) {
		o->mode |= SHM_DEST;
		ipc_hide(o);
	} else {
		ipc_unlink(o);
	}
	ipc_unlock_removed(o);
	return 0;
}

/* ---- attaching ---- */

static int decode(uaddr_t addr, uint32_t flags, struct vm_map_request *r)
{
	r->addr = addr;
	if (addr & (SHMLBA - 1)) {
		if (!(flags & SHM_RND))
			return -EINVAL;
		r->addr = addr & ~(uaddr_t)(SHMLBA - 1);
		if (!r->addr && (flags & SHM_REMAP))
			return -EINVAL;
	}
	if (!addr && (flags & SHM_REMAP))
		return -EINVAL;
	r->fixed = addr != 0;
	r->noreplace = r->fixed && !(flags & SHM_REMAP);
	r->flags = VM_SHARED;
	r->prot = PROT_READ | (flags & SHM_RDONLY ? 0 : PROT_WRITE) | (flags & SHM_EXEC ? PROT_EXEC : 0);
	r->may_prot = PROT_READ | PROT_EXEC | (flags & SHM_RDONLY ? 0 : PROT_WRITE);
	return 0;
}

static uint32_t mode_needed(uint32_t flags)
{
	return IPC_READ | (flags & SHM_RDONLY ? 0 : IPC_WRITE) | (flags & SHM_EXEC ? IPC_EXEC : 0);
}

static int map(struct shm *s, struct vm_map_request *r, uaddr_t *ret)
{
	int error;

	r->len = s->size;
	r->object = s->object;
	r->file = s->file;
	if (r->noreplace && r->addr + r->len < r->addr)
		return -EINVAL;
	error = vm_map(thread_current()->vm, r, ret);
	return error == -EEXIST ? -EINVAL : error;
}

int shm_attach(int id, uaddr_t addr, uint32_t flags, uaddr_t *ret)
{
	struct vm_map_request r = { 0 };
	struct ipc_object *o;
	int error = decode(addr, flags, &r);

	if (!error)
		error = ipc_lock_for(ids(), id, mode_needed(flags), &o);
	if (error)
		return error;
	count_attached(shm_of(o)); /* so that it stays while it is mapped */
	ipc_unlock(o);
	error = map(shm_of(o), &r, ret);
	leave(shm_of(o), false);
	return error;
}

int shm_detach(uaddr_t addr)
{
	return is_aligned(addr, PAGE_SIZE) ? vm_unmap_object(thread_current()->vm, addr, is_shm_file) : -EINVAL;
}

/* ---- shmctl ---- */

static void fill_locked(struct shm *s, struct shmid64_ds *ret)
{
	*ret = (struct shmid64_ds){ .shm_segsz = s->size, .shm_ctime = s->ipc.changed, .shm_cpid = pid_seen(s->creator) };
	ipc_fill(&s->ipc, &ret->shm_perm);
	spin_lock(&s->attach_lock);
	ret->shm_atime = s->attached_at;
	ret->shm_dtime = s->detached_at;
	ret->shm_lpid = s->last;
	ret->shm_nattch = s->attached;
	spin_unlock(&s->attach_lock);
	ret->shm_lpid = pid_seen(ret->shm_lpid);
}

int64_t shm_stat(int id, enum ipc_find how, struct shmid64_ds *ret)
{
	struct ipc_object *o;
	int64_t result = ipc_lock_to_see(ids(), id, how, &o);

	if (result)
		return result;
	fill_locked(shm_of(o), ret);
	result = how == IPC_BY_ID ? 0 : o->id;
	ipc_unlock(o);
	return result;
}

int shm_set(int id, const struct ipc_change *c)
{
	struct ipc_object *o;
	int error = ipc_lock_to_change(ids(), id, &o);

	if (error)
		return error;
	error = ipc_set(o, c);
	ipc_unlock(o);
	return error;
}

/* SHM_LOCK: nothing is ever paged out, so that the mark is all there is to it. */
int shm_lock(int id, bool lock)
{
	const struct cred *c = thread_current()->cred;
	bool capable = ipc_capable(CAP_IPC_LOCK);
	uint64_t limit = process_limit(RLIMIT_MEMLOCK);
	struct ipc_object *o;
	int error = ipc_lock(ids(), id, &o);

	if (error)
		return error;
	if (!capable && c->euid != o->uid && c->euid != o->cuid)
		error = -EPERM;
	else if (!capable && lock && limit == 0)
		error = -EPERM;
	else if (!capable && lock && shm_of(o)->size > limit)
		error = -ENOMEM;
	else
		o->mode = lock ? o->mode | SHM_LOCKED : o->mode & ~SHM_LOCKED;
	ipc_unlock(o);
	return error;
}

int64_t shm_limits(struct shminfo64 *ret)
{
	struct ipc_namespace *ns = ipc_current();

	*ret = (struct shminfo64){
		.shmmax = READ_ONCE(ns->shm_max),
		.shmmin = SHMMIN,
		.shmmni = READ_ONCE(ns->shm.max),
		.shmseg = READ_ONCE(ns->shm.max),
		.shmall = READ_ONCE(ns->shm_all),
	};
	return ipc_highest(&ns->shm);
}

static void add_resident(struct ipc_object *o, void *sum)
{
	*(uint64_t *)sum += READ_ONCE(shm_of(o)->object->pages.count);
}

int64_t shm_figures(struct shm_info *ret)
{
	uint64_t pages = 0;
	struct ipc_namespace *ns = ipc_current();

	ipc_for_each(&ns->shm, add_resident, &pages);
	*ret = (struct shm_info){
		.used_ids = (int)ipc_used(&ns->shm),
		.shm_tot = READ_ONCE(ns->shm_pages),
		.shm_rss = pages,
	};
	return ipc_highest(&ns->shm);
}

void shm_show(struct ipc_object *o, void *out)
{
	struct shm *s = shm_of(o);
	struct shmid64_ds d;

	fill_locked(s, &d);
	out_printf(out, "%10d %10d  %4o %21lu %5u %5u  %5lu %5u %5u %5u %5u %10lu %10lu %10lu %21lu %21lu\n", d.shm_perm.key, o->id,
		   o->mode, (unsigned long)d.shm_segsz, (unsigned)d.shm_cpid, (unsigned)d.shm_lpid, (unsigned long)d.shm_nattch, d.shm_perm.uid,
		   d.shm_perm.gid, d.shm_perm.cuid, d.shm_perm.cgid, (unsigned long)d.shm_atime, (unsigned long)d.shm_dtime, (unsigned long)d.shm_ctime,
		   (unsigned long)(READ_ONCE(s->object->pages.count) << PAGE_SHIFT), 0UL);
}
