/* SPDX-License-Identifier: MIT */
/*
 * ID registers for user code: HWCAP_CPUID promises that MRS of them works, by a trap (Linux,
 * Documentation/arch/arm64/ cpu-feature-registers.rst). A program sees what it may use and no more; the rest
 * of the ID space reads as zero.
 */
#include "aarch64.h"

#define MRS_MASK  0xfff80000u /* MRS with op0 = 3 */
#define MRS_VALUE 0xd5380000u

static uint64_t fields(const uint8_t *shifts, unsigned count)
{
	uint64_t mask = 0;

	for (unsigned i = 0; i < count; i++)
		mask |= UINT64_C(15) << shifts[i];
	return mask;
}

/* CRn 0, op1 0. */
uint64_t cpu_id_register(unsigned crm, unsigned op2)
{
	static const uint8_t pfr0[] = {16, 20, 48}; /* FP, AdvSIMD, DIT */
	static const uint8_t isar0[] = {4, 8, 12, 16, 20, 28, 32, 36, 40, 44, 48, 52, 60};
	static const uint8_t isar1[] = {0, 12, 16, 20, 32, 36, 44, 48, 52};
	static const uint8_t pfr1[] = {4};   /* SSBS */
	static const uint8_t mmfr2[] = {32}; /* AT */

	switch (crm << 4 | op2) {
	case 0x00:
		return read_sysreg(midr_el1);
	case 0x05:
		return UINT64_C(1) << 31; /* MPIDR: no affinities */
	case 0x06:
		return read_sysreg(revidr_el1);
	case 0x40:
		return (read_sysreg(id_aa64pfr0_el1) & fields(pfr0, sizeof(pfr0))) |
		       0x11; /* EL0, EL1: AArch64 */
	case 0x41:
		return read_sysreg(id_aa64pfr1_el1) & fields(pfr1, sizeof(pfr1));
	case 0x60:
		return read_sysreg(id_aa64isar0_el1) & fields(isar0, sizeof(isar0));
	case 0x61:
		return read_sysreg(id_aa64isar1_el1) & fields(isar1, sizeof(isar1));
	case 0x72:
		return read_sysreg(id_aa64mmfr2_el1) & fields(mmfr2, sizeof(mmfr2));
	default:
		return 0;
	}
}

/* True if it was a read of an ID register, which is done now. */
bool idreg_emulate(struct hal_user *u, uint32_t instruction)
{
	unsigned op1 = instruction >> 16 & 7, crn = instruction >> 12 & 15, crm = instruction >> 8 & 15;
	unsigned op2 = instruction >> 5 & 7, rt = instruction & 31;

	if ((instruction & MRS_MASK) != MRS_VALUE || op1 != 0 || crn != 0 ||
	    (crm == 0 && op2 != 0 && op2 < 5) || crm > 7)
		return false;
	if (rt != 31)
		u->regs.x[rt] = cpu_id_register(crm, op2);
	u->regs.pc += 4;
	return true;
}
