/* SPDX-License-Identifier: MIT */
/*
 * The processor that programs see when the host is hidden (sim_machine.hide_host): CPUID and RDTSC fault in
 * the stubs then, and are answered here. A program run twice, on two hosts, reads the same. On a host whose
 * processor cannot make CPUID fault (sim_machine.hide_cpu is false) programs choose their instructions by
 * what the host has, so the kernel must go by that too, FPU state above all; then only time is hidden.
 *
 * The processor is the psABI's x86-64-v2 under a name of its own: SSE4.2, POPCNT, no XSAVE and so no AVX,
 * none of the instructions whose results differ from run to run (RDRAND, RDSEED, RDTSCP). Their bits are
 * clear; that a program executes one all the same cannot be prevented, but for RDTSCP. Its time-stamp counter
 * counts the nanoseconds of hal_clock_ns(). The vendor is Intel: for one that it does not know, glibc's ld.so
 * reads no flags at all, and refuses every library that asks for a baseline; it asks for caches too, since
 * memcpy() divides by their size.
 */
#include <asm/siginfo.h>
#include <asm/signal.h>

#include <sim/host.h>
#include <sim/user.h>
#include <sim/walk.h>

#define BRAND	   "CloudOS simulated processor"
#define BRAND_LEAF 0x80000002u
#define TSC_KHZ	   1000000
#define REX	   0x40
#define INSN_BYTES 4

#define CACHES 4 /* leaf; its subleaves are the caches, and a null at the end */

struct leaf {
	uint32_t number;
	struct x86_cpuid value;
};

static const struct leaf leaves[] = {
    {0, {7, 0x756e6547, 0x6c65746e, 0x49656e69}},	   /* "Genu" "ineI" "ntel" */
    {1, {0x000006f1, 0x00010800, 0x80982201, 0x078bfbff}}, /* family 6; the flags of x86-64-v2, hypervisor */
    {2, {0x0000ff01, 0, 0, 0}},				   /* caches: see leaf 4 */
    {0x80000000, {0x80000008, 0, 0, 0}},
    {0x80000001, {0, 0, 1, 0x20100800}}, /* LAHF; SYSCALL, NX, long mode */
    {0x80000008, {0x3028, 0, 0, 0}},	 /* 40 bits physical, 48 virtual */
};

/* Level and kind; ways and line; sets. All of one core, with lines of 64 bytes. */
static const struct x86_cpuid caches[] = {
    {0x121, 7 << 22 | 63, 63, 0},    /* L1 data, 32 KiB */
    {0x122, 7 << 22 | 63, 63, 0},    /* L1 instructions, 32 KiB */
    {0x143, 15 << 22 | 63, 1023, 0}, /* L2, 1 MiB */
    {0x163, 15 << 22 | 63, 8191, 0}, /* L3, 8 MiB */
};

static struct x86_cpuid cpuid_fixed(uint32_t number, uint32_t subleaf)
{
	static const union {
		char text[48];
		struct x86_cpuid value[3];
	} brand = {BRAND};

	if (number - BRAND_LEAF < 3)
		return brand.value[number - BRAND_LEAF];
	if (number == CACHES && subleaf < sizeof(caches) / sizeof(caches[0]))
		return caches[subleaf];
	for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
		if (leaves[i].number == number)
			return leaves[i].value;
	}
	return (struct x86_cpuid){0};
}

struct x86_cpuid x86_cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct x86_cpuid r;

	if (sim_machine.hide_cpu)
		return cpuid_fixed(leaf, subleaf);
	__asm__ volatile("cpuid"
			 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "a"(leaf), "c"(subleaf));
	return r;
}

uint64_t x86_tsc_khz(void)
{
	return sim_machine.hide_host ? TSC_KHZ : 0;
}

const char *sim_fixed_cpu_model(void)
{
	return BRAND;
}

static unsigned fetch(const struct hal_aspace *as, uaddr_t pc, uint8_t *bytes)
{
	unsigned n;

	for (n = 0; n < INSN_BYTES; n++) {
		const uint8_t *p = sim_walk_pointer(as, pc + n, HAL_ACCESS_EXEC);

		if (!p)
			break;
		bytes[n] = *p;
	}
	return n;
}

static void do_cpuid(struct hal_regs *r)
{
	struct x86_cpuid c = cpuid_fixed((uint32_t)r->rax, (uint32_t)r->rcx);

	r->rax = c.eax;
	r->rbx = c.ebx;
	r->rcx = c.ecx;
	r->rdx = c.edx;
}

static void do_rdtsc(struct hal_regs *r)
{
	uint64_t now = hal_clock_ns();

	r->rax = (uint32_t)now;
	r->rdx = now >> 32;
}

enum sim_emulated sim_emulate(struct hal_regs *regs, const struct hal_aspace *as)
{
	uint8_t bytes[INSN_BYTES] = {0};
	unsigned length = fetch(as, regs->rip, bytes), at = (bytes[0] & 0xf0) == REX ? 1 : 0;

	if (!sim_machine.hide_host || length < at + 2 || bytes[at] != 0x0f)
		return SIM_NOT_EMULATED;
	switch (bytes[at + 1]) {
	case 0xa2:
		do_cpuid(regs);
		break;
	case 0x31:
		do_rdtsc(regs);
		break;
	case 0x01:
		return length > at + 2 && bytes[at + 2] == 0xf9 ? SIM_UNDEFINED
								: SIM_NOT_EMULATED; /* RDTSCP */
	default:
		return SIM_NOT_EMULATED;
	}
	regs->rip += at + 2;
	return regs->rflags & X86_FLAG_TF ? SIM_EMULATED_STEP : SIM_EMULATED;
}
