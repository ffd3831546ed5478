/* SPDX-License-Identifier: MIT */
/*
 * All address spaces, for those who go through them: to take memory back, to turn a swap area off.
 *
 * A space is on the list from when it is complete (a copy that fork makes is filled without its locks) until it is taken apart. Walks that
 * stand at a space that leaves are sent on. A walk looks at its space with the list's lock held, and so keeps it; what takes long is done
 * without, by position.
 */
#include "swap_internal.h"
#include <cloudos/memory_group.h>

static struct mutex lock = MUTEX_INIT(lock, RANK_VM_SPACES);
static struct list spaces = LIST_INIT(spaces); /* vm_space.all_link */
static struct list walks = LIST_INIT(walks);

void spaces_lock(void)
{
	mutex_lock(&lock);
}

void spaces_unlock(void)
{
	mutex_unlock(&lock);
}

void spaces_enter(struct vm_space *s)
{
	mutex_lock(&lock);
	list_add_tail(&spaces, &s->all_link);
	mutex_unlock(&lock);
}

static struct vm_space *behind(const struct list *link)
{
	return link->next == &spaces ? NULL : list_entry(link->next, struct vm_space, all_link);
}

void spaces_walk_next(struct spaces_walk *w)
{
	w->space = behind(&w->space->all_link);
	w->at = 0;
}

void spaces_leave(struct vm_space *s)
{
	struct spaces_walk *w;

	if (list_empty_unlocked(&s->all_link)) /* it never was there */
		return;
	mutex_lock(&lock);
	list_for_each(w, &walks, link)
		if (w->space == s)
			spaces_walk_next(w);
	list_del(&s->all_link);
	mutex_unlock(&lock);
}

void spaces_walk_begin(struct spaces_walk *w)
{
	mutex_lock(&lock);
	w->space = behind(&spaces);
	w->at = 0;
	list_add(&walks, &w->link);
	mutex_unlock(&lock);
}

void spaces_walk_end(struct spaces_walk *w)
{
	mutex_lock(&lock);
	list_del(&w->link);
	mutex_unlock(&lock);
}

/* ---- those whose users were killed for their memory, until that is free ---- */

static struct spinlock dying_lock = SPINLOCK_INIT(RANK_SPIN);
static struct list dying = LIST_INIT(dying); /* vm_space.dying_link, which dying_lock guards, as its neighbours */

void vm_space_dies(struct vm_space *s)
{
	spin_lock(&dying_lock);
	if (s->dying_since_ns == 0 && !s->emptied) {
		s->dying_since_ns = hal_clock_ns();
		list_add_tail(&dying, &s->dying_link);
	}
	spin_unlock(&dying_lock);
}

void space_emptied(struct vm_space *s)
{
	spin_lock(&dying_lock);
	s->emptied = true;
	if (s->dying_since_ns)
		list_del(&s->dying_link);
	spin_unlock(&dying_lock);
}

bool vm_space_any_dies(struct memory_group *g, uint64_t wait_ns)
{
	uint64_t now = hal_clock_ns();
	struct vm_space *s;
	bool any = false;

	spin_lock(&dying_lock);
	list_for_each(s, &dying, dying_link)
		any |= now - s->dying_since_ns <= wait_ns && (!g || vm_space_in_group(s, g));
	spin_unlock(&dying_lock);
	return any;
}
