/* SPDX-License-Identifier: MIT */
/*
 * The files of /proc/PID, and what procfs asks about processes. Each file is made anew from one look at the process (procfs_look.c),
 * with a reference to its address space where it needs that; a process may be gone between two reads.
 */
#include "procfs.h"
#include <cloudos/cgroup.h>
#include <cloudos/inspect.h>
#include <linux/capability.h>

#define ARGS_SHOWN_MAX (UINT64_C(128) << 10) /* bytes of a command line or environment */

/* ---- the small files ---- */

static int show_statm(const struct process_look *l, struct vm_space *s, struct text_out *o)
{
	struct vm_sizes n;

	(void)l;
	if (!s) {
		out_printf(o, "0 0 0 0 0 0 0\n");
		return 0;
	}
	vm_space_sizes(s, &n);
	out_printf(o, "%lu %lu %lu %lu 0 %lu 0\n", n.total, n.resident, n.resident - n.anon,
		   (s->code_end - s->code_start + PAGE_SIZE - 1) / PAGE_SIZE, n.data + n.stack);
	return 0;
}

/* Bytes of the program's own memory, as they are. */
static int show_memory(struct vm_space *s, uaddr_t start, uaddr_t end, struct text_out *o)
{
	char chunk[256];

	if (!s || end <= start)
		return 0;
	end = min(end, start + ARGS_SHOWN_MAX);
	while (start < end) {
		size_t n = (size_t)min(end - start, (uint64_t)sizeof(chunk));
		ssize_t got = vm_access(s, start, chunk, n, false, true);

		if (got <= 0)
			break;
		out_bytes(o, chunk, (size_t)got);
		start += (uint64_t)got;
	}
	return 0;
}

static int show_cmdline(const struct process_look *l, struct vm_space *s, struct text_out *o)
{
	(void)l;
	return s ? show_memory(s, s->arg_start, s->arg_end, o) : 0;
}

static int show_environ(const struct process_look *l, struct vm_space *s, struct text_out *o)
{
	(void)l;
	return s ? show_memory(s, s->env_start, s->env_end, o) : 0;
}

static int show_comm(const struct process_look *l, struct vm_space *s, struct text_out *o)
{
	(void)s;
	out_printf(o, "%s\n", l->name);
	return 0;
}

static int show_auxv(const struct process_look *l, struct vm_space *s, struct text_out *o)
{
	(void)l;
	if (s)
		out_bytes(o, s->auxv, s->auxv_words * sizeof(s->auxv[0]));
	return 0;
}

static int show_maps(const struct process_look *l, struct vm_space *s, struct text_out *o)
{
	(void)l;
	return s ? procfs_maps(s, o) : 0;
}

static int show_smaps(const struct process_look *l, struct vm_space *s, struct text_out *o)
{
	(void)l;
	return s ? procfs_smaps(s, o) : 0;
}

static int show_smaps_rollup(const struct process_look *l, struct vm_space *s, struct text_out *o)
{
	(void)l;
	return s ? procfs_smaps_rollup(s, o) : -ESRCH;
}

static void show_limit(struct text_out *o, uint64_t value)
{
	if (value == RLIM64_INFINITY)
		out_printf(o, "%-20s ", "unlimited");
	else
		out_printf(o, "%-20lu ", value);
}

static int show_limits(const struct process_look *l, struct vm_space *s, struct text_out *o)
{
	static const char *const names[RLIM_NLIMITS][2] = {
		[RLIMIT_CPU] = { "Max cpu time", "seconds" }, [RLIMIT_FSIZE] = { "Max file size", "bytes" },
		[RLIMIT_DATA] = { "Max data size", "bytes" }, [RLIMIT_STACK] = { "Max stack size", "bytes" },
		[RLIMIT_CORE] = { "Max core file size", "bytes" }, [RLIMIT_RSS] = { "Max resident set", "bytes" },
		[RLIMIT_NPROC] = { "Max processes", "processes" }, [RLIMIT_NOFILE] = { "Max open files", "files" },
		[RLIMIT_MEMLOCK] = { "Max locked memory", "bytes" }, [RLIMIT_AS] = { "Max address space", "bytes" },
		[RLIMIT_LOCKS] = { "Max file locks", "locks" }, [RLIMIT_SIGPENDING] = { "Max pending signals", "signals" },
		[RLIMIT_MSGQUEUE] = { "Max msgqueue size", "bytes" }, [RLIMIT_NICE] = { "Max nice priority", "" },
		[RLIMIT_RTPRIO] = { "Max realtime priority", "" }, [RLIMIT_RTTIME] = { "Max realtime timeout", "us" },
	};

	(void)s;
	out_printf(o, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
	for (int i = 0; i < RLIM_NLIMITS; i++) {
		out_printf(o, "%-25s ", names[i][0]);
		show_limit(o, l->limits[i].rlim_cur);
		show_limit(o, l->limits[i].rlim_max);
		out_printf(o, "%-10s\n", names[i][1]);
	}
	return 0;
}

static int show_wchan(const struct process_look *l, struct vm_space *s, struct text_out *o)
{
	(void)l;
	(void)s;
	out_printf(o, "0");
	return 0;
}

static int show_io(const struct process_look *l, struct vm_space *s, struct text_out *o)
{
	(void)s;
	out_printf(o, "rchar: %lu\nwchar: %lu\nsyscr: %lu\nsyscw: %lu\n", l->usage.io_bytes[0], l->usage.io_bytes[1], l->usage.io_calls[0],
		   l->usage.io_calls[1]);
	out_printf(o, "read_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n");
	return 0;
}

/* Its points (oom.c), in thousandths of the memory. */
static int show_oom_score(const struct process_look *l, struct vm_space *s, struct text_out *o)
{
	struct vm_sizes n = { 0 };
	struct mm_stats mm;
	uint64_t points;

	if (s)
		vm_space_sizes(s, &n);
	mm_get_stats(&mm);
	points = process_oom_points(n.resident + n.swapped + n.tables, l->oom_score_adj);
	out_printf(o, "%lu\n", (unsigned long)(points * 1000 / max(mm.total_pages, UINT64_C(1))));
	return 0;
}

static int show_oom_score_adj(const struct process_look *l, struct vm_space *s, struct text_out *o)
{
	(void)s;
	out_printf(o, "%d\n", l->oom_score_adj);
	return 0;
}

static int show_coredump_filter(const struct process_look *l, struct vm_space *s, struct text_out *o)
{
	if (s)
		out_printf(o, "%08x\n", l->core_filter);
	return 0;
}

static int show_cgroup(const struct process_look *l, struct vm_space *s, struct text_out *o)
{
	(void)s;
	return cgroup_show(l->cgroup, o);
}

static int show_personality(const struct process_look *l, struct vm_space *s, struct text_out *o)
{
	(void)s;
	out_printf(o, "%08x\n", l->personality);
	return 0;
}

/* ---- the table ---- */

static const char *const file_names[] = {
	"auxv", "cgroup", "cmdline", "comm", "coredump_filter", "environ", "gid_map", "io", "limits", "maps", "oom_score", "oom_score_adj",
	"personality", "projid_map", "setgroups", "smaps", "smaps_rollup", "stat", "statm", "status", "uid_map", "wchan", NULL,
};

static int (*const file_shows[])(const struct process_look *l, struct vm_space *s, struct text_out *o) = {
	show_auxv, show_cgroup, show_cmdline, show_comm, show_coredump_filter, show_environ, procfs_gid_map, show_io, show_limits, show_maps, show_oom_score,
	show_oom_score_adj, show_personality, procfs_projid_map, procfs_setgroups, show_smaps, show_smaps_rollup, procfs_stat, show_statm,
	procfs_status, procfs_uid_map, show_wchan,
};
_Static_assert(ARRAY_SIZE(file_names) == ARRAY_SIZE(file_shows) + 1, "a function for each name");

static int file_index(const char *file)
{
	for (int i = 0; file_names[i]; i++)
		if (str_equal(file_names[i], file))
			return i;
	return -ENOENT;
}

static struct vm_space *space_of(int pid)
{
	struct process *p = process_find(pid);
	struct vm_space *s = p ? process_get_vm(p) : NULL;

	if (p)
		process_put(p);
	return s;
}

/* Files that show memory, or where it lies, to nobody who may not look into the process. */
static bool is_private(const char *file)
{
	static const char *const names[] = { "auxv", "environ", "maps", "smaps", "smaps_rollup" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (str_equal(file, names[i]))
			return true;
	return false;
}

/* Checked each time that a text is made: the process may have become another program since the file was opened. */
static int private_space(int pid, struct vm_space **ret)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct pid_entry *e = pid_lookup_global_locked(pid);
	int err = inspect_get_vm_locked(e ? e->task : NULL, INSPECT_FS, ret);

	spin_unlock_irq(&proc_lock, flags);
	if (err == -ESRCH)
		*ret = NULL; /* a zombie has nothing to hide */
	return err == -EPERM ? -EACCES : 0;
}

static int show(struct namespace *ns, int pid, int tid, const char *file, struct text_out *o)
{
	int i = file_index(file), err;
	struct process_look *l;
	struct vm_space *s = NULL;

	if (i < 0)
		return i;
	l = kmalloc(sizeof(*l));
	if (!l)
		return -ENOMEM;
	err = process_look(pid_namespace_of(ns), pid, tid, l);
	if (err == 0) {
		if (is_private(file))
			err = private_space(pid, &s);
		else
			s = space_of(pid);
		if (err == 0)
			err = file_shows[i](l, s, o);
		if (s)
			vm_space_put(s);
	}
	process_look_end(l);
	kfree(l);
	return err;
}

/* Who has the right sets the least that others may set. */
static int set_oom_score_adj(struct process *p, int16_t value)
{
	bool capable = cred_capable(thread_current()->cred, CAP_SYS_RESOURCE);
	unsigned long flags = spin_lock_irq(&proc_lock);
	bool may = capable || value >= p->oom_score_adj_min;

	if (may)
		WRITE_ONCE(p->oom_score_adj, value);
	if (capable)
		WRITE_ONCE(p->oom_score_adj_min, value);
	spin_unlock_irq(&proc_lock, flags);
	return may ? 0 : -EACCES;
}

static ssize_t store_oom_score_adj(struct process *p, const char *text, size_t len)
{
	bool negative = text[0] == '-';
	char digits[8];
	uint64_t value;
	int err;

	if (len > 0 && text[len - 1] == '\n')
		len--;
	if (len - negative == 0 || len - negative >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, text + negative, len - negative);
	digits[len - negative] = '\0';
	err = str_to_u64(digits, 10, &value);
	if (err < 0 || value > 1000)
		return -EINVAL;
	return set_oom_score_adj(p, (int16_t)(negative ? -(int)value : (int)value));
}

static ssize_t store_coredump_filter(struct process *p, const char *text, size_t len)
{
	char digits[16] = "";
	uint64_t value;
	int err;

	if (len > 0 && text[len - 1] == '\n')
		len--;
	if (len >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, text, len);
	err = str_to_u64(digits, 0, &value);
	if (err < 0 || value > UINT32_MAX)
		return err < 0 ? err : -ERANGE;
	WRITE_ONCE(p->core_filter, (uint16_t)(value & COREDUMP_FILTER_MASK));
	return 0;
}

static ssize_t store(int pid, int tid, const char *file, const struct cred *opener, const char *text, size_t len)
{
	struct process *p;
	bool filter;
	ssize_t err;

	if (procfs_is_of_users(file)) {
		err = procfs_users_store(pid, tid, file, opener, text, len);
		return err < 0 ? err : (ssize_t)len;
	}
	filter = str_equal(file, "coredump_filter");
	if (!filter && !str_equal(file, "oom_score_adj"))
		return -EACCES;
	p = process_find(pid);
	if (!p)
		return -ESRCH;
	err = filter ? store_coredump_filter(p, text, len) : store_oom_score_adj(p, text, len);
	process_put(p);
	return err < 0 ? err : (ssize_t)len;
}

/* ---- what procfs asks ---- */

static struct namespace *pids(void)
{
	return &pid_namespace_current()->base;
}

static int find(struct namespace *ns, int number)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct pid_entry *e = pid_lookup_in_locked(pid_namespace_of(ns), number);
	int pid = e ? pid_number_global(e) : 0;

	spin_unlock_irq(&proc_lock, flags);
	return pid;
}

static int next(struct namespace *ns, int after)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	int number = pid_next_in_locked(pid_namespace_of(ns), after);

	spin_unlock_irq(&proc_lock, flags);
	return number;
}

static bool exists(int pid)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct pid_entry *e = pid_lookup_global_locked(pid);
	bool found = e && e->process;

	spin_unlock_irq(&proc_lock, flags);
	return found;
}

static int next_thread(struct namespace *ns, int pid, int after)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct pid_entry *e = pid_lookup_global_locked(pid);
	struct task *t;
	int best = -1;

	if (e && e->process)
		list_for_each(t, &e->process->tasks, process_link) {
			int number = pid_number_in(t->id, pid_namespace_of(ns));

			if (number > after && (best < 0 || number < best))
				best = number;
		}
	spin_unlock_irq(&proc_lock, flags);
	return best;
}

static bool self(struct namespace *ns, int *ret, int *ret_thread)
{
	struct task *t = task_current();

	if (!t)
		return false;
	*ret = pid_number_in(t->process->id, pid_namespace_of(ns));
	*ret_thread = pid_number_in(t->id, pid_namespace_of(ns));
	return *ret > 0;
}

static void owner(int pid, uint32_t *ret_uid, uint32_t *ret_gid)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct pid_entry *e = pid_lookup_global_locked(pid);
	struct task *t = e && e->process ? process_any_task_locked(e->process) : NULL;

	*ret_uid = t ? task_own_cred(t)->euid : 0;
	*ret_gid = t ? task_own_cred(t)->egid : 0;
	spin_unlock_irq(&proc_lock, flags);
}

/*
 * The thread that stands for a process, to take something of it before the lock is released: the right to it is that of this moment. 0; -ESRCH: there
 * is none; -EACCES: the caller may not look into it; -ENOENT: it has nothing any more.
 */
static int thread_of_locked(int pid, bool look, struct task **ret)
{
	struct pid_entry *e = pid_lookup_global_locked(pid);
	struct task *t = e && e->process ? process_any_task_locked(e->process) : NULL;

	if (!t)
		return -ESRCH;
	if (look && inspect_check_locked(t, INSPECT_FS) < 0)
		return -EACCES;
	*ret = t;
	return t->gone ? -ENOENT : 0;
}

static int fds(int pid, bool look, struct fd_table **ret)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct task *t;
	int err = thread_of_locked(pid, look, &t);

	struct fd_table *files = err == 0 ? LOAD_ACQUIRE(t->thread.files) : NULL;

	if (files) {
		fd_table_get(files);
		*ret = files;
	}
	spin_unlock_irq(&proc_lock, flags);
	return err ? err : files ? 0 : -ENOENT;
}

static int link_exe(int pid, struct file **ret)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct task *t;
	int err = thread_of_locked(pid, true, &t);
	struct vm_space *s = err == 0 ? LOAD_ACQUIRE(t->thread.vm) : NULL;

	if (s)
		vm_space_get(s);
	spin_unlock_irq(&proc_lock, flags);
	if (!s)
		return err ? err : -ENOENT;
	rwlock_read(&s->lock);
	if (s->exe) {
		file_get(s->exe);
		*ret = s->exe;
	}
	rwlock_read_unlock(&s->lock);
	vm_space_put(s);
	return *ret ? 0 : -ENOENT;
}

static int link_path(int pid, bool root, struct path *ret)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct task *t;
	int err = thread_of_locked(pid, true, &t);
	struct fs_context *fs = err == 0 ? LOAD_ACQUIRE(t->thread.fs) : NULL;

	if (fs)
		fs_context_get(fs);
	spin_unlock_irq(&proc_lock, flags);
	if (!fs)
		return err ? err : -ENOENT;
	spin_lock(&fs->lock);
	*ret = root ? fs->root : fs->cwd;
	path_get(ret);
	spin_unlock(&fs->lock);
	fs_context_put(fs);
	return 0;
}

static int link(int pid, const char *name, struct path *ret_path, struct file **ret_file)
{
	*ret_file = NULL;
	*ret_path = (struct path){ 0 };
	if (str_equal(name, "exe"))
		return link_exe(pid, ret_file);
	return link_path(pid, str_equal(name, "root"), ret_path);
}

static struct fs_context *context(int pid)
{
	struct process *p = process_find(pid);
	struct fs_context *fs = p ? process_get_fs(p) : NULL;

	if (p)
		process_put(p);
	return fs;
}

static bool may_look(int pid)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct pid_entry *e = pid_lookup_global_locked(pid);
	struct task *t = e && e->process ? process_any_task_locked(e->process) : NULL;
	bool may = !t || inspect_check_locked(t, INSPECT_FS) == 0;

	spin_unlock_irq(&proc_lock, flags);
	return may;
}

static const struct procfs_pid_ops pid_ops = {
	.first = &pid_namespace_first.base,
	.pids = pids,
	.find = find,
	.next = next,
	.exists = exists,
	.next_thread = next_thread,
	.self = self,
	.started = task_started,
	.owner = owner,
	.show = show,
	.store = store,
	.files = file_names,
	.link = link,
	.may_look = may_look,
	.space = private_space,
	.fds = fds,
	.fs = context,
	.namespaces = task_namespace_names,
	.ns = task_namespace,
};

int proc_files_init(void)
{
	procfs_pid_ops = &pid_ops;
	return 0;
}
