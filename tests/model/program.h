/* SPDX-License-Identifier: MIT */
/*
 * User programs for models, written as plain C functions.
 *
 *   static void program(uint64_t arg) { ... user_call(SYS_getpid) ...; user_fork(child, 7); user_exit(0); }
 *   static void run(void) { programs_run(program); }
 *   MODEL_DEFINE(foo, .prepare = programs_prepare, .run = run, ...);
 *
 * The kernel sees real processes: made by execve, fork and clone, with page tables, signal frames on their stacks and
 * restarted calls. What their code would do is done by the function, which runs on a stack of the host's; it keeps
 * its variables there, so they are its own and never shared or copied. User memory is what user_load() and its like reach, through
 * a TLB (sim/soft.h). Each call and each access is a scheduling point; between two of them a function is alone in the world, so
 * references may live in plain variables of the model.
 *
 * Process 1 is a script too. It starts the model's program as its child, and when that one has ended it kills and reaps whatever is
 * left. So a program may die at any moment (for want of memory, under memory faults), and nothing but the check of what is left over
 * is left to do. What must hold in the end, the program checks itself: see programs_ended_well().
 *
 * A function is abandoned where it stands when its thread is killed; nothing of it runs any more.
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#include "model.h"

#include <asm/unistd.h>
#include <hal/types.h>

typedef void (*user_fn)(uint64_t arg);
typedef void (*user_handler)(int signo, uaddr_t info, uaddr_t context);

/* ---- for the model's thread ---- */

/* MODEL's .prepare: process 1 exists and sleeps. */
void programs_prepare(void);

/* Runs fn(0) as a process; returns when no process but the first is left. */
void programs_run(user_fn fn);

/* True if fn, or a process that took its place, came to its end: user_finished() was called. */
bool programs_ended_well(void);

/* True if memory may be wanting in this run, so that a program may have died of it at any time. */
bool programs_may_die(void);

/* ---- for programs ---- */

/* One page of text, zeros but for its head: only the addresses count. Accesses of memory are made at USER_ACCESS_PC. */
#define USER_TEXT      UINT64_C(0x400000)
#define USER_ACCESS_PC (USER_TEXT + 0x200)

#define USER_GLOBALS	  UINT64_C(0x10000000) /* zeroed memory, private to the process (copied in fork) */
#define USER_GLOBALS_SIZE UINT64_C(0x100000)
#define USER_FREE	  UINT64_C(0x200000000) /* from here on to USER_FREE_END nothing is mapped by itself */
#define USER_FREE_END	  UINT64_C(0x300000000)

/* A system call: its result. Runs handlers on the way, and makes it again if the kernel wants so. */
int64_t user_syscall(uint64_t number, const uint64_t args[6]);
#define user_call(number, ...) user_syscall(number, (const uint64_t[6]){__VA_ARGS__})

/*
 * Accesses of aligned words. user_try_... give false where the memory cannot be reached (user_catch_faults() was called
 * by the process; else it dies). The others take that for a fault that the model has found.
 */
bool user_try_load(uaddr_t addr, uint64_t *ret);
bool user_try_store(uaddr_t addr, uint64_t value);
bool user_try_cmpxchg(uaddr_t addr, uint64_t *expected, uint64_t value, bool *ret_done);
uint64_t user_load(uaddr_t addr);
void user_store(uaddr_t addr, uint64_t value);
uint32_t user_load32(uaddr_t addr);
void user_store32(uaddr_t addr, uint32_t value);
/* The value that was there; it is `value` now if that was `expected`. */
uint32_t user_cmpxchg32(uaddr_t addr, uint32_t expected, uint32_t value);
uint32_t user_swap32(uaddr_t addr, uint32_t value);
void user_write(uaddr_t addr, const void *from, size_t len); /* addr and len: multiples of 8 */
void user_read(void *to, uaddr_t addr, size_t len);

/* 512 bytes of the running thread's own, for what calls point at; another piece inside a handler. */
uaddr_t user_scratch(void);

/* A new process, which runs fn(arg) and then exits with 0: its id, or an errno. */
int64_t user_fork(user_fn fn, uint64_t arg);

/* clone(2): with CLONE_VM it gets a stack of its own. tid: for CLONE_PARENT_SETTID, CLONE_CHILD_SETTID and CLONE_CHILD_CLEARTID. */
int64_t user_clone(uint64_t flags, uaddr_t tid, user_fn fn, uint64_t arg);

#define USER_THREAD (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)

_Noreturn void user_exit(int status);	  /* of the process */
_Noreturn void user_exit_thread(int status);

/* sigaction(2): `fn` null: the default. flags: SA_*, mask: bit signo - 1. 0 or an errno. */
int64_t user_action(int signo, user_handler fn, uint64_t flags, uint64_t mask);
int64_t user_ignore(int signo);

/* Handlers for SIGSEGV and SIGBUS that let user_try_... return; children inherit them. */
void user_catch_faults(void);

/* Changes the signal mask (SIG_BLOCK, ...): 0 or an errno. */
int64_t user_mask(int how, uint64_t set);

/* Binds the running thread to CPUs as the frame does with workers. */
void user_place(unsigned worker);

/* The stack pointer; and makes all pages of the stack the process's own, so that no handler dies for want of one. */
uaddr_t user_stack_pointer(void);
void user_prepare_stack(void);

/* How often the kernel has sent the running thread elsewhere from an access, as it does out of a restartable sequence. */
unsigned user_diversions(void);

/* A number for the running thread that no other one of the run ever has. */
unsigned user_number(void);

/* The model's program has checked everything. */
void user_finished(void);

#endif
