/* SPDX-License-Identifier: MIT */
/*
 * Block devices: the table, their names, and coming and going.
 *
 * A device is found through the table, which holds a reference until block_device_remove(). Names count up by prefix, and a
 * number is used again: the third virtio disk is vdc as long as the first two are there. Devices may be added before the file systems of
 * the kernel are up (drivers need no VFS); the service "block" then makes their nodes.
 *
 * Locking: table_lock (spin, a leaf) guards the table; publishing (mutex, RANK_BLOCK_PUBLISH) is held while a device comes or goes, and
 * guards `published`.
 */
#define LOG_SUBSYSTEM "block"
#include <cloudos/format.h>
#include <cloudos/log.h>
#include <cloudos/service.h>
#include <cloudos/string.h>
#include <cloudos/vfs.h>
#include "block_internal.h"

static struct mutex publishing = MUTEX_INIT(publishing, RANK_BLOCK_PUBLISH);
static struct spinlock table_lock = SPINLOCK_INIT(RANK_LEAF);
static struct block_device *table[BLOCK_DEVICES_MAX];
static bool published; /* nodes are made as devices come */

static bool power_of_two(uint32_t n)
{
	return n && !(n & (n - 1));
}

static bool geometry_valid(const struct block_device *d)
{
	return power_of_two(d->block_size) && d->block_size >= BLOCK_SECTOR && d->block_size <= BLOCK_SIZE_LARGEST &&
	       power_of_two(d->physical_size) && d->physical_size >= d->block_size && d->sectors <= BLOCK_SECTORS_MAX &&
	       d->segments_max >= 1 && d->segments_max <= BLOCK_SEGMENTS_MAX && d->segment_bytes_max >= BLOCK_SIZE_LARGEST;
}

/* The lowest number that no device of this prefix has. */
static unsigned free_number(const char *prefix)
{
	uint64_t taken = 0;

	_Static_assert(BLOCK_DEVICES_MAX <= 64, "a bit for each");
	for (unsigned i = 0; i < BLOCK_DEVICES_MAX; i++)
		if (table[i] && str_equal(table[i]->prefix, prefix))
			taken |= UINT64_C(1) << table[i]->number;
	return (unsigned)__builtin_ctzll(~taken);
}

/* Letters: a .. z, aa .. zz, as disks are called. */
static void make_name(struct block_device *d)
{
	size_t at = strlen(d->prefix);

	ASSERT(at + 3 <= BLOCK_NAME_MAX);
	if (d->numbered) {
		fmt_string(d->name, sizeof(d->name), "%s%u", d->prefix, d->number);
		return;
	}
	memcpy(d->name, d->prefix, at);
	if (d->number >= 26)
		d->name[at++] = (char)('a' + d->number / 26 - 1);
	d->name[at++] = (char)('a' + d->number % 26);
	d->name[at] = '\0';
}

static int publish(struct block_device *d)
{
	int error = block_node_add(d);

	if (!error)
		error = block_files_add(d);
	if (error)
		log_err("%s: no node (%d)", d->name, error);
	return error;
}

/* The first slot of the table, or the last: disks' minor numbers do not depend on what else there is. BLOCK_DEVICES_MAX: none. */
static unsigned free_slot(bool last)
{
	for (unsigned i = 0; i < BLOCK_DEVICES_MAX; i++) {
		unsigned slot = last ? BLOCK_DEVICES_MAX - 1 - i : i;

		if (!table[slot])
			return slot;
	}
	return BLOCK_DEVICES_MAX;
}

static int enter(struct block_device *d)
{
	unsigned i;

	mutex_lock(&publishing);
	i = free_slot(d->numbered);
	if (i < BLOCK_DEVICES_MAX) {
		d->index = i;
		d->number = free_number(d->prefix);
		make_name(d);
		spin_lock(&table_lock);
		table[i] = d;
		spin_unlock(&table_lock);
		if (published)
			publish(d);
	}
	mutex_unlock(&publishing);
	return i < BLOCK_DEVICES_MAX ? 0 : -ENOSPC;
}

int block_device_add(struct block_device *d)
{
	int error;

	if (!geometry_valid(d))
		return -EINVAL;
	if (!d->timeout_ns)
		d->timeout_ns = BLOCK_TIMEOUT_NS;
	d->sectors -= d->sectors % (d->block_size / BLOCK_SECTOR);
	refcount_init(&d->refs, 1);
	rwlock_init(&d->bytes, RANK_BLOCK_BYTES);
	block_requests_init(d);
	error = enter(d);
	if (!error)
		log_info("%s: %lu KiB in blocks of %u%s%s", d->name, (unsigned long)(d->sectors / 2), d->block_size,
			 d->read_only ? ", read-only" : "", d->has_cache ? ", write cache" : "");
	return error;
}

void block_device_remove(struct block_device *d)
{
	mutex_lock(&publishing);
	spin_lock(&table_lock);
	table[d->index] = NULL;
	spin_unlock(&table_lock);
	if (published)
		block_node_remove(d);
	mutex_unlock(&publishing);
	block_requests_stop(d);
	block_put(d);
}

struct block_device *block_get_index(unsigned index)
{
	struct block_device *d = NULL;

	spin_lock(&table_lock);
	if (index < BLOCK_DEVICES_MAX && table[index]) {
		d = table[index];
		refcount_get(&d->refs);
	}
	spin_unlock(&table_lock);
	return d;
}

struct block_device *block_get(const char *name)
{
	struct block_device *d = NULL;

	spin_lock(&table_lock);
	for (unsigned i = 0; i < BLOCK_DEVICES_MAX && !d; i++)
		if (table[i] && str_equal(table[i]->name, name))
			d = table[i];
	if (d)
		refcount_get(&d->refs);
	spin_unlock(&table_lock);
	return d;
}

void block_put(struct block_device *d)
{
	if (refcount_put(&d->refs))
		d->ops->release(d);
}

static int block_start(void)
{
	mutex_lock(&publishing);
	published = true;
	for (unsigned i = 0; i < BLOCK_DEVICES_MAX; i++)
		if (table[i])
			publish(table[i]);
	mutex_unlock(&publishing);
	return block_procfs_add();
}
SERVICE_DEFINE(block, .requires = SERVICE_REQUIRES("devfs", "procfs", "sysfs"), .start = block_start);
