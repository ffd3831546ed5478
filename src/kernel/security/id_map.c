/* SPDX-License-Identifier: MIT */
/*
 * Maps of ids (user_namespaces(7), "User and group ID mappings"). A line "FIRST LOWER COUNT" gives COUNT ids of the parent, from LOWER on, the
 * names from FIRST on. They are kept as kernel ids, so that no translation climbs the tree.
 *
 *   M1 A map is written once, as a whole, and no two lines of it have a name, or an id of the parent, in common.
 *   M2 Each id of it has a name in the parent: nobody reaches by a map what he could not reach without.
 *   M3 Without CAP_SETUID (CAP_SETGID) over the parent one may only name oneself, and a group only when setgroups(2) is off for good: else
 *      leaving a group that is denied something would gain it.
 */
#include <cloudos/format.h>
#include <cloudos/thread.h>
#include <cloudos/vfs.h>
#include <linux/capability.h>
#include "user_namespace_internal.h"

/* ---- translation ---- */

uint32_t id_to_kernel(const struct user_namespace *ns, enum id_kind kind, uint32_t id)
{
	const struct id_map *map = &ns->map[kind];
	uint32_t low = 0, high;

	if (likely(ns == &user_namespace_first))
		return id;
	high = LOAD_ACQUIRE(map->count);
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		const struct id_extent *e = &map->extents[middle];

		if (id < e->first)
			high = middle;
		else if (id - e->first >= e->count)
			low = middle + 1;
		else
			return e->kernel + (id - e->first);
	}
	return ID_NONE;
}

uint32_t id_from_kernel(const struct user_namespace *ns, enum id_kind kind, uint32_t id)
{
	const struct id_map *map = &ns->map[kind];
	uint32_t count;

	if (likely(ns == &user_namespace_first))
		return id;
	count = LOAD_ACQUIRE(map->count);
	for (uint32_t i = 0; i < count; i++) {
		const struct id_extent *e = &map->extents[i];

		if (id >= e->kernel && id - e->kernel < e->count)
			return e->first + (id - e->kernel);
	}
	return ID_NONE;
}

uint32_t id_shown(const struct user_namespace *ns, enum id_kind kind, uint32_t id)
{
	uint32_t shown = id_from_kernel(ns, kind, id);

	return unlikely(shown == ID_NONE) ? ID_OVERFLOW : shown;
}

static const struct user_namespace *own_namespace(void)
{
	return thread_current()->cred->user_ns;
}

uint32_t uid_in(uint32_t uid)
{
	return id_to_kernel(own_namespace(), ID_UID, uid);
}

uint32_t gid_in(uint32_t gid)
{
	return id_to_kernel(own_namespace(), ID_GID, gid);
}

uint32_t uid_out(uint32_t uid)
{
	return id_shown(own_namespace(), ID_UID, uid);
}

uint32_t gid_out(uint32_t gid)
{
	return id_shown(own_namespace(), ID_GID, gid);
}

/* ---- showing ---- */

void id_map_show(const struct user_namespace *ns, enum id_kind kind, struct text_out *o)
{
	const struct user_namespace *lower = own_namespace();
	uint32_t count = LOAD_ACQUIRE(ns->map[kind].count);

	if (ns == &user_namespace_first)
		out_printf(o, "%10u %10u %10u\n", 0, 0, UINT32_MAX);
	if (lower == ns && user_namespace_parent(ns))
		lower = user_namespace_parent(ns);
	for (uint32_t i = 0; i < count; i++) {
		const struct id_extent *e = &ns->map[kind].extents[i];

		out_printf(o, "%10u %10u %10u\n", e->first, id_from_kernel(lower, kind, e->kernel), e->count);
	}
}

/* ---- reading lines ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* A decimal number behind blanks; what follows it is at *text then. */
static int parse_number(const char **text, uint32_t *ret)
{
	uint64_t n = 0;

	while (is_blank(**text))
		++*text;
	if (**text < '0' || **text > '9')
		return -EINVAL;
	for (; **text >= '0' && **text <= '9'; ++*text) {
		n = n * 10 + (uint64_t)(**text - '0');
		if (n > UINT32_MAX)
			return -EINVAL;
	}
	*ret = (uint32_t)n;
	return 0;
}

/* Until the parent's map is looked at, `kernel` is the parent's id. */
static int parse_line(const char **text, struct id_extent *ret)
{
	if (parse_number(text, &ret->first) || !is_blank(**text) || parse_number(text, &ret->kernel) || !is_blank(**text) ||
	    parse_number(text, &ret->count))
		return -EINVAL;
	while (is_blank(**text) || **text == '\r')
		++*text;
	if (**text && **text != '\n')
		return -EINVAL;
	if (**text)
		++*text;
	if (ret->first == ID_NONE || ret->kernel == ID_NONE || ret->first + ret->count <= ret->first || ret->kernel + ret->count <= ret->kernel)
		return -EINVAL;
	return 0;
}

static bool overlap(uint32_t a, uint32_t a_count, uint32_t b, uint32_t b_count)
{
	return a < b ? b - a < a_count : a - b < b_count;
}

/* Puts it in its place among `n` that are sorted. -EINVAL: it has something in common with one of them. */
static int insert(struct id_extent *v, uint32_t n, const struct id_extent *e)
{
	uint32_t at = n;

	for (uint32_t i = 0; i < n; i++)
		if (overlap(v[i].first, v[i].count, e->first, e->count) || overlap(v[i].kernel, v[i].count, e->kernel, e->count))
			return -EINVAL;
	for (; at > 0 && v[at - 1].first > e->first; at--)
		v[at] = v[at - 1];
	v[at] = *e;
	return 0;
}

/* How many lines there are, or -EINVAL. */
static int parse(const char *text, struct id_extent *v)
{
	uint32_t n = 0;

	while (*text) {
		struct id_extent e;

		if (n == ID_EXTENTS_MAX || parse_line(&text, &e) || insert(v, n, &e))
			return -EINVAL;
		n++;
	}
	return n ? (int)n : -EINVAL;
}

/* ---- who may write what ---- */

static unsigned capability_of(enum id_kind kind)
{
	return kind == ID_UID ? CAP_SETUID : CAP_SETGID;
}

/* The parent's root gets a name: then whoever may set capabilities of files must have been able to do so there. */
static bool may_name_root(const struct user_namespace *ns, const struct cred *opener, const struct id_extent *v, uint32_t n)
{
	bool root = false;

	for (uint32_t i = 0; i < n; i++)
		root |= v[i].kernel == 0;
	if (!root)
		return true;
	if (opener->user_ns == ns)
		return ns->creator_could_setfcap;
	return cred_capable_over(opener, user_namespace_parent(ns), CAP_SETFCAP);
}

/* One line that names the writer himself. */
static bool names_only_self(const struct user_namespace *ns, enum id_kind kind, const struct cred *opener, const struct id_extent *v,
			    uint32_t n)
{
	uint32_t id;

	if (n != 1 || v->count != 1 || ns->owner != opener->euid)
		return false;
	id = id_to_kernel(user_namespace_parent(ns), kind, v->kernel);
	return kind == ID_UID ? id == opener->euid : !ns->setgroups && id == opener->egid;
}

static bool may_map_locked(const struct user_namespace *ns, enum id_kind kind, const struct cred *opener, const struct id_extent *v,
			   uint32_t n)
{
	const struct user_namespace *up = user_namespace_parent(ns);

	if (kind == ID_UID && !may_name_root(ns, opener, v, n))
		return false;
	if (kind == ID_PROJECT || names_only_self(ns, kind, opener, v, n))
		return true;
	return cred_capable_over(thread_current()->cred, up, capability_of(kind)) && cred_capable_over(opener, up, capability_of(kind));
}

/* A range of the parent's ids must lie in one line of its map, to be one of kernel ids. */
static uint32_t range_to_kernel(const struct user_namespace *ns, enum id_kind kind, uint32_t first, uint32_t count)
{
	const struct id_map *map = &ns->map[kind];

	if (ns == &user_namespace_first)
		return first;
	for (uint32_t i = 0, n = LOAD_ACQUIRE(map->count); i < n; i++) {
		const struct id_extent *e = &map->extents[i];

		if (first >= e->first && first - e->first < e->count && count <= e->count - (first - e->first))
			return e->kernel + (first - e->first);
	}
	return ID_NONE;
}

static int to_kernel(const struct user_namespace *up, enum id_kind kind, struct id_extent *v, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		v[i].kernel = range_to_kernel(up, kind, v[i].kernel, v[i].count);
		if (v[i].kernel == ID_NONE)
			return -EPERM;
	}
	return 0;
}

static int store_locked(struct user_namespace *ns, enum id_kind kind, const struct cred *opener, const char *text, struct id_extent *v)
{
	struct id_map *map = &ns->map[kind];
	int n, error;

	if (map->count)
		return -EPERM;
	if (kind != ID_PROJECT && !cred_capable_over(opener, ns, CAP_SYS_ADMIN))
		return -EPERM;
	n = parse(text, v);
	if (n < 0)
		return n;
	if (!may_map_locked(ns, kind, opener, v, (uint32_t)n))
		return -EPERM;
	error = to_kernel(user_namespace_parent(ns), kind, v, (uint32_t)n);
	if (error)
		return error;
	map->extents = kmalloc((size_t)n * sizeof(*v));
	if (!map->extents)
		return -ENOMEM;
	memcpy(map->extents, v, (size_t)n * sizeof(*v));
	STORE_RELEASE(map->count, (uint32_t)n);
	return 0;
}

int id_map_store(struct user_namespace *ns, enum id_kind kind, const struct cred *opener, const char *text, size_t len)
{
	struct id_extent *v;
	int error;

	if (!user_namespace_parent(ns) || (opener->user_ns != ns && opener->user_ns != user_namespace_parent(ns)))
		return -EPERM;
	if (strlen(text) != len)
		return -EINVAL;
	v = kmalloc(ID_EXTENTS_MAX * sizeof(*v));
	if (!v)
		return -ENOMEM;
	mutex_lock(&ns->lock);
	error = store_locked(ns, kind, opener, text, v);
	mutex_unlock(&ns->lock);
	kfree(v);
	return error;
}

/* ---- setgroups ---- */

bool user_namespace_setgroups(const struct user_namespace *ns)
{
	if (ns == &user_namespace_first)
		return true;
	return LOAD_ACQUIRE(ns->map[ID_GID].count) && READ_ONCE(ns->setgroups);
}

void setgroups_show(const struct user_namespace *ns, struct text_out *o)
{
	out_printf(o, "%s\n", READ_ONCE(ns->setgroups) ? "allow" : "deny");
}

static int deny_locked(struct user_namespace *ns)
{
	if (ns == &user_namespace_first || ns->map[ID_GID].count)
		return -EPERM;
	WRITE_ONCE(ns->setgroups, false);
	return 0;
}

int setgroups_store(struct user_namespace *ns, const char *text, size_t len)
{
	bool allow;
	int error;

	while (len > 0 && (text[len - 1] == '\n' || is_blank(text[len - 1])))
		len--;
	allow = len == 5 && memcmp(text, "allow", 5) == 0;
	if (!allow && !(len == 4 && memcmp(text, "deny", 4) == 0))
		return -EINVAL;
	mutex_lock(&ns->lock);
	if (allow)
		error = ns->setgroups ? 0 : -EPERM; /* what was denied stays so */
	else
		error = deny_locked(ns);
	mutex_unlock(&ns->lock);
	return error;
}
