/* SPDX-License-Identifier: MIT */
/*
 * From the boot loader to 64-bit C. Both loaders enter in 32-bit protected mode without paging, at physical addresses:
 *
 *   multiboot2 (GRUB, BIOS and UEFI)   eax = magic, ebx = information          Multiboot2 specification 3.3
 *   PVH (QEMU -kernel, Xen, cloud)     ebx = struct hvm_start_info             Xen docs/misc/pvh.pandoc
 *
 * The boot tables map the first few MiB of memory, with 2 MiB pages, three times: one to one (for the steps until the
 * jump, and for starting CPUs), in the direct map, and at -2 GiB where the kernel is linked. Mapping of more is done
 * in C (paging.c), which then replaces these tables by its own.
 */
#include <x86/percpu_offsets.h>

#define KERNEL_BASE 0xffffffff80000000
#define PHYS(symbol) ((symbol) - KERNEL_BASE)

#define MULTIBOOT2_MAGIC	0xe85250d6
#define MULTIBOOT2_LOADER_MAGIC 0x36d76289

	.section .text.boot, "ax"
	.balign 8
multiboot2_header:
	.long MULTIBOOT2_MAGIC
	.long 0 /* i386 protected mode */
	.long multiboot2_header_end - multiboot2_header
	.long -(MULTIBOOT2_MAGIC + (multiboot2_header_end - multiboot2_header))

	.balign 8
	.short 1, 0 /* tag: what we want to be told; "optional" is not set only where we cannot do without */
	.long 8 + 4
	.long 6 /* the memory map */
	.balign 8
	.short 3, 0 /* tag: entry address, physical */
	.long 12
	.long PHYS(x86_entry_multiboot2)
	.balign 8
	.short 6, 1 /* tag: modules on page boundaries, optional */
	.long 8
	.balign 8
	.short 0, 0
	.long 8
multiboot2_header_end:

	.section .note.Xen, "a", @note
	.balign 4
	.long 4, 4, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long PHYS(x86_entry_pvh)

	.section .text.boot, "ax"
	.code32
	.global x86_entry_multiboot2, x86_entry_pvh
x86_entry_multiboot2:
	cmpl $MULTIBOOT2_LOADER_MAGIC, %eax
	jne hang
	movl $1, %edi /* enum boot_protocol */
	jmp enter
x86_entry_pvh:
	xorl %edi, %edi
enter:
	cli
	cld
	movl %ebx, %esi
	rdtsc
	movl %eax, PHYS(x86_boot_tsc)
	movl %edx, PHYS(x86_boot_tsc) + 4

	movl $0x80000001, %eax
	cpuid
	btl $29, %edx /* long mode */
	jnc no_long_mode

	/* boot_pd: 2 MiB pages over everything up to the kernel's end. */
	movl $PHYS(x86_boot_pd), %ebx
	movl $0x183, %eax /* present, writable, 2 MiB, global */
1:
	movl %eax, (%ebx)
	addl $8, %ebx
	addl $0x200000, %eax
	cmpl $PHYS(_end), %eax
	jb 1b
	movl $PHYS(x86_boot_pd) + 3, %eax
	movl %eax, PHYS(x86_boot_pdpt)
	movl %eax, PHYS(x86_boot_pdpt) + 510 * 8
	movl $PHYS(x86_boot_pdpt) + 3, %eax
	movl %eax, PHYS(x86_boot_pml4)
	movl %eax, PHYS(x86_boot_pml4) + 256 * 8
	movl %eax, PHYS(x86_boot_pml4) + 511 * 8

	movl $PHYS(x86_boot_pml4), %eax
	movl %eax, %cr3
	movl $0x20, %eax /* PAE */
	movl %eax, %cr4
	movl $0xc0000080, %ecx /* EFER: LME, and NXE where it is known (edx is still CPUID's) */
	movl $0x100, %eax
	btl $20, %edx
	jnc 1f
	orl $0x800, %eax
1:
	xorl %edx, %edx
	wrmsr
	movl $0x80010033, %eax /* PG WP NE ET MP PE */
	movl %eax, %cr0
	lgdt PHYS(boot_gdt_pointer)
	ljmp $8, $PHYS(enter64)

/* A CPU without long mode: say so on the serial port, it is all there is. */
no_long_mode:
	movl $PHYS(no_long_mode_text), %esi
	movl $0x3f8, %edx
1:
	lodsb
	testb %al, %al
	jz hang
	outb %al, %dx
	jmp 1b
hang:
	hlt
	jmp hang

	.code64
enter64:
	movabsq $1f, %rax
	jmp *%rax
1:
	xorl %eax, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %fs
	movl %eax, %gs
	movl %eax, %ss
	movq $x86_boot_stack_top, %rsp
	xorl %ebp, %ebp
	movl %esi, %esi
	call x86_boot /* (protocol, physical address of the information) */
	ud2

	.section .rodata
	.balign 8
	.global x86_boot_gdt
x86_boot_gdt:
	.quad 0
	.quad 0x00af9b000000ffff /* 64-bit code */
boot_gdt_pointer:
	.short 15
	.long PHYS(x86_boot_gdt)
no_long_mode_text:
	.asciz "CloudOS: this CPU has no 64-bit mode\r\n"

	.section .bss
	.balign 4096
	.global x86_boot_pml4, x86_boot_pdpt, x86_boot_pd, x86_boot_stack_top, x86_boot_tsc
x86_boot_pml4:
	.skip 4096
x86_boot_pdpt:
	.skip 4096
x86_boot_pd:
	.skip 4096
	.skip 16384 /* HAL_KSTACK_SIZE */
x86_boot_stack_top:
x86_boot_tsc:
	.skip 8
	.section .note.GNU-stack, "", @progbits
