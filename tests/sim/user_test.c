/* SPDX-License-Identifier: MIT */
/*
 * User mode in stub processes, below any process of the kernel: hand-made page tables, a page of code, and
 * what hal_user_run() says.
 */
#include "program.h"

#define SPACES 40 /* more than there are stubs */
_Static_assert(SPACES > SIM_STUBS_MAX, "some stub must be recycled");

PROGRAM(program_call, "1: movl $39, %eax\n syscall\n jmp 1b");
PROGRAM(program_touch,
	"movq (%rbx), %rdi\n movl $1, %eax\n syscall\n movq $7, (%rbx)\n movl $2, %eax\n syscall");
PROGRAM(program_write_first, "movq $7, (%rbx)\n movl $2, %eax\n syscall");
PROGRAM(program_jump, "jmp *%rbx");
PROGRAM(program_spin, "1: jmp 1b");
PROGRAM(program_trap, "int3\n ud2\n int $0x80\n xorl %ecx, %ecx\n divl %ecx");
PROGRAM(program_fpu, "movq %rdi, %xmm5\n1: movl $3, %eax\n syscall\n movq %xmm5, %rdi\n jmp 1b");
PROGRAM(program_kernel, "movq -8(%rsp), %rax");

static void system_calls_come_and_go(void **state)
{
	struct program p;

	(void)state;
	PROGRAM_INIT(&p, program_call);
	for (int i = 0; i < 100; i++) {
		assert_call(&p, 39);
		hal_abi_set_result(&p.user.regs, i);
	}
	assert_int_equal(p.user.regs.rcx, p.user.regs.rip);
	program_fini(&p);
}

static void faults_say_where_and_what(void **state)
{
	struct program p;

	(void)state;
	PROGRAM_INIT(&p, program_touch);
	assert_fault(&p, DATA, HAL_ACCESS_READ);
	map(&p, DATA, HAL_PROT_READ);
	assert_call(&p, 1);
	assert_fault(&p, DATA, HAL_ACCESS_WRITE); /* readable by now */
	map(&p, DATA, HAL_PROT_READ | HAL_PROT_WRITE);
	assert_call(&p, 2);
	program_fini(&p);

	PROGRAM_INIT(&p, program_write_first);
	assert_fault(&p, DATA, HAL_ACCESS_WRITE);
	program_fini(&p);

	PROGRAM_INIT(&p, program_jump);
	assert_fault(&p, DATA, HAL_ACCESS_EXEC);
	map(&p, DATA, HAL_PROT_READ | HAL_PROT_WRITE);
	assert_fault(&p, DATA, HAL_ACCESS_EXEC);
	program_fini(&p);
}

static void accessed_and_dirty_follow_the_program(void **state)
{
	struct program p;
	hal_pte_t *slot;

	(void)state;
	PROGRAM_INIT(&p, program_touch);
	map(&p, DATA, HAL_PROT_READ | HAL_PROT_WRITE);
	slot = slot_of(&p, DATA);
	assert_false(hal_pte_accessed(*slot));
	assert_call(&p, 1);
	assert_true(hal_pte_accessed(*slot));
	assert_false(hal_pte_dirty(*slot));
	assert_call(&p, 2);
	assert_true(hal_pte_dirty(*slot));
	assert_int_equal(*(uint64_t *)hal_phys_to_virt(hal_pte_paddr(*slot)), 7);
	program_fini(&p);
}

static void a_flush_takes_the_page_away(void **state)
{
	struct program p;
	hal_pte_t *slot, old;

	(void)state;
	PROGRAM_INIT(&p, program_touch);
	map(&p, DATA, HAL_PROT_READ | HAL_PROT_WRITE);
	assert_call(&p, 1);
	slot = slot_of(&p, DATA);
	old = *slot;
	hal_pte_set(slot, 0);
	hal_irq_disable();
	hal_tlb_flush_page(&p.as, DATA);
	hal_irq_enable();
	assert_fault(&p, DATA, HAL_ACCESS_WRITE);
	hal_pte_set(slot, old);
	assert_call(&p, 2);
	program_fini(&p);
}

static void traps_are_told_as_linux_does(void **state)
{
	struct program p;

	(void)state;
	PROGRAM_INIT(&p, program_trap);
	assert_trap(&p, SIGTRAP, SI_KERNEL);
	assert_trap(&p, SIGILL, ILL_ILLOPN);
	p.user.regs.rip += 2;
	assert_trap(&p, SIGSEGV, SI_KERNEL); /* int 0x80 is no way in */
	if (p.user.regs.rip == CODE + 3)
		p.user.regs.rip += 2;
	assert_trap(&p, SIGFPE, FPE_INTDIV);
	p.user.regs.rip = UINT64_C(1) << 63;
	assert_trap(&p, SIGSEGV, SI_KERNEL);
	program_fini(&p);
}

static void nothing_above_user_space_is_there(void **state)
{
	static const uaddr_t above[] = {SIM_STUB_END, UINT64_C(0x7fffffffe000)};
	struct program p;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(above); i++) {
		PROGRAM_INIT(&p, program_kernel);
		p.user.regs.rsp = above[i] + 8;
		assert_fault(&p, above[i], HAL_ACCESS_READ);
		program_fini(&p);
	}
	PROGRAM_INIT(&p, program_kernel);
	p.user.regs.rsp = SIM_DIRECT_MAP + 8;
	assert_fault(&p, SIM_DIRECT_MAP, HAL_ACCESS_READ);
	p.user.regs.fs_base = ~UINT64_C(0) << 47; /* the host does not take it */
	assert_trap(&p, SIGSEGV, SI_KERNEL);
	program_fini(&p);
}

static void the_timer_ends_a_loop(void **state)
{
	struct program p;
	struct hal_exit exit;
	uint64_t begin = hal_clock_ns();

	(void)state;
	PROGRAM_INIT(&p, program_spin);
	hal_irq_disable();
	hal_aspace_activate(&p.as);
	hal_timer_arm(begin + 2 * NSEC_PER_MSEC);
	assert_int_equal(hal_user_run(&p.user, &exit), HAL_EXIT_INTERRUPT);
	assert_true(hal_clock_ns() - begin >= 2 * NSEC_PER_MSEC);
	program_fini(&p);
}

static void threads_of_one_space_keep_their_fpu(void **state)
{
	struct program p;
	struct page *fpu = page_alloc(2, PAGE_ALLOC_ZERO);
	struct hal_user first;

	(void)state;
	PROGRAM_INIT(&p, program_fpu);
	p.user.regs.rdi = 1111;
	assert_call(&p, 3);
	hal_user_fork(&first, page_virt(fpu), &p.user);
	hal_user_save(&p.user);
	first = p.user;				/* the first thread, set aside */
	hal_user_init(&p.user, page_virt(fpu)); /* a second one in the same stub */
	p.user.regs.rip = CODE;
	p.user.regs.rdi = 2222;
	assert_call(&p, 3);
	hal_user_save(&p.user);
	p.user = first;
	p.user.fpu_stub = NULL; /* it lies elsewhere than it did */
	assert_call(&p, 3);
	assert_int_equal(p.user.regs.rdi, 1111);
	program_fini(&p);
	page_put(fpu);
}

static void more_spaces_than_stubs(void **state)
{
	static struct program programs[SPACES];

	(void)state;
	for (size_t i = 0; i < SPACES; i++) {
		PROGRAM_INIT(&programs[i], program_fpu);
		programs[i].user.regs.rdi = i;
	}
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < SPACES; i++) {
			assert_call(&programs[i], 3);
			assert_int_equal(programs[i].user.regs.rdi, i);
			hal_irq_disable();
			hal_user_save(&programs[i].user);
			hal_irq_enable();
		}
	}
	for (size_t i = 0; i < SPACES; i++)
		program_fini(&programs[i]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    UNIT_TEST(system_calls_come_and_go),
	    UNIT_TEST(faults_say_where_and_what),
	    UNIT_TEST(accessed_and_dirty_follow_the_program),
	    UNIT_TEST(a_flush_takes_the_page_away),
	    UNIT_TEST(traps_are_told_as_linux_does),
	    UNIT_TEST(nothing_above_user_space_is_there),
	    UNIT_TEST(the_timer_ends_a_loop),
	    UNIT_TEST(threads_of_one_space_keep_their_fpu),
	    UNIT_TEST(more_spaces_than_stubs),
	};

	return UNIT_MAIN(tests, 32, 1);
}
