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
		      { MS_NOATIME, ",noatime" }, { MS_NODIRATIME, ",nodiratime" }, { MS_RELATIME, ",relatime" } };

	out_printf(o, "%s", flags & MS_RDONLY ? "ro" : "rw");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (flags & names[i].flag)
			out_printf(o, "%s", names[i].text);
}

static void show_info_head(struct text_out *o, struct mount *m, const char *root, const char *where)
{
	uint32_t parent;

	tree_read_enter();
	parent = m->parent ? m->parent->id : 0;
	tree_read_leave();
	out_printf(o, "%u %u %u:%u ", m->id, parent, dev_major(m->sb->dev), dev_minor(m->sb->dev));
	show_escaped(o, root);
	out_printf(o, " ");
	show_escaped(o, where);
	out_printf(o, " ");
	show_flags(o, m->flags);
	out_printf(o, " - %s ", m->sb->type->name);
	show_escaped(o, m->source->text);
	out_printf(o, " ");
}

/* root: what part of the file system it shows; null for the short form. */
static void show_mount(struct text_out *o, struct mount *m, const char *root, const char *where)
{
	if (root) {
		show_info_head(o, m, root, where);
		show_flags(o, m->sb->flags & SB_RDONLY ? MS_RDONLY : 0);
	} else {
		show_escaped(o, m->source->text);
		out_printf(o, " ");
		show_escaped(o, where);
		out_printf(o, " %s ", m->sb->type->name);
		show_flags(o, m->flags);
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
		if (path_string_in(fs, &root, true, buf, PATH_LEN_MAX) > 0 && buf[0] == '/' &&
		    (!info || part_string(m, part, PATH_LEN_MAX) > 0))
			show_mount(o, m, part, buf);
	}
	kfree(part);
	kfree(buf);
}
