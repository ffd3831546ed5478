/* SPDX-License-Identifier: MIT */
/*
 * Slabs and kmalloc(). Workers on several CPUs take objects of a few common caches and of any size, fill them, hand them to each other
 * and give them back, wherever they then run; each makes and destroys caches of its own besides.
 *
 *   reference   an object is filled with one byte from end to end, and must be found so: no two objects overlap
 *   figures     the objects in use of a cache, when nothing moves, are those that the model holds
 */
#include "model.h"

#include <cloudos/lock.h>
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include <cloudos/thread.h>

#define WORKERS 4
#define SLOTS	24
#define SHARED	8
#define OWN	20 /* objects of a worker's own cache */

static const struct {
	const char *name;
	uint16_t size, align;
} kinds[] = {
    {"model-24", 24, 0}, {"model-100", 100, 4}, {"model-256", 256, 256}, {"model-1000", 1000, 64}, {"model-8k", 8192, 4096},
};
#define KINDS ARRAY_SIZE(kinds)

static struct slab_cache *caches[KINDS];

/* An object lives with its description, which moves between slots by pointer. */
struct object {
	char *at;
	size_t size;
	unsigned kind; /* of `kinds`; KINDS: from kmalloc() */
	char fill;
};

static struct object objects[WORKERS][SLOTS];
static struct object shared[SHARED];
static struct spinlock shared_lock = SPINLOCK_INIT(RANK_SPIN);
static uint64_t in_use[KINDS];

static void check_filled(const char *at, size_t size, char fill)
{
	size_t i = 0;

	while (i < size && at[i] == fill)
		i++;
	MODEL_EQUAL(i, size);
}

static void drop(struct object *o)
{
	if (!o->at)
		return;
	check_filled(o->at, o->size, o->fill);
	if (o->kind < KINDS) {
		slab_free(caches[o->kind], o->at);
		__atomic_fetch_sub(&in_use[o->kind], 1, __ATOMIC_RELAXED);
	} else {
		kfree(o->at);
	}
	o->at = NULL;
}

static void keep(struct object *o, char *at, size_t size, unsigned kind, bool zeroed, char fill)
{
	MODEL_CHECK(at || model_may_fail());
	if (!at)
		return;
	if (zeroed)
		check_filled(at, size, 0);
	memset(at, fill, size);
	*o = (struct object){at, size, kind, fill};
}

static void take_of_cache(struct model_op *op, struct object *o)
{
	unsigned kind = (unsigned)model_below(op, KINDS);
	uint64_t zeroed = model_below(op, 2), fill = model_draw(op);
	char *at;

	if (o->at)
		return;
	at = zeroed ? slab_zalloc(caches[kind]) : slab_alloc(caches[kind]);
	if (at)
		__atomic_fetch_add(&in_use[kind], 1, __ATOMIC_RELAXED);
	MODEL_EQUAL((uintptr_t)at & ((kinds[kind].align ? kinds[kind].align : 16u) - 1), 0);
	keep(o, at, kinds[kind].size, kind, zeroed, (char)fill);
}

static void take_any_size(struct model_op *op, struct object *o)
{
	uint64_t shift = model_below(op, 13), low = model_below(op, 4096), zeroed = model_below(op, 2), fill = model_draw(op);
	size_t size = low >> shift;
	char *at;

	if (model_chance(op, 5))
		size += 4096;
	if (o->at)
		return;
	at = zeroed ? kcalloc(size / 4 + 1, 4) : kmalloc(size);
	size = zeroed ? (size / 4 + 1) * 4 : size;
	MODEL_EQUAL((uintptr_t)at & (size > 2048 ? PAGE_SIZE - 1 : 15), 0);
	keep(o, at, size, KINDS, zeroed, (char)fill);
}

static void impossible(struct model_op *op)
{
	uint64_t n = model_draw(op) | UINT64_C(1) << 40;

	MODEL_CHECK(!kcalloc(n, SIZE_MAX / n + 1));
	MODEL_CHECK(!kmalloc((PAGE_SIZE << PAGE_ORDER_MAX) + 1 + n % PAGE_SIZE));
	kfree(NULL);
	slab_free(caches[0], NULL);
}

/* A slot's object against a shared one. */
static void hand_over(struct model_op *op, struct object *o)
{
	struct object *place = &shared[model_below(op, SHARED)], was;

	spin_lock(&shared_lock);
	was = *place;
	*place = *o;
	*o = was;
	spin_unlock(&shared_lock);
	if (o->at)
		check_filled(o->at, o->size, o->fill);
}

/* A cache from making to destroying, with objects given back in another order than they were taken. */
static void own_cache(struct model_op *op)
{
	uint64_t size = 1 + model_below(op, 2000), align = UINT64_C(1) << model_below(op, 8), first = model_below(op, OWN);
	struct slab_cache *c = slab_cache_create("model-own", size, align);
	char *own[OWN];
	unsigned n = 0;

	MODEL_CHECK(c || model_may_fail());
	if (!c)
		return;
	for (; n < OWN && (own[n] = slab_alloc(c)); n++) {
		MODEL_EQUAL((uintptr_t)own[n] & (align - 1), 0);
		memset(own[n], (int)n, size);
	}
	MODEL_CHECK(n == OWN || model_may_fail());
	for (unsigned i = 0; i < OWN; i++) {
		unsigned which = (unsigned)((first + i * 7) % OWN);

		if (which >= n)
			continue;
		check_filled(own[which], size, (char)which);
		slab_free(c, own[which]);
	}
	slab_cache_destroy(c);
}

static void move(struct model_op *op)
{
	uint64_t cpu = model_below(op, HAL_CPU_MAX) % hal_cpu_count();

	(void)thread_set_affinity(thread_current(), UINT64_C(1) << cpu);
}

static void work(unsigned worker)
{
	struct model_op op = MODEL_OPS(worker);

	while (model_next(&op)) {
		struct object *o = &objects[worker][model_below(&op, SLOTS)];
		uint64_t what = model_below(&op, 20);

		if (what < 6)
			take_of_cache(&op, o);
		else if (what < 10)
			take_any_size(&op, o);
		else if (what < 15)
			drop(o);
		else if (what < 17)
			hand_over(&op, o);
		else if (what < 18)
			own_cache(&op);
		else if (what < 19)
			impossible(&op);
		else
			move(&op);
		model_state(in_use[0] << 32 ^ in_use[1] << 16 ^ in_use[2] << 8 ^ in_use[3]);
	}
}

/* ---- begin and end ---- */

static void check_figures(void)
{
	struct slab_stats s;

	for (size_t i = 0; slab_get_stats(i, &s); i++)
		for (size_t k = 0; k < KINDS; k++)
			if (str_equal(s.name, kinds[k].name))
				MODEL_EQUAL(s.objects_in_use, in_use[k]);
}

/* Descriptors of caches stay for the next ones: makes as many as there will be at a time. */
static void prepare(void)
{
	struct slab_cache *spare[KINDS + WORKERS];

	for (size_t i = 0; i < ARRAY_SIZE(spare); i++)
		spare[i] = slab_cache_create("model-spare", 16, 0);
	for (size_t i = 0; i < ARRAY_SIZE(spare); i++)
		slab_cache_destroy(spare[i]);
}

static void make_caches(void)
{
	sim_faults_arm(false);
	for (size_t k = 0; k < KINDS; k++) {
		caches[k] = slab_cache_create(kinds[k].name, kinds[k].size, kinds[k].align);
		MODEL_CHECK(caches[k]);
	}
	sim_faults_arm(true);
}

static void run(void)
{
	make_caches();
	model_workers(WORKERS, work);
	model_recover();
	check_figures();
	for (unsigned i = 0; i < WORKERS * SLOTS; i++)
		drop(&objects[i / SLOTS][i % SLOTS]);
	for (unsigned i = 0; i < SHARED; i++)
		drop(&shared[i]);
	check_figures();
	for (size_t k = 0; k < KINDS; k++)
		slab_cache_destroy(caches[k]);
}

MODEL_DEFINE(slabs, .what = "slab caches and kmalloc", .prepare = prepare, .run = run, .cpus = 4, .operations = 80);
