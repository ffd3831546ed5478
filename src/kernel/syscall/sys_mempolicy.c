/* SPDX-License-Identifier: MIT */
/*
 * Memory policies (set_mempolicy(2) and its kin) on a machine with one node, number 0. Everything is checked, kept and told as where there are more;
 * nothing is decided by it. Nodes that are not there are forgotten: a policy that names node 0 and others is told back with node 0.
 *
 * A policy is eight bits: its mode, its flags, and whether a home node was named. None is 0.
 */
#include <cloudos/cred.h>
#include <cloudos/errno.h>
#include <cloudos/inspect.h>
#include <cloudos/task.h>
#include <cloudos/uaccess.h>
#include <cloudos/vm.h>
#include <linux/capability.h>
#include <linux/mempolicy.h>
#include "syscalls_gen.h"

#define NODES		1
#define NODES_NAMED_MAX 1024 /* nodes that a mask may name, as on Linux: bits above must be zero */
#define WORD_BITS	64
#define MASK_BITS_MAX	(PAGE_SIZE * 8)
#define MOVED_BATCH	16 /* pages of move_pages() between two looks around */

enum { POLICY_MODE = 7, POLICY_STATIC = 8, POLICY_RELATIVE = 16, POLICY_BALANCING = 32 };
_Static_assert(MPOL_MAX <= POLICY_MODE + 1 && VM_POLICY_HOME == 64, "eight bits");

/* ---- sets of nodes ---- */

struct nodes {
	bool node0, others;
};

static int get_word(uaddr_t mask, uint64_t word, uint64_t bits, struct nodes *ret)
{
	uint64_t value;

	if (get_user(value, mask + word * sizeof(value)) < 0)
		return -EFAULT;
	if (bits < WORD_BITS)
		value &= (UINT64_C(1) << bits) - 1;
	if (value && word * WORD_BITS >= NODES_NAMED_MAX)
		return -EINVAL;
	ret->node0 |= word == 0 && (value & 1);
	ret->others |= word == 0 ? value > 1 : value > 0;
	return 0;
}

/* `max` is one more than the number of bits. */
static int get_nodes(uaddr_t mask, uint64_t max, struct nodes *ret)
{
	uint64_t bits = max - 1;
	int err = 0;

	*ret = (struct nodes){ 0 };
	if (!mask || bits == 0)
		return 0;
	if (bits > MASK_BITS_MAX)
		return -EINVAL;
	for (uint64_t word = 0; word * WORD_BITS < bits && err == 0; word++)
		err = get_word(mask, word, bits - word * WORD_BITS, ret);
	return err;
}

static int put_nodes(uaddr_t mask, uint64_t max, bool node0)
{
	uint64_t words = (max - 1 + WORD_BITS - 1) / WORD_BITS, value = node0;

	if (words * sizeof(value) > PAGE_SIZE)
		return -EINVAL;
	for (uint64_t i = 0; i < words; i++, value = 0)
		if (put_user(value, mask + i * sizeof(value)) < 0)
			return -EFAULT;
	return 0;
}

/* ---- policies ---- */

static int check_mode(unsigned mode, unsigned flags)
{
	if (mode >= MPOL_MAX || (flags & MPOL_F_STATIC_NODES && flags & MPOL_F_RELATIVE_NODES))
		return -EINVAL;
	return (flags & MPOL_F_NUMA_BALANCING) && mode != MPOL_BIND ? -EINVAL : 0;
}

/* A mode with its set of nodes: the policy, or -EINVAL. */
static int make_policy(unsigned mode, unsigned flags, const struct nodes *n)
{
	bool empty = !n->node0 && !n->others, special = flags & (MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES);

	if (mode == MPOL_DEFAULT)
		return empty ? 0 : -EINVAL;
	if ((mode == MPOL_PREFERRED && empty) || mode == MPOL_LOCAL)
		return empty && !special ? MPOL_LOCAL : -EINVAL;
	if (!n->node0 && !((flags & MPOL_F_RELATIVE_NODES) && !empty)) /* the first of those that are there: node 0 */
		return -EINVAL;
	return (int)(mode | (flags & MPOL_F_STATIC_NODES ? POLICY_STATIC : 0) | (flags & MPOL_F_RELATIVE_NODES ? POLICY_RELATIVE : 0) |
		     (flags & MPOL_F_NUMA_BALANCING ? POLICY_BALANCING : 0));
}

/* The arguments of a call, before it is known whether they make a policy: 0, -EINVAL, -EFAULT. */
struct policy_args {
	unsigned mode, flags;
	struct nodes nodes;
};

static int get_policy_args(unsigned mode_and_flags, uaddr_t mask, uint64_t max, struct policy_args *ret)
{
	int err;

	ret->flags = mode_and_flags & MPOL_MODE_FLAGS;
	ret->mode = mode_and_flags & ~(unsigned)MPOL_MODE_FLAGS;
	err = check_mode(ret->mode, ret->flags);
	return err ? err : get_nodes(mask, max, &ret->nodes);
}

static int mode_of(int policy)
{
	return policy & POLICY_MODE;
}

static int told_mode(int policy)
{
	return mode_of(policy) | (policy & POLICY_STATIC ? MPOL_F_STATIC_NODES : 0) | (policy & POLICY_RELATIVE ? MPOL_F_RELATIVE_NODES : 0) |
	       (policy & POLICY_BALANCING ? MPOL_F_NUMA_BALANCING : 0);
}

static bool has_nodes(int policy)
{
	return mode_of(policy) != MPOL_DEFAULT && mode_of(policy) != MPOL_LOCAL;
}

int64_t sys_set_mempolicy(unsigned mode, uaddr_t mask, uint64_t max)
{
	struct policy_args a;
	int policy = get_policy_args(mode, mask, max, &a);

	if (policy == 0)
		policy = make_policy(a.mode, a.flags, &a.nodes);
	if (policy < 0)
		return policy;
	task_self()->mempolicy = (uint8_t)policy;
	return 0;
}

/* MPOL_F_NODE: where a page is, or where the next one goes. */
static int node_of(int policy, uaddr_t addr, unsigned flags)
{
	char byte;

	if (flags & MPOL_F_ADDR)
		return copy_from_user(&byte, addr, 1) < 0 ? -EFAULT : 0;
	return mode_of(policy) == MPOL_INTERLEAVE ? 0 : -EINVAL;
}

int64_t sys_get_mempolicy(uaddr_t mode, uaddr_t mask, uint64_t max, uaddr_t addr, unsigned flags)
{
	int policy = task_self()->mempolicy, value;

	if (mask && max < NODES)
		return -EINVAL;
	if (flags & ~(unsigned)(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED))
		return -EINVAL;
	if (flags & MPOL_F_MEMS_ALLOWED) {
		if (flags & (MPOL_F_NODE | MPOL_F_ADDR))
			return -EINVAL;
		policy = MPOL_BIND;
		value = 0;
	} else {
		if (!(flags & MPOL_F_ADDR) && addr)
			return -EINVAL;
		if (flags & MPOL_F_ADDR)
			policy = vm_policy_get(thread_current()->vm, addr);
		if (policy < 0)
			return policy;
		value = flags & MPOL_F_NODE ? node_of(policy, addr, flags) : told_mode(policy);
		if (value < 0)
			return value;
	}
	if (mode && put_user(value, mode) < 0)
		return -EFAULT;
	return mask ? put_nodes(mask, max, has_nodes(policy)) : 0;
}

/* ---- areas ---- */

/* 0; 1: nothing is in it; -EINVAL. */
static int check_range(uaddr_t start, uint64_t len, uaddr_t *ret_end)
{
	*ret_end = start + align_up(len, PAGE_SIZE);
	if (!is_aligned(start, PAGE_SIZE) || *ret_end < start)
		return -EINVAL;
	return *ret_end == start;
}

int64_t sys_mbind(uaddr_t start, uint64_t len, unsigned mode, uaddr_t mask, uint64_t max, unsigned flags)
{
	struct policy_args a;
	int policy, err = get_policy_args(mode, mask, max, &a);
	uaddr_t end;

	if (err)
		return err;
	if (flags & ~(unsigned)MPOL_MF_VALID)
		return -EINVAL;
	if ((flags & MPOL_MF_MOVE_ALL) && !cred_capable(thread_current()->cred, CAP_SYS_NICE))
		return -EPERM;
	err = check_range(start, len, &end);
	if (err)
		return err < 0 ? err : 0;
	policy = make_policy(a.mode, a.flags, &a.nodes);
	return policy < 0 ? policy : vm_policy_set(thread_current()->vm, start, end, (uint32_t)policy);
}

static bool may_home(uint32_t policy)
{
	return mode_of((int)policy) == MPOL_BIND || mode_of((int)policy) == MPOL_PREFERRED_MANY;
}

int64_t sys_set_mempolicy_home_node(uaddr_t start, uint64_t len, uint64_t node, uint64_t flags)
{
	uaddr_t end;
	int err;

	if (!is_aligned(start, PAGE_SIZE) || flags || node >= NODES)
		return -EINVAL;
	err = check_range(start, len, &end);
	if (err)
		return err < 0 ? err : 0;
	return vm_policy_set_home(thread_current()->vm, start, end, may_home);
}

/* ---- moving ---- */

static int get_space(int pid, struct vm_space **ret)
{
	if (pid)
		return inspect_get_vm(pid, INSPECT_REAL, ret);
	*ret = thread_current()->vm;
	vm_space_get(*ret);
	return 0;
}

int64_t sys_migrate_pages(int pid, uint64_t max, uaddr_t old, uaddr_t new)
{
	struct nodes from, to;
	struct vm_space *s;
	int err = get_nodes(old, max, &from);

	if (err == 0)
		err = get_nodes(new, max, &to);
	if (err == 0)
		err = get_space(pid, &s);
	if (err < 0)
		return err;
	vm_space_put(s);
	if (to.others && !cred_capable(thread_current()->cred, CAP_SYS_NICE))
		return -EPERM;
	return to.node0 ? 0 : -EINVAL; /* there is nowhere else for a page to be */
}

/* One page: asked to be on *node, or asked where it is (null). */
static int move_one(struct vm_space *s, uaddr_t pages, uaddr_t nodes, uaddr_t status, uint64_t i)
{
	uint64_t addr;
	int32_t node = 0, result;

	if (get_user(addr, pages + i * sizeof(addr)) < 0 || (nodes && get_user(node, nodes + i * sizeof(node)) < 0))
		return -EFAULT;
	if (node < 0 || node >= NODES)
		return -ENODEV;
	result = addr < HAL_USER_TOP ? vm_page_mapped(s, addr) : -EFAULT;
	return put_user(result, status + i * sizeof(result)) < 0 ? -EFAULT : 0;
}

int64_t sys_move_pages(int pid, uint64_t count, uaddr_t pages, uaddr_t nodes, uaddr_t status, int flags)
{
	struct vm_space *s;
	int err;

	if (flags & ~(MPOL_MF_MOVE | MPOL_MF_MOVE_ALL))
		return -EINVAL;
	if ((flags & MPOL_MF_MOVE_ALL) && !cred_capable(thread_current()->cred, CAP_SYS_NICE))
		return -EPERM;
	err = get_space(pid, &s);
	if (err < 0)
		return err;
	for (uint64_t i = 0; i < count && err == 0; i++) {
		err = move_one(s, pages, nodes, status, i);
		if (i % MOVED_BATCH == MOVED_BATCH - 1) {
			sched_point();
			if (thread_signal_pending() && err == 0)
				err = -ERESTARTNOINTR;
		}
	}
	vm_space_put(s);
	return err;
}
