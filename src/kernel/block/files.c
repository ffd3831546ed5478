/* SPDX-License-Identifier: MIT */
/*
 * What programs read of block devices: /proc/diskstats, /proc/partitions and /sys/block/NAME, in Linux's formats (its
 * Documentation/admin-guide/iostats.rst). Times are milliseconds. Nothing is merged and nothing discarded here, so those
 * columns are 0. A file of /sys is bound to a name, not to a device: it outlives the device, and is empty then.
 */
#include <cloudos/format.h>
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include <cloudos/vfs.h>
#include "block_internal.h"

static unsigned long ms(uint64_t ns)
{
	return (unsigned long)(ns / NSEC_PER_MSEC);
}

/* The 17 figures of iostats.rst. */
static void show_stats(struct text_out *o, struct block_device *d)
{
	struct block_stats s;
	uint32_t in_flight;
	uint64_t queued_ns = 0;

	block_stats_get(d, &s, &in_flight);
	for (unsigned op = 0; op < 3; op++)
		queued_ns += s.op[op].ns;
	for (unsigned op = BLOCK_READ; op <= BLOCK_WRITE; op++)
		out_printf(o, " %lu 0 %lu %lu", (unsigned long)s.op[op].requests, (unsigned long)s.op[op].sectors, ms(s.op[op].ns));
	out_printf(o, " %u %lu %lu 0 0 0 0 %lu %lu\n", in_flight, ms(s.busy_ns), ms(queued_ns),
		   (unsigned long)s.op[BLOCK_FLUSH].requests, ms(s.op[BLOCK_FLUSH].ns));
}

static int show_diskstats(struct text_out *o, void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < BLOCK_DEVICES_MAX; i++) {
		struct block_device *d = block_get_index(i);

		if (!d)
			continue;
		out_printf(o, "%4u %7u %s", BLOCK_MAJOR, d->index * BLOCK_MINORS, d->name);
		show_stats(o, d);
		block_put(d);
	}
	return 0;
}

static int show_partitions(struct text_out *o, void *arg)
{
	bool any = false;

	(void)arg;
	for (unsigned i = 0; i < BLOCK_DEVICES_MAX; i++) {
		struct block_device *d = block_get_index(i);

		if (!d)
			continue;
		if (!block_bytes(d)) { /* as Linux: what has no size yet is not shown */
			block_put(d);
			continue;
		}
		if (!any)
			out_printf(o, "major minor  #blocks  name\n\n");
		any = true;
		out_printf(o, "%4u  %7u %10lu %s\n", BLOCK_MAJOR, d->index * BLOCK_MINORS, (unsigned long)(READ_ONCE(d->sectors) / 2),
			   d->name);
		block_put(d);
	}
	return 0;
}

int block_procfs_add(void)
{
	int error = procfs_add("diskstats", 0444, show_diskstats, NULL, NULL);

	return error ? error : procfs_add("partitions", 0444, show_partitions, NULL, NULL);
}

/* ---- /sys/block/NAME ---- */

static void show_size(struct text_out *o, struct block_device *d)
{
	out_printf(o, "%lu\n", (unsigned long)READ_ONCE(d->sectors));
}

static void show_ro(struct text_out *o, struct block_device *d)
{
	out_printf(o, "%d\n", d->read_only);
}

static void show_dev(struct text_out *o, struct block_device *d)
{
	out_printf(o, "%u:%u\n", BLOCK_MAJOR, d->index * BLOCK_MINORS);
}

static void show_removable(struct text_out *o, struct block_device *d)
{
	(void)d;
	out_printf(o, "0\n");
}

static void show_logical(struct text_out *o, struct block_device *d)
{
	out_printf(o, "%u\n", d->block_size);
}

static void show_physical(struct text_out *o, struct block_device *d)
{
	out_printf(o, "%u\n", d->physical_size);
}

static void show_cache(struct text_out *o, struct block_device *d)
{
	out_printf(o, "%s\n", d->has_cache ? "write back" : "write through");
}

static const struct {
	const char *name;
	void (*show)(struct text_out *o, struct block_device *d);
} attributes[] = {
	{ "size", show_size },
	{ "ro", show_ro },
	{ "stat", show_stats },
	{ "dev", show_dev },
	{ "removable", show_removable },
	{ "queue/logical_block_size", show_logical },
	{ "queue/physical_block_size", show_physical },
	{ "queue/write_cache", show_cache },
};

/* What a file of /sys knows: whose attribute, and which. */
struct attribute {
	unsigned number;
	char device[BLOCK_NAME_MAX];
};

static int show(struct text_out *o, void *arg)
{
	const struct attribute *a = arg;
	struct block_device *d = block_get(a->device);

	if (!d)
		return -ENODEV;
	attributes[a->number].show(o, d);
	block_put(d);
	return 0;
}

static int add_attribute(const struct block_device *d, unsigned number)
{
	char path[BLOCK_NAME_MAX + 64];
	struct attribute *a = kzalloc(sizeof(*a));
	int error;

	if (!a)
		return -ENOMEM;
	a->number = number;
	memcpy(a->device, d->name, sizeof(a->device));
	fmt_string(path, sizeof(path), "block/%s/%s", d->name, attributes[number].name);
	error = sysfs_add(path, 0444, show, NULL, a);
	if (error)
		kfree(a);
	return error == -EEXIST ? 0 : error; /* a device of this name has been here before */
}

/* /sys/dev/block/MAJOR:MINOR, by which programs find the folder of a node. */
static int add_link(const struct block_device *d)
{
	char path[32], target[BLOCK_NAME_MAX + 16];
	int error;

	fmt_string(path, sizeof(path), "dev/block/%u:%u", BLOCK_MAJOR, d->index * BLOCK_MINORS);
	fmt_string(target, sizeof(target), "../../block/%s", d->name);
	error = sysfs_add_link(path, target);
	return error == -EEXIST ? 0 : error;
}

int block_files_add(struct block_device *d)
{
	int error = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(attributes) && !error; i++)
		error = add_attribute(d, i);
	return error ? error : add_link(d);
}
