/* SPDX-License-Identifier: MIT */
/*
 * The watchdog (hosted): kernel code that loops without ever coming to a scheduling point would hang the one thread that
 * there is. A timer of the process's own CPU time looks whether events still happen; where none did for a whole
 * period, the loop is reported as a livelock, with the registers at which the signal found it. User programs do
 * not count: their time is their stubs', and what this process spends waiting for them is none.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <ucontext.h>

#include <sim/host.h>
#include <sim/host_private.h>
#include <sim/trace.h>

#define PERIOD_S 1

static void look(int signo, siginfo_t *info, void *context)
{
	static struct sim_trace_sum last;
	const greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
	struct sim_trace_sum sum;

	(void)signo;
	(void)info;
	sim_trace_sum(&sum);
	if (sum.events == last.events && sum.time_ns == last.time_ns && sim_trace_running())
		sim_crashed("verdict: livelock: this CPU loops without coming to any scheduling point",
			    (uintptr_t)g[REG_RIP], (uintptr_t)g[REG_RBP], 0, "");
	last = sum;
}

void host_watchdog_start(void)
{
	struct sigaction action = {.sa_sigaction = look, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
	struct itimerval period = {.it_interval = {.tv_sec = PERIOD_S}, .it_value = {.tv_sec = PERIOD_S}};

	sigaction(SIGVTALRM, &action, NULL);
	setitimer(ITIMER_VIRTUAL, &period, NULL);
}
