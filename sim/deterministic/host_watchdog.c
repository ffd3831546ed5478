/* SPDX-License-Identifier: MIT */
/*
 * The watchdog (hosted): the two ways in which the one thread that there is can hang without an event.
 *
 *   kernel code loops without ever coming to a scheduling point. A timer of this process's own processor time looks whether
 *   events still happen; where none did for a whole period, the loop is reported with the registers at which the signal found it.
 *
 *   a user program computes without ever entering the kernel. Its time is its stub's, and virtual time stands still meanwhile: if
 *   it waits in a loop for what another thread or a timer is to do, it waits for ever. Interrupting it would be an event at a place
 *   that no seed brings back, so a program that takes more of the host's processor than the scenario allows is reported.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>

#include <sim/host.h>
#include <sim/host_private.h>
#include <sim/scenario.h>
#include <sim/stub.h>
#include <sim/trace.h>
#include <sim/verdict.h>

#define PERIOD_S     1
#define USER_LIMIT_S 60

struct progress {
	struct sim_trace_sum last;
};

/* Has there been no event since the last look? */
static bool stands(struct progress *p)
{
	struct sim_trace_sum sum;
	bool same;

	sim_trace_sum(&sum);
	same = sum.events == p->last.events && sum.time_ns == p->last.time_ns && sim_trace_running();
	p->last = sum;
	return same;
}

static void look_at_kernel(int signo, siginfo_t *info, void *context)
{
	static struct progress progress;
	const greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;

	(void)signo;
	(void)info;
	if (stands(&progress))
		sim_crashed("verdict: livelock: this CPU loops without coming to any scheduling point",
			    (uintptr_t)g[REG_RIP], (uintptr_t)g[REG_RBP], 0, "");
}

/* The processor time of a process, in seconds; 0 where there is none of that number. */
static uint64_t cpu_seconds(int pid)
{
	struct timespec used;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &used) < 0)
		return 0;
	return (uint64_t)used.tv_sec;
}

static void look_at_program(int signo)
{
	static struct progress progress;
	static uint64_t from;
	static int last_pid;
	uint64_t limit = sim_scenario.user_limit_s ? sim_scenario.user_limit_s : USER_LIMIT_S;
	int pid = host_stub_running();
	uint64_t now = pid ? cpu_seconds(pid) : 0;

	(void)signo;
	if (!stands(&progress) || !pid || pid != last_pid)
		from = now;
	else if (now - from >= limit)
		sim_verdict("livelock",
			    "the program on this CPU has computed for %llu s of the host without entering the kernel, and simulated time "
			    "stands still meanwhile. If it waits in a loop, let it sleep or yield there; if it computes, allow it more "
			    "(--set 'user-limit S')",
			    (unsigned long long)(now - from));
	last_pid = pid;
}

static void every_period(int timer, int signo, struct sigaction *action)
{
	struct itimerval period = {.it_interval = {.tv_sec = PERIOD_S}, .it_value = {.tv_sec = PERIOD_S}};

	sigaction(signo, action, NULL);
	setitimer((__itimer_which_t)timer, &period, NULL);
}

void host_watchdog_start(void)
{
	struct sigaction kernel = {.sa_sigaction = look_at_kernel, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
	struct sigaction program = {.sa_handler = look_at_program, .sa_flags = SA_ONSTACK | SA_RESTART};

	every_period(ITIMER_VIRTUAL, SIGVTALRM, &kernel);
	every_period(ITIMER_REAL, SIGALRM, &program);
}
