/* SPDX-License-Identifier: MIT */
/*
 * A sampling profiler of the whole machine: /proc/cloudos/profile. "start HZ" begins anew, "stop" ends it; the text is what was gathered, as
 * folded stacks (profile_table.h). For CAP_SYS_ADMIN in the first user namespace alone: it shows every program's work, and the kernel's.
 *
 * Each CPU has a timer. Where it fires, the kernel's frames are taken at once, if it was the kernel that was interrupted; a CPU that idles is
 * left out. A kernel thread's stack is complete with that. A task's lacks its user frames, whose memory an interrupt cannot wait for. But they
 * stay as they are until the task is back in user mode: so the sample is hung on the task, and completed on its way there (profile_settle()),
 * for all samples of one stay in the kernel together. Equal ones are one with a count.
 *
 * Samples come from a pool, which stays once it is there, like the table: a sample may be on a task long after the profiler was stopped, and
 * is dropped then if the table has been cleared meanwhile (profile_table.run).
 *
 * Locking: control_lock (RANK_PROFILE) around start, stop and show. pool_lock (RANK_LEAF, interrupts off) guards the pool's free list. What
 * hangs on a task is its own CPU's, with interrupts off.
 */
#include "profile.h"
#include "proc_internal.h"
#include <cloudos/cred.h>
#include <cloudos/format.h>
#include <cloudos/percpu.h>
#include <cloudos/service.h>
#include <cloudos/vfs.h>
#include <linux/capability.h>
#include <linux/sched.h>

#define HZ_MAX	    10000u
#define SAMPLES_MAX 1024u /* that wait for their tasks; others are lost */
#define ALIKE_MAX   16u	  /* of a task's samples that another may be found equal to */

struct profile_sample {
	struct profile_sample *next;
	uint32_t run, n;
	uint64_t count;
	uintptr_t kernel[PROFILE_KERNEL_FRAMES]; /* functions, the innermost first */
};

struct sampler {
	struct timer timer;
	uint64_t next_ns;
};
static DEFINE_PER_CPU(struct sampler, samplers);

static struct mutex control_lock = MUTEX_INIT(control_lock, RANK_PROFILE);
static struct profile_table table; /* by control_lock: whether it is there; then by itself */
static bool ready;		   /* control_lock: table and pool are there */
static bool active;		   /* control_lock: timers are set */
static uint64_t period_ns;	   /* A: 0: samplers are to stop */

static struct spinlock pool_lock = SPINLOCK_INIT(RANK_LEAF);
static struct profile_sample *pool, *pool_free; /* the latter by pool_lock */

/* ---- the pool ---- */

static struct profile_sample *sample_alloc(void)
{
	unsigned long flags = spin_lock_irq(&pool_lock);
	struct profile_sample *s = pool_free;

	if (s)
		pool_free = s->next;
	spin_unlock_irq(&pool_lock, flags);
	return s;
}

static void sample_free(struct profile_sample *s)
{
	unsigned long flags = spin_lock_irq(&pool_lock);

	s->next = pool_free;
	pool_free = s;
	spin_unlock_irq(&pool_lock, flags);
}

static int prepare(void)
{
	int err;

	if (ready)
		return 0;
	pool = kva_alloc(SAMPLES_MAX * sizeof(*pool));
	err = pool ? profile_table_init(&table) : -ENOMEM;
	if (err < 0) {
		if (pool)
			kva_free(pool);
		return err;
	}
	for (uint32_t i = 0; i < SAMPLES_MAX; i++)
		sample_free(&pool[i]);
	ready = true;
	return 0;
}

/* ---- folding ---- */

/* The kernel's frames behind `n` others, outermost first. */
static uint32_t append_kernel(struct profile_frame *frames, uint32_t n, const uintptr_t *kernel, uint32_t count)
{
	while (count-- > 0)
		frames[n++] = (struct profile_frame){ .at = kernel[count], .in = PROFILE_KERNEL };
	return n;
}

/* Samples of one task, behind the `n` user frames that are in `frames` already; they go back to the pool. */
static void fold(struct task *t, struct profile_sample *s, struct profile_frame *frames, uint32_t n)
{
	while (s) {
		struct profile_sample *next = s->next;

		if (frames)
			profile_table_add(&table, s->run, t->thread.name, frames, append_kernel(frames, n, s->kernel, s->n), s->count);
		else
			profile_table_lose(&table, s->count);
		sample_free(s);
		s = next;
	}
}

static struct profile_sample *take_samples(struct task *t)
{
	unsigned long flags = hal_irq_save();
	struct profile_sample *s = t->profile_samples;

	t->profile_samples = NULL;
	hal_irq_restore(flags);
	return s;
}

void profile_settle(struct task *t)
{
	struct profile_frame *frames, swap;
	struct profile_sample *s;
	uint32_t n = 0;

	thread_clear_work(THREAD_WORK_PROFILE);
	s = take_samples(t);
	if (!s)
		return;
	frames = kmalloc((PROFILE_USER_FRAMES + PROFILE_KERNEL_FRAMES) * sizeof(*frames));
	if (frames)
		n = profile_user_frames(t, &table, frames, PROFILE_USER_FRAMES);
	for (uint32_t i = 0; i < n / 2; i++) {
		swap = frames[i];
		frames[i] = frames[n - 1 - i];
		frames[n - 1 - i] = swap;
	}
	fold(t, s, frames, n);
	kfree(frames);
}

void profile_task_gone(struct task *t)
{
	struct profile_frame frames[PROFILE_KERNEL_FRAMES];

	if (unlikely(t->profile_samples))
		fold(t, take_samples(t), frames, 0);
}

/* ---- sampling; interrupts off ---- */

/* The kernel's frames, as functions, so that what differs within one does not make a stack another; 0: user mode was interrupted. */
static uint32_t kernel_frames(uintptr_t *ret)
{
	uintptr_t pc, fp;
	uint32_t n = 0;

	if (hal_interrupted(&pc, &fp))
		n = (uint32_t)hal_backtrace_from(pc, fp, ret, PROFILE_KERNEL_FRAMES);
	for (uint32_t i = 0; i < n; i++) {
		const char *name;
		size_t offset;

		ret[i] -= i > 0; /* a return address: its call stands before it */
		if (hal_symbol_lookup(ret[i], &name, &offset))
			ret[i] -= offset;
	}
	return n;
}

static struct profile_sample *alike(struct task *t, uint32_t run, const uintptr_t *kernel, uint32_t n)
{
	uint32_t tries = 0;

	for (struct profile_sample *s = t->profile_samples; s && tries < ALIKE_MAX; s = s->next, tries++)
		if (s->run == run && s->n == n && memcmp(s->kernel, kernel, n * sizeof(*kernel)) == 0)
			return s;
	return NULL;
}

static void sample_task(struct task *t, uint32_t run, const uintptr_t *kernel, uint32_t n)
{
	struct profile_sample *s = alike(t, run, kernel, n);

	if (s) {
		s->count++;
		return;
	}
	s = sample_alloc();
	if (!s) {
		profile_table_lose(&table, 1);
		return;
	}
	s->run = run;
	s->n = n;
	s->count = 1;
	memcpy(s->kernel, kernel, n * sizeof(*kernel));
	s->next = t->profile_samples;
	t->profile_samples = s;
	__atomic_fetch_or(&t->thread.work, THREAD_WORK_PROFILE, __ATOMIC_RELEASE);
}

/* A thread that never leaves the kernel has no user frames to wait for. */
static void sample(void)
{
	struct profile_frame frames[PROFILE_KERNEL_FRAMES];
	struct thread *t = thread_current();
	uintptr_t kernel[PROFILE_KERNEL_FRAMES];
	uint32_t run = READ_ONCE(table.run), n;

	if (!t->user && READ_ONCE(t->policy) == SCHED_IDLE)
		return; /* the CPU idles */
	n = kernel_frames(kernel);
	if (t->user && !task_of_thread(t)->worker)
		sample_task(task_of_thread(t), run, kernel, n);
	else
		profile_table_add(&table, run, t->name, frames, append_kernel(frames, 0, kernel, n), 1);
}

static void arm(struct sampler *s, uint64_t period)
{
	uint64_t now = hal_clock_ns();

	s->next_ns = max(s->next_ns + period, now + 1); /* what was missed is not made up for */
	timer_arm(&s->timer, s->next_ns);
}

static void fire(struct timer *timer)
{
	struct sampler *s = container_of(timer, struct sampler, timer);
	uint64_t period = READ_ONCE(period_ns);

	if (!period)
		return;
	sample();
	arm(s, period);
}

static void start_here(void *arg)
{
	struct sampler *s = &this_cpu(samplers);

	(void)arg;
	s->next_ns = hal_clock_ns();
	arm(s, READ_ONCE(period_ns));
}

/* ---- control; control_lock held ---- */

static void stop(void)
{
	if (!active)
		return;
	WRITE_ONCE(period_ns, 0);
	for (unsigned cpu = 0; cpu < hal_cpu_count(); cpu++)
		if (READ_ONCE(cpus_online) >> cpu & 1)
			timer_cancel(&per_cpu(samplers, cpu).timer);
	active = false;
}

static int start(uint64_t hz)
{
	uint64_t all = READ_ONCE(cpus_online);
	unsigned long flags;
	unsigned self;
	int err;

	if (hz < 1 || hz > HZ_MAX)
		return -EINVAL;
	err = prepare();
	if (err < 0)
		return err;
	stop();
	profile_table_clear(&table);
	for (unsigned cpu = 0; cpu < hal_cpu_count(); cpu++)
		if (all >> cpu & 1)
			timer_setup(&per_cpu(samplers, cpu).timer, fire);
	WRITE_ONCE(period_ns, NSEC_PER_SEC / hz);
	active = true;
	flags = hal_irq_save();
	self = hal_cpu_id();
	start_here(NULL);
	hal_irq_restore(flags);
	cpus_call(all & ~(UINT64_C(1) << self), start_here, NULL);
	return 0;
}

/* ---- the file ---- */

static int command(const char *text, size_t len)
{
	static const char begin[] = "start ";
	char number[8];
	uint64_t hz;

	if (len && text[len - 1] == '\n')
		len--;
	if (len == 4 && memcmp(text, "stop", 4) == 0) {
		stop();
		return 0;
	}
	if (len < sizeof(begin) || len - sizeof(begin) + 1 >= sizeof(number) || memcmp(text, begin, sizeof(begin) - 1) != 0)
		return -EINVAL;
	memcpy(number, text + sizeof(begin) - 1, len - sizeof(begin) + 1);
	number[len - sizeof(begin) + 1] = '\0';
	return str_to_u64(number, 10, &hz) < 0 ? -EINVAL : start(hz);
}

static int store(const char *text, size_t len, void *arg)
{
	int err;

	(void)arg;
	if (!cred_capable(thread_current()->cred, CAP_SYS_ADMIN))
		return -EPERM;
	mutex_lock(&control_lock);
	err = command(text, len);
	mutex_unlock(&control_lock);
	return err;
}

static int show(struct text_out *o, void *arg)
{
	(void)arg;
	if (!cred_capable(thread_current()->cred, CAP_SYS_ADMIN))
		return -EPERM;
	mutex_lock(&control_lock);
	if (ready)
		profile_table_show(&table, o);
	mutex_unlock(&control_lock);
	return 0;
}

static int profile_start(void)
{
	return procfs_add("cloudos/profile", 0600, show, store, NULL);
}
SERVICE_DEFINE(profile, .requires = SERVICE_REQUIRES("procfs", "proc"), .start = profile_start);
