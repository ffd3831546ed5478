/* SPDX-License-Identifier: MIT */
/* The copies of per-CPU data. The boot CPU uses the section itself (its offset is 0), the others a page block each. */
#include <cloudos/errno.h>
#include <cloudos/mm.h>
#include <cloudos/percpu.h>

extern char __start_cloudos_percpu[], __stop_cloudos_percpu[];

char *percpu_base[HAL_CPU_MAX];

void percpu_init_boot(void)
{
	percpu_base[0] = NULL;
	hal_cpu_set_area(NULL);
}

int percpu_init_cpu(unsigned cpu)
{
	size_t size = (size_t)(__stop_cloudos_percpu - __start_cloudos_percpu);
	unsigned order = size > PAGE_SIZE ? 64u - (unsigned)__builtin_clzll((size - 1) >> PAGE_SHIFT) : 0;
	struct page *p = page_alloc(order, PAGE_ALLOC_ZERO);

	if (!p)
		return -ENOMEM;
	percpu_base[cpu] = (char *)((uintptr_t)page_virt(p) - (uintptr_t)__start_cloudos_percpu);
	return 0;
}
