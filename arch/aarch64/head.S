/* SPDX-License-Identifier: MIT */
/*
 * The image's first page, and the way of each CPU to C code at the kernel's virtual address.
 *
 * The page is at once the header of Linux's arm64 boot protocol (Documentation/arch/arm64/booting.rst: MMU off, x0 = device
 * tree, EL1 or EL2, loaded at any 2 MiB boundary) and that of a PE32+ EFI application (UEFI 2.10, section 2.1.1). Both ways
 * meet in primary_common, at EL1 with the MMU off:
 *
 *   primary_entry  loader, MMU off          efi_entry  firmware, MMU on: efi.c gathers what the firmware knows and ends
 *        |                                       |     its boot services, then the MMU goes off
 *        +-------------- primary_common ---------+
 *                             |  early_prepare(): tables for the image, the trampoline page and the device tree
 *                             |  mmu_enable
 *                        boot_main()  at the kernel's virtual address, with boot stack and x18
 *
 * Other CPUs come through secondary_entry, which PSCI enters with the MMU off and x0 = physical address of a struct
 * secondary_start; they read it only after the MMU is on, so that no cache maintenance is called for.
 */
#include "asm.h"

	.section .head, "ax"
	.globl _head
_head:
	.long 0xfa405a4d		/* "MZ"; to a CPU: ccmp x18, #0, #0xd, pl */
	b primary_entry
	.quad 0				/* text offset */
	.quad _image_size
	.quad 0xa			/* little endian, 4 KiB pages, anywhere in memory */
	.quad 0, 0, 0
	.ascii "ARM\x64"
	.long pe_header - _head

pe_header:
	.ascii "PE\0\0"
	.short 0xaa64			/* machine: aarch64 */
	.short 2			/* sections */
	.long 0, 0, 0
	.short section_table - optional_header
	.short 0x0206			/* executable, without line numbers, symbols and debug data */
optional_header:
	.short 0x20b			/* PE32+ */
	.byte 2, 40
	.long _pe_text_size, _pe_data_size, 0
	.long _pe_entry_rva
	.long 4096			/* base of code */
	.quad 0				/* image base */
	.long 4096, 4096		/* section and file alignment */
	.short 0, 0
	.short 1, 1			/* image version 1.1: takes an initrd by LoadFile2 */
	.short 0, 0
	.long 0
	.long _image_size
	.long 4096			/* headers */
	.long 0
	.short 10, 0x100		/* EFI application, NX compatible */
	.quad 0, 0, 0, 0
	.long 0
	.long 6				/* data directories, all empty */
	.quad 0, 0, 0, 0, 0, 0
section_table:
	.ascii ".text\0\0\0"
	.long _pe_text_size, 4096, _pe_text_size, 4096
	.long 0, 0, 0
	.long 0x60000020		/* code, executable, readable */
	.ascii ".data\0\0\0"
	.long _pe_data_size, _pe_data_rva, _pe_data_file_size, _pe_data_rva
	.long 0, 0, 0
	.long 0xc0000040		/* data, readable, writable */

	.section .text.head, "ax"

/* From the loader. x0: device tree. */
FUNCTION primary_entry
	mov x20, x0
	mrs x21, cntvct_el0
	bl el1_enter
	b primary_common
END_FUNCTION primary_entry

/*
 * From the firmware: x0 = image handle, x1 = system table. efi_main() returns only when boot services have ended, with the
 * device tree's address; a failure goes back to the firmware with its status.
 */
FUNCTION efi_entry
	stp x29, x30, [sp, #-48]!
	mov x29, sp
	stp x20, x21, [sp, #16]
	str x19, [sp, #32]
	mrs x21, cntvct_el0
	add x2, sp, #40
	bl efi_main
	cbnz x0, 1f
	ldr x20, [sp, #40]
	/* Everything written so far must be in memory before the caches go out of use. */
	ADR_L x0, _text
	ADR_L x1, _end
	bl cache_clean_range
	bl mmu_disable
	bl el1_enter
	b primary_common
1:	ldr x19, [sp, #32]
	ldp x20, x21, [sp, #16]
	ldp x29, x30, [sp], #48
	ret
END_FUNCTION efi_entry

/* x20: device tree, x21: counter at entry. */
primary_common:
	msr spsel, #1
	ADR_L x0, _boot_stack_top
	mov sp, x0
	mov x29, xzr
	mov x0, x20
	bl early_prepare			/* x0: physical address of the root table */
	ADR_L x1, idmap_root_pointer
	ldr x1, [x1]
	bl mmu_enable
	ldr x0, =primary_high
	br x0
primary_high:
	ldr x0, =_boot_stack_top
	mov sp, x0
	mov x29, xzr
	ldr x0, =_bss
	ldr x1, =_ebss
1:	stp xzr, xzr, [x0], #16
	cmp x0, x1
	b.lo 1b
	ldr x18, =boot_cpu
	msr tpidr_el1, x18
	bl cpu_setup
	mov x0, x20
	mov x1, x21
	mov x30, xzr
	b boot_main

/* x0: physical address of a struct secondary_start. */
FUNCTION secondary_entry
	mov x20, x0
	bl el1_enter
	msr spsel, #1
	ADR_L x0, kernel_root_pointer		/* both words were cleaned to memory by boot_main() */
	ldr x0, [x0]
	ADR_L x1, idmap_root_pointer
	ldr x1, [x1]
	bl mmu_enable
	ldr x0, =secondary_high
	br x0
secondary_high:
	mov x0, #0xffff000000000000		/* the direct map */
	orr x20, x20, x0
	ldp x18, x1, [x20]			/* struct hal_cpu, stack top */
	ldp x21, x22, [x20, #16]		/* entry, arg */
	mov sp, x1
	mov x29, xzr
	msr tpidr_el1, x18
	bl cpu_setup
	mov x0, x21
	mov x1, x22
	mov x30, xzr
	b secondary_main
END_FUNCTION secondary_entry

/*
 * Leaves EL2 if the CPU is there, and puts EL1 into a known state with the MMU off. What an EL2 without a hypervisor must let
 * through: counters, GIC system registers, floating point. Clobbers x0-x3.
 */
FUNCTION el1_enter
	mrs x0, currentel
	cmp x0, #(2 << 2)
	b.ne 3f
	mov x0, #(1 << 31)			/* HCR_EL2.RW: EL1 is AArch64 */
	msr hcr_el2, x0
	isb
	mov x0, #3				/* EL1 may read the physical counter and timer */
	msr cnthctl_el2, x0
	msr cntvoff_el2, xzr
	mov x0, #0x33ff				/* CPTR_EL2: only SVE is trapped */
	msr cptr_el2, x0
	msr hstr_el2, xzr
	msr vttbr_el2, xzr
	mrs x0, midr_el1
	msr vpidr_el2, x0
	mrs x0, mpidr_el1
	msr vmpidr_el2, x0
	mrs x0, id_aa64pfr0_el1
	ubfx x0, x0, #24, #4
	cbz x0, 1f				/* no GIC system registers */
	mrs x0, S3_4_C12_C9_5			/* ICC_SRE_EL2 */
	mov x1, #9				/* SRE, Enable */
	orr x0, x0, x1
	msr S3_4_C12_C9_5, x0
	isb
	msr S3_4_C12_C11_0, xzr			/* ICH_HCR_EL2 */
1:	mrs x0, id_aa64mmfr0_el1
	ubfx x0, x0, #56, #4
	cbz x0, 2f				/* no fine-grained traps */
	msr S3_4_C1_C1_4, xzr			/* HFGRTR_EL2 */
	msr S3_4_C1_C1_5, xzr			/* HFGWTR_EL2 */
	msr S3_4_C1_C1_6, xzr			/* HFGITR_EL2 */
2:	ldr x0, =SCTLR_OFF
	msr sctlr_el1, x0
	mov x0, #0x3c5				/* EL1h, all masked */
	msr spsr_el2, x0
	msr elr_el2, x30
	eret
3:	ldr x0, =SCTLR_OFF
	msr sctlr_el1, x0
	isb
	ret
END_FUNCTION el1_enter

/* SCTLR_EL1: bits that are one; then what the kernel runs with (Arm ARM D17.2.118). */
.set SCTLR_OFF, 0x30500800
.set SCTLR_ON, SCTLR_OFF | 1 << 0 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 12	/* MMU, caches, stack alignment */
.set SCTLR_ON, SCTLR_ON | 1 << 14 | 1 << 15 | 1 << 16 | 1 << 18 | 1 << 26 /* user: DC ZVA, CTR, WFI, WFE, cache maintenance */
.set SCTLR_SPAN, 1 << 23						/* leave PSTATE.PAN alone at entry */

/* TCR_EL1: two 48-bit halves, 4 KiB granule, walks cacheable and inner shareable, user tags ignored. */
.set TCR_BASE, 16 | 16 << 16 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 24 | 1 << 26 | 3 << 28 | 2 << 30 | 1 << 37

/*
 * x0: root table of the kernel half, x1: of the lower half with this code mapped at its physical address. Returns with the
 * MMU on, at the same (physical) address. Clobbers x0-x5.
 */
FUNCTION mmu_enable
	mov x2, #0xff04				/* attribute 0: device nGnRE; 1: normal write-back */
	msr mair_el1, x2
	ldr x2, =TCR_BASE
	mrs x3, id_aa64mmfr0_el1
	ubfx x4, x3, #0, #4			/* physical address size; 48 bits are the most we use */
	mov x5, #5
	cmp x4, x5
	csel x4, x4, x5, lo
	orr x2, x2, x4, lsl #32
	tst x3, #0x20				/* 16-bit ASIDs */
	mov x4, #(1 << 36)
	orr x4, x4, x2
	csel x2, x4, x2, ne
	mrs x3, id_aa64mmfr1_el1
	tst x3, #0xf				/* the MMU sets the access flag */
	mov x4, #(1 << 39)
	orr x4, x4, x2
	csel x2, x4, x2, ne
	msr tcr_el1, x2
	msr ttbr0_el1, x1
	msr ttbr1_el1, x0
	ldr x2, =SCTLR_ON
	ubfx x3, x3, #20, #4			/* without PAN, SPAN is a bit that is one */
	cmp x3, #0
	orr x4, x2, #SCTLR_SPAN
	csel x2, x2, x4, ne
	dsb sy
	isb
	tlbi vmalle1
	ic iallu
	dsb nsh
	isb
	msr sctlr_el1, x2
	isb
	ret
END_FUNCTION mmu_enable

/* Turns off MMU and data cache of the firmware's exception level. Clobbers x0. */
FUNCTION mmu_disable
	mrs x0, currentel
	cmp x0, #(2 << 2)
	b.ne 1f
	mrs x0, sctlr_el2
	bic x0, x0, #1
	bic x0, x0, #4
	msr sctlr_el2, x0
	isb
	ret
1:	mrs x0, sctlr_el1
	bic x0, x0, #1
	bic x0, x0, #4
	msr sctlr_el1, x0
	isb
	ret
END_FUNCTION mmu_disable

/* [x0, x1): cleans and invalidates the data cache to the point of coherency. Clobbers x0, x2, x3. */
FUNCTION cache_clean_range
	mrs x2, ctr_el0
	ubfx x2, x2, #16, #4
	mov x3, #4
	lsl x2, x3, x2				/* smallest line of the data caches */
	sub x3, x2, #1
	bic x0, x0, x3
1:	dc civac, x0
	add x0, x0, x2
	cmp x0, x1
	b.lo 1b
	dsb sy
	ret
END_FUNCTION cache_clean_range

/*
 * The registers of a CPU that just came to its virtual address: vectors, user's rights, no lower half. x18 is set.
 * Clobbers x0-x3.
 */
FUNCTION cpu_setup
	ldr x0, =vectors
	msr vbar_el1, x0
	mov x0, #(3 << 20)			/* CPACR_EL1: FP and SIMD for all; SVE and SME trap */
	msr cpacr_el1, x0
	mov x0, #2				/* the user reads the virtual counter */
	msr cntkctl_el1, x0
	msr mdscr_el1, xzr
	msr oslar_el1, xzr			/* single steps */
	msr tpidr_el0, xzr
	msr tpidrro_el0, xzr
	mrs x0, id_aa64dfr0_el1
	ubfx x0, x0, #8, #4
	sub x0, x0, #1
	cmp x0, #0xe
	b.hs 1f					/* no performance monitors */
	msr pmuserenr_el0, xzr
1:	ldr x0, =empty_table			/* no lower half: a table of zeros */
	ldr x1, =_text
	sub x0, x0, x1
	ldr x1, =kernel_image_pa
	ldr x1, [x1]
	add x0, x0, x1
	dsb ish					/* its zeros */
	msr ttbr0_el1, x0
	isb
	tlbi vmalle1
	dsb nsh
	msr daifclr, #4				/* SError is reported where it happens */
	isb
	ret
END_FUNCTION cpu_setup
	.ltorg
