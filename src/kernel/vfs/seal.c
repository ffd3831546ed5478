/* SPDX-License-Identifier: MIT */
/*
 * Seals: promises about a file in memory that cannot be taken back, so that who is given its descriptor need not trust who else has it
 * (fcntl(2), F_ADD_SEALS).
 *
 *   F_SEAL_SEAL          no more seals
 *   F_SEAL_SHRINK, GROW  the size does not fall, rise
 *   F_SEAL_WRITE         the bytes do not change: no write, no hole, no mapping that may write to it; such a one is in the way (EBUSY)
 *   F_SEAL_FUTURE_WRITE  the same, but for mappings that are there
 *
 * Writers, resizers and sealers hold inode->lock, and look at the seals there. A mapping comes into being later than mmap() looks;
 * F_SEAL_WRITE is therefore the cache object's too (vm_object_seal_writes).
 */
#include <cloudos/vm.h>
#include <linux/falloc.h>
#include "vfs_internal.h"

#define SEALS_ALL   (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)
#define SEALS_WRITE (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)

static bool keeps_seals(const struct file *f)
{
	return f->inode && (f->inode->flags & INODE_SEALS);
}

int file_seals(struct file *f)
{
	return keeps_seals(f) ? (int)READ_ONCE(f->inode->seals) : -EINVAL;
}

static int seal_locked(struct inode *inode, uint32_t seals)
{
	int error = 0;

	if (inode->seals & F_SEAL_SEAL)
		return -EPERM;
	if (seals & ~inode->seals & F_SEAL_WRITE)
		error = vm_object_seal_writes(inode->data);
	if (!error)
		WRITE_ONCE(inode->seals, inode->seals | seals);
	return error;
}

int file_seal(struct file *f, uint32_t seals)
{
	int error;

	if (!(f->mode & FILE_WRITE))
		return -EPERM;
	if ((seals & ~(uint32_t)SEALS_ALL) || !keeps_seals(f))
		return -EINVAL;
	mutex_lock(&f->inode->lock);
	error = seal_locked(f->inode, seals);
	mutex_unlock(&f->inode->lock);
	return error;
}

/* ---- what they forbid ---- */

int seals_limit_write(const struct inode *inode, uint64_t pos, size_t *count)
{
	uint64_t size = inode->data->size, whole = align_down(size, PAGE_SIZE);

	if (inode->seals & SEALS_WRITE)
		return -EPERM;
	if (!(inode->seals & F_SEAL_GROW) || pos + *count <= size)
		return 0;
	if (pos >= whole) /* page by page, as Linux: the last one is written whole or not at all */
		return -EPERM;
	*count = whole - pos;
	return 0;
}

int seals_allow_resize(const struct inode *inode, uint64_t size)
{
	uint64_t before = inode->data->size;

	if ((inode->seals & F_SEAL_SHRINK) && size < before)
		return -EPERM;
	return (inode->seals & F_SEAL_GROW) && size > before ? -EPERM : 0;
}

int seals_allow_fallocate(const struct inode *inode, unsigned mode, uint64_t end)
{
	if (mode & FALLOC_FL_PUNCH_HOLE)
		return inode->seals & SEALS_WRITE ? -EPERM : 0;
	return (inode->seals & F_SEAL_GROW) && end > inode->data->size ? -EPERM : 0;
}

int seals_limit_mapping(const struct inode *inode, struct vm_map_request *r)
{
	if (!(READ_ONCE(inode->seals) & SEALS_WRITE) || !(r->flags & VM_SHARED))
		return 0;
	r->may_prot &= ~(uint32_t)HAL_PROT_WRITE;
	return r->prot & HAL_PROT_WRITE ? -EPERM : 0;
}
