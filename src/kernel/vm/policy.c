/* SPDX-License-Identifier: MIT */
/*
 * Memory policies (mbind(2)). There is one node, so that they decide nothing; they are kept, eight bits of an area's flags, and told. What the bits
 * mean is the system calls' matter, but for VM_POLICY_HOME, which only policies with `may_home` may have.
 */
#include <cloudos/errno.h>
#include "vm_internal.h"

static uint32_t policy_bits(const struct vm_area *a)
{
	return a->flags >> VM_POLICY_SHIFT & VM_POLICY_MASK;
}

static void set_bits(struct vm_area *a, uint32_t policy)
{
	area_set_flags(a, (a->flags & ~(VM_POLICY_MASK << VM_POLICY_SHIFT)) | policy << VM_POLICY_SHIFT);
}

static int set_locked(struct vm_space *s, uaddr_t start, uaddr_t end, uint32_t policy)
{
	struct vm_area *a;
	bool holes = policy == 0 && (a = area_find(s, start)) && a->start < end; /* none may be named for what is only partly there */
	int err = holes || area_covers(s, start, end) ? area_isolate(s, start, end) : -EFAULT;

	if (err < 0)
		return err;
	area_for_each(a, s, start, end)
		set_bits(a, policy);
	area_merge_range(s, start, end);
	return 0;
}

int vm_policy_set(struct vm_space *s, uaddr_t start, uaddr_t end, uint32_t policy)
{
	int err;

	space_lock(s);
	err = set_locked(s, start, end, policy);
	space_unlock(s);
	return err;
}

int vm_policy_set_home(struct vm_space *s, uaddr_t start, uaddr_t end, bool (*may_home)(uint32_t policy))
{
	struct vm_area *a;
	int err = -ENOENT;

	space_lock(s);
	if (area_isolate(s, start, end) < 0)
		err = -ENOMEM;
	for (a = area_find(s, start); a && a->start < end && err != -ENOMEM; a = area_next(a)) {
		if (!policy_bits(a))
			continue;
		if (!may_home(policy_bits(a))) {
			err = -EOPNOTSUPP;
			break;
		}
		set_bits(a, policy_bits(a) | VM_POLICY_HOME);
		err = 0;
	}
	area_merge_range(s, start, end);
	space_unlock(s);
	return err;
}

int vm_policy_get(struct vm_space *s, uaddr_t addr)
{
	const struct vm_area *a;
	int policy;

	rwlock_read(&s->lock);
	a = area_find(s, addr);
	policy = a && a->start <= addr ? (int)policy_bits(a) : -EFAULT;
	rwlock_read_unlock(&s->lock);
	return policy;
}

struct look {
	struct pt_visit visit;
	bool mapped, zero; /* zero: the page of zeroes, which is nobody's to move */
};

static void look_run(struct pt_visit *v, hal_pte_t *slots, unsigned n, uaddr_t addr)
{
	struct look *l = container_of(v, struct look, visit);
	hal_pte_t pte = pte_read(&slots[0]);

	(void)n;
	(void)addr;
	l->mapped = pte != 0;
	l->zero = hal_pte_present(pte) && pte_is_zero_page(pte);
}

int vm_page_mapped(struct vm_space *s, uaddr_t addr)
{
	struct look l = { .visit = { .space = s, .run = look_run } };
	const struct vm_area *a;
	int err = 0;

	rwlock_read(&s->lock);
	a = area_find(s, addr);
	if (!a || a->start > addr)
		err = -EFAULT;
	if (!err) {
		spin_lock(&s->table_lock);
		pagetable_visit(&l.visit, addr & PAGE_MASK, (addr & PAGE_MASK) + PAGE_SIZE);
		spin_unlock(&s->table_lock);
	}
	rwlock_read_unlock(&s->lock);
	if (err || l.zero)
		return -EFAULT;
	return l.mapped ? 0 : -ENOENT;
}
