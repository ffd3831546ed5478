/* SPDX-License-Identifier: MIT */
/*
 * Process 1, and the start of proc. The first user thread begins as a kernel thread that tries to become the programs that it is offered,
 * one after the other, until one can be run; whoever offers them waits for the answer.
 */
#define LOG_SUBSYSTEM "proc"
#include "proc_internal.h"
#include <cloudos/cgroup.h>
#include <cloudos/clone.h>
#include <cloudos/service.h>
#include <cloudos/uts.h>
#include <cloudos/vfs.h>
#include <cloudos/vm.h>
#include <linux/fcntl.h>

#define STACK_LIMIT	 (UINT64_C(8) << 20)
#define FILES_LIMIT	 1024
#define FILES_LIMIT_HARD 4096
#define MEMLOCK_LIMIT	 (UINT64_C(8) << 20)
#define MSGQUEUE_LIMIT	 819200

struct process *process_init;

/* What is to be tried next. Guarded by the hand-over itself: one side owns it at a time. */
static struct {
	const char *path;
	const char *const *argv, *const *envp;
	int error;
	bool offered, answered;
	struct wait_queue wait;
} offer = { .wait = WAIT_QUEUE_INIT(offer.wait) };

static uint64_t limit_fd(void)
{
	return process_limit(RLIMIT_NOFILE);
}

static int limit_file_size(uint64_t pos, size_t *count)
{
	uint64_t limit = process_limit(RLIMIT_FSIZE);

	if (likely(limit == RLIM_INFINITY))
		return 0;
	if (pos >= limit) {
		signal_self(SIGXFSZ);
		return -EFBIG;
	}
	*count = min(*count, limit - pos);
	return 0;
}

/* Linux's defaults. */
static void default_limits(struct process *p)
{
	uint64_t tasks = task_limit() / 2;

	for (int i = 0; i < RLIM_NLIMITS; i++)
		p->limits[i] = (struct rlimit64){ RLIM64_INFINITY, RLIM64_INFINITY };
	p->limits[RLIMIT_STACK].rlim_cur = STACK_LIMIT;
	p->limits[RLIMIT_CORE].rlim_cur = 0;
	p->limits[RLIMIT_NPROC] = (struct rlimit64){ tasks, tasks };
	p->limits[RLIMIT_NOFILE] = (struct rlimit64){ FILES_LIMIT, FILES_LIMIT_HARD };
	p->limits[RLIMIT_MEMLOCK] = (struct rlimit64){ MEMLOCK_LIMIT, MEMLOCK_LIMIT };
	p->limits[RLIMIT_SIGPENDING] = (struct rlimit64){ tasks, tasks };
	p->limits[RLIMIT_MSGQUEUE] = (struct rlimit64){ MSGQUEUE_LIMIT, MSGQUEUE_LIMIT };
	p->limits[RLIMIT_NICE] = (struct rlimit64){ 0, 0 };
	p->limits[RLIMIT_RTPRIO] = (struct rlimit64){ 0, 0 };
}

/* Descriptors 0 to 2 are the console, if there is one. */
static void open_console(void)
{
	struct file *console;

	if (vfs_open(AT_FDCWD, "/dev/console", O_RDWR, 0, &console) < 0) {
		log_warning("no /dev/console: process 1 starts without descriptors");
		return;
	}
	for (int i = 0; i < 3; i++) {
		int fd = fd_reserve(0, false);

		if (fd < 0)
			break;
		file_get(console);
		fd_install(fd, console);
	}
	file_put(console);
}

static _Noreturn void init_main(void *task)
{
	open_console();
	for (;;) {
		struct exec_source source;

		wait_event(&offer.wait, LOAD_ACQUIRE(offer.offered));
		source = (struct exec_source){ .kernel_argv = offer.argv, .kernel_envp = offer.envp };
		offer.error = task_exec(AT_FDCWD, offer.path, 0, &source);
		WRITE_ONCE(offer.offered, false);
		STORE_RELEASE(offer.answered, true);
		wake_all(&offer.wait);
		if (offer.error == 0)
			task_main(task);
	}
}

static int init_parts(struct task *t, struct process *p)
{
	t->process = p;
	p->is_init = true;
	p->exit_signal = SIGCHLD;
	default_limits(p);
	p->account = account_get(0);
	p->actions = signal_actions_alloc();
	t->thread.cred = cred_create_root();
	t->thread.files = fd_table_create();
	t->thread.fs = fs_context_copy(thread_current()->fs);
	p->pid_ns = t->pid_ns_children = &pid_namespace_first;
	namespace_get(&p->pid_ns->base);
	namespace_get(&p->pid_ns->base);
	t->uts = &uts_initial;
	namespace_get(uts_as_namespace(&uts_initial));
	t->cgroup_ns = &cgroup_namespace_first;
	namespace_get(cgroup_namespace_base(t->cgroup_ns));
	t->ipc = task_ipc_ops ? task_ipc_ops->first : NULL;
	if (t->ipc)
		namespace_get(task_ipc_ops->base(t->ipc));
	if (!p->account || !p->actions || !t->thread.cred || !t->thread.files || !t->thread.fs)
		return -ENOMEM;
	memset(p->actions->action, 0, sizeof(p->actions->action));
	hal_user_init(&t->user, task_fpu(t));
	return task_count(p->account, t->thread.cred, UINT64_MAX);
}

static void init_link(struct task *t, struct process *p, struct pid_entry *id, struct session *session)
{
	unsigned long flags = spin_lock_irq(&proc_lock);

	ASSERT(pid_assign_locked(id, NULL, 0) == 0 && pid_number_global(id) == 1);
	t->id = p->id = id;
	t->tid = t->own_tid = t->thread.tid = p->pid = pid_number_global(id);
	id->task = t;
	id->process = p;
	id->uses++;
	session_first_locked(session, p);
	process_get(p); /* for good: nobody waits for it */
	list_add_tail(&p->tasks, &t->process_link);
	p->task_count = p->live = 1;
	p->cgroup = cgroup_root;
	cgroup_get(cgroup_root);
	ASSERT(cgroup_charge_locked(cgroup_root) == 0);
	cgroup_born_locked(p, t, false);
	process_init = pid_namespace_first.init = p;
	spin_unlock_irq(&proc_lock, flags);
}

static int create_init(void)
{
	struct task *t = task_alloc_entry("init", init_main);
	struct process *p = process_alloc();
	struct pid_entry *id = pid_entry_alloc(&pid_namespace_first);
	struct session *session = session_alloc();

	if (!t || !p || !id || !session || init_parts(t, p) < 0)
		return -ENOMEM; /* of the boot: nothing runs without process 1 */
	init_link(t, p, id, session);
	thread_start(&t->thread);
	return 0;
}

int process_start_init(const char *path, const char *const *argv, const char *const *envp)
{
	int err = process_init ? 0 : create_init();

	if (err < 0)
		return err;
	offer.path = path;
	offer.argv = argv;
	offer.envp = envp;
	WRITE_ONCE(offer.answered, false);
	STORE_RELEASE(offer.offered, true);
	wake_all(&offer.wait);
	wait_event(&offer.wait, LOAD_ACQUIRE(offer.answered));
	return offer.error;
}

static int proc_start(void)
{
	int err = pid_init();

	if (err == 0)
		err = task_caches_init();
	if (err == 0)
		err = signal_queue_caches_init();
	if (err < 0)
		return err;
	futex_init();
	signalfd_init();
	oom_init();
	account_init();
	fd_limit = limit_fd;
	file_signals_init();
	file_size_limit = limit_file_size;
	return proc_files_init();
}
SERVICE_DEFINE(proc, .requires = SERVICE_REQUIRES("vfs"), .start = proc_start, .flags = SERVICE_ESSENTIAL);
