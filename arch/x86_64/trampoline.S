/* SPDX-License-Identifier: MIT */
/*
 * Where another CPU begins: in real mode at the start of a page below 1 MiB, to which smp.c copies this and in which it
 * fills the fields at the end. Straight to long mode, on the boot tables, which map that page one to one.
 */
#define OFFSET(label) ((label) - x86_trampoline)

	.section .rodata
	.balign 16
	.global x86_trampoline, x86_trampoline_end, x86_trampoline_fields
	.code16
x86_trampoline:
	cli
	cld
	movw %cs, %ax
	movw %ax, %ds
	movl OFFSET(field_cr4), %eax
	movl %eax, %cr4
	movl OFFSET(field_cr3), %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx /* EFER */
	movl OFFSET(field_efer), %eax
	xorl %edx, %edx
	wrmsr
	lgdtl OFFSET(field_gdt)
	movl $0x80010033, %eax /* PG WP NE ET MP PE */
	movl %eax, %cr0
	ljmpl *OFFSET(field_jump)

	.code64
	.balign 8
trampoline64:
	xorl %eax, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %fs
	movl %eax, %gs
	movl %eax, %ss
	xorl %ebp, %ebp
	movq field_stack(%rip), %rsp
	movq field_cpu(%rip), %rdi
	movq field_entry(%rip), %rax
	call *%rax
	ud2

	.balign 8
x86_trampoline_fields: /* struct trampoline_fields in smp.c */
field_stack:
	.quad 0
field_cpu:
	.quad 0
field_entry:
	.quad 0
field_cr3:
	.long 0
field_cr4:
	.long 0
field_efer:
	.long 0
field_jump:
	.long OFFSET(trampoline64) /* and the page's address is added */
	.short 8
field_gdt:
	.short 15
	.long 0
x86_trampoline_end:
	.section .note.GNU-stack, "", @progbits
