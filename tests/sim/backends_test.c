/* SPDX-License-Identifier: MIT */
/*
 * Both ways to run user programs stop at the same places, for the same reasons, with the same registers. Each
 * program here is played under both; where it stops, the test does what a kernel might, and writes down what
 * it saw.
 */
#include "program.h"

#include <sim/host.h>

#define STOPS_MAX  16
#define DATA_PA(p) hal_virt_to_phys((p)->data)

/* As the host's struct user_regs_struct. */
struct host_regs {
	struct hal_regs r;
	uint64_t selectors[4];
};

struct seen {
	struct sim_stop stop;
	struct host_regs regs;
};

struct play {
	struct host_stub *stub;
	struct page *pages;
	void *code, *data;
	struct seen seen[STOPS_MAX];
	size_t count;
};

/*
 * Programs at CODE; rbx holds DATA, which may be read and written. After a fault or trap the program goes on
 * at the address in rbp (or stops for good when that is 0), after SIGTRAP where it is.
 */
#define NEXT(label) "leaq " label "(%rip), %rbp\n"

/* clang-format off */
PROGRAM(calls,
	"movl $39, %eax\n syscall\n"
	"movq $-1, %rax\n syscall\n"
	"movabsq $0x100000027, %rax\n syscall\n" /* the upper half does not count */
	"movl $0x40000027, %eax\n syscall\n"	 /* x32 */
	"movl $11, %eax\n syscall\n"
	"movl $15, %eax\n syscall\n"
	"movl $56, %eax\n movq %rsp, %r15\n syscall\n"
	"std\n stc\n movl $1000, %eax\n syscall\n"
	"cld\n syscall\n");
PROGRAM(traps,
	NEXT("1f") "int3\n ud2\n"
	"1:" NEXT("2f") "hlt\n"
	"2:" NEXT("3f") "xorl %ecx, %ecx\n divl %ecx\n"
	"3:" NEXT("4f") ".byte 0xf1\n nop\n"
	"4:" NEXT("5f") "movabsq $0x8000000000000000, %rax\n movq (%rax), %rax\n"
	"5: movl $1, %eax\n syscall\n");
PROGRAM(steps,
	"pushfq\n orl $0x100, (%rsp)\n popfq\n nop\n"
	"movl $39, %eax\n syscall\n nop\n"
	"movl $11, %eax\n syscall\n nop\n nop\n");
PROGRAM(faults,
	NEXT("1f") "movq 0x100000, %rax\n"
	"1:" NEXT("2f") "movq %rax, 0x400000\n"
	"2:" NEXT("3f") "jmp *%rbx\n"
	"3:" NEXT("4f") "movl $0x100000, %eax\n jmp *%rax\n"
	"4: movabsq $0x8000000000000000, %rax\n" NEXT("5f") "jmp *%rax\n"
	"5:" NEXT("6f") "pushq $0\n popq %rsp\n pushq %rax\n"
	"6: movl $2, %eax\n syscall\n");
PROGRAM(old_calls,
	NEXT("1f") "movl $20, %eax\n int $0x80\n"
	"1: movl $39, %eax\n syscall\n"
	"movl $11, %eax\n int $0x80\n"
	"movl $39, %eax\n syscall\n");
PROGRAM(narrow,
	"pushq $0x23\n leaq 1f(%rip), %rax\n pushq %rax\n lretq\n"
	"1: .code32\n movl $20, %eax\n int $0x80\n movl $39, %eax\n int $0x80\n xorl %ebp, %ebp\n ud2\n .code64\n");
PROGRAM(bases,
	"movl $1, %eax\n syscall\n"
	"wrfsbase %rbx\n leaq 64(%rbx), %rax\n wrgsbase %rax\n movl $2, %eax\n syscall\n"
	"movq $77, %fs:8\n movq %fs:8, %r12\n movl $3, %eax\n syscall\n"
	"movl $11, %eax\n syscall\n");
PROGRAM(flags,
	"pushfq\n orl $0x40000, (%rsp)\n popfq\n movl $1, %eax\n syscall\n" /* alignment check */
	NEXT("1f") "movq 1(%rbx), %rax\n"
	"1: pushfq\n andl $~0x40000, (%rsp)\n popfq\n"
	"movl $0x2b, %eax\n movl %eax, %ds\n movl %eax, %es\n movl $2, %eax\n syscall\n");
PROGRAM(vsyscall,
	NEXT("1f") "movq $-10485760, %rax\n xorl %edi, %edi\n call *%rax\n"
	"1: movl $1, %eax\n syscall\n");
PROGRAM(floats,
	NEXT("1f") "pushq $0x37b\n fldcw (%rsp)\n fldz\n fld1\n fdivp\n fwait\n"
	"1: fninit\n movl $1, %eax\n syscall\n"
	NEXT("2f") "movl $0x1d80, (%rsp)\n ldmxcsr (%rsp)\n xorps %xmm0, %xmm0\n divss %xmm0, %xmm0\n"
	"2: movl $0x1f80, (%rsp)\n ldmxcsr (%rsp)\n movl $2, %eax\n syscall\n");
/* clang-format on */

static struct host_stub *stubs[64]; /* they live as long as this thread */
static size_t stub_count;

static void begin(struct play *p, const char *code, const char *end)
{
	p->pages = page_alloc(1, PAGE_ALLOC_ZERO);
	assert_non_null(p->pages);
	p->stub = stubs[stub_count++] = host_stub_create();
	assert_non_null(p->stub);
	p->code = page_virt(p->pages);
	p->data = (char *)p->code + PAGE_SIZE;
	memcpy(p->code, code, (size_t)(end - code));
	host_stub_map(p->stub, CODE, PAGE_SIZE, hal_virt_to_phys(p->code), HAL_PROT_READ | HAL_PROT_EXEC);
	host_stub_map(p->stub, DATA, PAGE_SIZE, DATA_PA(p), HAL_PROT_READ | HAL_PROT_WRITE);
}

/* What a kernel might do at a stop; false at the end. */
static bool go_on(struct play *p, const struct sim_stop *stop, struct host_regs *regs)
{
	if (stop->kind == SIM_STOP_SYSCALL) {
		regs->r.rax = 100 + p->count;
		if (p->count % 2 == 0)
			return true;
		regs->r.r12 += p->count; /* more than a result */
		regs->r.fs_base = regs->r.fs_base ? regs->r.fs_base : 0x1000 * p->count;
		return true;
	}
	if (stop->kind != SIM_STOP_SIGNAL)
		return false;
	if (stop->signo != SIGTRAP)
		regs->r.rip = regs->r.rbp;
	if (!(regs->r.rsp - DATA < PAGE_SIZE))
		regs->r.rsp = DATA + PAGE_SIZE - 64;
	return regs->r.rip - CODE < PAGE_SIZE;
}

static void play(struct play *p)
{
	struct host_regs regs = {.r = {.rip = CODE,
				       .rbx = DATA,
				       .rsp = DATA + PAGE_SIZE - 64,
				       .rcx = 11,
				       .rdx = 12,
				       .rsi = 13,
				       .rdi = 14,
				       .r8 = 15,
				       .r9 = 16,
				       .r10 = 17,
				       .r11 = 18,
				       .r13 = 20,
				       .r14 = 21,
				       .cs = X86_USER_CS,
				       .ss = X86_USER_SS,
				       .rflags = X86_FLAG_ONE | X86_FLAG_IF,
				       .orig_rax = ~UINT64_C(0)}};
	bool partial = false;

	while (p->count < STOPS_MAX) {
		struct seen *seen = &p->seen[p->count];

		host_stub_run(p->stub, &regs, partial, &seen->stop);
		partial = seen->stop.partial;
		if (seen->stop.kind == SIM_STOP_KICK)
			continue;
		if (partial && p->count % 3 != 0) {
			host_stub_complete(p->stub, &regs);
			partial = false;
		}
		seen->stop.partial = partial;
		seen->regs = regs;
		if (p->count++ % 3 == 0 && seen->stop.kind == SIM_STOP_SYSCALL) {
			regs.r.rax = 100 + p->count; /* a result and no more */
			continue;
		}
		if (!go_on(p, &seen->stop, &regs))
			break;
	}
}

static const char *const names[] = {"r15", "r14", "r13", "r12", "rbp", "rbx", "r11",	  "r10", "r9",
				    "r8",  "rax", "rcx", "rdx", "rsi", "rdi", "orig_rax", "rip", "cs",
				    "flg", "rsp", "ss",	 "fs",	"gs",  "DS",  "ES",	  "FS",	 "GS"};

/* Of the registers, those that a partial stop tells. */
static bool told(const char *name, bool partial)
{
	static const char *const passed[] = {"rax", "rcx", "rip", "orig_rax", "rdi", "rsi",
					     "rdx", "r10", "r8",  "r9",	      "cs",  "ss"};

	for (size_t i = 0; partial && i < ARRAY_SIZE(passed); i++) {
		if (str_equal(name, passed[i]))
			return true;
	}
	return !partial;
}

static void compare(const struct seen *a, const struct seen *b, size_t number)
{
	const uint64_t *ra = (const uint64_t *)&a->regs, *rb = (const uint64_t *)&b->regs;
	bool partial = a->stop.partial || b->stop.partial;

	if (a->stop.kind != b->stop.kind || a->stop.signo != b->stop.signo || a->stop.code != b->stop.code ||
	    a->stop.addr != b->stop.addr)
		fail_msg("stop %zu: kind %d, signal %d, code %d, address %#lx; by ptrace %d, %d, %d, %#lx",
			 number, a->stop.kind, a->stop.signo, a->stop.code, (unsigned long)a->stop.addr,
			 b->stop.kind, b->stop.signo, b->stop.code, (unsigned long)b->stop.addr);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (ra[i] != rb[i] && told(names[i], partial))
			fail_msg("stop %zu: %s is %#lx, by ptrace %#lx", number, names[i],
				 (unsigned long)ra[i], (unsigned long)rb[i]);
	}
}

static void both(const char *code, const char *end)
{
	static struct play fast, slow;

	if (host_stub_seccomp_lacks())
		skip();
	memset(&fast, 0, sizeof(fast));
	memset(&slow, 0, sizeof(slow));
	host_stub_use("seccomp");
	begin(&fast, code, end);
	play(&fast);
	host_stub_use("ptrace");
	begin(&slow, code, end);
	play(&slow);
	for (size_t i = 0; i < fast.count && i < slow.count; i++)
		compare(&fast.seen[i], &slow.seen[i], i);
	assert_int_equal(fast.count, slow.count);
	assert_true(fast.count > 1);
	assert_memory_equal(fast.data, slow.data, PAGE_SIZE);
	page_put(fast.pages);
	page_put(slow.pages);
}

#define SAME(name)                                                                                           \
	static void same_##name(void **state)                                                                \
	{                                                                                                    \
		(void)state;                                                                                 \
		both(name, name##_end);                                                                      \
	}

SAME(calls)
SAME(traps)
SAME(steps)
SAME(faults)
SAME(old_calls)
SAME(narrow)
SAME(bases)
SAME(flags)
SAME(vsyscall)
SAME(floats)

/* ---- FPU areas: what is set is there, what is not counted as present is initial ---- */

#define LEGACY	 512u
#define SOFTWARE 464u /* bytes that mean nothing to the processor, from there to the end of the legacy part  \
		       */
#define XMM5	(160u + 5 * 16)
#define FPU_MAX (PAGE_SIZE << 2)

PROGRAM(vectors,
	"movq %xmm5, %r12\n movl $11, %eax\n syscall\n movq %rbx, %xmm5\n movl $11, %eax\n syscall\n");

static void run_to_call(struct play *p, struct host_regs *regs)
{
	struct sim_stop stop;

	do
		host_stub_run(p->stub, regs, false, &stop);
	while (stop.kind == SIM_STOP_KICK);
	assert_int_equal(stop.kind, SIM_STOP_SYSCALL);
	if (stop.partial)
		host_stub_complete(p->stub, regs);
}

/* Loads `area`, lets the program look, and returns what is in `ret` behind its change. */
static uint64_t through(const char *how, const uint8_t *area, size_t len, uint8_t *ret)
{
	struct host_regs regs = {.r = {.rip = CODE,
				       .rbx = DATA,
				       .cs = X86_USER_CS,
				       .ss = X86_USER_SS,
				       .rflags = X86_FLAG_ONE | X86_FLAG_IF}};
	struct play p;
	uint64_t saw;

	host_stub_use(how);
	begin(&p, vectors, vectors_end);
	assert_int_equal(host_stub_set_fpu(p.stub, area, len), 0);
	run_to_call(&p, &regs);
	saw = regs.r.r12;
	run_to_call(&p, &regs);
	assert_int_equal(host_stub_get_fpu(p.stub, ret, len), 0);
	page_put(p.pages);
	return saw;
}

static void fpu_areas_come_and_go(void **state)
{
	static uint8_t area[FPU_MAX] __attribute__((aligned(64))), fast[FPU_MAX], slow[FPU_MAX];
	const size_t sizes[] = {x86_fpu_size(), LEGACY};
	const uint64_t value = 0x1122334455667788, changed = DATA;

	(void)state;
	if (host_stub_seccomp_lacks())
		skip();
	for (size_t i = 0; i < 4; i++) {
		size_t len = sizes[i / 2];
		bool present = i % 2 == 0;
		uint64_t want = present || len == LEGACY ? value : 0;

		x86_fpu_init_area(area);
		memcpy(area + XMM5, &value, sizeof(value));
		area[LEGACY] = present ? 3 : 0;
		memset(fast, 0, sizeof(fast));
		memset(slow, 0, sizeof(slow));
		assert_int_equal(through("seccomp", area, len, fast), want);
		assert_int_equal(through("ptrace", area, len, slow), want);
		assert_memory_equal(fast, slow, SOFTWARE);
		assert_memory_equal(fast + XMM5, &changed, sizeof(changed));
		assert_memory_equal(fast + 576, slow + 576, sizeof(fast) - 576);
	}
	area[LEGACY] = 3;
	area[24] = area[25] = area[26] = 0xff; /* MXCSR */
	host_stub_use("seccomp");
	assert_true(host_stub_set_fpu(stubs[stub_count - 2], area, x86_fpu_size()) < 0);
	assert_true(host_stub_set_fpu(stubs[stub_count - 1], area, x86_fpu_size()) < 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    UNIT_TEST(same_calls),
	    UNIT_TEST(same_traps),
	    UNIT_TEST(same_steps),
	    UNIT_TEST(same_faults),
	    UNIT_TEST(same_old_calls),
	    UNIT_TEST(same_narrow),
	    UNIT_TEST(same_bases),
	    UNIT_TEST(same_flags),
	    UNIT_TEST(same_vsyscall),
	    UNIT_TEST(same_floats),
	    UNIT_TEST(fpu_areas_come_and_go),
	};

	return UNIT_MAIN(tests, 32, 1);
}
