/* SPDX-License-Identifier: MIT */
/*
 * Gathering argument and environment strings for a new program. They go into one buffer in the order that they will have on the stack;
 * it grows by doubling up to what RLIMIT_STACK lets it (E2BIG, as on Linux: a quarter of the limit counts strings and pointers).
 */
#include "exec_internal.h"
#include <cloudos/uaccess.h>

#define FIRST_SIZE     4096
#define ARGS_LIMIT_MIN (32 * PAGE_SIZE) /* Linux's ARG_MAX: always allowed */

static int grow(struct exec_strings *s)
{
	size_t size = s->size ? 2 * s->size : FIRST_SIZE;
	char *data;

	if (s->size >= s->limit)
		return -E2BIG;
	data = kmalloc(size);
	if (!data)
		return -ENOMEM;
	if (s->used)
		memcpy(data, s->data, s->used);
	kfree(s->data);
	s->data = data;
	s->size = size;
	return 0;
}

/* Copies one string with its NUL: to the buffer's end, or as far as a string may go. */
static int64_t copy_in(struct exec_strings *s, bool user, uint64_t from)
{
	size_t room = min(s->size - s->used, (size_t)EXEC_STRING_MAX);
	size_t n;

	if (user)
		return copy_string_from_user(s->data + s->used, from, room);
	n = strnlen((const char *)(uintptr_t)from, room);
	if (n == room)
		return -ENAMETOOLONG;
	memcpy(s->data + s->used, (const char *)(uintptr_t)from, n + 1);
	return (int64_t)n;
}

static int add_string(struct exec_strings *s, bool user, uint64_t from)
{
	for (;;) {
		int64_t n = s->size - s->used > 0 ? copy_in(s, user, from) : -ENAMETOOLONG;

		if (n >= 0) {
			s->used += (size_t)n + 1;
			return s->used + (s->argc + s->envc + 2) * sizeof(uint64_t) > s->limit ? -E2BIG : 0;
		}
		if (n != -ENAMETOOLONG)
			return (int)n;
		if (s->size - s->used >= EXEC_STRING_MAX)
			return -E2BIG;
		n = grow(s);
		if (n < 0)
			return (int)n;
	}
}

/* The i-th pointer of a null-terminated array; 0 at its end. */
static int pointer_at(const struct exec_source *source, bool env, uint32_t i, uint64_t *ret)
{
	const char *const *kernel = env ? source->kernel_envp : source->kernel_argv;
	uaddr_t array = env ? source->envp : source->argv;

	if (!source->user) {
		*ret = kernel ? (uintptr_t)kernel[i] : 0;
		return 0;
	}
	if (!array) {
		*ret = 0;
		return 0;
	}
	return get_user(*ret, array + i * sizeof(uint64_t));
}

static int add_array(struct exec_strings *s, const struct exec_source *source, bool env, uint32_t skip, uint32_t *count)
{
	for (uint32_t i = skip;; i++) {
		uint64_t at;
		int err = pointer_at(source, env, i, &at);

		if (err < 0 || !at)
			return err;
		err = add_string(s, source->user, at);
		if (err < 0)
			return err;
		++*count;
		if (thread_signal_pending() && (READ_ONCE(thread_current()->work) & THREAD_WORK_EXIT))
			return -EINTR;
	}
}

/* Scripts took the place of argv[0]; a program that was given no arguments at all gets an empty one. */
static int add_arguments(struct exec *x, const struct exec_source *source)
{
	struct exec_strings *s = &x->strings;
	uint32_t skip = x->scripts > 0;
	uint64_t first;
	int err = pointer_at(source, false, 0, &first);

	if (err < 0)
		return err;
	for (uint32_t i = 0; x->scripts && i < x->prefix_count; i++, s->argc++) {
		err = add_string(s, false, (uintptr_t)x->prefix[i]);
		if (err < 0)
			return err;
	}
	if (first)
		return add_array(s, source, false, skip, &s->argc);
	if (x->scripts)
		return 0;
	s->argc = 1;
	return add_string(s, false, (uintptr_t)"");
}

int exec_strings_gather(struct exec *x, const struct exec_source *source)
{
	struct exec_strings *s = &x->strings;
	int err;

	s->limit = max(min(x->stack_limit / 4, EXEC_ARGS_MAX), ARGS_LIMIT_MIN);
	err = add_arguments(x, source);
	s->env_at = s->used;
	if (err == 0)
		err = add_array(s, source, true, 0, &s->envc);
	s->name_at = s->used;
	return err == 0 ? add_string(s, false, (uintptr_t)x->name) : err;
}
