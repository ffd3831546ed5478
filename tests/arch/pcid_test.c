/* SPDX-License-Identifier: MIT */
/*
 * Process-context identifiers, against a model of CPUs that remember whatever they may: each keeps, by
 * identifier, the version of each page that it last used, until a load of CR3 or a flush drops it. The kernel
 * is played as src/kernel/vm/tlb.c has it, with the requests to other CPUs under way for a while.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <x86/pcid.h>

#define CPUS   4
#define SPACES 10
#define PAGES  5
#define STEPS  400000

struct space {
	struct pcid_space pcid;
	uint32_t version[PAGES]; /* of the entry */
	uint32_t settled[PAGES]; /* no older one may be used on any CPU that owes no flush of it */
};

static struct space spaces[SPACES];

static struct {
	struct pcid_cpu pcid;
	struct space *active;
	uint32_t held[PCID_SLOTS + 1][PAGES]; /* a version, or 0 */
	bool owes[SPACES][PAGES];	      /* a request is on its way here */
	struct space *changed;		      /* it has not looked yet where else this one is active */
	int changed_page;
} cpus[CPUS];

static void space_renew(struct space *s)
{
	pcid_space_init(&s->pcid);
	for (int p = 0; p < PAGES; p++)
		s->version[p] = s->settled[p] = (uint32_t)rand() | 1u << 31;
}

static void activate(int cpu, struct space *s)
{
	bool keep;
	uint32_t pcid = pcid_activate(&cpus[cpu].pcid, s ? &s->pcid : NULL, &keep);

	assert_in_range(pcid, s ? 1 : 0, s ? PCID_SLOTS : 0);
	if (!keep)
		memset(cpus[cpu].held[pcid], 0, sizeof(cpus[cpu].held[pcid]));
	cpus[cpu].active = s;
}

static void use(int cpu, int page)
{
	struct space *s = cpus[cpu].active;
	uint32_t *held = &cpus[cpu].held[cpus[cpu].pcid.active][page];

	if (!s)
		return;
	if (*held == 0)
		*held = s->version[page];
	if (!cpus[cpu].owes[s - spaces][page])
		assert_true(*held >= s->settled[page] && *held <= s->version[page]);
}

static void flush(int cpu, struct space *s, int page)
{
	pcid_flush(&cpus[cpu].pcid, &s->pcid);
	if (cpus[cpu].active == s)
		cpus[cpu].held[cpus[cpu].pcid.active][page] = 0;
	cpus[cpu].owes[s - spaces][page] = false;
}

static void change(int cpu, struct space *s, int page)
{
	s->version[page]++;
	flush(cpu, s, page);
	cpus[cpu].changed = s;
	cpus[cpu].changed_page = page;
}

static void change_end(int cpu)
{
	struct space *s = cpus[cpu].changed;
	int page = cpus[cpu].changed_page;

	if (!s)
		return;
	cpus[cpu].changed = NULL;
	for (int other = 0; other < CPUS; other++)
		if (other != cpu && cpus[other].active == s)
			cpus[other].owes[s - spaces][page] = true;
	s->settled[page] = s->version[page];
	for (int other = 0; other < CPUS; other++) /* a later change of the same page, half done, allows the older one */
		if (cpus[other].changed == s && cpus[other].changed_page == page)
			s->settled[page] = s->version[page] - CPUS;
}

static void deliver(int cpu)
{
	for (int s = 0; s < SPACES; s++)
		for (int p = 0; p < PAGES; p++)
			if (cpus[cpu].owes[s][p])
				flush(cpu, &spaces[s], p);
}

/* The kernel takes a space off all CPUs, waiting for what is under way, before it goes. */
static void replace(struct space *s)
{
	for (int cpu = 0; cpu < CPUS; cpu++) {
		change_end(cpu);
		deliver(cpu);
		if (cpus[cpu].active == s)
			activate(cpu, NULL);
	}
	space_renew(s);
}

static void no_stale_translation_is_used(void **state)
{
	(void)state;
	memset(cpus, 0, sizeof(cpus));
	srand(1);
	for (int i = 0; i < SPACES; i++)
		space_renew(&spaces[i]);
	for (int step = 0; step < STEPS; step++) {
		int cpu = rand() % CPUS, page = rand() % PAGES, what = rand() % 100;
		struct space *s = &spaces[rand() % SPACES];

		if (what < 90) /* between the halves of a change a CPU takes requests, no more */
			change_end(cpu);
		if (what < 25)
			activate(cpu, rand() % 8 ? s : NULL);
		else if (what < 75)
			use(cpu, page);
		else if (what < 90)
			change(cpu, rand() % 2 && cpus[cpu].active ? cpus[cpu].active : s, page);
		else if (what < 99)
			deliver(cpu);
		else
			replace(s);
	}
}

static void what_nobody_flushed_is_kept(void **state)
{
	struct pcid_space s[PCID_SLOTS + 1];
	struct pcid_cpu c = { 0 };
	uint32_t first;
	bool keep;

	(void)state;
	for (int i = 0; i <= PCID_SLOTS; i++)
		pcid_space_init(&s[i]);
	first = pcid_activate(&c, &s[0], &keep);
	assert_false(keep);
	pcid_flush(&c, &s[0]); /* its own, done at once */
	pcid_activate(&c, NULL, &keep);
	for (int i = 1; i < PCID_SLOTS; i++)
		pcid_activate(&c, &s[i], &keep);
	assert_int_equal(pcid_activate(&c, &s[0], &keep), first);
	assert_true(keep);
	pcid_activate(&c, &s[PCID_SLOTS], &keep); /* one more than there are: the oldest gives way */
	assert_false(keep);
	pcid_activate(&c, &s[0], &keep);
	assert_false(keep);
}

static void a_flush_elsewhere_is_seen(void **state)
{
	struct pcid_space s, t;
	struct pcid_cpu here = { 0 }, there = { 0 };
	bool keep;

	(void)state;
	pcid_space_init(&s);
	pcid_space_init(&t);
	pcid_activate(&here, &s, &keep);
	pcid_activate(&there, &s, &keep);
	pcid_activate(&here, &t, &keep);
	pcid_flush(&there, &s);
	pcid_activate(&here, &s, &keep);
	assert_false(keep);
	pcid_activate(&here, &t, &keep);
	assert_true(keep);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_stale_translation_is_used),
		cmocka_unit_test(what_nobody_flushed_is_kept),
		cmocka_unit_test(a_flush_elsewhere_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
