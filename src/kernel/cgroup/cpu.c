/* SPDX-License-Identifier: MIT */
/* The controller "cpu": shares by weight and limits in each period, in the units of its files; sched/group.c does it. */
#include <cloudos/string.h>
#include "cgroup_internal.h"

#define PERIOD_DEFAULT_NS (100 * NSEC_PER_MSEC)
#define USEC_MOST (GROUP_QUOTA_MAX_NS / NSEC_PER_USEC)
#define WEIGHT_ONE 1024 /* of a thread of nice 0 */

/* ---- threads look anew at what their group is ---- */

static void regroup_task(struct task *t, void *g)
{
	thread_set_group(&t->thread, g);
}

static void regroup_process(struct process *p, void *unused)
{
	(void)unused;
	cgroup_each_task_locked(p, regroup_task, &p->cgroup->sched);
}

/* Those below that do not share by themselves are this group's to share. */
static void regroup(struct cgroup *cg)
{
	cgroup_each_process(cg, true, regroup_process, NULL);
}

/* Who waits for the next period may go on now. */
static void wake_task(struct task *t, void *unused)
{
	(void)unused;
	sched_unthrottle(&t->thread);
}

static void wake_process(struct process *p, void *unused)
{
	cgroup_each_task_locked(p, wake_task, unused);
}

static void cpu_start(struct cgroup *cg)
{
	sched_group_set_shares(&cg->sched, true);
	regroup(cg);
}

static void cpu_stop(struct cgroup *cg)
{
	sched_group_set_shares(&cg->sched, false);
	regroup(cg);
	sched_group_set_weight(&cg->sched, GROUP_WEIGHT_DEFAULT);
	sched_group_set_limit(&cg->sched, 0, PERIOD_DEFAULT_NS, 0);
	cgroup_each_process(cg, true, wake_process, NULL);
}

/* ---- weights ---- */

static uint32_t weight_of(const struct cgroup *cg)
{
	return (READ_ONCE(cg->sched.weight) * GROUP_WEIGHT_DEFAULT + WEIGHT_ONE / 2) / WEIGHT_ONE;
}

static int show_weight(struct cgroup *cg, struct text_out *o)
{
	out_printf(o, "%u\n", weight_of(cg));
	return 0;
}

static int set_weight(struct cgroup *cg, uint64_t weight)
{
	int err = cgroup_lock_with(cg, CGROUP_CPU);

	if (err < 0)
		return err;
	sched_group_set_weight(&cg->sched, (uint32_t)weight);
	mutex_unlock(&cgroup_mutex);
	return 0;
}

static int store_weight(struct cgroup *cg, struct file *f, const char *text, size_t len)
{
	uint64_t weight;

	(void)f, (void)len;
	if (str_to_u64(text, 10, &weight) < 0)
		return -EINVAL;
	return weight < GROUP_WEIGHT_MIN || weight > GROUP_WEIGHT_MAX ? -ERANGE : set_weight(cg, weight);
}

/* The nice value whose weight comes nearest. */
static int show_nice(struct cgroup *cg, struct text_out *o)
{
	uint32_t weight = READ_ONCE(cg->sched.weight), best = UINT32_MAX;
	int nice = -20;

	for (int n = -20; n <= 19; n++) {
		uint32_t other = sched_nice_weight(n), distance = other > weight ? other - weight : weight - other;

		if (distance >= best)
			break;
		best = distance;
		nice = n;
	}
	out_printf(o, "%d\n", nice);
	return 0;
}

static int store_nice(struct cgroup *cg, struct file *f, const char *text, size_t len)
{
	bool negative = *text == '-';
	uint64_t value;
	int nice;

	(void)f, (void)len;
	if (str_to_u64(text + negative, 10, &value) < 0)
		return -EINVAL;
	if (value > 20 || (!negative && value > 19))
		return -ERANGE;
	nice = negative ? -(int)value : (int)value;
	return set_weight(cg, ((uint64_t)sched_nice_weight(nice) * GROUP_WEIGHT_DEFAULT + WEIGHT_ONE / 2) / WEIGHT_ONE);
}

/* ---- limits ---- */

static unsigned long usec(uint64_t ns)
{
	return (unsigned long)(ns / NSEC_PER_USEC);
}

static int show_max(struct cgroup *cg, struct text_out *o)
{
	uint64_t quota;

	mutex_lock(&cgroup_mutex);
	quota = cg->sched.quota_ns;
	if (quota)
		out_printf(o, "%lu %lu\n", usec(quota), usec(cg->sched.period_ns));
	else
		out_printf(o, "max %lu\n", usec(cg->sched.period_ns));
	mutex_unlock(&cgroup_mutex);
	return 0;
}

static int set_limit_locked(struct cgroup *cg, uint64_t quota, uint64_t period, uint64_t burst)
{
	if (period < GROUP_PERIOD_MIN_NS || period > GROUP_PERIOD_MAX_NS || (quota && (quota < GROUP_QUOTA_MIN_NS || quota > GROUP_QUOTA_MAX_NS)) ||
	    (quota && burst > quota))
		return -EINVAL;
	sched_group_set_limit(&cg->sched, quota, period, burst);
	cgroup_each_process(cg, true, wake_process, NULL);
	return 0;
}

/* "max", or microseconds; and behind a blank the period, which stays as it is else. */
static int store_max(struct cgroup *cg, struct file *f, const char *text, size_t len)
{
	const char *blank = strchr(text, ' ');
	uint64_t quota, period = 0;
	char first[24];
	int err;

	(void)f, (void)len;
	if (blank && ((size_t)(blank - text) >= sizeof(first) || str_to_u64(blank + 1, 10, &period) < 0 || period == 0 || period > USEC_MOST))
		return -EINVAL;
	if (blank) {
		memcpy(first, text, (size_t)(blank - text));
		first[blank - text] = '\0';
	}
	err = cgroup_parse_limit(blank ? first : text, USEC_MOST, &quota);
	if (err < 0 || quota == 0)
		return -EINVAL;
	err = cgroup_lock_with(cg, CGROUP_CPU);
	if (err < 0)
		return err;
	err = set_limit_locked(cg, quota == UINT64_MAX ? 0 : quota * NSEC_PER_USEC, blank ? period * NSEC_PER_USEC : cg->sched.period_ns,
			       cg->sched.burst_ns);
	mutex_unlock(&cgroup_mutex);
	return err;
}

static int show_burst(struct cgroup *cg, struct text_out *o)
{
	out_printf(o, "%lu\n", usec(READ_ONCE(cg->sched.burst_ns)));
	return 0;
}

static int store_burst(struct cgroup *cg, struct file *f, const char *text, size_t len)
{
	uint64_t burst;
	int err;

	(void)f, (void)len;
	if (str_to_u64(text, 10, &burst) < 0 || burst > USEC_MOST)
		return -EINVAL;
	err = cgroup_lock_with(cg, CGROUP_CPU);
	if (err < 0)
		return err;
	err = cg->sched.quota_ns || burst == 0
		      ? set_limit_locked(cg, cg->sched.quota_ns, cg->sched.period_ns, burst * NSEC_PER_USEC)
		      : -EINVAL;
	mutex_unlock(&cgroup_mutex);
	return err;
}

/* ---- figures; every group has them ---- */

static void add_usage(struct sched_group_stats *to, const struct sched_group_stats *s)
{
	to->usage_ns += READ_ONCE(s->usage_ns);
	to->system_ns += READ_ONCE(s->system_ns);
}

void cpu_stat_keep_locked(struct cgroup *cg)
{
	add_usage(&cg->parent->ended, &cg->sched.stats);
	add_usage(&cg->parent->ended, &cg->ended);
}

static void usage_of_all(struct sched_group_stats *ret)
{
	for (unsigned cpu = 0; cpu < hal_cpu_count(); cpu++) {
		struct sched_cpu_stats s;

		sched_cpu_get_stats(cpu, &s);
		ret->usage_ns += s.busy_ns;
		ret->system_ns += s.system_ns;
	}
}

static void usage_below_locked(struct cgroup *top, struct sched_group_stats *ret)
{
	cgroup_for_each(cg, top) {
		add_usage(ret, &cg->sched.stats);
		add_usage(ret, &cg->ended);
	}
}

static void show_limits(const struct sched_group_stats *s, struct text_out *o)
{
	out_printf(o, "nr_periods %lu\nnr_throttled %lu\nthrottled_usec %lu\nnr_bursts %lu\nburst_usec %lu\n",
		   (unsigned long)READ_ONCE(s->periods), (unsigned long)READ_ONCE(s->throttled), usec(READ_ONCE(s->throttled_ns)),
		   (unsigned long)READ_ONCE(s->bursts), usec(READ_ONCE(s->burst_ns)));
}

void cpu_stat_show(struct cgroup *cg, struct text_out *o)
{
	struct sched_group_stats s = { 0 };
	uint64_t system;

	sched_charge_running();
	mutex_lock(&cgroup_mutex);
	if (cgroup_is_root(cg))
		usage_of_all(&s);
	else
		usage_below_locked(cg, &s);
	system = min(s.system_ns, s.usage_ns); /* a sample may say more than there was */
	out_printf(o, "usage_usec %lu\nuser_usec %lu\nsystem_usec %lu\n", usec(s.usage_ns), usec(s.usage_ns) - usec(system), usec(system));
	if (!cgroup_is_root(cg) && (cgroup_controllers_of(cg) & CGROUP_CPU))
		show_limits(&cg->sched.stats, o);
	mutex_unlock(&cgroup_mutex);
}

static const struct cgroup_file files[] = {
	{ "cpu.max", 0644, FILE_NOT_ON_ROOT, EVENT_NONE, show_max, store_max },
	{ "cpu.max.burst", 0644, FILE_NOT_ON_ROOT, EVENT_NONE, show_burst, store_burst },
	{ "cpu.weight", 0644, FILE_NOT_ON_ROOT, EVENT_NONE, show_weight, store_weight },
	{ "cpu.weight.nice", 0644, FILE_NOT_ON_ROOT, EVENT_NONE, show_nice, store_nice },
};

const struct cgroup_controller cgroup_cpu = {
	.name = "cpu",
	.bit = CGROUP_CPU,
	.files = files,
	.file_count = ARRAY_SIZE(files),
	.start = cpu_start,
	.stop = cpu_stop,
};
