/* SPDX-License-Identifier: MIT */
/*
 * Chains of filters, prepared when they are installed: for each call that can be named, the program is run with the number and the
 * architecture alone. Mostly that decides: then the call has a constant answer; and if the whole chain allows it, a bit in the newest
 * filter says so, and the call costs one test. Otherwise the run stops in front of the first argument that the program looks at, and
 * that is where it starts when the call is made: the search for the number is over.
 */
#include <cloudos/errno.h>
#include <cloudos/mm.h>
#include <cloudos/seccomp.h>
#include <cloudos/string.h>

#define WORD_NUMBER 0
#define WORD_ARCH   1
#define KNOWN	    (1u << WORD_NUMBER | 1u << WORD_ARCH)
_Static_assert(sizeof(struct seccomp_data) == BPF_DATA_WORDS * sizeof(uint32_t), "what programs read");
_Static_assert(offsetof(struct seccomp_data, nr) == WORD_NUMBER * sizeof(uint32_t), "see KNOWN");
_Static_assert(offsetof(struct seccomp_data, arch) == WORD_ARCH * sizeof(uint32_t), "see KNOWN");

static uint32_t action_of(uint32_t value)
{
	return value & SECCOMP_RET_ACTION_FULL;
}

static void prepare(struct seccomp_filter *f, uint32_t arch)
{
	uint32_t data[BPF_DATA_WORDS] = { [WORD_ARCH] = arch };

	for (unsigned number = 0; number < SECCOMP_CALLS; number++) {
		struct bpf_place *start = &f->starts[number];
		uint32_t value;

		data[WORD_NUMBER] = number;
		if (!bpf_run_known(f->program, start, data, KNOWN, &value))
			continue;
		*start = (struct bpf_place){ .pc = SECCOMP_CONSTANT, .a = value };
		if (action_of(value) == SECCOMP_RET_ALLOW && (!f->prev || seccomp_allows(f->prev, number)))
			bitmap_set(f->allows, number);
	}
}

int seccomp_create(const struct sock_filter *program, size_t n, uint32_t arch, struct seccomp_filter *prev, bool log,
		   struct seccomp_filter **ret)
{
	uint32_t cost = (uint32_t)n + (prev ? prev->cost + SECCOMP_FILTER_PENALTY : 0);
	struct seccomp_filter *f;
	int err = bpf_check(program, n);

	if (err < 0)
		return err;
	if (cost > SECCOMP_CHAIN_INSNS_MAX)
		return -ENOMEM;
	f = kzalloc(sizeof(*f) + n * sizeof(*program));
	if (!f)
		return -ENOMEM;
	refcount_init(&f->refs, 1);
	refcount_init(&f->users, 1);
	if (prev)
		seccomp_join(prev);
	f->prev = prev;
	f->cost = cost;
	f->depth = prev ? prev->depth + 1 : 1;
	f->log = log;
	f->length = (uint32_t)n;
	memcpy(f->program, program, n * sizeof(*program));
	prepare(f, arch);
	*ret = f;
	return 0;
}

void seccomp_put(struct seccomp_filter *f)
{
	while (f && refcount_put(&f->refs)) {
		struct seccomp_filter *prev = f->prev;

		kfree(f->notify);
		kfree(f);
		f = prev;
	}
}

void seccomp_join(struct seccomp_filter *f)
{
	seccomp_get(f);
	refcount_get(&f->users);
}

/* The listeners of those that nobody uses any more are told: they hang up. */
void seccomp_leave(struct seccomp_filter *f)
{
	for (struct seccomp_filter *g = f; g && refcount_put(&g->users); g = g->prev)
		if (g->notify)
			wake_all(&g->notify->changed);
	seccomp_put(f);
}

bool seccomp_is_listened_to(const struct seccomp_filter *f)
{
	for (; f; f = f->prev)
		if (f->notify && !READ_ONCE(f->notify->closed))
			return true;
	return false;
}

bool seccomp_is_ancestor(const struct seccomp_filter *f, const struct seccomp_filter *of)
{
	if (!f)
		return true;
	while (of && of != f)
		of = of->prev;
	return of == f;
}

static uint32_t ask(const struct seccomp_filter *f, const struct seccomp_data *call)
{
	static const struct bpf_place beginning;
	const struct bpf_place *start = (uint32_t)call->nr < SECCOMP_CALLS ? &f->starts[call->nr] : &beginning;

	if (start->pc == SECCOMP_CONSTANT)
		return start->a;
	return bpf_run(f->program, *start, (const uint32_t *)(const void *)call);
}

uint32_t seccomp_decide(const struct seccomp_filter *f, const struct seccomp_data *call, const struct seccomp_filter **ret_by)
{
	uint32_t least = SECCOMP_RET_ALLOW;

	*ret_by = NULL;
	for (; f; f = f->prev) {
		uint32_t value = ask(f, call);

		if ((int32_t)action_of(value) < (int32_t)action_of(least)) { /* SECCOMP_RET_KILL_PROCESS is negative */
			least = value;
			*ret_by = f;
		}
	}
	return least;
}
