/* SPDX-License-Identifier: MIT */
/*
 * The stops of a traced thread, from its own side: it says why, tells its tracer, and sleeps in THREAD_STOPPED until it is told to go on. The
 * kinds, and what the wait status shows above its first byte:
 *
 *   signal delivery   the signal                           the tracer may take it away, change it, or put another in its place
 *   group stop        the stop signal; seized: | PTRACE_EVENT_STOP << 8
 *   interrupt         SIGTRAP | PTRACE_EVENT_STOP << 8     PTRACE_INTERRUPT, SIGCONT, the start of a child: seized alone
 *   system call       SIGTRAP, or SIGTRAP | 0x80           at its entry and at its exit
 *   event             SIGTRAP | PTRACE_EVENT_... << 8      those that PTRACE_SETOPTIONS names
 *
 * SIGKILL ends every stop but that of PTRACE_EVENT_EXIT, which only the tracer or its end does.
 */
#include "ptrace_internal.h"

#define SIGNAL_OF_CALL_GOOD (SIGTRAP | 0x80) /* PTRACE_O_TRACESYSGOOD */

struct stop {
	int code;
	uint8_t call; /* PTRACE_SYSCALL_INFO_* */
	bool dying;
	bool group;   /* told as CLD_STOPPED */
	int signo;    /* that is being delivered, or 0 */
	uint64_t message;
	const struct signal_info *info; /* null: a group stop, without details */
};

static bool told_to_exit(const struct task *t)
{
	return READ_ONCE(t->thread.work) & THREAD_WORK_EXIT;
}

static void tell_locked(struct task *t, const struct stop *s)
{
	struct process *tracer = t->trace.tracer->process;
	const struct signal_action *action = &LOAD_ACQUIRE(tracer->actions)->action[SIGCHLD - 1];
	struct signal_info info = { .signo = SIGCHLD, .code = s->group ? CLD_STOPPED : CLD_TRAPPED };

	info.fields._sigchld._pid = pid_number_in(t->id, tracer->pid_ns);
	info.fields._sigchld._uid = task_own_cred(t)->uid;
	info.fields._sigchld._status = s->code & 0x7f;
	if (READ_ONCE(action->handler) != SIGNAL_ACTION_IGNORE && !(READ_ONCE(action->flags) & SA_NOCLDSTOP))
		(void)signal_send_process(tracer, &info);
	wake_all(&tracer->child_wait);
}

static bool is_event_stop(const struct stop *s)
{
	return s->code >> 8 == PTRACE_EVENT_STOP;
}

/* Signals that stop and continue the process come before this or after it: what a stop says of that is true, and what comes later marks it. */
static bool enter_locked(struct task *t, const struct stop *s)
{
	struct process *p = t->process;
	unsigned long flags = spin_lock_irq(&p->signal_lock);
	int signo = s->code & 0x7f;
	bool good = !s->group || p->stop_signal == (signo == SIGTRAP ? 0 : signo);

	if (good) { /* any stop answers PTRACE_INTERRUPT; what else there is to tell, a stop for that alone */
		__atomic_fetch_and(&t->trace.interrupt, (uint8_t)~(is_event_stop(s) ? TRACE_INTERRUPT | TRACE_NOTIFY : TRACE_INTERRUPT), __ATOMIC_ACQ_REL);
		WRITE_ONCE(t->trace.state, TRACE_STOPPED);
	}
	spin_unlock_irq(&p->signal_lock, flags);
	return good;
}

static bool begin_locked(struct task *t, const struct stop *s)
{
	struct task_trace *tr = &t->trace;

	if (!tr->tracer || (!s->dying && told_to_exit(t)) || !enter_locked(t, s))
		return false;
	tr->code = s->code;
	tr->call_stop = s->call;
	tr->message = s->message;
	tr->signal = s->signo; /* until the tracer says something else */
	tr->has_info = s->info != NULL;
	if (s->info)
		tr->info = *s->info;
	tell_locked(t, s);
	return true;
}

static bool over(const struct task *t, bool dying)
{
	uint8_t state = READ_ONCE(t->trace.state);

	return state == TRACE_RUNNING || (state == TRACE_LISTENING && READ_ONCE(t->trace.interrupt)) ||
	       (!dying && told_to_exit(t));
}

static void sleep_until_over(struct task *t, bool dying)
{
	freeze_halt_begin(t);
	for (;;) {
		thread_prepare_sleep(THREAD_STOPPED);
		if (over(t, dying))
			break;
		(void)thread_sleep(HAL_TIMER_NEVER);
	}
	thread_cancel_sleep();
	freeze_halt_end(t);
}

/* The signal that the tracer resumed it with; what it made of the details, if it is that one, in *ret_info, unless null. */
static int end_locked(struct task *t, struct signal_info *ret_info)
{
	struct task_trace *tr = &t->trace;
	int signo = told_to_exit(t) ? 0 : tr->signal;

	WRITE_ONCE(tr->state, TRACE_RUNNING);
	tr->code = 0;
	tr->call_stop = PTRACE_SYSCALL_INFO_NONE;
	if (ret_info && tr->has_info)
		*ret_info = tr->info;
	tr->has_info = false;
	return signo;
}

/* Stops; false, with nothing done, when there is no tracer, the thread is to exit, or a group stop is no more what it was. May sleep. */
static bool stop(struct task *t, const struct stop *s, int *ret_signo, struct signal_info *ret_info)
{
	unsigned long flags;
	bool stopped;

	hal_user_lend(&t->user);
	flags = spin_lock_irq(&proc_lock);
	stopped = begin_locked(t, s);
	spin_unlock_irq(&proc_lock, flags);
	if (stopped) {
		sleep_until_over(t, s->dying);
		flags = spin_lock_irq(&proc_lock);
		*ret_signo = end_locked(t, ret_info);
		spin_unlock_irq(&proc_lock, flags);
	}
	hal_user_reclaim(&t->user);
	return stopped;
}

static void info_of_code(struct signal_info *info, int code)
{
	signal_info_user(info, code & 0x7f, code);
	info->fields._kill._pid = pid_number_seen(task_self()->id);
	info->fields._kill._uid = uid_out(thread_current()->cred->uid);
}

/* A stop that is no signal's: what the tracer resumes the thread with is sent to it, where `pass` says so. */
static void notify(struct task *t, struct stop *s, bool pass)
{
	struct signal_info info;
	int signo;

	info_of_code(&info, s->code);
	s->info = &info;
	if (!stop(t, s, &signo, NULL) || !signo || !pass)
		return;
	signal_info_user(&info, signo, SI_USER);
	(void)signal_send_task(t, &info);
}

/* ---- events ---- */

bool trace_wants(const struct task *t, unsigned event)
{
	return ptrace_is_traced(t) && (READ_ONCE(t->trace.options) & (1u << event));
}

void trace_event(struct task *t, unsigned event, uint64_t message)
{
	struct stop s = { .code = (int)event << 8 | SIGTRAP, .message = message, .dying = event == PTRACE_EVENT_EXIT };

	if (trace_wants(t, event))
		notify(t, &s, false);
}

void trace_exec(struct task *t, int old_tid)
{
	struct signal_info info;

	if (likely(!ptrace_is_traced(t)))
		return;
	if (trace_wants(t, PTRACE_EVENT_EXEC)) {
		trace_event(t, PTRACE_EVENT_EXEC, (uint64_t)old_tid);
	} else if (!READ_ONCE(t->trace.seized)) {
		signal_info_user(&info, SIGTRAP, SI_USER);
		(void)signal_send_task(t, &info);
	}
}

/* ---- signals ---- */

/* The tracer has put another signal in the place of the one that t, the running thread, was to get: as it would be told it. */
static void other_signal(struct task *t, int signo, struct signal_info *ret)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct task *tracer = t->trace.tracer;

	*ret = (struct signal_info){ .signo = signo, .code = SI_USER };
	if (tracer) {
		ret->fields._kill._pid = pid_number_in(tracer->process->id, t->process->pid_ns);
		ret->fields._kill._uid = uid_out(tracer->thread.cred->uid);
	}
	spin_unlock_irq(&proc_lock, flags);
}

bool trace_signal(struct task *t, struct signal_info *info)
{
	struct signal_info seen = *info;
	struct stop s = { .code = info->signo, .signo = info->signo, .info = &seen };
	int signo;

	if (!stop(t, &s, &signo, info))
		return true;
	if (!signo)
		return false;
	if (signo != info->signo)
		other_signal(t, signo, info);
	if (!(t->blocked & signal_bit(signo)) && !told_to_exit(t))
		return true;
	if (signal_has_sender(info))
		info->fields._kill._uid = uid_in(info->fields._kill._uid); /* pending again */
	(void)signal_send_task(t, info);
	return false;
}

/* ---- group stops and interrupts ---- */

static void stop_for(struct task *t, int signo)
{
	struct stop s = { .code = signo, .group = true };
	int ignored;

	if (READ_ONCE(t->trace.seized)) {
		s.code |= PTRACE_EVENT_STOP << 8;
		notify(t, &s, false);
	} else {
		(void)stop(t, &s, &ignored, NULL);
	}
}

void trace_group_stop(struct task *t, int signo)
{
	stop_for(t, signo);
}

void trace_interrupted(struct task *t)
{
	int signo = READ_ONCE(t->process->stop_signal);

	if (ptrace_is_traced(t) && READ_ONCE(t->trace.seized))
		stop_for(t, signo ? signo : SIGTRAP); /* takes the marks away; where it comes to nothing the caller looks again */
	else
		__atomic_store_n(&t->trace.interrupt, 0, __ATOMIC_RELEASE);
}

void trace_interrupt(struct task *t, uint8_t why)
{
	if (!ptrace_is_traced(t) || !READ_ONCE(t->trace.seized))
		return;
	__atomic_fetch_or(&t->trace.interrupt, why, __ATOMIC_SEQ_CST);
	signal_wake(t);
	thread_wake_state(&t->thread, THREAD_STOPPED);
}

/* ---- system calls ---- */

static void call_stop(struct task *t, uint8_t call)
{
	bool good = READ_ONCE(t->trace.options) & PTRACE_O_TRACESYSGOOD;
	struct stop s = { .code = good ? SIGNAL_OF_CALL_GOOD : SIGTRAP, .call = call };

	s.message = call == PTRACE_SYSCALL_INFO_ENTRY ? PTRACE_EVENTMSG_SYSCALL_ENTRY : PTRACE_EVENTMSG_SYSCALL_EXIT;
	notify(t, &s, true);
}

/* As its tracer has left it: an int, as on Linux. */
static int64_t number_wanted(const struct task *t, struct hal_user *u)
{
	return told_to_exit(t) ? -1 : (int)hal_abi_call_stopped(&u->regs);
}

int64_t ptrace_call_enter(struct hal_user *u, int64_t number)
{
	struct task *t = task_self();

	if (READ_ONCE(t->trace.resumed) != PTRACE_SYSCALL)
		return number;
	hal_abi_call_stop(&u->regs);
	call_stop(t, PTRACE_SYSCALL_INFO_ENTRY);
	return number_wanted(t, u);
}

/* A single step over a call ends behind it. */
static void step_ends(struct task *t)
{
	struct signal_info info = { .signo = SIGTRAP, .code = HAL_ABI_STEP_CODE };

	if (HAL_ABI_STEP_CODE)
		info.fields._sigfault._addr = (void *)(uintptr_t)hal_abi_pc(&t->user.regs);
	signal_force(&info);
}

void ptrace_call_leave(struct hal_user *u)
{
	struct task *t = task_self();

	if (READ_ONCE(t->trace.resumed) == PTRACE_SYSCALL)
		call_stop(t, PTRACE_SYSCALL_INFO_EXIT);
	else if (hal_abi_stepping(u))
		step_ends(t);
}

bool ptrace_seccomp(struct hal_user *u, uint32_t data, int64_t *number)
{
	struct task *t = task_self();
	struct stop s = { .code = PTRACE_EVENT_SECCOMP << 8 | SIGTRAP, .call = PTRACE_SYSCALL_INFO_SECCOMP, .message = data };

	if (!trace_wants(t, PTRACE_EVENT_SECCOMP))
		return false;
	hal_abi_call_stop(&u->regs);
	notify(t, &s, false);
	*number = number_wanted(t, u);
	return true;
}

/* A handler has been entered while its thread makes single steps: the tracer is to see its first instruction. */
void trace_handler_entered(struct task *t)
{
	struct stop s = { .code = SIGTRAP };

	notify(t, &s, false);
}
