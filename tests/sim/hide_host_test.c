/* SPDX-License-Identifier: MIT */
/* With the host hidden programs see the machine's processor and time, whatever the host has. */
#include "program.h"

#include <hal/abi.h>
#include <hal/boot.h>
#include <sim/host.h>

PROGRAM(ask, "1: movl %edi, %eax\n xorl %ecx, %ecx\n cpuid\n movl %eax, %r12d\n movl %ebx, %r13d\n"
	     "movl %ecx, %r14d\n movl %edx, %r15d\n movl $11, %eax\n syscall\n jmp 1b");
PROGRAM(count,
	"1: rdtsc\n shlq $32, %rdx\n orq %rdx, %rax\n movq %rax, %rdi\n movl $1, %eax\n syscall\n jmp 1b");
PROGRAM(step, "pushfq\n orl $0x100, (%rsp)\n popfq\n rdtsc\n nop");
PROGRAM(count_and_cpu, "rdtscp");
PROGRAM(old_time, "movq $-10484736, %rax\n xorl %edi, %edi\n call *%rax"); /* vsyscall: time() */

/* By the program itself, or, on a host that lets CPUID through, as if it had faulted. */
static void assert_cpuid(struct program *p, uint32_t leaf, uint32_t eax, uint32_t ebx, uint32_t ecx,
			 uint32_t edx)
{
	struct hal_regs *r = &p->user.regs;

	r->rdi = leaf;
	if (!sim_machine.hide_cpu) {
		r->rax = leaf;
		r->rcx = 0;
		r->rip = CODE + 4;
		assert_int_equal(sim_emulate(r, &p->as), SIM_EMULATED);
		assert_int_equal(r->rip, CODE + 6);
		assert_true(r->rax == eax && r->rbx == ebx && r->rcx == ecx && r->rdx == edx);
		return;
	}
	assert_call(p, 11);
	hal_user_sync(&p->user);
	assert_int_equal(p->user.regs.r12, eax);
	assert_int_equal(p->user.regs.r13, ebx);
	assert_int_equal(p->user.regs.r14, ecx);
	assert_int_equal(p->user.regs.r15, edx);
}

static void the_processor_is_ours(void **state)
{
	struct program p;

	(void)state;
	PROGRAM_INIT(&p, ask);
	assert_cpuid(&p, 0, 7, 0x756e6547, 0x6c65746e, 0x49656e69);
	assert_cpuid(&p, 1, 0x6f1, 0x10800, 0x80982201, 0x078bfbff);
	assert_cpuid(&p, 4, 0x121, 0x01c0003f, 63, 0); /* subleaf 0: the L1 data cache */
	assert_cpuid(&p, 7, 0, 0, 0, 0);
	assert_cpuid(&p, 0x80000001, 0, 0, 1, 0x20100800);
	assert_cpuid(&p, 0x12345678, 0, 0, 0, 0);
	program_fini(&p);
}

static void the_counter_is_our_clock(void **state)
{
	struct program p;

	(void)state;
	PROGRAM_INIT(&p, count);
	for (int i = 0; i < 10; i++) {
		uint64_t before = hal_clock_ns();

		assert_call(&p, 1);
		assert_true(p.user.regs.rdi >= before);
		assert_true(p.user.regs.rdi <= hal_clock_ns());
	}
	program_fini(&p);
	PROGRAM_INIT(&p, count_and_cpu);
	assert_trap(&p, SIGILL, ILL_ILLOPN);
	program_fini(&p);
}

static void an_emulated_instruction_is_one_step(void **state)
{
	struct program p;

	(void)state;
	PROGRAM_INIT(&p, step);
	map(&p, DATA, HAL_PROT_READ | HAL_PROT_WRITE);
	p.user.regs.rsp = DATA + PAGE_SIZE - 8;
	assert_trap(&p, SIGTRAP, TRAP_TRACE);
	assert_int_equal(p.user.regs.rip, CODE + (size_t)(step_end - step) - 1);
	program_fini(&p);
}

static void there_is_no_vsyscall_page(void **state)
{
	struct program p;

	(void)state;
	PROGRAM_INIT(&p, old_time);
	map(&p, DATA, HAL_PROT_READ | HAL_PROT_WRITE);
	p.user.regs.rsp = DATA + PAGE_SIZE - 8;
	assert_fault(&p, UINT64_C(0xffffffffff600400), HAL_ACCESS_EXEC);
	program_fini(&p);
}

static const char *find(const char *text, const char *what)
{
	size_t len = strlen(what);

	for (; *text; text++) {
		if (strncmp(text, what, len) == 0)
			return text;
	}
	return NULL;
}

static void what_the_kernel_says_agrees(void **state)
{
	static char text[4096];
	bool hidden = sim_machine.hide_cpu;

	(void)state;
	sim_machine.hide_cpu = true;
	text[hal_cpuinfo(0, text, sizeof(text) - 1)] = 0;
	assert_string_equal(hal_cpu_model(), "CloudOS simulated processor");
	assert_non_null(find(text, "model name\t: CloudOS simulated processor\n"));
	assert_non_null(find(text, "sse4_2"));
	assert_null(find(text, "avx"));
	assert_null(find(text, "rdrand"));
	assert_int_equal(hal_abi_hwcap2(), 0);
	sim_machine.hide_cpu = hidden;
	if (!hidden)
		return; /* it was asked before */
	assert_int_equal(x86_fpu_size(), 512);
	assert_int_equal(x86_fpu_features(), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    UNIT_TEST(the_processor_is_ours),
	    UNIT_TEST(the_counter_is_our_clock),
	    UNIT_TEST(an_emulated_instruction_is_one_step),
	    UNIT_TEST(there_is_no_vsyscall_page),
	    UNIT_TEST(what_the_kernel_says_agrees),
	};

	unit_machine = (struct unit_machine){.memory_mib = 32, .cpus = 1, .hide_host = true};
	return cmocka_run_group_tests_name(__FILE__, tests, unit_group_setup, NULL);
}
