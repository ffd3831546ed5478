/* SPDX-License-Identifier: MIT */
/* /proc/PID/mounts and mountinfo, in the formats of proc(5). */
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include "vfs_internal.h"

/* Blanks, newlines and backslashes as \ooo, as getmntent(3) reads them. */
static void show_escaped(struct text_out *o, const char *s)
{
	for (; *s; s++)
		if (strchr(" \t\n\\", *s))
			out_printf(o, "\\%03o", (unsigned)*s);
		else
			out_bytes(o, s, 1);
}

static void show_flags(struct text_out *o, uint32_t flags)
{
	static const struct {
		uint32_t flag;
		const char *text;
	} names[] = { { MS_NOSUID, ",nosuid" }, { MS_NODEV, ",nodev" },	    { MS_NOEXEC, ",noexec" },
		      { MS_NOATIME, ",noatime" }, { MS_NODIRATIME, ",nodiratime" }, { MS_RELATIME, ",relatime" },
		      { MS_NOSYMFOLLOW, ",nosymfollow" } };

	out_printf(o, "%s", flags & MS_RDONLY ? "ro" : "rw");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (flags & names[i].flag)
			out_printf(o, "%s", names[i].text);
}

/* What a mount's line says of others; numbers of 0: there is none. */
struct relations {
	uint32_t parent, shared, master, from;
	bool unbindable;
};

/* Has a group a member that can be reached from a root? Tree lock. */
static bool group_is_seen(const struct peer_group *g, const struct path *root, const struct mount_namespace *ns)
{
	const struct mount *m, *up;

	list_for_each (m, &g->members, peers) {
		if (m->ns != ns)
			continue;
		for (up = m; up && up != root->mount; up = up->parent)
			;
		if (up)
			return true;
	}
	return false;
}

static void relations_of(const struct mount *m, struct fs_context *fs, struct relations *r)
{
	const struct peer_group *g;
	struct path root;

	tree_read_enter();
	spin_lock(&fs->lock);
	root = fs->root;
	spin_unlock(&fs->lock);
	g = mount_master(m);
	*r = (struct relations){
		.parent = m->parent ? m->parent->id : 0,
		.shared = m->group ? m->group->id : 0,
		.master = g ? g->id : 0,
		.unbindable = m->unbindable,
	};
	while (g && !group_is_seen(g, &root, fs->mounts))
		g = g->master;
	r->from = g && g->id != r->master ? g->id : 0; /* the nearest that is seen */
	tree_read_leave();
}

static void show_relations(struct text_out *o, const struct relations *r)
{
	if (r->shared)
		out_printf(o, " shared:%u", r->shared);
	if (r->master)
		out_printf(o, " master:%u", r->master);
	if (r->from)
		out_printf(o, " propagate_from:%u", r->from);
	if (r->unbindable)
		out_printf(o, " unbindable");
}

static void show_info_head(struct text_out *o, struct mount *m, struct fs_context *fs, const char *root, const char *where)
{
	struct relations r;

	relations_of(m, fs, &r);
	out_printf(o, "%u %u %u:%u ", m->id, r.parent, dev_major(m->sb->dev), dev_minor(m->sb->dev));
	show_escaped(o, root);
	out_printf(o, " ");
	show_escaped(o, where);
	out_printf(o, " ");
	show_flags(o, READ_ONCE(m->flags));
	show_relations(o, &r);
	out_printf(o, " - %s ", m->sb->type->name);
	show_escaped(o, m->source->text);
	out_printf(o, " ");
}

/* root: what part of the file system it shows; null for the short form. */
static void show_mount(struct text_out *o, struct mount *m, struct fs_context *fs, const char *root, const char *where)
{
	if (root) {
		show_info_head(o, m, fs, root, where);
		show_flags(o, READ_ONCE(m->sb->readonly) ? MS_RDONLY : 0);
	} else {
		show_escaped(o, m->source->text);
		out_printf(o, " ");
		show_escaped(o, where);
		out_printf(o, " %s ", m->sb->type->name);
		show_flags(o, READ_ONCE(m->flags) | (READ_ONCE(m->sb->readonly) ? MS_RDONLY : 0));
	}
	if (m->sb->ops->show_options)
		m->sb->ops->show_options(m->sb, o);
	out_printf(o, root ? "\n" : " 0 0\n");
}

/* What part of its file system a mount shows. */
static int part_string(const struct mount *m, char *buf, size_t size)
{
	return m->sb->ops->show_root ? m->sb->ops->show_root(m->root, buf, size) : path_string_in_super(m->root, buf, size);
}

void mount_show(struct text_out *o, struct fs_context *fs, bool info)
{
	char *buf = kmalloc(PATH_LEN_MAX), *part = info ? kmalloc(PATH_LEN_MAX) : NULL;
	struct mount *m;

	if (!buf || (info && !part)) {
		o->error = -ENOMEM;
		kfree(part);
		kfree(buf);
		return;
	}
	for (uint32_t id = 0; (m = mount_next(id, fs->mounts)); mount_put(m)) {
		struct path root = { m, m->root };

		id = m->id;
		sched_point();
		if (path_string_in(fs, &root, true, buf, PATH_LEN_MAX) > 0 && buf[0] == '/' &&
		    (!info || part_string(m, part, PATH_LEN_MAX) > 0))
			show_mount(o, m, fs, part, buf);
	}
	kfree(part);
	kfree(buf);
}
