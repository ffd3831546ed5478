/* SPDX-License-Identifier: MIT */
/* prctl(2): what a thread asks of itself. An option that is not here is EINVAL, as one that a kernel does not know. */
#include <cloudos/child.h>
#include <cloudos/creds.h>
#include <cloudos/errno.h>
#include <cloudos/string.h>
#include <cloudos/task.h>
#include <cloudos/uaccess.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/securebits.h>
#include "syscall_internal.h"
#include "syscalls_gen.h"

#define TIMER_SLACK_DEFAULT (50 * NSEC_PER_USEC)

static int set_name(uaddr_t from)
{
	char name[16] = { 0 };
	int64_t n = copy_string_from_user(name, from, sizeof(name) - 1);

	if (n < 0 && n != -ENAMETOOLONG)
		return (int)n;
	name[sizeof(name) - 1] = '\0';
	task_set_name(name);
	return 0;
}

static int get_name(uaddr_t to)
{
	char name[16] = { 0 };

	memcpy(name, thread_current()->name, strnlen(thread_current()->name, sizeof(name) - 1));
	return copy_to_user(to, name, sizeof(name));
}

static int set_death_signal(uint64_t signo)
{
	if (signo > SIGNAL_COUNT)
		return -EINVAL;
	WRITE_ONCE(task_self()->death_signal, (uint8_t)signo);
	return 0;
}

static int set_dumpable(uint64_t value)
{
	if (value > 1)
		return -EINVAL;
	WRITE_ONCE(process_self()->dumpable, (uint8_t)value);
	return 0;
}

static int set_no_new_privs(uint64_t on)
{
	if (on != 1)
		return -EINVAL;
	WRITE_ONCE(task_self()->no_new_privs, true);
	return 0;
}

static int set_securebits(uint32_t bits)
{
	uint32_t old = thread_current()->cred->securebits;
	struct cred *c;

	if (((old >> 1 & 0x55555555) & (old ^ bits)) || (bits & ~(uint32_t)(SECURE_ALL_BITS | SECURE_ALL_LOCKS)) ||
	    !cred_capable_here(thread_current()->cred, CAP_SETPCAP))
		return -EPERM;
	c = cred_copy(thread_current()->cred);
	if (!c)
		return -ENOMEM;
	c->securebits = bits;
	return creds_commit(c);
}

static int set_keep_caps(uint64_t on)
{
	const struct cred *old = thread_current()->cred;
	struct cred *c;

	if (on > 1)
		return -EINVAL;
	if (old->securebits & (1u << SECURE_KEEP_CAPS_LOCKED))
		return -EPERM;
	c = cred_copy(old);
	if (!c)
		return -ENOMEM;
	c->securebits &= ~(1u << SECURE_KEEP_CAPS);
	c->securebits |= (uint32_t)on << SECURE_KEEP_CAPS;
	return creds_commit(c);
}

static int drop_bounding(uint64_t capability)
{
	struct cred *c;

	if (!cred_capable_here(thread_current()->cred, CAP_SETPCAP))
		return -EPERM;
	if (capability > CAP_LAST_CAP)
		return -EINVAL;
	c = cred_copy(thread_current()->cred);
	if (!c)
		return -ENOMEM;
	c->cap_bounding &= ~(UINT64_C(1) << capability);
	return creds_commit(c);
}

static int change_ambient(uint64_t what, uint64_t capability)
{
	const struct cred *old = thread_current()->cred;
	uint64_t bit = UINT64_C(1) << (capability & 63);
	struct cred *c;

	if (what == PR_CAP_AMBIENT_CLEAR_ALL ? capability != 0 : capability > CAP_LAST_CAP)
		return -EINVAL;
	if (what == PR_CAP_AMBIENT_IS_SET)
		return (old->cap_ambient & bit) != 0;
	if (what != PR_CAP_AMBIENT_RAISE && what != PR_CAP_AMBIENT_LOWER && what != PR_CAP_AMBIENT_CLEAR_ALL)
		return -EINVAL;
	if (what == PR_CAP_AMBIENT_RAISE &&
	    (!(old->cap_permitted & old->cap_inheritable & bit) || (old->securebits & (1u << SECURE_NO_CAP_AMBIENT_RAISE))))
		return -EPERM;
	c = cred_copy(old);
	if (!c)
		return -ENOMEM;
	if (what == PR_CAP_AMBIENT_RAISE)
		c->cap_ambient |= bit;
	else
		c->cap_ambient &= what == PR_CAP_AMBIENT_LOWER ? ~bit : 0;
	return creds_commit(c);
}

static int set_timer_slack(uint64_t ns)
{
	task_self()->timer_slack_ns = ns == 0 || ns > UINT32_MAX ? (uint32_t)TIMER_SLACK_DEFAULT : (uint32_t)ns;
	return 0;
}

/* Options about credentials. */
static int64_t prctl_cred(int option, uint64_t arg2, uint64_t arg3, uint64_t arg4, uint64_t arg5)
{
	const struct cred *c = thread_current()->cred;

	switch (option) {
	case PR_SET_NO_NEW_PRIVS:
		return arg3 || arg4 || arg5 ? -EINVAL : set_no_new_privs(arg2);
	case PR_GET_NO_NEW_PRIVS:
		return arg2 || arg3 || arg4 || arg5 ? -EINVAL : READ_ONCE(task_self()->no_new_privs);
	case PR_GET_KEEPCAPS:
		return (c->securebits >> SECURE_KEEP_CAPS) & 1;
	case PR_SET_KEEPCAPS:
		return set_keep_caps(arg2);
	case PR_GET_SECUREBITS:
		return c->securebits;
	case PR_SET_SECUREBITS:
		return set_securebits((uint32_t)arg2);
	case PR_CAPBSET_READ:
		return arg2 > CAP_LAST_CAP ? -EINVAL : (int64_t)(c->cap_bounding >> arg2 & 1);
	case PR_CAPBSET_DROP:
		return drop_bounding(arg2);
	case PR_CAP_AMBIENT:
		return arg4 || arg5 ? -EINVAL : change_ambient(arg2, arg3);
	default:
		return -EINVAL;
	}
}

int64_t sys_prctl(int option, uint64_t arg2, uint64_t arg3, uint64_t arg4, uint64_t arg5)
{
	struct task *t = task_self();

	switch (option) {
	case PR_SET_NAME:
		return set_name(arg2);
	case PR_GET_NAME:
		return get_name(arg2);
	case PR_SET_PDEATHSIG:
		return set_death_signal(arg2);
	case PR_GET_PDEATHSIG:
		return put_user((int)t->death_signal, arg2);
	case PR_GET_DUMPABLE:
		return READ_ONCE(t->process->dumpable);
	case PR_SET_DUMPABLE:
		return set_dumpable(arg2);
	case PR_SET_CHILD_SUBREAPER:
		process_set_subreaper(arg2 != 0);
		return 0;
	case PR_GET_CHILD_SUBREAPER:
		return put_user((int)t->process->subreaper, arg2);
	case PR_GET_TIMERSLACK:
		return t->timer_slack_ns;
	case PR_SET_TIMERSLACK:
		return set_timer_slack(arg2);
	case PR_GET_SECCOMP:
		return seccomp_prctl_get();
	case PR_SET_SECCOMP:
		return seccomp_prctl_set(arg2, arg3);
	case PR_GET_TIMING:
		return PR_TIMING_STATISTICAL;
	case PR_SET_TIMING: /* Linux knows no other, either */
		return arg2 == PR_TIMING_STATISTICAL ? 0 : -EINVAL;
	case PR_GET_TID_ADDRESS:
		return put_user(t->clear_child_tid, arg2);
	default:
		return prctl_cred(option, arg2, arg3, arg4, arg5);
	}
}
