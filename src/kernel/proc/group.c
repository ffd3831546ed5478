/* SPDX-License-Identifier: MIT */
/*
 * Process groups, sessions and controlling terminals (POSIX.1-2017, 11.1 and setpgid, setsid).
 *
 * A group is a pid_entry with members; it exists as long as it has any. A session is an object of its own, since it has a terminal;
 * its members hold it, and it holds its number. All of it is under proc_lock, which interrupts take: a terminal signals its
 * foreground group when a Ctrl-C arrives.
 *
 * A group is orphaned when none of its members has a parent in another group of the same session: nobody is left who would continue
 * it, so that stopping it is refused, and a stopped one is hung up when it becomes so.
 */
#include "proc_internal.h"
#include <cloudos/mm.h>

struct session {
	uint32_t members;      /* T: processes */
	struct pid_entry *id;  /* T: with a use */
	struct list link;      /* T: all sessions */
	struct tty *tty;       /* T: with a reference, or null */
};

const struct session_tty_ops *session_tty_ops;
static struct list sessions = LIST_INIT(sessions);

void group_join_locked(struct process *p, struct pid_entry *group, struct session *session)
{
	p->group = group;
	group->uses++;
	list_add_tail(&group->members, &p->group_link);
	p->session = session;
	session->members++;
}

static struct pid_entry *group_leave_group_locked(struct process *p)
{
	struct pid_entry *group = p->group;

	list_del(&p->group_link);
	p->group = NULL;
	return pid_drop_locked(group);
}

static void session_leave_locked(struct process *p, struct group_leftovers *ret)
{
	struct session *s = p->session;

	p->session = NULL;
	if (--s->members > 0)
		return;
	list_del(&s->link);
	ret->session = s;
	ret->session_id = pid_drop_locked(s->id);
}

void group_leave_locked(struct process *p, struct group_leftovers *ret)
{
	*ret = (struct group_leftovers){ 0 };
	ret->group = group_leave_group_locked(p);
	session_leave_locked(p, ret);
}

void group_leftovers_free(struct group_leftovers *l)
{
	pid_entry_free(l->group);
	pid_entry_free(l->session_id);
	ASSERT(!l->session || !l->session->tty); /* the leader's exit has seen to it */
	kfree(l->session);
}

bool group_orphaned_locked(const struct pid_entry *group, const struct process *without)
{
	struct process *p;

	list_for_each(p, &group->members, group_link) {
		if (p == without || p->state != PROCESS_ALIVE || !p->parent)
			continue;
		if (p->parent->group != p->group && p->parent->session == p->session)
			return false;
	}
	return true;
}

static bool group_has_stopped_locked(const struct pid_entry *group)
{
	struct process *p;

	list_for_each(p, &group->members, group_link)
		if (p->stopped)
			return true;
	return false;
}

static void group_signal_locked(struct pid_entry *group, int signo)
{
	struct signal_info info;
	struct process *p;

	signal_info_kernel(&info, signo);
	list_for_each(p, &group->members, group_link)
		(void)signal_send_process(p, &info);
}

void group_hang_up_if_orphaned_locked(struct process *p, const struct process *parent, const struct process *without)
{
	struct pid_entry *group = p->group;

	if (parent->group == group || parent->session != p->session)
		return; /* p's tie to its parent did not keep the group from being orphaned */
	if (!group_orphaned_locked(group, without) || !group_has_stopped_locked(group))
		return;
	group_signal_locked(group, SIGHUP);
	group_signal_locked(group, SIGCONT);
}

int signal_group(int pgid, int signo)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct pid_entry *group = pid_lookup_global_locked(pgid);
	bool found = group && !list_empty(&group->members);

	if (found)
		group_signal_locked(group, signo);
	spin_unlock_irq(&proc_lock, flags);
	return found ? 0 : -ESRCH;
}

bool process_group_orphaned(int pgid)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct pid_entry *group = pid_lookup_global_locked(pgid);
	bool orphaned = !group || group_orphaned_locked(group, NULL);

	spin_unlock_irq(&proc_lock, flags);
	return orphaned;
}

bool process_group_exists(int pgid)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct pid_entry *group = pid_lookup_global_locked(pgid);
	bool exists = group && !list_empty(&group->members);

	spin_unlock_irq(&proc_lock, flags);
	return exists;
}

static struct session *group_session_locked(const struct pid_entry *group)
{
	if (!group || list_empty(&group->members))
		return NULL;
	return list_first(&group->members, struct process, group_link)->session;
}

bool process_group_in_session(int pgid, int sid)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct session *s = group_session_locked(pid_lookup_global_locked(pgid));
	bool in = s && pid_number_global(s->id) == sid;

	spin_unlock_irq(&proc_lock, flags);
	return in;
}

int process_pgid(const struct process *p)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	int pgid = p->group ? pid_number_global(p->group) : 0;

	spin_unlock_irq(&proc_lock, flags);
	return pgid;
}

int process_sid(const struct process *p)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	int sid = p->session ? pid_number_global(p->session->id) : 0;

	spin_unlock_irq(&proc_lock, flags);
	return sid;
}

static bool session_leader_locked(const struct process *p)
{
	return p->session && p->session->id == p->id;
}

bool process_is_session_leader(const struct process *p)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	bool leader = session_leader_locked(p);

	spin_unlock_irq(&proc_lock, flags);
	return leader;
}

/* May the running process move `p` into a group (null: there is none)? */
static int group_change_check_locked(const struct process *p, const struct pid_entry *group)
{
	const struct process *self = process_self();

	if (p != self && p->parent != self)
		return -ESRCH;
	if (p != self && p->session != self->session)
		return -EPERM;
	if (p != self && p->has_execed)
		return -EACCES;
	if (session_leader_locked(p))
		return -EPERM;
	if (!group || (group != p->id && group_session_locked(group) != self->session))
		return -EPERM;
	return 0;
}

/* Moving a process away may orphan groups: its own, and those of its children. */
static void group_move_locked(struct process *p, struct pid_entry *group, struct pid_entry **ret_old)
{
	*ret_old = NULL;
	if (p->group == group)
		return;
	list_del(&p->group_link);
	*ret_old = pid_drop_locked(p->group);
	p->group = group;
	group->uses++;
	list_add_tail(&group->members, &p->group_link);
}

int process_set_group(int pid, int pgid)
{
	struct pid_entry *e, *group, *old = NULL;
	unsigned long flags;
	int err;

	if (pgid < 0)
		return -EINVAL;
	flags = spin_lock_irq(&proc_lock);
	e = pid ? pid_lookup_locked(pid) : process_self()->id;
	if (!e || !e->process || e->process->state != PROCESS_ALIVE) {
		err = -ESRCH;
	} else {
		group = pgid ? pid_lookup_locked(pgid) : e;
		err = group_change_check_locked(e->process, group);
		if (err == 0)
			group_move_locked(e->process, group, &old);
	}
	spin_unlock_irq(&proc_lock, flags);
	pid_entry_free(old);
	return err;
}

/* What: 0 the group, 1 the session of process `pid` (0: the running one). */
int process_related_id(int pid, bool session)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct pid_entry *e = pid ? pid_lookup_locked(pid) : process_self()->id;
	int number = -ESRCH;

	if (e && e->process && e->process->group)
		number = pid_number_seen(session ? session_id_entry_locked(e->process) : e->process->group);
	spin_unlock_irq(&proc_lock, flags);
	return number;
}

/* Starts a session, with p as its leader and only member, whose number is p's. */
static void session_start_locked(struct session *s, struct process *p)
{
	*s = (struct session){ .id = p->id };
	p->id->uses++;
	list_add_tail(&sessions, &s->link);
	group_join_locked(p, p->id, s);
}

int session_create(void)
{
	struct session *s = kmalloc(sizeof(*s));
	struct process *p = process_self();
	struct group_leftovers left;
	unsigned long flags;

	if (!s)
		return -ENOMEM;
	flags = spin_lock_irq(&proc_lock);
	if (!list_empty(&p->id->members) || session_leader_locked(p)) {
		spin_unlock_irq(&proc_lock, flags);
		kfree(s);
		return -EPERM;
	}
	group_leave_locked(p, &left);
	session_start_locked(s, p);
	spin_unlock_irq(&proc_lock, flags);
	group_leftovers_free(&left);
	return process_number(p);
}

struct session *session_alloc(void)
{
	return kmalloc(sizeof(struct session));
}

void session_first_locked(struct session *s, struct process *p)
{
	session_start_locked(s, p);
}

/* ---- controlling terminals ---- */

struct tty *session_get_tty(void)
{
	struct process *p = process_current();
	struct tty *tty = NULL;
	unsigned long flags;

	if (!p)
		return NULL;
	flags = spin_lock_irq(&proc_lock);
	if (p->session && p->session->tty) {
		tty = p->session->tty;
		session_tty_ops->get(tty);
	}
	spin_unlock_irq(&proc_lock, flags);
	return tty;
}

static struct session *session_of_tty_locked(const struct tty *tty)
{
	struct session *s;

	list_for_each(s, &sessions, link)
		if (s->tty == tty)
			return s;
	return NULL;
}

int session_set_tty(struct tty *tty, bool steal)
{
	struct process *p = process_self();
	struct session *owner;
	unsigned long flags = spin_lock_irq(&proc_lock);
	int err = 0;

	owner = session_of_tty_locked(tty);
	if (!session_leader_locked(p) || (p->session->tty && p->session->tty != tty) ||
	    (owner && owner != p->session && !steal)) {
		err = -EPERM;
	} else if (owner != p->session) {
		if (owner)
			owner->tty = NULL; /* its reference becomes ours */
		else
			session_tty_ops->get(tty);
		p->session->tty = tty;
	}
	spin_unlock_irq(&proc_lock, flags);
	return err;
}

void session_clear_tty(struct tty *tty)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct session *s = session_of_tty_locked(tty);

	if (s)
		s->tty = NULL;
	spin_unlock_irq(&proc_lock, flags);
	if (s)
		session_tty_ops->put(tty);
}

void session_hang_up(void)
{
	struct tty *tty = session_get_tty();

	if (!tty)
		return;
	session_tty_ops->hang_up(tty);
	session_tty_ops->put(tty);
}

void session_leader_exit(struct process *p)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct tty *tty = session_leader_locked(p) ? p->session->tty : NULL;

	if (tty)
		session_tty_ops->get(tty);
	spin_unlock_irq(&proc_lock, flags);
	if (!tty)
		return;
	session_tty_ops->leader_exit(tty);
	session_clear_tty(tty);
	session_tty_ops->put(tty);
}

int session_tty_number_locked(const struct process *p)
{
	return p->session && p->session->tty ? session_tty_ops->number(p->session->tty) : 0;
}

struct pid_entry *session_id_entry_locked(const struct process *p)
{
	return p->session ? p->session->id : NULL;
}
