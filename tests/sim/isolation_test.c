/* SPDX-License-Identifier: MIT */
/*
 * A program that knows how stubs work and means ill: it jumps into the stub's code, writes its data, moves
 * its stack there. It must not get memory that its page tables do not give it, nor end the simulator; what it
 * may get is a page fault. Whatever it did, the next program in that stub runs as ever.
 */
#include "program.h"

#include <sim/host.h>

#define WANTED	   UINT64_C(0x600000) /* where it wants RAM to be */
#define SYS_MMAP   9
#define MAP_FLAGS  0x11 /* MAP_SHARED | MAP_FIXED */
#define CODE_SCAN  0x280
#define FAKE_ROUND 40
#define STUB_STOP  1000
#define GAINED	   77

PROGRAM(jump, "jmp *%rbx");
PROGRAM(
    exploit,
    "jmp *%r11\n .skip 61\n movabsq $0x600000, %rax\n movq (%rax), %rax\n movl $77, %eax\n syscall\n ud2\n");
PROGRAM(jump_stepping, "pushfq\n orl $0x100, (%rsp)\n popfq\n jmp *%rbx");
PROGRAM(peek, "movq (%rbx), %rax\n movl $1, %eax\n syscall");
PROGRAM(scribble,
	"movl $4096, %ecx\n movq %rdx, %rdi\n movq $-1, %rax\n rep stosq\n movl $1, %eax\n syscall\n"
	"movl $11, %eax\n syscall\n movq (%rbx), %rax\n movl $2, %eax\n syscall");
PROGRAM(bad_stack, "movq %rdx, %rsp\n movq (%rbx), %rax\n movl $1, %eax\n syscall\n ud2\n");

PROGRAM(lost_call, "movq %rdx, %rsp\n movl $39, %eax\n syscall\n movl $1, %eax\n syscall\n ud2\n");
PROGRAM(keep_secret, "movq %rdx, %xmm5\n movq %rdx, %r12\n movl $11, %eax\n syscall\n"
		     "1: cmpl $1, %ebx\n je 2f\n movl $39, %eax\n syscall\n jmp 1b\n 2: movq (%rdx), %rax\n");
PROGRAM(
    search,
    "1: movq (%rdx), %rax\n notq %rax\n cmpq %rax, %rsi\n je 2f\n addq $8, %rdx\n cmpq %rdi, %rdx\n jne 1b\n"
    "movl $1, %eax\n syscall\n 2: movl $2, %eax\n syscall");

/* The program has not, and cannot have, what it wanted; an honest one works. */
static void assert_nothing_gained(struct program *p)
{
	struct program honest;
	struct hal_exit exit;

	memcpy(map(p, CODE, HAL_PROT_READ | HAL_PROT_EXEC), peek, (size_t)(peek_end - peek));
	p->user.regs.rip = CODE;
	p->user.regs.rbx = WANTED;
	p->user.regs.rflags = X86_FLAG_ONE | X86_FLAG_IF;
	assert_int_equal(run(p, &exit), HAL_EXIT_FAULT);
	assert_int_equal(exit.addr, WANTED);

	PROGRAM_INIT(&honest, peek);
	honest.user.regs.rbx = WANTED;
	assert_fault(&honest, WANTED, HAL_ACCESS_READ);
	map(&honest, WANTED, HAL_PROT_READ);
	assert_call(&honest, 1);
	program_fini(&honest);
}

static void aim(struct program *p, uint64_t at, unsigned descriptor)
{
	struct hal_regs *r = &p->user.regs;

	map(p, DATA, HAL_PROT_READ | HAL_PROT_WRITE);
	r->rbx = at;
	r->rsp = DATA + PAGE_SIZE - 64;
	r->rax = SYS_MMAP;
	r->rdi = WANTED;
	r->rsi = PAGE_SIZE;
	r->rdx = HAL_PROT_READ | HAL_PROT_WRITE;
	r->r10 = MAP_FLAGS;
	r->r8 = descriptor;
	r->r9 = 0;
}

/* Runs what it can for some stops: calls are refused, faults end it. */
static void let_run(struct program *p)
{
	struct hal_exit exit;

	for (int i = 0; i < 4 && run(p, &exit) != HAL_EXIT_FAULT; i++)
		hal_abi_set_result(&p->user.regs, -1);
}

static void jump_everywhere(const char *code, const char *end)
{
	const unsigned descriptors[] = {0, (unsigned)host_ram_fd()};
	struct program p;

	for (uint64_t at = 0; at < CODE_SCAN; at++) {
		program_init(&p, code, end);
		aim(&p, SIM_STUB_CODE + at, descriptors[at % 2]);
		let_run(&p);
		assert_nothing_gained(&p);
		program_fini(&p);
	}
}

static void jumps_into_the_code_gain_nothing(void **state)
{
	(void)state;
	jump_everywhere(jump, jump_end);
}

static void single_steps_through_the_code_gain_nothing(void **state)
{
	(void)state;
	jump_everywhere(jump_stepping, jump_stepping_end);
}

/*
 * In earnest: registers such that behind a call the loop ends, and a frame of the program's own with which
 * rt_sigreturn(), if it were made, would lead back to the program with what the call has brought.
 */
static void an_exploit_gains_nothing(void **state)
{
	enum { CONTEXT = 0x200, GREGS = CONTEXT + 40, RSP = 15, RIP = 16, FLAGS = 17, SELECTORS = 18 };
	struct program p;
	struct hal_exit exit;

	(void)state;
	for (uint64_t at = 0; at < CODE_SCAN; at++) {
		uint64_t *data, *gregs;

		PROGRAM_INIT(&p, exploit);
		aim(&p, DATA, (unsigned)host_ram_fd());
		data = map(&p, DATA, HAL_PROT_READ | HAL_PROT_WRITE);
		data[0] = DATA + 64;	  /* struct stub_page: end, */
		data[1] = DATA + CONTEXT; /* frame */
		gregs = data + GREGS / 8;
		gregs[RSP] = DATA + PAGE_SIZE - 64;
		gregs[RIP] = CODE + 64;
		gregs[FLAGS] = X86_FLAG_ONE | X86_FLAG_IF;
		gregs[SELECTORS] = X86_USER_CS | (uint64_t)X86_USER_SS << 48;
		p.user.regs.r11 = SIM_STUB_CODE + at;
		p.user.regs.rbp = DATA;
		p.user.regs.r15 = DATA + 56;
		for (int i = 0; i < 4 && run(&p, &exit) != HAL_EXIT_FAULT; i++)
			assert_int_not_equal(p.user.regs.orig_rax, GAINED);
		assert_nothing_gained(&p);
		program_fini(&p);
	}
}

/* The handler's own call, with a frame and a signal of the program's invention. */
static void feigned_stops_gain_nothing(void **state)
{
	const uint64_t frames[] = {DATA, SIM_STUB_DATA + PAGE_SIZE, SIM_STUB_END - 8, SIM_STUB_DATA, 0};
	struct program p;

	(void)state;
	for (uint64_t at = 0; at < CODE_SCAN; at++) {
		program_init(&p, jump, jump_end);
		aim(&p, SIM_STUB_CODE + at, 0);
		p.user.regs.rax = STUB_STOP;
		p.user.regs.rdi = at % 3 == 0 ? 0 : SIGSEGV;
		p.user.regs.rsi = p.user.regs.rdx = frames[at % ARRAY_SIZE(frames)];
		let_run(&p);
		assert_nothing_gained(&p);
		program_fini(&p);
	}
}

/* "The host has no room", many times over, is no reason to give up the machine. */
static void feigned_failures_end_nothing(void **state)
{
	struct program p;

	(void)state;
	for (int i = 0; i < FAKE_ROUND; i++) {
		program_init(&p, jump, jump_end);
		aim(&p, SIM_STUB_CODE + 120 + (uint64_t)i * 4, 0);
		p.user.regs.rdi = 0;
		let_run(&p);
		program_fini(&p);
	}
}

static void scribbling_gains_nothing(void **state)
{
	struct program p;

	(void)state;
	for (uint64_t at = SIM_STUB_DATA; at < SIM_STUB_END; at += PAGE_SIZE / 2) {
		program_init(&p, scribble, scribble_end);
		aim(&p, WANTED, 0);
		p.user.regs.rdx = at;
		let_run(&p);
		assert_nothing_gained(&p);
		program_fini(&p);
	}
}

/* Where there is no room for a signal's frame the host kills the stub. */
static void stacks_in_the_stub_end_nothing(void **state)
{
	struct program p;

	(void)state;
	for (uint64_t at = SIM_STUB_CODE; at <= SIM_STUB_END; at += 512) {
		program_init(&p, bad_stack, bad_stack_end);
		aim(&p, WANTED, 0);
		p.user.regs.rdx = at;
		let_run(&p);
		assert_nothing_gained(&p);
		program_fini(&p);
	}
}

/* What one program had in its registers the next in the same stub does not find in the stub's data. */
static void registers_are_not_left_behind(void **state)
{
	const uint64_t secret = UINT64_C(0x5ec4e75ec4e0);
	enum hal_exit_kind kind;
	struct hal_exit exit;
	struct program p;

	(void)state;
	for (int calls = 0; calls < 3; calls++) {
		PROGRAM_INIT(&p, keep_secret);
		p.user.regs.rdx = secret;
		assert_call(&p, 11);
		hal_user_sync(&p.user);
		p.user.regs.rbx = calls == 2;
		if (calls == 1)
			assert_call(&p, 39);
		if (calls == 2)
			assert_fault(&p, secret, HAL_ACCESS_READ);
		program_fini(&p);
		PROGRAM_INIT(&p, search);
		p.user.regs.rsi = ~secret;
		p.user.regs.rdx = SIM_STUB_DATA;
		p.user.regs.rdi = SIM_STUB_END;
		kind = run(&p, &exit);
		assert_true(kind == HAL_EXIT_FAULT || p.user.regs.orig_rax == 1);
		program_fini(&p);
	}
}

/* It calls from where there is no room for a frame, and is switched away from: the next program does not
 * suffer. */
static void a_lost_stub_is_replaced(void **state)
{
	struct program p;
	struct hal_exit exit;

	(void)state;
	for (uint64_t at = SIM_STUB_DATA + PAGE_SIZE; at < SIM_STUB_END; at += 1024) {
		program_init(&p, lost_call, lost_call_end);
		aim(&p, WANTED, 0);
		p.user.regs.rdx = at;
		assert_call(&p, 39);
		hal_user_sync(&p.user);
		if (run(&p, &exit) == HAL_EXIT_SYSCALL)
			assert_int_equal(p.user.regs.orig_rax, 1);
		assert_nothing_gained(&p);
		program_fini(&p);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    UNIT_TEST(jumps_into_the_code_gain_nothing),
	    UNIT_TEST(single_steps_through_the_code_gain_nothing),
	    UNIT_TEST(an_exploit_gains_nothing),
	    UNIT_TEST(feigned_stops_gain_nothing),
	    UNIT_TEST(feigned_failures_end_nothing),
	    UNIT_TEST(scribbling_gains_nothing),
	    UNIT_TEST(stacks_in_the_stub_end_nothing),
	    UNIT_TEST(registers_are_not_left_behind),
	    UNIT_TEST(a_lost_stub_is_replaced),
	};

	return UNIT_MAIN(tests, 32, 1);
}
