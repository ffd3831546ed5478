/* SPDX-License-Identifier: MIT */
/*
 * What the CPU is and can: names for people, HWCAP bits for programs. A bit is given for what user code can
 * use under this kernel, which keeps FP and SIMD state but neither SVE's nor SME's, and sets up no pointer
 * authentication keys. All CPUs are taken to be like the boot CPU; one that lacks what the kernel was patched
 * for is not let in.
 */
#include "aarch64.h"
#include <asm/hwcap.h>
#include <cloudos/format.h>
#include <cloudos/string.h>

struct feature {
	/* ID register CRn 0, CRm, op2; a field in it, and the value that it must reach */
	uint8_t crm, op2, shift, least;
	uint8_t bit; /* of AT_HWCAP; 32 and above: of AT_HWCAP2 */
	const char *name;
};

/* Linux's order, names and bits (asm/hwcap.h). */
static const struct feature features[] = {
    {4, 0, 16, 0, 0, "fp"},	    {4, 0, 20, 0, 1, "asimd"},	    {6, 0, 4, 1, 3, "aes"},
    {6, 0, 4, 2, 4, "pmull"},	    {6, 0, 8, 1, 5, "sha1"},	    {6, 0, 12, 1, 6, "sha2"},
    {6, 0, 16, 1, 7, "crc32"},	    {6, 0, 20, 2, 8, "atomics"},    {4, 0, 16, 1, 9, "fphp"},
    {4, 0, 20, 1, 10, "asimdhp"},   {0, 0, 0, 0, 11, "cpuid"},	    {6, 0, 28, 1, 12, "asimdrdm"},
    {6, 1, 12, 1, 13, "jscvt"},	    {6, 1, 16, 1, 14, "fcma"},	    {6, 1, 20, 1, 15, "lrcpc"},
    {6, 1, 0, 1, 16, "dcpop"},	    {6, 0, 32, 1, 17, "sha3"},	    {6, 0, 36, 1, 18, "sm3"},
    {6, 0, 40, 1, 19, "sm4"},	    {6, 0, 44, 1, 20, "asimddp"},   {6, 0, 12, 2, 21, "sha512"},
    {6, 0, 48, 1, 23, "asimdfhm"},  {4, 0, 48, 1, 24, "dit"},	    {7, 2, 32, 1, 25, "uscat"},
    {6, 1, 20, 2, 26, "ilrcpc"},    {6, 0, 52, 1, 27, "flagm"},	    {4, 1, 4, 2, 28, "ssbs"},
    {6, 1, 36, 1, 29, "sb"},	    {6, 1, 0, 2, 32 + 0, "dcpodp"}, {6, 0, 52, 2, 32 + 7, "flagm2"},
    {6, 1, 32, 1, 32 + 8, "frint"}, {6, 1, 52, 1, 32 + 13, "i8mm"}, {6, 1, 44, 1, 32 + 14, "bf16"},
    {6, 1, 48, 1, 32 + 15, "dgh"},  {6, 0, 60, 1, 32 + 16, "rng"},
};
_Static_assert(HWCAP_ATOMICS == 1 << 8 && HWCAP_SB == 1 << 29 && HWCAP2_RNG == 1 << 16,
	       "the table's bits are Linux's");

static uint64_t hwcap, hwcap2;
static bool boot_has_pan;
static char model[128];

/* A field of FP or AdvSIMD is signed: 15 is "not there". */
static bool has_feature(const struct feature *f)
{
	unsigned value = id_field(cpu_id_register(f->crm, f->op2), f->shift);

	return (f->crm == 0 || value >= f->least) && !(f->crm == 4 && f->op2 == 0 && value == 15);
}

static bool has_pan(void)
{
	return id_field(read_sysreg(id_aa64mmfr1_el1), 20) != 0;
}

bool cpu_like_boot_cpu(void)
{
	return has_pan() || !boot_has_pan;
}

static const char *cpu_name(void)
{
	static const struct {
		uint16_t implementer, part;
		char name[16];
	} names[] = {
	    {0x41, 0xd03, "Cortex-A53"},  {0x41, 0xd04, "Cortex-A35"},	{0x41, 0xd05, "Cortex-A55"},
	    {0x41, 0xd07, "Cortex-A57"},  {0x41, 0xd08, "Cortex-A72"},	{0x41, 0xd0b, "Cortex-A76"},
	    {0x41, 0xd0c, "Neoverse-N1"}, {0x41, 0xd40, "Neoverse-V1"}, {0x41, 0xd49, "Neoverse-N2"},
	    {0x41, 0xd4f, "Neoverse-V2"}, {0x00, 0x051, "QEMU max"},
	};
	uint64_t midr = read_sysreg(midr_el1);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (names[i].implementer == (midr >> 24 & 0xff) && names[i].part == (midr >> 4 & 0xfff))
			return names[i].name;
	}
	return "ARMv8 CPU";
}

void cpu_init(void)
{
	uint64_t ctr = read_sysreg(ctr_el0);

	boot_has_pan = has_pan();
	aarch64_icache_apart = (ctr & UINT64_C(3) << 28) != UINT64_C(3) << 28; /* DIC and IDC */
	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		if (!has_feature(&features[i]))
			continue;
		if (features[i].bit < 32)
			hwcap |= UINT64_C(1) << features[i].bit;
		else
			hwcap2 |= UINT64_C(1) << (features[i].bit - 32);
	}
}

const char *hal_cpu_model(void)
{
	if (model[0] == 0)
		fmt_string(model, sizeof(model), "%s%s%s", cpu_name(), machine.model[0] != 0 ? ", " : "",
			   machine.model);
	return model;
}

uint64_t hal_abi_hwcap(void)
{
	return hwcap;
}

uint64_t hal_abi_hwcap2(void)
{
	return hwcap2;
}

static bool given(const struct feature *f)
{
	return (f->bit < 32 ? hwcap >> f->bit : hwcap2 >> (f->bit - 32)) & 1;
}

size_t hal_cpuinfo(unsigned cpu, char *buf, size_t size)
{
	uint64_t midr = read_sysreg(midr_el1);
	uint64_t bogomips =
	    read_sysreg(cntfrq_el0) * 2 / 10000; /* Linux's: two ticks a loop, in hundredths */
	size_t n;

	n = fmt_string(buf, size, "processor\t: %u\nBogoMIPS\t: %llu.%02llu\nFeatures\t:", cpu,
		       (unsigned long long)(bogomips / 100), (unsigned long long)(bogomips % 100));
	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]) && n < size; i++) {
		if (given(&features[i]))
			n += fmt_string(buf + n, size - n, " %s", features[i].name);
	}
	if (n < size)
		n += fmt_string(buf + n, size - n,
				"\nCPU implementer\t: 0x%02x\nCPU architecture: 8\nCPU variant\t: 0x%x\n"
				"CPU part\t: 0x%03x\nCPU revision\t: %u\n\n",
				(unsigned)(midr >> 24 & 0xff), (unsigned)(midr >> 20 & 15),
				(unsigned)(midr >> 4 & 0xfff), (unsigned)(midr & 15));
	return n < size ? n : size;
}

/* ---- entropy: RNDR where there is one, and once what the loader left in the device tree ---- */

static size_t seed_taken;

/* RNDR sets Z when it has nothing to give. */
static bool rndr(uint64_t *ret)
{
	uint64_t value, ok;

	__asm__ volatile("mrs %0, S3_3_C2_C4_0\n\tcset %1, ne" : "=r"(value), "=r"(ok)::"cc");
	*ret = value;
	return ok != 0;
}

size_t hal_entropy(void *buf, size_t len)
{
	uint8_t *to = buf;
	size_t n = 0;
	uint64_t word;

	while (n < len && (hwcap2 & HWCAP2_RNG) != 0 && rndr(&word)) {
		size_t part = len - n < sizeof(word) ? len - n : sizeof(word);

		memcpy(to + n, &word, part);
		n += part;
	}
	while (n < len) {
		size_t i = __atomic_fetch_add(&seed_taken, 1, __ATOMIC_RELAXED);

		if (i >= machine.seed_len)
			break;
		to[n++] = machine.seed[i];
		machine.seed[i] = 0;
	}
	return n;
}
