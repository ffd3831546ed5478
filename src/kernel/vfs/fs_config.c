/* SPDX-License-Identifier: MIT */
/*
 * Making an instance of a file system in steps: fsopen(2) gives a file that collects parameters (fsconfig(2)), makes the instance, and
 * gives mounts of it, detached (fsmount(2)); fspick(2) gives one for an instance that is there, to change it.
 *
 *   fsopen ─► CREATE_PARAMS ── create ──► AWAITING_MOUNT ── fsmount ──► AWAITING_CHANGE ──┐
 *                  └── create fails ──► FAILED                             ▲     set      │
 *   fspick ─► CHANGE_PARAMS ── reconfigure ────────────────────────────────┘ ◄── CHANGE_PARAMS
 *
 * What goes wrong with a parameter is said in messages, one a read(2), of which the last LOG_MAX are kept. Every parameter is checked when
 * it is set (fs_type.check), and given to the file system as the text that mount(2) would have had.
 *
 * Locking: everything by `lock`.
 */
#include <cloudos/format.h>
#include <cloudos/fs_config.h>
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include "vfs_internal.h"

#define LOG_MAX	    8
#define MESSAGE_MAX 320 /* "e TYPE: Unknown parameter 'KEY'" with the longest key */

enum phase { CREATE_PARAMS, AWAITING_MOUNT, AWAITING_CHANGE, CHANGE_PARAMS, FAILED };

struct fs_config {
	struct mutex lock;
	enum phase phase;
	const struct fs_type *type;
	struct super_block *sb; /* with a reference; null: not made yet */
	char *source;		/* null: none was given */
	char *options;		/* a page; "" or ",size=1m,mode=755" */
	size_t options_len;
	bool set_readonly, readonly; /* "ro" or "rw" was given, and which */
	char *log[LOG_MAX];	/* oldest at `first` */
	unsigned first, messages;
};

/* ---- messages ---- */

/* A message that finds no memory is lost: the errno says the rest. */
__attribute__((format(printf, 2, 3))) static void complain(struct fs_config *c, const char *format, ...)
{
	char *text = kmalloc(MESSAGE_MAX);
	va_list args;

	if (!text)
		return;
	va_start(args, format);
	fmt_vstring(text, MESSAGE_MAX, format, args);
	va_end(args);
	if (c->messages == LOG_MAX) {
		kfree(c->log[c->first]);
		c->first = (c->first + 1) % LOG_MAX;
		c->messages--;
	}
	c->log[(c->first + c->messages++) % LOG_MAX] = text;
}

static ssize_t read_locked(struct fs_config *c, struct io_iter *to)
{
	char *text = c->log[c->first];
	size_t len = c->messages ? strlen(text) : 0;
	bool copied;

	if (!c->messages)
		return -ENODATA;
	if (len > to->count)
		return -EMSGSIZE;
	copied = io_copy_to(to, text, len) == len;
	kfree(text);
	c->first = (c->first + 1) % LOG_MAX;
	c->messages--;
	return copied ? (ssize_t)len : -EFAULT;
}

static ssize_t config_read(struct file *f, struct io_iter *to, int64_t *pos)
{
	struct fs_config *c = f->private;
	ssize_t n;

	(void)pos;
	mutex_lock(&c->lock);
	n = read_locked(c, to);
	mutex_unlock(&c->lock);
	return n;
}

/* ---- the file ---- */

static void destroy(struct fs_config *c)
{
	for (unsigned i = 0; i < c->messages; i++)
		kfree(c->log[(c->first + i) % LOG_MAX]);
	if (c->sb)
		super_put(c->sb);
	kfree(c->source);
	kfree(c->options);
	kfree(c);
}

static void config_release(struct file *f)
{
	destroy(f->private);
}

static int config_name(struct file *f, char *buf, size_t size)
{
	(void)f;
	return fmt_string(buf, size, "anon_inode:[fscontext]");
}

static const struct file_ops config_ops = { .read = config_read, .release = config_release, .name = config_name };

bool fs_config_is(const struct file *f)
{
	return f->ops == &config_ops;
}

/* Takes over a reference of sb, which may be null, if it succeeds. */
static int create(const struct fs_type *type, struct super_block *sb, struct file **ret)
{
	struct fs_config *c = kzalloc(sizeof(*c));
	int error = -ENOMEM;

	if (!c)
		return -ENOMEM;
	mutex_init(&c->lock, RANK_FS_CONFIG);
	c->phase = sb ? CHANGE_PARAMS : CREATE_PARAMS;
	c->type = type;
	c->options = kzalloc(PAGE_SIZE);
	if (c->options)
		error = file_create_anonymous(&config_ops, c, FILE_READ | FILE_WRITE | FILE_STREAM, O_RDWR, 0, ret);
	if (error)
		destroy(c);
	else
		c->sb = sb;
	return error;
}

int fs_config_open(const char *type_name, struct file **ret)
{
	const struct fs_type *type = fs_find(type_name);

	return type ? create(type, NULL, ret) : -ENODEV;
}

int fs_config_pick(const struct path *at, struct file **ret)
{
	struct super_block *sb = at->mount->sb;
	int error;

	if (at->dentry != at->mount->root)
		return -EINVAL;
	refcount_get(&sb->refs);
	error = create(sb->type, sb, ret);
	if (error)
		super_put(sb);
	return error;
}

/* ---- parameters ---- */

static int set_source(struct fs_config *c, enum fs_config_value kind, const char *value)
{
	size_t size;

	if (kind != FS_CONFIG_STRING) {
		complain(c, "e Non-string source\n");
		return -EINVAL;
	}
	if (c->source) {
		complain(c, "e Multiple sources\n");
		return -EINVAL;
	}
	size = strlen(value) + 1;
	c->source = kmalloc(size);
	if (!c->source)
		return -ENOMEM;
	memcpy(c->source, value, size);
	return 0;
}

static int add_option(struct fs_config *c, const char *key, const char *value)
{
	size_t key_len = strlen(key), value_len = value ? strlen(value) + 1 : 0;
	char *at = c->options + c->options_len;

	if (c->options_len + key_len + value_len + 2 > PAGE_SIZE) {
		complain(c, "e %s: Too many parameters\n", c->type->name);
		return -EINVAL;
	}
	*at++ = ',';
	memcpy(at, key, key_len);
	at += key_len;
	if (value) {
		*at++ = '=';
		memcpy(at, value, value_len);
	} else {
		*at = '\0';
	}
	c->options_len = strlen(c->options);
	return 0;
}

/* One that is the file system's own. */
static int set_option(struct fs_config *c, const char *key, enum fs_config_value kind, const char *value)
{
	int error = c->type->check ? c->type->check(key, kind == FS_CONFIG_STRING ? value : NULL) : -ENOENT;

	if (error == -ENOENT) {
		complain(c, "e %s: Unknown parameter '%s'\n", c->type->name, key);
		return -EINVAL;
	}
	if (error || kind == FS_CONFIG_OTHER) {
		complain(c, "e %s: Bad value for '%s'\n", c->type->name, key);
		return -EINVAL;
	}
	if (c->sb) {
		complain(c, "e %s: '%s' cannot be changed\n", c->type->name, key);
		return -EINVAL;
	}
	return add_option(c, key, kind == FS_CONFIG_STRING ? value : NULL);
}

static int set_locked(struct fs_config *c, const char *key, enum fs_config_value kind, const char *value)
{
	if (c->phase == AWAITING_CHANGE)
		c->phase = CHANGE_PARAMS;
	if (c->phase != CREATE_PARAMS && c->phase != CHANGE_PARAMS)
		return -EBUSY;
	if (str_equal(key, "ro") || str_equal(key, "rw")) {
		c->set_readonly = true;
		c->readonly = key[1] == 'o';
		return 0;
	}
	if (str_equal(key, "source"))
		return set_source(c, kind, value);
	return set_option(c, key, kind, value);
}

int fs_config_set(struct file *f, const char *key, enum fs_config_value kind, const char *value)
{
	struct fs_config *c = f->private;
	int error;

	mutex_lock(&c->lock);
	error = set_locked(c, key, kind, value);
	mutex_unlock(&c->lock);
	return error;
}

/* ---- the instance ---- */

static void apply_readonly(struct fs_config *c)
{
	if (c->set_readonly)
		WRITE_ONCE(c->sb->readonly, c->readonly);
	c->set_readonly = false;
}

static const char *source_of(const struct fs_config *c)
{
	return c->source ? c->source : "none";
}

static int instance_locked(struct fs_config *c)
{
	int error;

	if (c->phase != CREATE_PARAMS)
		return -EBUSY;
	if (!fs_type_allowed(c->type))
		return -EPERM;
	error = c->type->mount(c->type, source_of(c), c->options_len ? c->options + 1 : "", &c->sb);
	c->phase = error ? FAILED : AWAITING_MOUNT;
	if (!error && !(c->sb->flags & SB_SINGLE))
		apply_readonly(c);
	return error;
}

int fs_config_create(struct file *f)
{
	struct fs_config *c = f->private;
	int error;

	mutex_lock(&c->lock);
	error = instance_locked(c);
	mutex_unlock(&c->lock);
	return error;
}

static int reconfigure_locked(struct fs_config *c)
{
	if (c->phase != CHANGE_PARAMS)
		return -EBUSY;
	if (!cred_capable_over(thread_current()->cred, c->sb->user_ns, CAP_SYS_ADMIN))
		return -EPERM;
	apply_readonly(c);
	c->phase = AWAITING_CHANGE;
	return 0;
}

int fs_config_reconfigure(struct file *f)
{
	struct fs_config *c = f->private;
	int error;

	mutex_lock(&c->lock);
	if (c->phase == AWAITING_CHANGE)
		c->phase = CHANGE_PARAMS;
	error = reconfigure_locked(c);
	mutex_unlock(&c->lock);
	return error;
}

static int mount_locked(struct fs_config *c, uint32_t flags, struct file **ret)
{
	struct mount *m;
	int error;

	if (!c->sb)
		return -EINVAL;
	if (c->phase != AWAITING_MOUNT)
		return -EBUSY;
	error = mount_make(c->sb, source_of(c), flags, &m);
	if (!error)
		error = mount_detached_file(m, ret);
	if (error)
		return error;
	c->phase = AWAITING_CHANGE;
	kfree(c->source);
	c->source = NULL;
	return 0;
}

int fs_config_mount(struct file *f, uint32_t flags, struct file **ret)
{
	struct fs_config *c = f->private;
	int error;

	mutex_lock(&c->lock);
	error = mount_locked(c, flags, ret);
	mutex_unlock(&c->lock);
	return error;
}
