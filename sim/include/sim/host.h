/* SPDX-License-Identifier: MIT */
/*
 * What the hosted half (host_*.c: C library, threads, ptrace) does for the half that is compiled like the
 * kernel. Both include this; it speaks in <hal/types.h> alone. Hosted code never calls into the kernel: it
 * does one thing and returns, so that nothing of the C library (errno, locks) is held across a switch of
 * contexts. The one exception is host_crash.c, which never returns.
 */
#ifndef SIM_HOST_H
#define SIM_HOST_H

#include <hal/types.h>
#include <hal/boot.h>

struct sim_vcpu;

/* Exit statuses of the process. */
enum {
	SIM_EXIT_OFF = 0,     /* power-off or reboot                        */
	SIM_EXIT_USAGE = 2,   /* wrong arguments, or the host refused a thing */
	SIM_EXIT_VERDICT = 124, /* the deterministic world has found a fault     */
	SIM_EXIT_PANIC = 125, /* the kernel panicked                          */
};

/* ---- the machine as the command line describes it ---- */

#define SIM_DISKS_MAX 16

struct sim_machine {
	unsigned cpus;
	uint64_t ram_size; /* bytes, a multiple of PAGE_SIZE */
	paddr_t initrd;	   /* page aligned, at the end of RAM */
	size_t initrd_len; /* 0: none */
	char cmdline[HAL_CMDLINE_MAX];
	unsigned disk_count;
	struct {
		int number; /* of host_disk_...() */
		uint64_t bytes;
		bool read_only;
	} disks[SIM_DISKS_MAX];
	uint64_t boot_wall_ns; /* wall clock and monotonic clock at the start */
	uint64_t boot_ns;
	bool hide_host; /* programs see no time but ours, and no processor if this is set too: */
	bool hide_cpu;	/*   CPUID is answered by user/emulate_x86_64.c; not every host can make it fault */
};
extern struct sim_machine sim_machine;

/* True if the kernel's command line holds these letters. */
bool sim_machine_has(const char *text);

/* ---- memory: one memfd holds all RAM ---- */

/*
 * Reserves `size` bytes of RAM and maps them at `at`, and the range [area, area + area_size) with no access:
 * 0 or -errno.
 */
int host_ram_create(uintptr_t at, uint64_t size, uintptr_t area, size_t area_size);

/* Whole pages read as zero; who has them mapped sees that too. */
void host_ram_clear(paddr_t from, uint64_t size);

/* The file descriptor of RAM, for stubs. */
int host_ram_fd(void);

/* Maps `size` bytes of RAM at `va` of the reserved area, or takes what is there away: whole pages; 0 or -errno. */
int host_area_map(uintptr_t va, paddr_t pa, size_t size);
int host_area_unmap(uintptr_t va, size_t size);

/* A stack of `size` bytes at `at`, with a guard page below it; null when out of memory. Never freed. */
void *host_stack_create(uintptr_t at, size_t size);

/* Copies [addr, addr + len) of this process; false where it is not readable. Never faults. */
bool host_peek(uintptr_t addr, void *dst, size_t len);

/* ---- time ---- */

uint64_t host_clock_ns(void); /* CLOCK_MONOTONIC */
uint64_t host_wall_ns(void);  /* CLOCK_REALTIME  */

/*
 * Starts the clock thread: when the `watched` deadline of a vCPU passes, it resets that to UINT64_MAX and
 * kicks the vCPU with SIM_IRQ_CLOCK. 0 or -errno.
 */
int host_clock_start(void);

/*
 * Tells the clock thread that a vCPU's `watched` was moved forward to this deadline (host_clock_ns() scale).
 */
void host_clock_watch(uint64_t deadline_ns);

/* ---- threads ---- */

/* Runs fn(v) in a new thread of the host, prepared as host_thread_adopt() does: 0 or -errno. */
int host_thread_start(struct sim_vcpu *v, void (*fn)(struct sim_vcpu *));

/* Prepares the calling thread to run a vCPU: an alternate signal stack. */
void host_thread_adopt(void);

/* Keeps the calling thread on one host CPU, each vCPU on another as far as there are enough. */
void host_thread_bind(unsigned cpu);

/* Sleeps while *word == value, at most until the deadline (host_clock_ns() scale; UINT64_MAX: for ever). */
void host_wait(_Atomic uint32_t *word, uint32_t value, uint64_t deadline_ns);
void host_wake(_Atomic uint32_t *word);
void host_yield(void);

/* Ends the process, from any thread; restores the terminal, kills the stubs. */
_Noreturn void host_exit(int status);
_Noreturn void host_halt_thread(void);

/* A message on standard error, then the end: the host refused something without which there is no machine. */
_Noreturn __attribute__((format(printf, 1, 2))) void host_fatal(const char *format, ...);

/* ---- console ---- */

void host_console_write(const char *buf, size_t len);

/*
 * Starts the thread that reads standard input; it calls sim_console_arrived() when there is something to
 * take: 0 or -errno.
 */
int host_console_start(void);

/* The bytes that arrived: looks at them, takes some. One vCPU at a time. */
size_t host_console_peek(const char **ret);
void host_console_take(size_t len);
void sim_console_arrived(void);

/* Without that thread: waits for input and reads up to len bytes of it; 0: the end. Handles the terminal's escape. */
size_t host_console_read(char *buf, size_t len);
bool host_console_is_terminal(void);

/* The kernel's messages of a verdict, and printf for the half that has no C library. */
void host_error_write(const char *buf, size_t len);
__attribute__((format(printf, 3, 0))) int host_format(char *buf, size_t size, const char *format, __builtin_va_list args);

/* ---- the rest ---- */

size_t host_entropy(void *buf, size_t len);
void host_cpu_model(char *buf, size_t size);

/* The simulator itself got a fatal signal (host_crash.c calls it, on the thread's alternate stack). */
_Noreturn void sim_crashed(const char *what, uintptr_t pc, uintptr_t fp, uintptr_t addr, const char *dump);

/* The machine is set up: continues as vCPU 0 in sim_main(), which is kernel_main() unless models run in its place. */
_Noreturn void sim_start(void);
extern void (*sim_main)(void);

#endif
