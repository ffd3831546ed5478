/* SPDX-License-Identifier: MIT */
/*
 * The kernel's virtual area: address space reserved with no access, in which single pages of RAM are mapped
 * from the memfd. A page that is not mapped faults for real, so guard pages guard. The page numbers are
 * remembered here, as the host does not tell what a mapping was made of. The caller serialises.
 */
#include <asm/errno.h>

#include <hal/hal.h>
#include <sim/host.h>

#define KVA_PAGES (SIM_KVA_SIZE >> PAGE_SHIFT)

static uint32_t kva_frame[KVA_PAGES]; /* page number in RAM; 0: nothing (page 0 is never given out) */
_Static_assert(SIM_RAM_MAX >> PAGE_SHIFT <= UINT32_MAX, "a page number fits");

void hal_kva_range(uintptr_t *ret_start, uintptr_t *ret_end)
{
	*ret_start = SIM_KVA_START;
	*ret_end = SIM_KVA_START + SIM_KVA_SIZE;
}

int hal_kva_map(uintptr_t va, paddr_t pa)
{
	if (host_area_map(va, pa) < 0)
		return -ENOMEM;
	kva_frame[(va - SIM_KVA_START) >> PAGE_SHIFT] = (uint32_t)(pa >> PAGE_SHIFT);
	return 0;
}

paddr_t hal_kva_unmap(uintptr_t va)
{
	uint32_t *frame = &kva_frame[(va - SIM_KVA_START) >> PAGE_SHIFT];
	paddr_t pa = (paddr_t)*frame << PAGE_SHIFT;

	*frame = 0;
	if (host_area_unmap(va) < 0)
		host_fatal("cannot unmap kernel memory: the host's limit of mappings (vm.max_map_count)");
	return pa;
}
