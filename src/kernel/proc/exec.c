/* SPDX-License-Identifier: MIT */
/*
 * execve(2). Everything that can fail comes first, with the old program untouched:
 *
 *   open the file; follow "#!" lines; parse the ELF headers; open and parse the interpreter; gather the arguments; work out the
 *   credentials; make a new space, map program, interpreter, vDSO and stack into it, and write the stack
 *
 * then the other threads of the process are ended, which fails only when somebody else is ending this one; then comes the
 * commitment, which cannot fail: the task goes over to the new space, and what does not survive an exec is reset.
 */
#define LOG_SUBSYSTEM "proc"
#include "exec_internal.h"
#include <cloudos/cgroup.h>
#include <cloudos/fs.h>
#include <cloudos/user_namespace.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/personality.h>

/* ---- files ---- */

static int read_head(struct exec *x)
{
	ssize_t n = file_read_kernel(x->file, x->first, sizeof(x->first), 0);

	if (n < 0)
		return (int)n;
	x->head = x->first;
	x->head_len = (size_t)n;
	return 0;
}

/* Splits "#!interpreter argument" in place: blanks around both go; the argument is the rest of the line. */
static int split_line(char *line, char **ret_program, char **ret_argument)
{
	char *p = line, *end = line + strlen(line);

	while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
		*--end = '\0';
	while (*p == ' ' || *p == '\t')
		p++;
	if (!*p)
		return -ENOEXEC;
	*ret_program = p;
	*ret_argument = NULL;
	while (*p && *p != ' ' && *p != '\t')
		p++;
	if (!*p)
		return 0;
	*p++ = '\0';
	while (*p == ' ' || *p == '\t')
		p++;
	*ret_argument = p;
	return 0;
}

static void prepend(struct exec *x, const char *s)
{
	ASSERT(x->prefix_count < ARRAY_SIZE(x->prefix));
	memmove(x->prefix + 1, x->prefix, x->prefix_count * sizeof(x->prefix[0]));
	x->prefix[0] = s;
	x->prefix_count++;
}

/* The file is a script: goes over to its interpreter. */
static int enter_script(struct exec *x)
{
	char *line = x->lines[x->scripts], *program, *argument;
	size_t n = min(x->head_len, (size_t)EXEC_LINE_MAX - 1);
	struct file *f;
	char *end;
	int err;

	memcpy(line, x->head, n);
	line[n] = '\0';
	end = memchr(line, '\n', n);
	if (end)
		*end = '\0';
	else if (n == EXEC_LINE_MAX - 1 && !strchr(line + 2, ' ') && !strchr(line + 2, '\t'))
		return -ENOEXEC; /* the interpreter's name is cut off */
	err = split_line(line + 2, &program, &argument);
	if (err < 0)
		return err;
	err = vfs_open_exec(AT_FDCWD, program, 0, &f);
	if (err < 0)
		return err;
	if (argument)
		prepend(x, argument);
	prepend(x, program);
	file_put(x->file);
	x->file = f;
	x->scripts++;
	return read_head(x);
}

static int follow_scripts(struct exec *x)
{
	x->prefix[0] = x->name;
	x->prefix_count = 1;
	while (x->head_len >= 2 && x->head[0] == '#' && x->head[1] == '!') {
		int err;

		if (x->scripts == EXEC_SCRIPTS_MAX)
			return -ELOOP;
		err = enter_script(x);
		if (err < 0)
			return err;
	}
	return 0;
}

/* Parses the headers of `f`, whose first `len` bytes are in `head`; reads more where they do not suffice. */
static int parse(struct file *f, const char *head, size_t len, struct elf_image *ret)
{
	size_t need = elf_header_size(head, len);
	char *more;
	ssize_t n;
	int err;

	if (need <= len)
		return elf_parse(head, len, HAL_ABI_ELF_MACHINE, HAL_USER_TOP, ret);
	more = kmalloc(need);
	if (!more)
		return -ENOMEM;
	n = file_read_kernel(f, more, need, 0);
	err = n < 0 ? (int)n : elf_parse(more, (size_t)n, HAL_ABI_ELF_MACHINE, HAL_USER_TOP, ret);
	kfree(more);
	return err;
}

static int open_interpreter(struct exec *x)
{
	size_t size = (size_t)x->image.interp_size;
	char *path = kmalloc(size);
	ssize_t n;
	int err;

	if (!path)
		return -ENOMEM;
	n = file_read_kernel(x->file, path, size, (int64_t)x->image.interp_offset);
	if (n < 0)
		err = (int)n;
	else if ((size_t)n < size || path[size - 1] != '\0')
		err = -ENOEXEC;
	else
		err = vfs_open_exec(AT_FDCWD, path, 0, &x->interpreter);
	kfree(path);
	return err;
}

static int parse_files(struct exec *x)
{
	ssize_t n;
	int err = parse(x->file, x->head, x->head_len, &x->image);

	if (err < 0 || x->image.interp_size == 0)
		return err;
	err = open_interpreter(x);
	if (err < 0)
		return err;
	n = file_read_kernel(x->interpreter, x->first, sizeof(x->first), 0);
	if (n < 0)
		return (int)n;
	err = parse(x->interpreter, x->first, (size_t)n, &x->interp_image);
	return err == -ENOEXEC ? -ELIBBAD : err;
}

/* ---- the new space ---- */

/*
 * Who may look into the program though it is not for all to see, must have rights over this namespace: the caller's, but whoever may execute a file
 * and not read it gets to read it by no rights over a namespace that its owner has no name in.
 */
static struct user_namespace *guardian(const struct exec *x)
{
	struct user_namespace *ns = x->cred->user_ns;

	while (x->unreadable && ns != &user_namespace_first && !inode_named_in(x->file->inode, ns))
		ns = namespace_owner(user_namespace_base(ns));
	return ns;
}

static int build_space(struct exec *x)
{
	struct vm_space *s = vm_space_create();
	int err;

	if (!s)
		return -ENOMEM;
	x->space = s;
	s->user_ns = user_namespace_base(guardian(x));
	namespace_get(s->user_ns);
	s->limit_as = process_limit(RLIMIT_AS);
	s->limit_data = process_limit(RLIMIT_DATA);
	s->limit_stack = process_limit(RLIMIT_STACK);
	err = exec_load(x);
	if (err == 0)
		err = vm_map_vdso(s, 0);
	if (err == 0)
		err = exec_stack(x);
	if (err < 0)
		return err;
	file_get(x->file);
	s->exe = x->file;
	return 0;
}

/* ---- ending the other threads ---- */

static int claim_process(struct task *t)
{
	struct process *p = t->process;
	unsigned long flags = spin_lock_irq(&p->signal_lock);
	struct task *other;
	int err = p->group_exit || p->exec_task ? -EAGAIN : 0;

	if (err == 0) {
		p->exec_task = t;
		list_for_each(other, &p->tasks, process_link) {
			if (other == t)
				continue;
			thread_post(&other->thread, THREAD_WORK_EXIT);
			if (!thread_wake_state(&other->thread, THREAD_INTERRUPTIBLE))
				thread_wake_state(&other->thread, THREAD_STOPPED);
		}
	}
	spin_unlock_irq(&p->signal_lock, flags);
	return err;
}

static int wait_for_others(struct task *t)
{
	struct process *p = t->process;
	bool killed = false;

	while (!killed) {
		thread_prepare_sleep(THREAD_STOPPED);
		if (__atomic_load_n(&p->task_count, __ATOMIC_ACQUIRE) == 1)
			break;
		killed = (READ_ONCE(t->thread.work) & THREAD_WORK_EXIT) != 0;
		if (!killed)
			(void)thread_sleep(HAL_TIMER_NEVER);
	}
	thread_cancel_sleep();
	return killed ? -EAGAIN : 0;
}

/* The thread that execs becomes the process's main one, with its id. Returns an entry to free, or null. */
static struct pid_entry *become_main(struct task *t)
{
	struct process *p = t->process;
	struct list released = LIST_INIT(released), none = LIST_INIT(none);
	struct pid_entry *old = NULL;
	unsigned long flags = spin_lock_irq(&proc_lock);

	trace_drop_leader_locked(p, &released);
	if (t->tid != p->pid) {
		t->id->task = NULL;
		old = pid_drop_locked(t->id);
		t->id = p->id;
		t->id->uses++;
		t->id->task = t;
		t->tid = p->pid;
		WRITE_ONCE(t->own_tid, pid_number_in(p->id, p->pid_ns));
		t->thread.tid = p->pid;
	}
	p->exec_task = NULL;
	spin_unlock_irq(&proc_lock, flags);
	trace_released_put(&released, &none);
	return old;
}

static int end_other_threads(struct task *t)
{
	struct process *p = t->process;
	int err;

	if (READ_ONCE(p->task_count) == 1 && t->tid == p->pid)
		return READ_ONCE(p->group_exit) ? -EAGAIN : 0;
	err = claim_process(t);
	if (err < 0)
		return err;
	err = wait_for_others(t);
	if (err < 0) {
		p->exec_task = NULL;
		return err;
	}
	pid_entry_free(become_main(t));
	return 0;
}

/* ---- the commitment ---- */

static void switch_space(struct task *t, struct vm_space *s)
{
	struct vm_space *old = t->thread.vm;

	if (!old) { /* process 1 comes from a kernel thread */
		vm_space_switch(s);
		return;
	}
	futex_exit_robust(t);
	futex_exit_pi(t, false);
	futex_clear_tid(t);
	usage_keep_space(t);
	vm_space_get(old);
	vm_space_switch(s);
	task_vfork_done(t);
	proc_settle();
	vm_space_put(old);
}

static void switch_cred(struct task *t, struct cred *c)
{
	struct cred *old = t->thread.cred;
	unsigned long flags;

	if (c == old) {
		cred_put(c);
		return;
	}
	flags = spin_lock_irq(&proc_lock);
	t->thread.cred = c;
	spin_unlock_irq(&proc_lock, flags);
	cred_put(old);
}

static void reset_signals(struct task *t, struct signal_actions *fresh)
{
	struct process *p = t->process;
	struct signal_actions *old = NULL;
	unsigned long flags = spin_lock_irq(&p->signal_lock);

	if (fresh) {
		old = p->actions;
		signal_actions_copy(fresh, old);
		STORE_RELEASE(p->actions, fresh);
	}
	signal_actions_reset(p->actions, false);
	spin_unlock_irq(&p->signal_lock, flags);
	if (old) {
		proc_settle();
		signal_actions_put(old);
	}
	t->altstack = (struct hal_altstack){ .flags = SS_DISABLE };
}

static void set_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	task_set_name(slash ? slash + 1 : path);
}

/*
 * From here on nobody is let in by the rights that he has over the old program (inspect.c). A tracer that is not to see the new program gain
 * any (exec_cred.c), and that came since its credentials were worked out, makes this fail.
 */
static int forbid_looks(struct task *t, bool raises)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	int err = raises && trace_confines_locked(t) ? -EPERM : 0;

	if (err == 0)
		WRITE_ONCE(t->process->dumpable, 0);
	spin_unlock_irq(&proc_lock, flags);
	return err;
}

/* A parent gets SIGCHLD for a new program, whatever it asked of clone(), and may no longer move it to another group. */
static void tell_relations(struct process *p, bool dumpable)
{
	unsigned long flags = spin_lock_irq(&proc_lock);

	cgroup_space_changed_locked(task_current()); /* it may have been moved while the memory was made */
	p->exit_signal = SIGCHLD;
	p->has_execed = true;
	ADD_ONCE(p->execs, 1);
	WRITE_ONCE(p->dumpable, dumpable);
	spin_unlock_irq(&proc_lock, flags);
}

static void commit(struct exec *x, struct task *t)
{
	struct process *p = t->process;

	switch_space(t, x->space);
	x->space = NULL;
	fd_table_close_on_exec(t->thread.files);
	timers_exec(p);
	reset_signals(t, x->actions);
	x->actions = NULL;
	if (x->secure) {
		WRITE_ONCE(t->death_signal, 0);
		WRITE_ONCE(p->personality, p->personality & ~(uint32_t)PER_CLEAR_ON_SETID);
	}
	switch_cred(t, x->cred);
	x->cred = NULL;
	set_name(x->name);
	tell_relations(p, !x->secure && !x->unreadable);
	t->restart.fn = NULL;
	rseq_forget(t);
	hal_abi_start(&t->user, x->entry, x->sp);
}

/* ---- all together ---- */

static int prepare(struct exec *x, const struct exec_source *source)
{
	struct task *t = task_self();
	int err = read_head(x);

	if (err == 0)
		err = follow_scripts(x);
	if (err == 0)
		err = parse_files(x);
	if (err == 0)
		err = exec_cred(x);
	if (err == 0)
		err = exec_strings_gather(x, source);
	if (err == 0)
		err = build_space(x);
	if (err == 0 && fd_table_shared(t->thread.files))
		err = task_unshare_files();
	if (err == 0 && refcount_read(&t->process->actions->refs) > 1) {
		x->actions = signal_actions_alloc();
		err = x->actions ? 0 : -ENOMEM;
	}
	return err;
}

static void release(struct exec *x)
{
	if (x->file)
		file_put(x->file);
	if (x->interpreter)
		file_put(x->interpreter);
	if (x->space)
		vm_space_put(x->space);
	if (x->cred)
		cred_put(x->cred);
	if (x->actions)
		signal_actions_put(x->actions);
	kfree(x->strings.data);
	kfree(x->made_name);
	kfree(x);
}

/* A file that was not named by a path from here: /dev/fd/N, or /dev/fd/N/name, which a script's interpreter can open. */
static int make_name(struct exec *x, int dirfd, const char *name)
{
	size_t size = sizeof("/dev/fd/-2147483648/") + strlen(name);

	if (dirfd == AT_FDCWD || name[0] == '/')
		return 0;
	x->made_name = kmalloc(size);
	if (!x->made_name)
		return -ENOMEM;
	(void)fmt_string(x->made_name, size, "/dev/fd/%d%s%s", dirfd, name[0] ? "/" : "", name);
	x->name = x->made_name;
	return 0;
}

static void exec_init(struct exec *x, const char *name)
{
	memset(x, 0, offsetof(struct exec, first)); /* the rest is filled before it is read */
	x->name = name;
	x->stack_limit = process_limit(RLIMIT_STACK);
}

int task_exec(int dirfd, const char *name, unsigned at_flags, const struct exec_source *source)
{
	struct exec *x = kmalloc(sizeof(*x));
	int err, old_tid = trace_number(task_self(), task_self()->id);

	if (!x)
		return -ENOMEM;
	exec_init(x, name);
	err = make_name(x, dirfd, name);
	if (err == 0)
		err = vfs_open_exec(dirfd, name, at_flags, &x->file);
	if (err == 0)
		err = prepare(x, source);
	if (err == 0 && task_self()->async)
		task_async_ops->leave(task_self());
	if (err == 0)
		err = end_other_threads(task_self());
	if (err == 0 && x->gains && READ_ONCE(task_self()->no_new_privs))
		err = -EPERM; /* another thread gave this one a filter meanwhile (seccomp(2), TSYNC) */
	if (err == 0)
		err = forbid_looks(task_self(), x->gains);
	if (err == 0)
		commit(x, task_self());
	release(x);
	if (err == 0)
		trace_exec(task_self(), old_tid);
	return err;
}
