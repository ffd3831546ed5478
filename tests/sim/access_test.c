/* SPDX-License-Identifier: MIT */
/*
 * The decoder of faulting instructions against the processor: each instruction below runs here on an address
 * that faults, the host's kernel tells by the error code whether it was a write, and the decoder must agree.
 * (For instructions not in its list it says read, which costs time; a read that it called a write would kill
 * a program.)
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <cmocka.h>

#include <sim/user.h>

#define ERROR_WRITE 2 /* of the page-fault error code */
#define INSN_MAX    15

/*
 * Writes that the decoder must know, and reads. rdi and rbx hold the faulting address, rsi a good one, rcx 1.
 */
#define INSTRUCTIONS(X)                                                                                      \
	X("movq %rax, (%rbx)")                                                                               \
	X("movl %eax, 8(%rbx)")                                                                              \
	X("movb $1, (%rbx)")                                                                                 \
	X("movw $1, 4(%rbx)")                                                                                \
	X("movq $-1, 16(%rbx,%rcx,1)")                                                                       \
	X("addq %rax, (%rbx)")                                                                               \
	X("addl $1, (%rbx)")                                                                                 \
	X("orb $1, (%rbx)")                                                                                  \
	X("incl (%rbx)")                                                                                     \
	X("negq (%rbx)")                                                                                     \
	X("shlq $3, (%rbx)")                                                                                 \
	X("xchgq %rax, (%rbx)")                                                                              \
	X("lock xaddl %eax, (%rbx)")                                                                         \
	X("lock cmpxchgq %rcx, (%rbx)")                                                                      \
	X("lock btsq $3, (%rbx)")                                                                            \
	X("sete (%rbx)")                                                                                     \
	X("stosq")                                                                                           \
	X("rep stosb")                                                                                       \
	X("movsq")                                                                                           \
	X("rep movsb")                                                                                       \
	X("movups %xmm0, (%rbx)")                                                                            \
	X("movaps %xmm0, (%rbx)")                                                                            \
	X("movdqu %xmm0, (%rbx)")                                                                            \
	X("movdqa %xmm0, (%rbx)")                                                                            \
	X("movntdq %xmm0, (%rbx)")                                                                           \
	X("movnti %rax, (%rbx)")                                                                             \
	X("movq %xmm0, (%rbx)")                                                                              \
	X("movd %xmm0, (%rbx)")                                                                              \
	X("movss %xmm0, (%rbx)")                                                                             \
	X("movsd %xmm0, (%rbx)")                                                                             \
	X("movhps %xmm0, (%rbx)")                                                                            \
	X("pextrd $1, %xmm0, (%rbx)")                                                                        \
	X("fstps (%rbx)")                                                                                    \
	X("fnstcw (%rbx)")                                                                                   \
	X("fistpl (%rbx)")                                                                                   \
	X("stmxcsr (%rbx)")                                                                                  \
	X("fxsave64 (%rbx)")                                                                                 \
	X("popq (%rbx)")                                                                                     \
	X("movq (%rbx), %rax")                                                                               \
	X("movzbl (%rbx), %eax")                                                                             \
	X("movslq (%rbx), %rax")                                                                             \
	X("addq (%rbx), %rax")                                                                               \
	X("cmpq %rax, (%rbx)")                                                                               \
	X("cmpb $1, (%rbx)")                                                                                 \
	X("cmpl $1, (%rbx)")                                                                                 \
	X("testb $1, (%rbx)")                                                                                \
	X("testq %rax, (%rbx)")                                                                              \
	X("mull (%rbx)")                                                                                     \
	X("imulq $3, (%rbx), %rax")                                                                          \
	X("btq $3, (%rbx)")                                                                                  \
	X("pushq (%rbx)")                                                                                    \
	X("callq *(%rbx)")                                                                                   \
	X("cmovzq (%rbx), %rax")                                                                             \
	X("xchgq %rsi, %rdi; lodsq")                                                                         \
	X("scasb")                                                                                           \
	X("movups (%rbx), %xmm0")                                                                            \
	X("movdqa (%rbx), %xmm0")                                                                            \
	X("movq (%rbx), %xmm0")                                                                              \
	X("movd (%rbx), %xmm0")                                                                              \
	X("pcmpeqb (%rbx), %xmm0")                                                                           \
	X("pinsrd $1, (%rbx), %xmm0")                                                                        \
	X("cvtsi2sdl (%rbx), %xmm0")                                                                         \
	X("flds (%rbx)")                                                                                     \
	X("fldcw (%rbx)")                                                                                    \
	X("ldmxcsr (%rbx)")                                                                                  \
	X("prefetcht0 (%rsi); movb (%rbx), %al")

/* Each as a function of its own, and their addresses in a table. */
#define SNIPPET(text)                                                                                        \
	__asm__(".pushsection .text\n1: " text "\n ret\n.popsection\n"                                       \
		".pushsection snippets, \"a\"\n.quad 1b\n.popsection");
INSTRUCTIONS(SNIPPET)
extern const uint64_t __start_snippets[];

static const char *const texts[] = {
#define TEXT(text) text,
    INSTRUCTIONS(TEXT)
#undef TEXT
};
#define COUNT (sizeof(texts) / sizeof(texts[0]))

static sigjmp_buf back;
static bool wrote, guess;
static char good[64] __attribute__((aligned(16)));

static void on_fault(int signo, siginfo_t *info, void *context)
{
	const greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
	const struct hal_regs regs = {
	    .rip = (uint64_t)g[REG_RIP],
	    .rsp = (uint64_t)g[REG_RSP],
	    .rdi = (uint64_t)g[REG_RDI],
	    .rsi = (uint64_t)g[REG_RSI],
	};

	(void)signo;
	wrote = g[REG_ERR] & ERROR_WRITE;
	guess = sim_insn_writes((const uint8_t *)regs.rip, INSN_MAX, &regs, (uintptr_t)info->si_addr);
	siglongjmp(back, 1);
}

/* Runs snippet i on an address that faults; true if it did. */
static bool faults(size_t i, char *bad)
{
	uint64_t code = __start_snippets[i];

	if (sigsetjmp(back, 1))
		return true;
	__asm__ volatile("subq $256, %%rsp\n\tmovq %%rdx, %%rbx\n\tmovq %%rdx, %%rdi\n\tmovl $1, %%ecx\n\t"
			 "call *%%rax\n\taddq $256, %%rsp"
			 : "+a"(code), "+d"(bad)
			 : "S"(good)
			 : "rbx", "rcx", "rdi", "xmm0", "memory", "cc");
	return false;
}

static void check(size_t i, char *bad)
{
	assert_true(faults(i, bad));
	if (wrote != guess)
		print_error("%s: the processor says %s\n", texts[i], wrote ? "write" : "read");
	assert_int_equal(guess, wrote);
}

static char *page_with(int protection)
{
	char *page = mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(page, MAP_FAILED);
	return page;
}

/*
 * First a page that is not there, then, for those that write, one that may be read: there read-modify-write
 * might differ.
 */
static void agrees_with_the_processor(void **state)
{
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
	char *missing = page_with(PROT_NONE), *readable = page_with(PROT_READ);
	struct sigaction before;
	size_t writes = 0;

	(void)state;
	sigaction(SIGSEGV, &action, &before);
	for (size_t i = 0; i < COUNT; i++) {
		check(i, missing);
		if (!wrote)
			continue;
		writes++;
		check(i, readable);
	}
	sigaction(SIGSEGV, &before, NULL);
	munmap(missing, 4096);
	munmap(readable, 4096);
	assert_true(writes > 30);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_the_processor)};

	return cmocka_run_group_tests_name("sim/access", tests, NULL, NULL);
}
