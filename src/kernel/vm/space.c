/* SPDX-License-Identifier: MIT */
/*
 * The life of an address space. It is used by processes, and for a moment by others that look into it (vm_space_get); the last of them
 * takes it apart:
 *
 *   1. It leaves the list of all spaces (spaces.c), and the areas leave their objects' lists: from then on nobody finds the space.
 *   2. The scheduler takes it off every CPU, and the machine forgets it: no translation is cached any more.
 *   3. The pages go, area by area, and the tables with them.
 *   4. The structure goes when nobody holds it any more who has to know that this was the space that he found (vm_space_hold).
 */
#define LOG_SUBSYSTEM "vm"
#include <cloudos/errno.h>
#include <cloudos/log.h>
#include <cloudos/namespace.h>
#include <cloudos/service.h>
#include <cloudos/string.h>
#include "swap_area.h"

#define UNMAP_TOGETHER (PT_ENTRIES * PAGE_SIZE) /* distance from which on areas are unmapped one by one */
#define STACK_LIMIT_DEFAULT (UINT64_C(8) << 20)

paddr_t vm_zero_pa;
static struct slab_cache *space_cache;

struct vm_space *space_create(void)
{
	struct vm_space *s = slab_zalloc(space_cache);

	if (!s)
		return NULL;
	refcount_init(&s->users, 1);
	refcount_init(&s->holds, 1);
	rwlock_init(&s->lock, RANK_VM_SPACE);
	spin_init(&s->table_lock, RANK_PAGE_TABLE);
	spin_init(&s->group_lock, RANK_MEMORY_GROUP);
	area_tree_init(s);
	list_init(&s->all_link);
	s->limit_as = s->limit_data = UINT64_MAX;
	s->limit_stack = STACK_LIMIT_DEFAULT;
	if (pagetable_init(s)) {
		slab_free(space_cache, s);
		return NULL;
	}
	return s;
}

struct vm_space *vm_space_create(void)
{
	struct vm_space *s = space_create();

	if (s) {
		s->map_top = layout_map_top(s->limit_stack);
		if (thread_current()->vm)
			space_inherit_group(s, thread_current()->vm);
		spaces_enter(s);
	}
	return s;
}

void space_copy_program(struct vm_space *to, const struct vm_space *from)
{
	to->stack_start = from->stack_start;
	to->arg_start = from->arg_start;
	to->arg_end = from->arg_end;
	to->env_start = from->env_start;
	to->env_end = from->env_end;
	to->code_start = from->code_start;
	to->code_end = from->code_end;
	to->data_start = from->data_start;
	to->data_end = from->data_end;
	to->vdso = from->vdso;
	to->auxv_words = from->auxv_words;
	to->membarriers = READ_ONCE(from->membarriers);
	memcpy(to->auxv, from->auxv, sizeof(to->auxv[0]) * min(from->auxv_words, (uint32_t)ARRAY_SIZE(to->auxv)));
	to->exe = from->exe;
	if (to->exe)
		vm_file_ops->get(to->exe);
	to->user_ns = from->user_ns;
	if (to->user_ns)
		namespace_get(to->user_ns);
}

void vm_space_get(struct vm_space *s)
{
	refcount_get(&s->users);
}

void vm_space_hold(struct vm_space *s)
{
	refcount_get(&s->holds);
}

bool vm_space_use(struct vm_space *s)
{
	return refcount_get_unless_zero(&s->users);
}

void vm_space_let_go(struct vm_space *s)
{
	if (refcount_put(&s->holds))
		slab_free(space_cache, s);
}

/* Areas near each other, which share tables, go in one pass. */
static void unmap_all(struct vm_space *s)
{
	uaddr_t start = 0, end = 0;
	struct vm_area *a;

	list_for_each(a, &s->area_list, link) {
		if (a->start - end >= UNMAP_TOGETHER && end > start) {
			zap_unused(s, start, end);
			start = a->start;
		} else if (end == 0) {
			start = a->start;
		}
		end = a->end;
	}
	if (end > start)
		zap_unused(s, start, end);
}

static void space_destroy(struct vm_space *s)
{
	struct vm_area *a, *next;

	spaces_leave(s);
	areas_hide(s);
	sched_space_retire(&s->sched);
	hal_aspace_fini(&s->sched.hal);
	unmap_all(s);
	list_for_each_safe(a, next, &s->area_list, link)
		area_discard(a);
	if (unlikely(s->table_pages > 1)) /* a fork that ran out of memory: pages without areas */
		zap_unused(s, 0, HAL_USER_TOP);
	pagetable_fini(s);
	space_emptied(s);
	if (s->group)
		memory_count_faults(s, s->faults_minor % MEMORY_FAULTS_TOLD, 0);
	vm_space_set_group(s, NULL);
	if (s->exe)
		vm_file_ops->put(s->exe);
	if (s->user_ns)
		namespace_put(s->user_ns);
	vm_space_let_go(s);
}

void vm_space_put(struct vm_space *s)
{
	if (refcount_put(&s->users))
		space_destroy(s);
}

void vm_space_switch(struct vm_space *s)
{
	struct thread *t = thread_current();
	struct vm_space *old = t->vm;

	STORE_RELEASE(t->vm, s);
	thread_set_space(t, s ? &s->sched : NULL);
	if (old)
		vm_space_put(old);
}

void vm_space_sizes(struct vm_space *s, struct vm_sizes *ret)
{
	rwlock_read(&s->lock);
	spin_lock(&s->table_lock);
	*ret = (struct vm_sizes){
		.resident = s->resident_pages,
		.anon = s->anon_pages,
		.peak_resident = max(s->peak_resident, s->resident_pages),
		.tables = s->table_pages,
		.swapped = s->swapped_pages,
		.total = s->total_pages,
		.data = s->data_pages,
		.stack = s->stack_pages,
		.locked = s->locked_pages,
	};
	spin_unlock(&s->table_lock);
	rwlock_read_unlock(&s->lock);
}

/* ---- boot ---- */

/* A fault on a user address inside hal_copy_*: the running thread's own, or a bad address. */
static int user_fault(uaddr_t addr, enum hal_access access)
{
	struct vm_fault_error error;

	return vm_fault(addr, access, &error);
}

int vm_start(void)
{
	struct page *zero = page_alloc(0, PAGE_ALLOC_ZERO);

	space_cache = slab_cache_create("vm_space", sizeof(struct vm_space), 0);
	if (!zero || !space_cache || area_cache_init() || page_map_cache_init() || object_cache_init())
		return -ENOMEM;
	vm_zero_pa = page_phys(zero);
	page_watcher = swap_page_leaves;
	page_uncharger = memory_uncharge_page;
	layout_init();
	hal_upcalls.user_fault = user_fault;
	return 0;
}
SERVICE_DEFINE(vm, .start = vm_start, .flags = SERVICE_ESSENTIAL);
