/* SPDX-License-Identifier: MIT */
/*
 * Out of memory: who must die when nothing more can be taken back (vm/reclaim.c).
 *
 * The process with the most points: a point for each page that it has in memory, in swap areas and as page tables, and a thousandth of all
 * memory for each step of oom_score_adj; as Linux counts, and /proc/PID/oom_score says. -1000 protects, as does being the first process. All
 * processes with the same memory go with it.
 *
 * One that is dying already, and has not given its memory back, is waited for rather than that a second one is killed; but only for a while, since who traces
 * it can keep it from its end. Then it is passed over. If nobody is left, who needs the page must go, unless that is process 1, which tries again.
 *
 * When memory is wanting in a group, only who is in it is looked at. If the one who must die is in a group that dies as one (memory.oom.group), all that
 * are in the highest such group, within the one where memory is wanting, go with it, but for those who are spared.
 *
 * Each process is looked at under proc_lock of its own; its space is held meanwhile, and its figures are read as they are. What waits for memory
 * may hold any sleeping lock, so that none is taken here.
 */
#define LOG_SUBSYSTEM "proc"
#include <asm/signal.h>
#include <cloudos/memory_group.h>
#include <cloudos/swap.h>
#include <cloudos/vm.h>
#include "proc_internal.h"

#define ADJ_NEVER (-1000)
#define WAIT_NS	  (2 * NSEC_PER_SEC) /* for one that is dying */

struct candidate {
	int pid; /* in the first namespace; 0: none */
	int64_t points;
	struct vm_space *space; /* held */
	uint64_t resident, swapped;
	int adj;
	char name[16];
	bool dying;
	bool late;    /* for longer than it is waited for */
	bool borrows; /* by vfork: the memory is its parent's */
};

static bool choosing; /* atomic: somebody is at it */

uint64_t process_oom_points(uint64_t pages, int adj)
{
	struct mm_stats mm;
	int64_t points;

	mm_get_stats(&mm);
	points = (int64_t)pages + adj * (int64_t)(mm.total_pages / 1000);
	return points > 0 ? (uint64_t)points : 0;
}

/* Since when its memory is waited for. proc_lock is held. */
static bool is_late_locked(struct process *p)
{
	uint64_t now = hal_clock_ns();

	if (p->oom_since_ns == 0)
		p->oom_since_ns = now;
	return now - p->oom_since_ns > WAIT_NS;
}

static bool borrows_locked(struct task *t, const struct vm_space *s)
{
	struct process *parent = t->process->parent;
	struct task *lender = READ_ONCE(t->vfork_parent) && parent ? process_any_task_locked(parent) : NULL;

	return lender && LOAD_ACQUIRE(lender->thread.vm) == s;
}

/* The process of a number, if it has memory: its space is held. */
static bool look(int pid, struct candidate *ret)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct pid_entry *e = pid_lookup_global_locked(pid);
	struct process *p = e ? e->process : NULL;
	struct task *t = p ? process_any_task_locked(p) : NULL;
	struct vm_space *s = t && !t->gone ? LOAD_ACQUIRE(t->thread.vm) : NULL;

	if (s) {
		vm_space_hold(s);
		*ret = (struct candidate){ .pid = pid, .space = s, .adj = READ_ONCE(p->oom_score_adj), .dying = process_dying(p) };
		memcpy(ret->name, t->thread.name, sizeof(ret->name));
		ret->dying |= p->oom_since_ns != 0;
		ret->late = ret->dying && is_late_locked(p);
		ret->borrows = borrows_locked(t, s);
	}
	spin_unlock_irq(&proc_lock, flags);
	return s;
}

static int next_process(int after)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	int pid = pid_next_in_locked(&pid_namespace_first, after);

	spin_unlock_irq(&proc_lock, flags);
	return pid;
}

/* The one with the most points among those in g, or all of them, whose space is held; pid 0: none. */
static struct candidate choose(const struct memory_group *g)
{
	struct candidate best = { .pid = 0 };

	for (int pid = next_process(1); pid > 0; pid = next_process(pid)) {
		struct candidate c;

		if (!look(pid, &c))
			continue;
		if (c.late || c.borrows || (g && !vm_space_in_group(c.space, g))) {
			vm_space_let_go(c.space);
			continue;
		}
		c.resident = READ_ONCE(c.space->resident_pages);
		c.swapped = READ_ONCE(c.space->swapped_pages);
		c.points = c.adj == ADJ_NEVER ? 0 : (int64_t)process_oom_points(c.resident + c.swapped + READ_ONCE(c.space->table_pages), c.adj) + 1;
		if (c.dying)
			c.points = INT64_MAX;
		if (c.points > best.points) {
			if (best.pid)
				vm_space_let_go(best.space);
			best = c;
		} else {
			vm_space_let_go(c.space);
		}
	}
	return best;
}

/* The process of a number, if its memory is `space`. */
static void kill_if(int pid, const struct vm_space *space)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct pid_entry *e = pid_lookup_global_locked(pid);
	struct process *p = e ? e->process : NULL;
	struct task *t = p ? process_any_task_locked(p) : NULL;

	if (t && LOAD_ACQUIRE(t->thread.vm) == space) {
		spin_lock(&p->signal_lock);
		coredump_killed_locked(p);
		signal_group_exit_locked(p, SIGKILL, NULL);
		spin_unlock(&p->signal_lock);
		(void)is_late_locked(p);
	}
	spin_unlock_irq(&proc_lock, flags);
}

static void kill_all(const struct candidate *c, const struct memory_group *g)
{
	const struct thread *self = thread_current();

	log_err("out of memory%s: %s[%d] needs a page; killing %s[%d], which has %lu KiB in memory and %lu KiB swapped out, oom_score_adj %d",
		g ? " in a control group" : "", self->name, self->tid, c->name, c->pid, (unsigned long)(c->resident * (PAGE_SIZE / 1024)),
		(unsigned long)(c->swapped * (PAGE_SIZE / 1024)), c->adj);
	reclaim_count_kill();
	vm_space_count_kill(c->space);
	vm_space_dies(c->space);
	for (int pid = next_process(1); pid > 0; pid = next_process(pid))
		kill_if(pid, c->space);
}

/* The victim's group dies as one. */
static void kill_group(struct memory_group *g)
{
	log_err("out of memory: all of its control group go with it");
	memory_group_count_event(g, MEMORY_OOM_GROUP_KILL);
	for (int pid = next_process(1); pid > 0; pid = next_process(pid)) {
		struct candidate c;

		if (!look(pid, &c))
			continue;
		if (c.adj != ADJ_NEVER && !c.dying && vm_space_in_group(c.space, g)) {
			vm_space_count_kill(c.space);
			vm_space_dies(c.space);
			kill_if(pid, c.space);
		}
		vm_space_let_go(c.space);
	}
}

static void kill_candidate(const struct candidate *c, const struct memory_group *g)
{
	struct memory_group *all = vm_space_dies_with(c->space, g);

	kill_all(c, g);
	if (!all)
		return;
	kill_group(all);
	memory_group_ops->put(all);
}

static bool is_process_1(const struct task *t)
{
	return t && t->process == process_init;
}

static bool out_of_memory(struct memory_group *g)
{
	struct candidate c;

	if (__atomic_exchange_n(&choosing, true, __ATOMIC_ACQUIRE))
		return true;
	if (vm_space_any_dies(g, WAIT_NS)) {
		__atomic_store_n(&choosing, false, __ATOMIC_RELEASE);
		return true;
	}
	c = choose(g);
	if (c.pid && !c.dying)
		kill_candidate(&c, g);
	if (c.pid)
		vm_space_let_go(c.space);
	__atomic_store_n(&choosing, false, __ATOMIC_RELEASE);
	return c.pid || is_process_1(task_current());
}

/* The running process needs a page in a call or in user mode, and there is none to be had: it ends when it comes out of the kernel. */
static void must_die(uaddr_t addr)
{
	struct task *t = task_current();
	unsigned long flags;

	if (!t || is_process_1(t) || READ_ONCE(t->process->group_exit))
		return;
	log_limited(LOG_ERR, 8, "out of memory: killing %s[%d], which needs a page at 0x%lx", t->thread.name, t->thread.tid, (unsigned long)addr);
	flags = spin_lock_irq(&t->process->signal_lock);
	signal_group_exit_locked(t->process, SIGKILL, NULL);
	spin_unlock_irq(&t->process->signal_lock, flags);
}

void oom_init(void)
{
	reclaim_must_die = must_die;
	reclaim_out_of_memory = out_of_memory;
}
