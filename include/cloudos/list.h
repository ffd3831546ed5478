/* SPDX-License-Identifier: MIT */
/*
 * Circular doubly linked lists whose links live in the elements. The caller locks, but for list_empty_unlocked(): because of
 * that one, `next` is written in one piece.
 */
#ifndef CLOUDOS_LIST_H
#define CLOUDOS_LIST_H

#include <cloudos/types.h>

struct list {
	struct list *next, *prev;
};

#define LIST_INIT(name) { &(name), &(name) }

static inline void list_init(struct list *l)
{
	WRITE_ONCE(l->next, l);
	l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

/* The same without the lock: what was so a moment ago. */
static inline bool list_empty_unlocked(const struct list *l)
{
	return READ_ONCE(l->next) == l;
}

static inline void list_insert_between(struct list *e, struct list *prev, struct list *next)
{
	e->prev = prev;
	WRITE_ONCE(e->next, next);
	WRITE_ONCE(prev->next, e);
	next->prev = e;
}

/* Adds e at the front of head (or just behind the element `head`). */
static inline void list_add(struct list *head, struct list *e)
{
	list_insert_between(e, head, head->next);
}

/* Adds e at the end of head (or just before the element `head`). */
static inline void list_add_tail(struct list *head, struct list *e)
{
	list_insert_between(e, head->prev, head);
}

/* Takes e out; it is then an empty list of its own, so that taking it out again does no harm. */
static inline void list_del(struct list *e)
{
	struct list *prev = e->prev, *next = e->next;

	WRITE_ONCE(prev->next, next);
	next->prev = prev;
	list_init(e);
}

/* Moves all of `from` to the end of `to`; `from` is then empty. */
static inline void list_splice_tail(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	WRITE_ONCE(to->prev->next, from->next);
	WRITE_ONCE(from->prev->next, to);
	to->prev = from->prev;
	list_init(from);
}

#define list_entry(p, type, member) container_of(p, type, member)
#define list_first(head, type, member) list_entry((head)->next, type, member)
#define list_last(head, type, member) list_entry((head)->prev, type, member)
/* The link in an entry, also of the "entry" around a list's head, which is none and need not be aligned like one. */
#define list_link_of(pos, member) ((struct list *)((uintptr_t)(pos) + offsetof(__typeof__(*(pos)), member)))

#define list_for_each(pos, head, member)                                                                      \
	for (pos = list_entry((head)->next, __typeof__(*pos), member); list_link_of(pos, member) != (head); \
	     pos = list_entry(pos->member.next, __typeof__(*pos), member))
/* The body may take `pos` out of the list. */
#define list_for_each_safe(pos, tmp, head, member)                                            \
	for (pos = list_entry((head)->next, __typeof__(*pos), member),                        \
	    tmp = list_entry(list_link_of(pos, member)->next, __typeof__(*pos), member);      \
	     list_link_of(pos, member) != (head);                                             \
	     pos = tmp, tmp = list_entry(list_link_of(tmp, member)->next, __typeof__(*tmp), member))

#endif
