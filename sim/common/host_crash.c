/* SPDX-License-Identifier: MIT */
/*
 * Fatal signals of the simulator itself (hosted). A SIGSEGV, SIGBUS, SIGFPE or SIGILL is a fault of kernel
 * code (or of ours): it goes to the kernel's panic with registers, on the thread's alternate stack, and never
 * returns. A second one on the way ends the process at once. Signals that ask us to end put the terminal in
 * order first.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include <sim/host.h>
#include <sim/host_private.h>

#define DUMP_SIZE 1024

static const char *fault_name(const siginfo_t *info, uint64_t error_code)
{
	switch (info->si_signo) {
	case SIGFPE:
		return "divide error";
	case SIGILL:
		return "invalid instruction";
	case SIGBUS:
		return "bus error";
	}
	if (info->si_code == SI_KERNEL)
		return "general protection fault";
	if (error_code & 16)
		return "page fault: jump to memory that is not executable";
	return error_code & 2 ? "page fault: write" : "page fault: read";
}

static void dump_registers(const greg_t *g, char *dump)
{
	static const struct {
		const char *name;
		int index;
	} regs[] = {
	    {"rax", REG_RAX}, {"rbx", REG_RBX}, {"rcx", REG_RCX}, {"rdx", REG_RDX}, {"rsi", REG_RSI},
	    {"rdi", REG_RDI}, {"rbp", REG_RBP}, {"rsp", REG_RSP}, {"r8 ", REG_R8},  {"r9 ", REG_R9},
	    {"r10", REG_R10}, {"r11", REG_R11}, {"r12", REG_R12}, {"r13", REG_R13}, {"r14", REG_R14},
	    {"r15", REG_R15}, {"rip", REG_RIP}, {"flg", REG_EFL},
	};
	size_t at = 0;

	for (size_t i = 0; i < sizeof(regs) / sizeof(regs[0]); i++)
		at += (size_t)snprintf(dump + at, DUMP_SIZE - at, "%s %016llx%c", regs[i].name,
				       (unsigned long long)g[regs[i].index], i % 3 == 2 ? '\n' : ' ');
}

static void fatal_signal(int signo, siginfo_t *info, void *context)
{
	static atomic_flag crashed = ATOMIC_FLAG_INIT;
	static char dump[DUMP_SIZE];
	const greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
	static const char again[] = "cloudos-sim: a second fault while reporting the first\n";

	(void)signo;
	if (atomic_flag_test_and_set(&crashed)) {
		host_terminal_restore();
		if (write(STDERR_FILENO, again, sizeof(again) - 1) < 0)
			_exit(SIM_EXIT_PANIC);
		_exit(SIM_EXIT_PANIC);
	}
	dump_registers(g, dump);
	sim_crashed(fault_name(info, (uint64_t)g[REG_ERR]), (uintptr_t)g[REG_RIP], (uintptr_t)g[REG_RBP],
		    (uintptr_t)info->si_addr, dump);
}

static void end_signal(int signo)
{
	host_terminal_restore();
	_exit(128 + signo);
}

void host_crash_setup(void)
{
	static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL},
			 end[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	struct sigaction on_fault = {.sa_sigaction = fatal_signal,
				     .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
	struct sigaction on_end = {.sa_handler = end_signal};

	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		sigaction(fatal[i], &on_fault, NULL);
	for (size_t i = 0; i < sizeof(end) / sizeof(end[0]); i++)
		sigaction(end[i], &on_end, NULL);
	signal(SIGPIPE, SIG_IGN);
}

void host_fatal(const char *format, ...)
{
	va_list args;
	char text[1024];
	int n;

	va_start(args, format);
	n = vsnprintf(text, sizeof(text) - 1, format, args);
	va_end(args);
	n = n < 0 ? 0 : n > (int)sizeof(text) - 2 ? (int)sizeof(text) - 2 : n;
	text[n++] = '\n';
	host_terminal_restore();
	if (write(STDERR_FILENO, "cloudos-sim: ", 13) < 0 || write(STDERR_FILENO, text, (size_t)n) < 0)
		_exit(SIM_EXIT_USAGE);
	_exit(SIM_EXIT_USAGE);
}
