/* SPDX-License-Identifier: MIT */
/*
 * Stacks and their counts (profile_table.h).
 *
 * A stack is a thread's name and its frames. Equal stacks are one entry, found by open addressing; frames lie in one array behind each other.
 * All memory is there from the start, so that a sample can be added in an interrupt. What has no room is counted as lost:
 *
 * T1  The counts of all stacks and `lost` together are the samples that were handed over.
 * T2  Entries are only added, and `used` counts an entry when it is complete. So a reader needs the lock for `used` alone, and counts that rise
 *     while it reads are those of later samples.
 * T3  The work under the lock is bounded: PROFILE_PROBES_MAX comparisons of hashes, PROFILE_NAMES_MAX of names.
 *
 * Names and threads' names are the programs' choice: what would end a frame or a line in the text becomes '?' there.
 */
#include "profile_table.h"
#include <cloudos/errno.h>
#include <cloudos/hash.h>
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include <cloudos/fs.h>
#include <hal/hal.h>

/* ---- memory ---- */

int profile_table_init(struct profile_table *t)
{
	spin_init(&t->lock, RANK_LEAF);
	t->stacks = kva_alloc(PROFILE_STACKS_MAX * sizeof(*t->stacks));
	t->frames = kva_alloc(PROFILE_FRAMES_MAX * sizeof(*t->frames));
	t->slots = kva_alloc(PROFILE_SLOTS * sizeof(*t->slots));
	t->names = kva_alloc(PROFILE_NAMES_MAX * sizeof(*t->names));
	t->used = t->frames_used = t->names_used = 0;
	t->lost = 0;
	if (t->stacks && t->frames && t->slots && t->names)
		return 0;
	profile_table_fini(t);
	return -ENOMEM;
}

void profile_table_fini(struct profile_table *t)
{
	void *parts[] = { t->stacks, t->frames, t->slots, t->names };

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (parts[i])
			kva_free(parts[i]);
	t->stacks = NULL;
	t->frames = NULL;
	t->slots = NULL;
	t->names = NULL;
}

void profile_table_clear(struct profile_table *t)
{
	unsigned long flags = spin_lock_irq(&t->lock);

	WRITE_ONCE(t->run, t->run + 1);
	memset(t->slots, 0, PROFILE_SLOTS * sizeof(*t->slots));
	t->used = t->frames_used = t->names_used = 0;
	t->lost = 0;
	spin_unlock_irq(&t->lock, flags);
}

/* ---- adding ---- */

static uint32_t name_locked(struct profile_table *t, const char *name)
{
	uint32_t i;

	for (i = 0; i < t->names_used; i++)
		if (strcmp(t->names[i], name) == 0)
			return i;
	if (i == PROFILE_NAMES_MAX)
		return PROFILE_NAMES_MAX;
	str_copy(t->names[i], PROFILE_NAME_SIZE, name);
	return t->names_used++;
}

uint32_t profile_table_name(struct profile_table *t, const char *name)
{
	unsigned long flags = spin_lock_irq(&t->lock);
	uint32_t number = name_locked(t, name);

	spin_unlock_irq(&t->lock, flags);
	return number;
}

static bool same(const struct profile_table *t, const struct profile_stack *a, const struct profile_stack *b, const struct profile_frame *frames)
{
	return a->hash == b->hash && a->frames == b->frames && memcmp(a->comm, b->comm, sizeof(a->comm)) == 0 &&
	       memcmp(t->frames + a->first, frames, a->frames * sizeof(*frames)) == 0;
}

/* The stack's slot, or the free one that it is to have; null: too many are in the way. */
static uint32_t *find_locked(struct profile_table *t, const struct profile_stack *wanted, const struct profile_frame *frames)
{
	for (uint32_t i = 0; i < PROFILE_PROBES_MAX; i++) {
		uint32_t *slot = &t->slots[(wanted->hash + i) % PROFILE_SLOTS];

		if (*slot == 0 || same(t, &t->stacks[*slot - 1], wanted, frames))
			return slot;
	}
	return NULL;
}

static bool add_locked(struct profile_table *t, struct profile_stack *s, const struct profile_frame *frames)
{
	uint32_t *slot = find_locked(t, s, frames);

	if (!slot)
		return false;
	if (*slot) {
		struct profile_stack *known = &t->stacks[*slot - 1];

		WRITE_ONCE(known->count, known->count + s->count);
		return true;
	}
	if (t->used == PROFILE_STACKS_MAX || s->frames > PROFILE_FRAMES_MAX - t->frames_used)
		return false;
	s->first = t->frames_used;
	memcpy(t->frames + s->first, frames, s->frames * sizeof(*frames));
	t->frames_used += s->frames;
	t->stacks[t->used++] = *s;
	*slot = t->used;
	return true;
}

void profile_table_add(struct profile_table *t, uint32_t run, const char *comm, const struct profile_frame *frames, uint32_t n, uint64_t count)
{
	struct profile_stack s = { .count = count, .frames = n };
	unsigned long flags;

	str_copy(s.comm, sizeof(s.comm), comm);
	s.hash = hash_bytes(frames, n * sizeof(*frames), hash_bytes(s.comm, sizeof(s.comm), 0));
	flags = spin_lock_irq(&t->lock);
	if (t->run == run && !add_locked(t, &s, frames))
		t->lost += count;
	spin_unlock_irq(&t->lock, flags);
}

void profile_table_lose(struct profile_table *t, uint64_t count)
{
	unsigned long flags = spin_lock_irq(&t->lock);

	t->lost += count;
	spin_unlock_irq(&t->lock, flags);
}

/* ---- the text ---- */

static void show_name(struct text_out *o, const char *name)
{
	char text[PROFILE_NAME_SIZE];

	str_copy(text, sizeof(text), name);
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == ';' || *c == 127)
			*c = '?';
	out_printf(o, "%s", text);
}

static void show_frame(const struct profile_table *t, struct text_out *o, const struct profile_frame *f)
{
	const char *symbol;
	size_t offset;

	out_printf(o, ";");
	if (f->in == PROFILE_KERNEL) {
		out_printf(o, "%s_[k]", hal_symbol_lookup((uintptr_t)f->at, &symbol, &offset) ? symbol : "[unknown]");
		return;
	}
	show_name(o, f->in < PROFILE_NAMES_MAX ? t->names[f->in] : "[other]");
	if (f->at != PROFILE_WHOLE)
		out_printf(o, "+%#lx", (unsigned long)f->at);
}

static void show_stack(const struct profile_table *t, struct text_out *o, const struct profile_stack *s)
{
	show_name(o, s->comm);
	for (uint32_t i = 0; i < s->frames; i++)
		show_frame(t, o, &t->frames[s->first + i]);
	out_printf(o, " %lu\n", (unsigned long)READ_ONCE(s->count));
}

static void show_sum(struct text_out *o, const char *what, uint64_t count)
{
	if (count)
		out_printf(o, "%s %lu\n", what, (unsigned long)count);
}

void profile_table_show(struct profile_table *t, struct text_out *o)
{
	unsigned long flags = spin_lock_irq(&t->lock);
	uint32_t used = t->used;
	uint64_t lost = t->lost, beyond = 0;

	spin_unlock_irq(&t->lock, flags);
	for (uint32_t i = 0; i < used; i++) {
		if (o->len < PROFILE_TEXT_MAX)
			show_stack(t, o, &t->stacks[i]);
		else
			beyond += READ_ONCE(t->stacks[i].count);
	}
	show_sum(o, "[beyond the text's limit]", beyond);
	show_sum(o, "[lost]", lost);
}
