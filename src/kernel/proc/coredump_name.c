/* SPDX-License-Identifier: MIT */
/*
 * What core files are called: /proc/sys/kernel/core_pattern (core(5), "Naming of core dump files"). Texts that come from a program or from who
 * started it stay one component of a path: a slash becomes "!", and so does what would be ".", ".." or nothing.
 *
 * A pattern that begins with "|" names a program that is to read the file from a pipe. There are no such helpers: writing one is EINVAL.
 */
#include "coredump.h"
#include <cloudos/fs.h>
#include <cloudos/uts.h>
#include <linux/limits.h>
#include <linux/utsname.h>

/* P = pattern_lock. */
static struct spinlock pattern_lock = SPINLOCK_INIT(RANK_LEAF);
static char pattern[CORE_PATTERN_MAX] = "core"; /* P */
static uint32_t uses_pid;			/* A */

struct name {
	char *buf;
	size_t size, used;
	bool full;
};

static void add(struct name *n, const char *text)
{
	size_t len = strlen(text);

	if (len >= n->size - n->used) {
		n->full = true;
		return;
	}
	memcpy(n->buf + n->used, text, len + 1);
	n->used += len;
}

static void add_number(struct name *n, uint64_t value)
{
	char digits[24];

	(void)fmt_string(digits, sizeof(digits), "%lu", value);
	add(n, digits);
}

/* A text that others have chosen. */
static void add_component(struct name *n, const char *text)
{
	size_t from = n->used;

	add(n, text[0] ? text : "!");
	if (n->full)
		return;
	if (str_equal(n->buf + from, ".") || str_equal(n->buf + from, ".."))
		n->buf[from] = '!';
	for (; from < n->used; from++)
		if (n->buf[from] == '/')
			n->buf[from] = '!';
}

/* The program's path, or the last part of it. */
static void add_program(struct name *n, bool last)
{
	struct vm_space *s = thread_current()->vm;
	char *path = kmalloc(PATH_MAX), *slash;
	int len;

	if (!path) {
		n->full = true;
		return;
	}
	rwlock_read(&s->lock);
	len = s->exe ? vm_file_ops->path(s->exe, path, PATH_MAX) : -ENOENT;
	rwlock_read_unlock(&s->lock);
	if (len < 0)
		str_copy(path, PATH_MAX, task_self()->thread.name);
	slash = last ? strrchr(path, '/') : NULL;
	add_component(n, slash ? slash + 1 : path);
	kfree(path);
}

static void add_host(struct name *n)
{
	struct new_utsname u;

	uts_get(task_uts(), &u);
	add_component(n, u.nodename);
}

/* What stands for a letter behind "%"; others stand for nothing. True: it was a process id. */
static bool add_specifier(struct name *n, char letter, const struct core *c)
{
	const struct process *p = c->dying->process;
	const struct cred *cred = task_own_cred(c->dying);

	switch (letter) {
	case '%':
		add(n, "%");
		break;
	case 'p':
		add_number(n, (uint64_t)process_number(p));
		return true;
	case 'P':
		add_number(n, (uint64_t)p->pid);
		return true;
	case 'i':
		add_number(n, (uint64_t)task_number(c->dying));
		break;
	case 'I':
		add_number(n, (uint64_t)c->dying->tid);
		break;
	case 'u':
		add_number(n, cred->uid);
		break;
	case 'g':
		add_number(n, cred->gid);
		break;
	case 'd':
		add_number(n, READ_ONCE(p->dumpable));
		break;
	case 's':
		add_number(n, (uint64_t)c->info->signo);
		break;
	case 't':
		add_number(n, hal_wall_ns() / NSEC_PER_SEC);
		break;
	case 'c':
		add_number(n, c->limit);
		break;
	case 'h':
		add_host(n);
		break;
	case 'e':
		add_component(n, c->dying->thread.name);
		break;
	case 'f':
	case 'E':
		add_program(n, letter == 'f');
		break;
	}
	return false;
}

int core_name(const struct core *c, char *buf, size_t size)
{
	struct name n = { .buf = buf, .size = size };
	char text[CORE_PATTERN_MAX], plain[2] = "";
	bool has_pid = false;
	unsigned long flags = spin_lock_irq(&pattern_lock);

	memcpy(text, pattern, sizeof(text));
	spin_unlock_irq(&pattern_lock, flags);
	buf[0] = '\0';
	for (const char *p = text; *p; p++) {
		if (*p != '%') {
			plain[0] = *p;
			add(&n, plain);
		} else if (*++p) {
			has_pid |= add_specifier(&n, *p, c);
		} else {
			break;
		}
	}
	if (!has_pid && READ_ONCE(uses_pid)) {
		add(&n, ".");
		add_number(&n, (uint64_t)process_number(c->dying->process));
	}
	if (n.full)
		return -ENAMETOOLONG;
	return buf[0] ? 0 : -ENOENT;
}

/* ---- /proc/sys/kernel ---- */

int core_pattern_show(struct text_out *o, void *arg)
{
	char text[CORE_PATTERN_MAX];
	unsigned long flags = spin_lock_irq(&pattern_lock);

	(void)arg;
	memcpy(text, pattern, sizeof(text));
	spin_unlock_irq(&pattern_lock, flags);
	out_printf(o, "%s\n", text);
	return 0;
}

/* What is too long is cut, as on Linux. */
int core_pattern_store(const char *text, size_t len, void *arg)
{
	const char *end = memchr(text, '\n', len);
	size_t n = min(end ? (size_t)(end - text) : strnlen(text, len), sizeof(pattern) - 1);
	unsigned long flags;

	(void)arg;
	if (text[0] == '|')
		return -EINVAL;
	flags = spin_lock_irq(&pattern_lock);
	memset(pattern, 0, sizeof(pattern));
	memcpy(pattern, text, n);
	spin_unlock_irq(&pattern_lock, flags);
	return 0;
}

int core_uses_pid_show(struct text_out *o, void *arg)
{
	(void)arg;
	out_printf(o, "%u\n", READ_ONCE(uses_pid));
	return 0;
}

int core_uses_pid_store(const char *text, size_t len, void *arg)
{
	char digits[12] = "";
	uint64_t value;

	(void)arg;
	while (len > 0 && text[len - 1] == '\n')
		len--;
	if (len >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, text, len);
	if (str_to_u64(digits, 10, &value) || value > INT32_MAX)
		return -EINVAL;
	WRITE_ONCE(uses_pid, (uint32_t)value);
	return 0;
}
