/* SPDX-License-Identifier: MIT */
/* /proc/PID/stat and status, field by field as proc(5) has them. */
#include "procfs.h"
#include <asm-generic/mman-common.h>
#include <linux/limits.h>

#define NSEC_PER_TICK UINT64_C(10000000)
#define KIB_PER_PAGE  (PAGE_SIZE / 1024)

static uint64_t user_ticks(const struct task_usage *u)
{
	return (u->run_ns - min(u->system_ns, u->run_ns)) / NSEC_PER_TICK;
}

static uint64_t system_ticks(const struct task_usage *u)
{
	return min(u->system_ns, u->run_ns) / NSEC_PER_TICK;
}

/* Linux shows nice values as 20 + nice, and real-time priorities as -1 - priority; those that a thread runs with, which may be lent ones. */
static int shown_priority(const struct process_look *l)
{
	return l->urgency == URGENCY_IDLE ? 20 + l->nice : (int)l->urgency - URGENCY_NICE_0 + 20;
}

static void stat_space(struct vm_space *s, uint64_t rss_limit, struct text_out *o)
{
	struct vm_sizes n = { 0 };

	if (s)
		vm_space_sizes(s, &n);
	out_printf(o, " %lu %lu %lu %lu %lu %lu 0 0", n.total * PAGE_SIZE, n.resident, rss_limit, s ? s->code_start : 0,
		   s ? s->code_end : 0, s ? s->stack_start : 0);
}

static void stat_layout(const struct vm_space *s, struct text_out *o)
{
	if (!s)
		out_printf(o, " 0 0 0 0 0 0 0");
	else
		out_printf(o, " %lu %lu %lu %lu %lu %lu %lu", s->data_start, s->data_end, s->brk_start, s->arg_start, s->arg_end,
			   s->env_start, s->env_end);
}

int procfs_stat(const struct process_look *l, struct vm_space *s, struct text_out *o)
{
	out_printf(o, "%d (%s) %c %d %d %d %d %d %u", l->tid, l->name, l->state, l->ppid, l->pgid, l->sid, l->tty,
		   l->tty ? l->pgid : -1, 0x400000u /* PF_RANDOMIZE */);
	out_printf(o, " %lu %lu %lu %lu", l->usage.faults_minor, l->children.faults_minor, l->usage.faults_major,
		   l->children.faults_major);
	out_printf(o, " %lu %lu %lu %lu", user_ticks(&l->usage), system_ticks(&l->usage), user_ticks(&l->children),
		   system_ticks(&l->children));
	out_printf(o, " %d %d %u 0 %lu", shown_priority(l), l->nice, l->threads, l->start_ns / NSEC_PER_TICK);
	stat_space(s, l->limits[RLIMIT_RSS].rlim_cur, o);
	out_printf(o, " %lu %lu %lu %lu 0 0 0", l->pending & INT32_MAX, l->blocked & INT32_MAX, l->ignored & INT32_MAX,
		   l->caught & INT32_MAX);
	out_printf(o, " %d %u %d %d 0 0 0", l->exit_signal, l->cpu, l->rt_priority, l->policy);
	stat_layout(s, o);
	out_printf(o, " %d\n", l->exit_status);
	return 0;
}

static const char *state_words(char state)
{
	switch (state) {
	case 'R':
		return "R (running)";
	case 'D':
		return "D (disk sleep)";
	case 'T':
		return "T (stopped)";
	case 't':
		return "t (tracing stop)";
	case 'Z':
		return "Z (zombie)";
	case 'X':
		return "X (dead)";
	default:
		return "S (sleeping)";
	}
}

static void status_space(struct vm_space *s, struct text_out *o)
{
	struct vm_sizes n;

	vm_space_sizes(s, &n);
	out_printf(o, "VmPeak:\t%8lu kB\nVmSize:\t%8lu kB\n", n.total * KIB_PER_PAGE, n.total * KIB_PER_PAGE);
	out_printf(o, "VmLck:\t%8lu kB\nVmPin:\t%8u kB\n", n.locked * KIB_PER_PAGE, 0);
	out_printf(o, "VmHWM:\t%8lu kB\nVmRSS:\t%8lu kB\n", n.peak_resident * KIB_PER_PAGE, n.resident * KIB_PER_PAGE);
	out_printf(o, "RssAnon:\t%8lu kB\nRssFile:\t%8lu kB\nRssShmem:\t%8u kB\n", n.anon * KIB_PER_PAGE,
		   (n.resident - n.anon) * KIB_PER_PAGE, 0);
	out_printf(o, "VmData:\t%8lu kB\nVmStk:\t%8lu kB\nVmExe:\t%8lu kB\n", n.data * KIB_PER_PAGE,
		   n.stack * KIB_PER_PAGE, (s->code_end - s->code_start) / 1024);
	out_printf(o, "VmLib:\t%8u kB\nVmPTE:\t%8lu kB\nVmSwap:\t%8lu kB\n", 0, n.tables * KIB_PER_PAGE,
		   n.swapped * KIB_PER_PAGE);
}

static void status_signals(const struct process_look *l, struct text_out *o)
{
	out_printf(o, "SigQ:\t%lu/%lu\n", l->queued, l->queue_limit);
	out_printf(o, "SigPnd:\t%016lx\nShdPnd:\t%016lx\n", l->pending, l->shared_pending);
	out_printf(o, "SigBlk:\t%016lx\nSigIgn:\t%016lx\nSigCgt:\t%016lx\n", l->blocked, l->ignored, l->caught);
	out_printf(o, "CapInh:\t%016lx\nCapPrm:\t%016lx\nCapEff:\t%016lx\nCapBnd:\t%016lx\nCapAmb:\t%016lx\n", l->caps[0],
		   l->caps[1], l->caps[2], l->caps[3], l->caps[4]);
	out_printf(o, "NoNewPrivs:\t%d\nSeccomp:\t%u\nSeccomp_filters:\t%u\n", l->no_new_privs, l->seccomp_mode,
		   l->seccomp_filters);
}

static void status_numbers(const char *name, const struct pid_list *l, struct text_out *o)
{
	out_printf(o, "%s:", name);
	for (unsigned i = 0; i < l->n; i++)
		out_printf(o, "\t%d", l->numbers[i]);
	out_printf(o, "\n");
}

int procfs_status(const struct process_look *l, struct vm_space *s, struct text_out *o)
{
	uint64_t cpus = READ_ONCE(cpus_online);

	out_printf(o, "Name:\t%s\n", l->name);
	if (s)
		out_printf(o, "Umask:\t%04o\n", l->umask);
	out_printf(o, "State:\t%s\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t%d\n", state_words(l->state), l->pid,
		   l->tid, l->ppid, l->tracer);
	out_printf(o, "Uid:\t%u\t%u\t%u\t%u\n", uid_out(l->uid[0]), uid_out(l->uid[1]), uid_out(l->uid[2]),
		   uid_out(l->uid[3]));
	out_printf(o, "Gid:\t%u\t%u\t%u\t%u\n", gid_out(l->gid[0]), gid_out(l->gid[1]), gid_out(l->gid[2]),
		   gid_out(l->gid[3]));
	out_printf(o, "FDSize:\t64\nGroups:\t");
	for (uint32_t i = 0; l->cred && i < l->cred->group_count; i++)
		out_printf(o, "%u ", gid_out(l->cred->groups[i]));
	out_printf(o, "\n");
	status_numbers("NStgid", &l->tgids, o);
	status_numbers("NSpid", &l->tids, o);
	status_numbers("NSpgid", &l->pgids, o);
	status_numbers("NSsid", &l->sids, o);
	if (s)
		status_space(s, o);
	out_printf(o, "Threads:\t%u\n", l->threads);
	status_signals(l, o);
	out_printf(o, "Cpus_allowed:\t%lx\nMems_allowed:\t1\n", cpus);
	out_printf(o, "voluntary_ctxt_switches:\t%lu\nnonvoluntary_ctxt_switches:\t%lu\n", l->usage.switches, l->usage.preemptions);
	return 0;
}
