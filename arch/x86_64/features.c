/* SPDX-License-Identifier: MIT */
/*
 * CPU features: asked of the boot CPU, turned on on each. The kernel works without any that is tested for
 * here.
 */
#include <hal/hal.h>
#include <x86/cpu.h>
#include <x86/features.h>
#include <x86/mmu.h>
#include <x86/percpu.h>
#include <x86/trap.h>

#define XCR0_X87    (1u << 0)
#define XCR0_SSE    (1u << 1)
#define XCR0_AVX    (1u << 2)
#define XCR0_AVX512 (7u << 5)

struct x86_features x86_features;

/* One entry of .smap_sites: three bytes of nop at `at`, to become 0f 01 `last`. */
struct smap_site {
	uint64_t at, last;
};
extern const struct smap_site smap_start[] __asm__("_smap_sites_start"), smap_end[] __asm__(
									     "_smap_sites_end");

static void smap_write_sites(void)
{
	for (const struct smap_site *s = smap_start; s < smap_end; s++) {
		uint8_t *code = hal_phys_to_virt(x86_image_paddr((const void *)s->at));

		code[1] = 0x01;
		code[2] = (uint8_t)s->last;
	}
}

/* x87, SSE, AVX and AVX-512, each only with those below it. PKRU and AMX are not given to programs. */
static uint64_t choose_states(void)
{
	uint32_t have = cpuid(0xd, 0).eax;
	uint64_t states = XCR0_X87 | XCR0_SSE;

	if (have & XCR0_AVX)
		states |= XCR0_AVX;
	if ((have & XCR0_AVX) && (have & XCR0_AVX512) == XCR0_AVX512)
		states |= XCR0_AVX512;
	return states;
}

/*
 * Intel's Alder Lake, Raptor Lake and Gracemont: with PCIDs on, INVLPG may leave global translations behind
 * (erratum ADL063 and the like; some microcode has it right, which is not looked into).
 */
static bool invlpg_spares_globals(uint32_t signature)
{
	static const uint8_t models[] = {0x97, 0x9a, 0xb7, 0xba, 0xbe, 0xbf};
	uint32_t family = signature >> 8 & 0xf, model = (signature >> 4 & 0xf) | (signature >> 12 & 0xf0);

	for (unsigned i = 0; family == 6 && i < sizeof(models); i++)
		if (models[i] == model)
			return true;
	return false;
}

void x86_features_detect(void)
{
	struct x86_features *f = &x86_features;
	struct cpuid one = cpuid(1, 0);
	struct cpuid seven = {0};

	if (cpuid(0, 0).eax >= 7)
		seven = cpuid(7, 0);
	f->pcid = (one.ecx & (1u << 17)) != 0 && !invlpg_spares_globals(one.eax);
	f->smep = (seven.ebx & (1u << 7)) != 0;
	f->smap = (seven.ebx & (1u << 20)) != 0;
	f->umip = (seven.ecx & (1u << 2)) != 0;
	f->fsgsbase = (seven.ebx & (1u << 0)) != 0;
	f->rdseed = (seven.ebx & (1u << 18)) != 0;
	f->rdrand = (one.ecx & (1u << 30)) != 0;
	f->xsave = (one.ecx & (1u << 26)) != 0;
	if (f->xsave) {
		f->xcr0 = choose_states();
		f->xsaveopt = (cpuid(0xd, 1).eax & 1) != 0;
	}
	if (f->smap)
		smap_write_sites();
}

static void enable_states(void)
{
	if (x86_features.xsave)
		__asm__ volatile("xsetbv"
				 :
				 : "c"(0), "a"((uint32_t)x86_features.xcr0),
				   "d"((uint32_t)(x86_features.xcr0 >> 32)));
	__asm__ volatile("fninit");
}

static void enable_syscall(void)
{
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE);
	/* `syscall` loads CS and SS from bits 32 on; `sysret` SS from bits 48 on plus 8, CS plus 16. */
	wrmsr(MSR_STAR, (uint64_t)(X86_USER_SS - 8) << 48 | (uint64_t)SEL_KERNEL_CS << 32);
	wrmsr(MSR_LSTAR, (uintptr_t)x86_syscall_entry);
	wrmsr(MSR_CSTAR, 0);
	wrmsr(MSR_FMASK, X86_FLAG_TF | X86_FLAG_IF | X86_FLAG_DF | X86_FLAG_IOPL | X86_FLAG_NT | X86_FLAG_RF |
			     X86_FLAG_AC | X86_FLAG_ID);
}

void x86_features_enable(void)
{
	const struct x86_features *f = &x86_features;
	uint64_t cr4 = CR4_PAE | CR4_DE | CR4_MCE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;

	cr4 |= f->pcid ? CR4_PCIDE : 0; /* CR3 has identifier 0 */
	cr4 |= f->smep ? CR4_SMEP : 0;
	cr4 |= f->smap ? CR4_SMAP : 0;
	cr4 |= f->umip ? CR4_UMIP : 0;
	cr4 |= f->fsgsbase ? CR4_FSGSBASE : 0;
	cr4 |= f->xsave ? CR4_OSXSAVE : 0;
	write_cr4(cr4);
	write_cr0(CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG);
	enable_states();
	enable_syscall();
}

struct x86_cpuid x86_cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid c = cpuid(leaf, subleaf);

	return (struct x86_cpuid){c.eax, c.ebx, c.ecx, c.edx};
}
