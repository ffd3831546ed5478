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

/* Pages that follow one another in RAM too. */
static size_t in_a_row(const paddr_t *pages, size_t count)
{
	size_t n = 1;

	while (n < count && pages[n] == pages[0] + (n << PAGE_SHIFT))
		n++;
	return n;
}

int hal_kva_map(uintptr_t va, const paddr_t *pages, size_t count)
{
	uint32_t *frame = &kva_frame[(va - SIM_KVA_START) >> PAGE_SHIFT];
	size_t n;

	for (size_t i = 0; i < count; i += n) {
		n = in_a_row(&pages[i], count - i);
		if (host_area_map(va + (i << PAGE_SHIFT), pages[i], n << PAGE_SHIFT) < 0) {
			(void)host_area_unmap(va, i << PAGE_SHIFT);
			return -ENOMEM;
		}
	}
	for (size_t i = 0; i < count; i++)
		frame[i] = (uint32_t)(pages[i] >> PAGE_SHIFT);
	return 0;
}

void hal_kva_unmap(uintptr_t va, size_t count, paddr_t *ret_pages)
{
	uint32_t *frame = &kva_frame[(va - SIM_KVA_START) >> PAGE_SHIFT];

	for (size_t i = 0; i < count; i++) {
		ret_pages[i] = (paddr_t)frame[i] << PAGE_SHIFT;
		frame[i] = 0;
	}
	if (host_area_unmap(va, count << PAGE_SHIFT) < 0)
		host_fatal("cannot unmap kernel memory: the host's limit of mappings (vm.max_map_count)");
}
