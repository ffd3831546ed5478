/* SPDX-License-Identifier: MIT */
/*
 * /proc/cpuinfo in Linux's words (arch/x86/kernel/cpu/proc.c, arch/x86/include/asm/cpufeatures.h name the
 * fields and flags).
 */
#include "abi_internal.h"

#include <arch/text.h>

enum word {
	LEAF_1_EDX,
	LEAF_EXT_EDX,
	LEAF_EXT_ECX,
	LEAF_1_ECX,
	LEAF_7_EBX,
	LEAF_7_ECX,
	LEAF_7_EDX,
	LEAF_D1_EAX,
	WORDS,
};

static const char *const flags[WORDS][32] = {
    [LEAF_1_EDX] = {"fpu",  "vme",  "de",   "pse", "tsc",  "msr", "pae",   "mce", "cx8",     "apic", NULL,
		    "sep",  "mtrr", "pge",  "mca", "cmov", "pat", "pse36", "pn",  "clflush", NULL,   "dts",
		    "acpi", "mmx",  "fxsr", "sse", "sse2", "ss",  "ht",	   "tm",  "ia64",    "pbe"},
    [LEAF_EXT_EDX] = {[11] = "syscall",
		      [19] = "mp",
		      "nx",
		      NULL,
		      "mmxext",
		      [25] = "fxsr_opt",
		      "pdpe1gb",
		      "rdtscp",
		      NULL,
		      "lm",
		      "3dnowext",
		      "3dnow"},
    [LEAF_EXT_ECX] =
	{"lahf_lm",	"cmp_legacy",	 "svm",		 "extapic",    "cr8_legacy", "abm",	   "sse4a",
	 "misalignsse", "3dnowprefetch", "osvw",	 "ibs",	       "xop",	     "skinit",	   "wdt",
	 NULL,		"lwp",		 "fma4",	 "tce",	       NULL,	     "nodeid_msr", NULL,
	 "tbm",		"topoext",	 "perfctr_core", "perfctr_nb", NULL,	     "bpext",	   "ptsc",
	 "perfctr_llc", "mwaitx"},
    [LEAF_1_ECX] = {"pni",    "pclmulqdq", "dtes64", "monitor", "ds_cpl",
		    "vmx",    "smx",	   "est",    "tm2",	"ssse3",
		    "cid",    "sdbg",	   "fma",    "cx16",	"xtpr",
		    "pdcm",   NULL,	   "pcid",   "dca",	"sse4_1",
		    "sse4_2", "x2apic",	   "movbe",  "popcnt",	"tsc_deadline_timer",
		    "aes",    "xsave",	   NULL,     "avx",	"f16c",
		    "rdrand", "hypervisor"},
    [LEAF_7_EBX] = {"fsgsbase",	  "tsc_adjust", "sgx",	      "bmi1",	  "hle",      "avx2",	  NULL,
		    "smep",	  "bmi2",	"erms",	      "invpcid",  "rtm",      "cqm",	  NULL,
		    "mpx",	  "rdt_a",	"avx512f",    "avx512dq", "rdseed",   "adx",	  "smap",
		    "avx512ifma", NULL,		"clflushopt", "clwb",	  "intel_pt", "avx512pf", "avx512er",
		    "avx512cd",	  "sha_ni",	"avx512bw",   "avx512vl"},
    [LEAF_7_ECX] = {NULL, "avx512vbmi", "umip", [5] = "waitpkg", "avx512_vbmi2", NULL, "gfni", "vaes",
		    "vpclmulqdq", "avx512_vnni", "avx512_bitalg", NULL, "avx512_vpopcntdq", NULL,
		    "la57", [22] = "rdpid", [25] = "cldemote", [27] = "movdiri", "movdir64b"},
    [LEAF_7_EDX] = {[2] = "avx512_4vnniw",
		    "avx512_4fmaps",
		    "fsrm",
		    [8] = "avx512_vp2intersect",
		    [10] = "md_clear",
		    [14] = "serialize",
		    [29] = "arch_capabilities"},
    [LEAF_D1_EAX] = {"xsaveopt", "xsavec", "xgetbv1", "xsaves"},
};

/* Words of CPUs that lack the leaf stay zero. */
static void read_words(uint32_t word[WORDS])
{
	uint32_t highest = x86_cpuid(0, 0).eax, extended = x86_cpuid(0x80000000, 0).eax;
	struct x86_cpuid c = x86_cpuid(1, 0);

	__builtin_memset(word, 0, WORDS * sizeof(word[0]));
	word[LEAF_1_EDX] = c.edx;
	word[LEAF_1_ECX] = c.ecx;
	if (extended >= 0x80000001) {
		c = x86_cpuid(0x80000001, 0);
		word[LEAF_EXT_EDX] = c.edx;
		word[LEAF_EXT_ECX] = c.ecx;
	}
	if (highest >= 7) {
		c = x86_cpuid(7, 0);
		word[LEAF_7_EBX] = c.ebx;
		word[LEAF_7_ECX] = c.ecx;
		word[LEAF_7_EDX] = c.edx;
	}
	if (highest >= 0xd)
		word[LEAF_D1_EAX] = x86_cpuid(0xd, 1).eax;
}

static void put_number(struct arch_text *t, const char *name, uint64_t value)
{
	text_put(t, name);
	text_put(t, ": ");
	text_dec(t, value, 1);
	text_char(t, '\n');
}

static void put_string(struct arch_text *t, const char *name, const char *value)
{
	text_put(t, name);
	text_put(t, ": ");
	text_put(t, value);
	text_char(t, '\n');
}

static void put_flags(struct arch_text *t)
{
	uint32_t word[WORDS];

	read_words(word);
	text_put(t, "flags\t\t:");
	for (unsigned w = 0; w < WORDS; w++) {
		for (unsigned bit = 0; bit < 32; bit++) {
			if (!(word[w] >> bit & 1) || flags[w][bit] == NULL)
				continue;
			text_char(t, ' ');
			text_put(t, flags[w][bit]);
		}
	}
	text_char(t, '\n');
}

static void put_vendor(struct arch_text *t)
{
	struct x86_cpuid c = x86_cpuid(0, 0);
	char vendor[13] = {0};

	__builtin_memcpy(vendor, &c.ebx, 4);
	__builtin_memcpy(vendor + 4, &c.edx, 4);
	__builtin_memcpy(vendor + 8, &c.ecx, 4);
	put_string(t, "vendor_id\t", vendor);
}

/* Intel SDM volume 2A, CPUID leaf 1: family and model have extensions. */
static void put_model(struct arch_text *t)
{
	uint32_t v = x86_cpuid(1, 0).eax;
	unsigned family = v >> 8 & 15, model = v >> 4 & 15;

	if (family == 6 || family == 15)
		model |= v >> 12 & 0xf0;
	if (family == 15)
		family += v >> 20 & 0xff;
	put_number(t, "cpu family\t", family);
	put_number(t, "model\t\t", model);
	put_string(t, "model name\t", hal_cpu_model());
	put_number(t, "stepping\t", v & 15);
}

static void put_mhz(struct arch_text *t)
{
	uint64_t khz = x86_tsc_khz();

	if (khz == 0)
		return;
	text_put(t, "cpu MHz\t\t: ");
	text_dec(t, khz / 1000, 1);
	text_char(t, '.');
	text_dec(t, khz % 1000, 3);
	text_char(t, '\n');
}

static void put_topology(struct arch_text *t, unsigned cpu)
{
	put_number(t, "physical id\t", 0);
	put_number(t, "siblings\t", hal_cpu_count());
	put_number(t, "core id\t\t", cpu);
	put_number(t, "cpu cores\t", hal_cpu_count());
	put_number(t, "apicid\t\t", cpu);
	put_number(t, "initial apicid\t", cpu);
}

static void put_sizes(struct arch_text *t)
{
	uint32_t line = x86_cpuid(1, 0).ebx >> 8 & 0xff;
	uint32_t bits = x86_cpuid(0x80000000, 0).eax >= 0x80000008 ? x86_cpuid(0x80000008, 0).eax : 0x3024;
	uint64_t khz = x86_tsc_khz();

	text_put(t, "bogomips\t: ");
	text_dec(t, khz / 500, 1);
	text_char(t, '.');
	text_dec(t, khz / 5 % 100, 2);
	text_char(t, '\n');
	put_number(t, "clflush size\t", line * 8);
	put_number(t, "cache_alignment\t", line * 8);
	text_put(t, "address sizes\t: ");
	text_dec(t, bits & 0xff, 1);
	text_put(t, " bits physical, ");
	text_dec(t, bits >> 8 & 0xff, 1);
	text_put(t, " bits virtual\npower management:\n\n");
}

size_t hal_cpuinfo(unsigned cpu, char *buf, size_t size)
{
	struct arch_text t = {buf, 0, size};

	put_number(&t, "processor\t", cpu);
	put_vendor(&t);
	put_model(&t);
	put_mhz(&t);
	put_topology(&t, cpu);
	put_string(&t, "fpu\t\t", "yes");
	put_string(&t, "fpu_exception\t", "yes");
	put_number(&t, "cpuid level\t", x86_cpuid(0, 0).eax);
	put_string(&t, "wp\t\t", "yes");
	put_flags(&t);
	text_put(&t, "bugs\t\t:\n");
	put_sizes(&t);
	return t.len;
}
