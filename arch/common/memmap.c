/* SPDX-License-Identifier: MIT */
/*
 * The boot memory map. Each operation cuts the table at the two ends of its range, so that every entry then
 * lies wholly inside or outside, changes the entries inside, and merges neighbours again.
 *
 * I1  range[0..count) is sorted by base, page aligned, not overlapping, below MEMMAP_END.
 * I2  Whatever does not fit is left out and counted, in a way that only loses memory: an addition is not
 * made, while a removal or reservation that cannot be cut exactly takes the whole entry.
 */
#include <arch/memmap.h>

struct span {
	paddr_t base, end;
};

static struct span span_clip(paddr_t base, uint64_t size)
{
	struct span s = {base, base + size};

	if (s.end < base || s.end > MEMMAP_END)
		s.end = MEMMAP_END;
	if (s.base > MEMMAP_END)
		s.base = MEMMAP_END;
	return s;
}

static struct span span_inward(paddr_t base, uint64_t size)
{
	struct span s = span_clip(base, size);

	s.base = (s.base + PAGE_SIZE - 1) & PAGE_MASK;
	s.end &= PAGE_MASK;
	return s;
}

static struct span span_outward(paddr_t base, uint64_t size)
{
	struct span s = span_clip(base, size);

	s.base &= PAGE_MASK;
	s.end = (s.end + PAGE_SIZE - 1) & PAGE_MASK;
	return s;
}

static paddr_t range_end(const struct hal_mem_range *r)
{
	return r->base + r->size;
}

static bool insert_at(struct memmap *m, size_t at, struct span s, enum hal_mem_kind kind)
{
	if (m->count == HAL_MEM_RANGES_MAX) {
		m->dropped++;
		return false;
	}
	for (size_t i = m->count; i > at; i--)
		m->range[i] = m->range[i - 1];
	m->range[at] = (struct hal_mem_range){s.base, s.end - s.base, kind};
	m->count++;
	return true;
}

static void erase_at(struct memmap *m, size_t at)
{
	m->count--;
	for (size_t i = at; i < m->count; i++)
		m->range[i] = m->range[i + 1];
}

/* No entry straddles `addr` afterwards; false when there is no room for the second half. */
static bool cut_at(struct memmap *m, paddr_t addr)
{
	for (size_t i = 0; i < m->count; i++) {
		struct hal_mem_range *r = &m->range[i];
		struct span rest = {addr, range_end(r)};

		if (r->base >= addr || range_end(r) <= addr)
			continue;
		if (!insert_at(m, i + 1, rest, r->kind))
			return false;
		r->size = addr - r->base;
		break;
	}
	return true;
}

static void merge(struct memmap *m)
{
	size_t kept = 0;

	for (size_t i = 1; i < m->count; i++) {
		struct hal_mem_range *last = &m->range[kept];

		if (range_end(last) == m->range[i].base && last->kind == m->range[i].kind)
			last->size += m->range[i].size;
		else
			m->range[++kept] = m->range[i];
	}
	if (m->count > 0)
		m->count = kept + 1;
}

/* Cuts at both ends. A cut that finds no room widens the span to the entry's own end: I2. */
static struct span cut_span(struct memmap *m, struct span s)
{
	for (size_t i = 0; i < m->count; i++) {
		const struct hal_mem_range *r = &m->range[i];

		if (r->base < s.base && s.base < range_end(r) && !cut_at(m, s.base))
			s.base = r->base;
	}
	for (size_t i = 0; i < m->count; i++) {
		const struct hal_mem_range *r = &m->range[i];

		if (r->base < s.end && s.end < range_end(r) && !cut_at(m, s.end))
			s.end = range_end(r);
	}
	return s;
}

void memmap_add(struct memmap *m, paddr_t base, uint64_t size)
{
	struct span s = span_inward(base, size);
	size_t i = 0;

	if (s.base >= s.end) {
		m->dropped++;
		return;
	}
	/* Fills each gap between the entries that lie in the span. */
	while (s.base < s.end) {
		while (i < m->count && range_end(&m->range[i]) <= s.base)
			i++;
		paddr_t next = i < m->count ? m->range[i].base : MEMMAP_END;
		struct span gap = {s.base, next < s.end ? next : s.end};

		if (gap.base < gap.end && !insert_at(m, i, gap, HAL_MEM_FREE))
			break;
		if (gap.base < gap.end)
			i++;
		if (i >= m->count || m->range[i].base >= s.end)
			break;
		s.base = range_end(&m->range[i]);
	}
	merge(m);
}

void memmap_remove(struct memmap *m, paddr_t base, uint64_t size)
{
	struct span s = span_outward(base, size);

	if (size == 0 || s.base >= s.end)
		return;
	s = cut_span(m, s);
	for (size_t i = m->count; i-- > 0;) {
		if (m->range[i].base >= s.base && m->range[i].base < s.end)
			erase_at(m, i);
	}
}

void memmap_reserve(struct memmap *m, paddr_t base, uint64_t size, enum hal_mem_kind kind)
{
	struct span s = span_outward(base, size);

	if (size == 0 || s.base >= s.end)
		return;
	s = cut_span(m, s);
	for (size_t i = 0; i < m->count; i++) {
		struct hal_mem_range *r = &m->range[i];

		if (r->base >= s.base && r->base < s.end && r->kind == HAL_MEM_FREE)
			r->kind = kind;
	}
	merge(m);
}

paddr_t memmap_take(struct memmap *m, uint64_t size, uint64_t align, paddr_t limit)
{
	for (size_t i = m->count; i-- > 0;) {
		const struct hal_mem_range *r = &m->range[i];
		paddr_t end = range_end(r) < limit ? range_end(r) : limit;
		paddr_t base;

		if (r->kind != HAL_MEM_FREE || end < r->base || end - r->base < size)
			continue;
		base = (end - size) & ~(align - 1);
		if (base < r->base || base == 0)
			continue;
		memmap_reserve(m, base, size, HAL_MEM_RESERVED);
		return base;
	}
	return 0;
}
