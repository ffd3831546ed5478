/* SPDX-License-Identifier: MIT */
/*
 * The notes of a core file: of the process (NT_PRPSINFO, NT_SIGINFO, NT_AUXV, NT_FILE), which debuggers expect behind the first thread's general
 * registers, and of each thread its registers. What a thread's notes are made of is read under proc_lock or while it stands still.
 *
 * struct elf_prstatus and elf_prpsinfo are in no header for kernels: they are those of System V's <sys/procfs.h>, as both architectures have them.
 */
#include "coredump.h"
#include <linux/elf.h>
#include <linux/limits.h>

#define NOTE_ALIGN	4
#define FILES_FIRST	(UINT64_C(16) << 10) /* bytes of NT_FILE that are tried first, and at most, as on Linux */
#define FILES_MAX	(UINT64_C(4) << 20)
#define NAME_OWN	"CORE"
#define NAME_LINUX	"LINUX"
#define ARGS_SIZE	80

struct core_time {
	int64_t seconds, microseconds;
};

/* struct elf_prstatus, as far as the registers. */
struct status_head {
	int32_t signo, code, error;
	int16_t current;
	uint64_t pending, blocked;
	int32_t pid, ppid, group, session;
	struct core_time user, system, children_user, children_system;
};
_Static_assert(sizeof(struct status_head) == 112, "pr_reg's place");

/* What is behind them: pr_fpvalid. */
struct status_tail {
	int32_t has_fpu, pad;
};

/* struct elf_prpsinfo. */
struct process_info {
	char state, letter, zombie, nice;
	uint64_t flags;
	uint32_t uid, gid;
	int32_t pid, ppid, group, session;
	char name[16], args[ARGS_SIZE];
};
_Static_assert(sizeof(struct process_info) == 136, "elf_prpsinfo");

/* ---- one note ---- */

static const char *name_of(unsigned type)
{
	switch (type) {
	case NT_PRSTATUS:
	case NT_PRFPREG:
	case NT_PRPSINFO:
	case NT_SIGINFO:
	case NT_AUXV:
	case NT_FILE:
		return NAME_OWN;
	default:
		return NAME_LINUX;
	}
}

static uint64_t note_size(unsigned type, size_t len)
{
	return sizeof(Elf64_Nhdr) + align_up(strlen(name_of(type)) + 1, NOTE_ALIGN) + align_up(len, NOTE_ALIGN);
}

static int pad(struct core *c, size_t len)
{
	static const char zeros[NOTE_ALIGN];

	return len % NOTE_ALIGN ? core_emit(c, zeros, NOTE_ALIGN - len % NOTE_ALIGN) : 0;
}

static int emit_head(struct core *c, unsigned type, size_t len)
{
	const char *name = name_of(type);
	Elf64_Nhdr h = { .n_namesz = (Elf64_Word)strlen(name) + 1, .n_descsz = (Elf64_Word)len, .n_type = type };
	int err = core_emit(c, &h, sizeof(h));

	if (err == 0)
		err = core_emit(c, name, h.n_namesz);
	return err ? err : pad(c, h.n_namesz);
}

static int emit(struct core *c, unsigned type, const void *data, size_t len)
{
	int err = emit_head(c, type, len);

	if (err == 0)
		err = core_emit(c, data, len);
	return err ? err : pad(c, len);
}

/* ---- threads ---- */

static struct core_time time_of(uint64_t ns)
{
	return (struct core_time){ (int64_t)(ns / NSEC_PER_SEC), (int64_t)(ns % NSEC_PER_SEC / NSEC_PER_USEC) };
}

static size_t status_size(void)
{
	return sizeof(struct status_head) + hal_abi_regset_size(NT_PRSTATUS) + sizeof(struct status_tail);
}

static int session_seen_locked(const struct process *p)
{
	struct pid_entry *e = session_id_entry_locked(p);

	return e ? pid_number_seen(e) : 0;
}

/* The main thread's times are those of all. */
static void fill_status(const struct core *c, struct task *t, struct status_head *ret)
{
	struct process *p = t->process;
	struct task_usage own;
	unsigned long flags = spin_lock_irq(&proc_lock);

	if (t->tid == p->pid)
		process_usage_locked(p, &own);
	else
		task_usage_now(t, &own);
	*ret = (struct status_head){ .signo = c->info->signo,
				     .current = (int16_t)c->info->signo,
				     .pending = READ_ONCE(t->pending.set),
				     .blocked = READ_ONCE(t->blocked),
				     .pid = pid_number_seen(t->id),
				     .ppid = p->parent ? pid_number_seen(p->parent->id) : 0,
				     .group = pid_number_seen(p->group),
				     .session = session_seen_locked(p),
				     .user = time_of(own.run_ns - min(own.system_ns, own.run_ns)),
				     .system = time_of(own.system_ns),
				     .children_user = time_of(p->children_usage.run_ns - min(p->children_usage.system_ns, p->children_usage.run_ns)),
				     .children_system = time_of(p->children_usage.system_ns) };
	spin_unlock_irq(&proc_lock, flags);
}

/* `room` has space for any set, and for NT_PRSTATUS's. */
static int emit_status(struct core *c, struct task *t, char *room)
{
	struct status_tail tail = { .has_fpu = 1 };
	size_t registers = hal_abi_regset_size(NT_PRSTATUS);

	fill_status(c, t, (struct status_head *)(void *)room);
	hal_abi_regset_get(&t->user, NT_PRSTATUS, room + sizeof(struct status_head));
	memcpy(room + sizeof(struct status_head) + registers, &tail, sizeof(tail));
	return emit(c, NT_PRSTATUS, room, status_size());
}

static int emit_sets(struct core *c, struct task *t, char *room)
{
	int err = 0;
	unsigned type;

	for (unsigned i = 0; err == 0 && (type = hal_abi_core_set(i)) != 0; i++) {
		size_t len = hal_abi_regset_size(type);

		if (len == 0)
			continue;
		hal_abi_regset_get(&t->user, type, room);
		err = emit(c, type, room, len);
	}
	return err;
}

static uint64_t thread_notes_size(size_t *ret_largest)
{
	uint64_t size = note_size(NT_PRSTATUS, status_size());
	unsigned type;

	*ret_largest = status_size();
	for (unsigned i = 0; (type = hal_abi_core_set(i)) != 0; i++) {
		size_t len = hal_abi_regset_size(type);

		size += len ? note_size(type, len) : 0;
		*ret_largest = max(*ret_largest, len);
	}
	return size;
}

/* ---- the process ---- */

/* The command line with blanks between its words, as far as there is room. */
static void fill_args(char *ret)
{
	struct vm_space *s = thread_current()->vm;
	size_t len = (size_t)min(s->arg_end - s->arg_start, (uint64_t)ARGS_SIZE - 1);
	ssize_t n = s->arg_end > s->arg_start ? vm_access(s, s->arg_start, ret, len, false, true) : 0;

	for (ssize_t i = 0; i < n; i++)
		if (!ret[i])
			ret[i] = ' ';
	ret[max(n, (ssize_t)0)] = '\0';
}

static int emit_process(struct core *c)
{
	const struct cred *cred = task_own_cred(c->dying);
	struct process *p = c->dying->process;
	struct process_info info = { .letter = 'R', .nice = (char)READ_ONCE(c->dying->thread.nice), .uid = uid_out(cred->uid), .gid = gid_out(cred->gid) };
	unsigned long flags = spin_lock_irq(&proc_lock);

	info.pid = pid_number_seen(p->id);
	info.ppid = p->parent ? pid_number_seen(p->parent->id) : 0;
	info.group = pid_number_seen(p->group);
	info.session = session_seen_locked(p);
	spin_unlock_irq(&proc_lock, flags);
	str_copy(info.name, sizeof(info.name), c->dying->thread.name);
	fill_args(info.args);
	return emit(c, NT_PRPSINFO, &info, sizeof(info));
}

static int emit_signal(struct core *c)
{
	char info[sizeof(siginfo_t)] = { 0 };
	struct signal_info shown;

	signal_info_shown(c->info, task_own_cred(c->dying)->user_ns, &shown);
	memcpy(info, &shown, sizeof(shown));
	return emit(c, NT_SIGINFO, info, sizeof(info));
}

static size_t auxv_size(void)
{
	const struct vm_space *s = thread_current()->vm;

	return s->auxv_words * sizeof(s->auxv[0]);
}

/* ---- NT_FILE: which parts of which files are mapped where ---- */

struct file_entry {
	uint64_t start, end, page;
};

struct file_head {
	uint64_t count, page_size;
};

struct listing {
	char *data;
	size_t size, names; /* of data; bytes of the names, which are gathered at its end */
	uint64_t count;
	bool full;
};

static size_t entries_end(uint64_t count)
{
	return sizeof(struct file_head) + count * sizeof(struct file_entry);
}

/* Names are collected from the middle on: the entries have the first half. */
static int list_file(struct vm_area *a, void *arg)
{
	struct listing *l = arg;
	size_t half = l->size / 2, room = half - l->names;
	struct file_entry e = { a->start, a->end, a->object_page };
	int len;

	if (!a->file)
		return 0;
	if (entries_end(l->count + 1) > half) {
		l->full = true;
		return 1;
	}
	len = vm_file_ops->path(a->file, l->data + half + l->names, room);
	if (len == -ENAMETOOLONG && room < PATH_MAX + sizeof(e)) {
		l->full = true;
		return 1;
	}
	if (len < 0)
		return 0;
	memcpy(l->data + entries_end(l->count), &e, sizeof(e));
	l->names += (size_t)len + 1;
	l->count++;
	return 0;
}

static void pack(struct listing *l, struct core_files *ret)
{
	struct file_head head = { l->count, 1 };
	size_t end = entries_end(l->count);

	head.page_size = PAGE_SIZE;
	memcpy(l->data, &head, sizeof(head));
	memmove(l->data + end, l->data + l->size / 2, l->names);
	*ret = (struct core_files){ l->data, end + l->names };
}

void core_files_make(struct vm_space *s, struct core_files *ret)
{
	for (size_t size = FILES_FIRST; size <= FILES_MAX; size *= 2) {
		struct listing l = { .data = kva_alloc(size), .size = size };

		if (!l.data)
			return;
		(void)vm_for_each_area(s, list_file, &l);
		if (!l.full && l.count > 0) {
			pack(&l, ret);
			return;
		}
		kva_free(l.data);
		if (!l.full)
			return;
	}
}

/* ---- all of them ---- */

uint64_t core_notes_size(const struct core *c, const struct core_files *files)
{
	size_t largest;
	uint64_t size = c->task_count * thread_notes_size(&largest);

	size += note_size(NT_PRPSINFO, sizeof(struct process_info)) + note_size(NT_SIGINFO, sizeof(siginfo_t)) +
		note_size(NT_AUXV, auxv_size());
	return files->data ? size + note_size(NT_FILE, files->len) : size;
}

static int emit_of_process(struct core *c, const struct core_files *files)
{
	int err = emit_process(c);

	if (err == 0)
		err = emit_signal(c);
	if (err == 0)
		err = emit(c, NT_AUXV, thread_current()->vm->auxv, auxv_size());
	if (err == 0 && files->data)
		err = emit(c, NT_FILE, files->data, files->len);
	return err;
}

int core_notes_emit(struct core *c, const struct core_files *files)
{
	size_t largest;
	char *room;
	int err = 0;

	(void)thread_notes_size(&largest);
	room = kmalloc(largest);
	if (!room)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->task_count && err == 0; i++) {
		err = emit_status(c, c->tasks[i], room);
		if (err == 0 && i == 0)
			err = emit_of_process(c, files);
		if (err == 0)
			err = emit_sets(c, c->tasks[i], room);
	}
	kfree(room);
	return err;
}
