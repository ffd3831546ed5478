/* SPDX-License-Identifier: MIT */
/*
 * /dev/kmsg: the log ring as a file (Documentation/ABI/testing/dev-kmsg of Linux). A read gives one record,
 * "level,sequence,microseconds,-;text\n"; a write adds one, with an optional "<level>" in front. The position of an open file is the
 * sequence number of its next record, 0 for the oldest that there is; -EPIPE tells once of records that were overwritten before they were read.
 */
#define LOG_SUBSYSTEM "user"
#include <cloudos/format.h>
#include <cloudos/log.h>
#include <cloudos/mm.h>
#include <cloudos/wait.h>
#include "vfs_internal.h"

#define FACILITY_USER	  8 /* LOG_USER << 3 in the prefix of what programs wrote */
#define RECORD_TEXT_MAX (LOG_LINE_MAX + 96)

static struct wait_queue readers = WAIT_QUEUE_INIT(readers);
static uint64_t cleared_at; /* SYSLOG_ACTION_CLEAR: sequence of the first record after it */

static void wake_readers(void)
{
	wake_all(&readers);
}

static bool has_record(int64_t pos)
{
	return log_next_sequence() > (uint64_t)pos;
}

/* The record at *pos as text; *pos moves behind it. Bytes; -EAGAIN where there is none; -EPIPE, and *pos moves to the oldest that there is. */
static ssize_t next_record(int64_t *pos, char *buf, size_t size)
{
	struct log_record *record = kmalloc(sizeof(*record));
	int error, len;

	if (!record)
		return -ENOMEM;
	error = log_read((uint64_t)*pos, record);
	if (error) {
		kfree(record);
		return error;
	}
	if (*pos && record->sequence != (uint64_t)*pos) {
		*pos = (int64_t)record->sequence;
		kfree(record);
		return -EPIPE;
	}
	len = fmt_string(buf, size, "%u,%lu,%lu,-;%s%s%.*s\n", record->level, (unsigned long)record->sequence,
			 (unsigned long)(record->time_ns / NSEC_PER_USEC), record->subsystem,
			 record->subsystem[0] ? ": " : "", record->len, record->text);
	*pos = (int64_t)record->sequence + 1;
	kfree(record);
	return min((ssize_t)len, (ssize_t)size);
}

static ssize_t kmsg_read(struct file *f, struct io_iter *to, int64_t *pos)
{
	char *text;
	ssize_t n;

	if (!has_record(*pos)) {
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		n = wait_event_interruptible(&readers, has_record(*pos));
		if (n)
			return n;
	}
	text = kmalloc(RECORD_TEXT_MAX);
	if (!text)
		return -ENOMEM;
	n = next_record(pos, text, RECORD_TEXT_MAX);
	if (n > 0 && (size_t)n > to->count)
		n = -EINVAL;
	else if (n > 0 && io_copy_to(to, text, (size_t)n) < (size_t)n)
		n = -EFAULT;
	kfree(text);
	return n;
}

/* "<level>" in front of a line that a program writes. */
static enum log_level take_level(const char **text)
{
	unsigned level = LOG_NOTICE, n = 0;
	const char *s = *text;

	if (*s++ != '<')
		return level;
	for (; *s >= '0' && *s <= '9' && n < 1000; s++)
		n = n * 10 + (unsigned)(*s - '0');
	if (*s != '>')
		return level;
	*text = s + 1;
	return n & 7;
}

static ssize_t kmsg_write(struct file *f, struct io_iter *from, int64_t *pos)
{
	char line[LOG_LINE_MAX];
	size_t total = from->count, n = min(total, sizeof(line) - 1);
	const char *text = line;
	enum log_level level;

	(void)f, (void)pos;
	if (io_copy_from(from, line, n) < n)
		return -EFAULT;
	io_advance(from, from->count);
	while (n > 0 && line[n - 1] == '\n')
		n--;
	line[n] = '\0';
	level = take_level(&text);
	log_write(level, LOG_SUBSYSTEM, "%s", text);
	return (ssize_t)total;
}

static int64_t kmsg_seek(struct file *f, int64_t offset, int whence)
{
	if (offset)
		return -ESPIPE;
	if (whence == SEEK_SET)
		WRITE_ONCE(f->pos, 0);
	else if (whence == SEEK_DATA)
		WRITE_ONCE(f->pos, (int64_t)READ_ONCE(cleared_at));
	else if (whence == SEEK_END)
		WRITE_ONCE(f->pos, (int64_t)log_next_sequence());
	else
		return -EINVAL;
	return 0;
}

static uint32_t kmsg_poll(struct file *f, struct poll_table *pt)
{
	poll_wait(pt, &readers);
	return has_record(READ_ONCE(f->pos)) ? 0x41 : 0; /* POLLIN POLLRDNORM */
}

static const struct file_ops kmsg_ops = { .read = kmsg_read, .write = kmsg_write, .seek = kmsg_seek, .poll = kmsg_poll };

int kmsg_add(void)
{
	log_notify = wake_readers;
	return devfs_add("kmsg", S_IFCHR | 0644, 1, 11, &kmsg_ops, NULL);
}

/* ---- syslog(2) ---- */

static uint64_t read_at;    /* SYSLOG_ACTION_READ */

/* One record as dmesg shows it: "<6>[    0.123456] text\n". */
static int classic_line(const struct log_record *r, char *buf, size_t size)
{
	uint64_t us = r->time_ns / NSEC_PER_USEC;
	int len = fmt_string(buf, size, "<%u>[%5lu.%06lu] %s%s%.*s\n", r->level, (unsigned long)(us / 1000000),
			     (unsigned long)(us % 1000000), r->subsystem, r->subsystem[0] ? ": " : "",
			     r->len, r->text);

	return min(len, (int)size - 1);
}

/* The oldest record from `sequence` on such that the lines behind it fit into `size` bytes. */
static uint64_t first_that_fits(uint64_t sequence, size_t size, struct log_record *r, char *line)
{
	uint64_t total = 0, at;

	for (at = sequence; log_read(at, r) == 0; at = r->sequence + 1)
		total += (uint64_t)classic_line(r, line, RECORD_TEXT_MAX);
	for (at = sequence; total > size && log_read(at, r) == 0; at = r->sequence + 1)
		total -= (uint64_t)classic_line(r, line, RECORD_TEXT_MAX);
	return at;
}

static int64_t copy_lines(uint64_t *sequence, struct io_iter *to, bool last_ones)
{
	struct log_record *r = kmalloc(sizeof(*r));
	char *line = kmalloc(RECORD_TEXT_MAX);
	int64_t done = 0;
	uint64_t at = *sequence;

	if (!r || !line) {
		kfree(r);
		kfree(line);
		return -ENOMEM;
	}
	if (last_ones)
		at = first_that_fits(at, to->count, r, line);
	while (log_read(at, r) == 0) {
		size_t len = (size_t)classic_line(r, line, RECORD_TEXT_MAX);

		if (len > to->count)
			break;
		if (io_copy_to(to, line, len) < len) {
			done = done ? done : -EFAULT;
			break;
		}
		done += (int64_t)len;
		at = r->sequence + 1;
	}
	*sequence = at;
	kfree(r);
	kfree(line);
	return done;
}

int64_t kmsg_read_all(struct io_iter *to, bool clear)
{
	uint64_t at = READ_ONCE(cleared_at);
	int64_t n = copy_lines(&at, to, true);

	if (clear && n >= 0)
		kmsg_clear();
	return n;
}

int64_t kmsg_read_next(struct io_iter *to)
{
	int error = wait_event_interruptible(&readers, log_next_sequence() > READ_ONCE(read_at));

	return error ? error : copy_lines(&read_at, to, false);
}

void kmsg_clear(void)
{
	WRITE_ONCE(cleared_at, log_next_sequence());
}

uint64_t kmsg_unread(void)
{
	return log_next_sequence() - READ_ONCE(read_at);
}
