/* SPDX-License-Identifier: MIT */
/*
 * A user program below any process of the kernel: hand-made page tables, a page of code, and what
 * hal_user_run() says.
 */
#ifndef TESTS_SIM_PROGRAM_H
#define TESTS_SIM_PROGRAM_H

#include "../unit/unit.h"

#include <asm/siginfo.h>
#include <asm/signal.h>
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include <cloudos/thread.h>
#include <sim/user.h>

#define CODE UINT64_C(0x400000)
#define DATA UINT64_C(0x500000)

/* Programs: position independent, at CODE; rbx holds DATA. */
#define PROGRAM(name, text)                                                                                  \
	extern const char name[], name##_end[];                                                              \
	__asm__(".pushsection .rodata\n" #name ":\n" text "\n" #name "_end:\n.popsection")

struct program {
	struct hal_aspace as;
	struct hal_user user;
	struct page *pages[16]; /* tables, code, data */
	unsigned page_count;
	struct page *fpu;
};

static inline void *fresh_page(struct program *p)
{
	struct page *page = page_alloc(0, PAGE_ALLOC_ZERO);

	assert_non_null(page);
	assert_true(p->page_count < ARRAY_SIZE(p->pages));
	p->pages[p->page_count++] = page;
	return page_virt(page);
}

static inline hal_pte_t *slot_of(struct program *p, uaddr_t addr)
{
	hal_pte_t *table = p->as.root;

	for (unsigned level = HAL_PT_LEVELS - 1; level > 0; level--) {
		hal_pte_t *slot = &table[addr >> (PAGE_SHIFT + 9 * level) & 511];

		if (!hal_pte_present(*slot))
			hal_pte_set(slot, hal_pte_table(hal_virt_to_phys(fresh_page(p))));
		table = hal_phys_to_virt(hal_pte_paddr(*slot));
	}
	return &table[addr >> PAGE_SHIFT & 511];
}

/* Maps a fresh page, or only changes what the page there allows; the page. */
static inline void *map(struct program *p, uaddr_t addr, unsigned prot)
{
	hal_pte_t *slot = slot_of(p, addr);
	void *page = hal_pte_present(*slot) ? hal_phys_to_virt(hal_pte_paddr(*slot)) : fresh_page(p);

	hal_pte_set(slot, hal_pte_leaf(hal_virt_to_phys(page), prot));
	return page;
}

static inline void program_init(struct program *p, const char *code, const char *end)
{
	memset(p, 0, sizeof(*p));
	p->fpu = page_alloc(2, PAGE_ALLOC_ZERO);
	assert_non_null(p->fpu);
	assert_true(hal_user_fpu_size() <= PAGE_SIZE << 2);
	assert_int_equal(hal_aspace_init(&p->as, fresh_page(p)), 0);
	memcpy(map(p, CODE, HAL_PROT_READ | HAL_PROT_EXEC), code, (size_t)(end - code));
	hal_user_init(&p->user, page_virt(p->fpu));
	p->user.regs.rip = CODE;
	p->user.regs.rbx = DATA;
}
#define PROGRAM_INIT(p, name) program_init(p, name, name##_end)

static inline void program_fini(struct program *p)
{
	hal_irq_disable();
	hal_user_save(&p->user);
	hal_aspace_activate(NULL);
	hal_irq_enable();
	hal_aspace_fini(&p->as);
	while (p->page_count)
		page_put(p->pages[--p->page_count]);
	page_put(p->fpu);
}

/* Runs until something else than an interrupt happens. */
static inline enum hal_exit_kind run(struct program *p, struct hal_exit *exit)
{
	enum hal_exit_kind kind;

	do {
		hal_irq_disable();
		hal_aspace_activate(&p->as);
		kind = hal_user_run(&p->user, exit);
		assert_true(hal_irq_enabled());
	} while (kind == HAL_EXIT_INTERRUPT);
	return kind;
}

static inline void assert_fault(struct program *p, uaddr_t addr, enum hal_access access)
{
	struct hal_exit exit;

	assert_int_equal(run(p, &exit), HAL_EXIT_FAULT);
	assert_int_equal(exit.addr, addr);
	assert_int_equal(exit.access, access);
}

static inline void assert_call(struct program *p, uint64_t number)
{
	struct hal_exit exit;

	assert_int_equal(run(p, &exit), HAL_EXIT_SYSCALL);
	assert_int_equal(hal_abi_syscall_number(&p->user.regs), number);
}

static inline void assert_trap(struct program *p, int signo, int code)
{
	struct hal_exit exit;

	assert_int_equal(run(p, &exit), HAL_EXIT_TRAP);
	assert_int_equal(exit.signo, signo);
	assert_int_equal(exit.code, code);
}

#endif
