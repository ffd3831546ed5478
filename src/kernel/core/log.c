/* SPDX-License-Identifier: MIT */
/*
 * The log ring. Records of variable length lie one behind the other in a buffer of LOG_RING_SIZE bytes; positions are 64-bit and
 * count for ever, so that [tail, head) is what is kept, and position % size is where it lies. A record never wraps: one
 * that would is preceded by a filler. Writing drops the oldest records until there is room.
 *
 * I1: tail and head are record boundaries. I2: records in [tail, head) have consecutive sequence numbers, from first_sequence on.
 * Locking: log_lock (RANK_LOG) for the ring; console_lock (RANK_CONSOLE) for the order of output. Both are taken with interrupts
 * off; a panicking CPU passes over them, see log_panic_mode().
 */
#include <cloudos/errno.h>
#include <cloudos/format.h>
#include <cloudos/lock.h>
#include <cloudos/log.h>
#include <cloudos/string.h>
#include "core_internal.h"

#define LOG_RING_SIZE (64 * 1024)

struct record {
	uint64_t time_ns;
	uint16_t size; /* of the whole record in the ring, a multiple of 8 */
	uint16_t len;  /* of the text; RECORD_FILLER: no record */
	uint8_t level;
	char subsystem[11];
	char text[];
};
_Static_assert(sizeof(struct record) == 24, "records are 8-byte aligned in the ring");

#define RECORD_FILLER UINT16_MAX

static char ring[LOG_RING_SIZE] __attribute__((aligned(8)));
static uint64_t ring_head, ring_tail, first_sequence, next_sequence;
static struct spinlock log_lock = SPINLOCK_INIT(RANK_LOG);
static struct spinlock console_lock = SPINLOCK_INIT(RANK_CONSOLE);
static int console_level = LOG_INFO;
static bool panic_mode;
void (*log_notify)(void);

static struct record *record_at(uint64_t position)
{
	return (struct record *)(void *)(ring + position % LOG_RING_SIZE);
}

static void drop_oldest(void)
{
	struct record *r = record_at(ring_tail);

	if (r->len != RECORD_FILLER)
		first_sequence++;
	ring_tail += r->size;
}

static void make_room(uint64_t end)
{
	while (end - ring_tail > LOG_RING_SIZE)
		drop_oldest();
}

/* Room for a record of `size` bytes at the head. */
static struct record *reserve(uint16_t size)
{
	uint64_t left = LOG_RING_SIZE - ring_head % LOG_RING_SIZE;

	if (left < size) {
		make_room(ring_head + left);
		record_at(ring_head)->size = (uint16_t)left; /* a filler may be shorter than a record's head: these two fit */
		record_at(ring_head)->len = RECORD_FILLER;
		ring_head += left;
	}
	make_room(ring_head + size);
	return record_at(ring_head);
}

static void append(enum log_level level, uint64_t now, const char *subsystem, const char *text, size_t len)
{
	/* Sizes are multiples of 16, so that what is left at the end always holds a filler's size and length. */
	uint16_t size = (uint16_t)align_up(sizeof(struct record) + len, (size_t)16);
	struct record *r = reserve(size);

	r->time_ns = now;
	r->size = size;
	r->len = (uint16_t)len;
	r->level = (uint8_t)level;
	str_copy(r->subsystem, sizeof(r->subsystem), subsystem);
	memcpy(r->text, text, len);
	ring_head += size;
	ADD_ONCE(next_sequence, 1);
}

static bool take(struct spinlock *l)
{
	if (READ_ONCE(panic_mode))
		return spin_try_lock(l);
	spin_lock(l);
	return true;
}

static void console_write(const char *buf, size_t len, bool raw)
{
	while (len > 0) {
		const char *newline = raw ? NULL : memchr(buf, '\n', len);
		size_t n = newline ? (size_t)(newline - buf) : len;

		hal_console_write(buf, n);
		if (newline) {
			hal_console_write("\r\n", 2);
			n++;
		}
		buf += n;
		len -= n;
	}
}

void console_output(const char *buf, size_t len, bool raw)
{
	unsigned long flags = hal_irq_save();
	bool locked = take(&console_lock);

	console_write(buf, len, raw);
	if (locked)
		spin_unlock(&console_lock);
	hal_irq_restore(flags);
}

static void print_record(uint64_t now, const char *subsystem, const char *text)
{
	char line[LOG_LINE_MAX + 48];
	int n = fmt_string(line, sizeof(line), "[%5lu.%06lu] %s: %s\n", (unsigned long)(now / NSEC_PER_SEC),
			   (unsigned long)(now % NSEC_PER_SEC / NSEC_PER_USEC), subsystem, text);

	console_output(line, min((size_t)n, sizeof(line) - 1), false);
}

static void sanitise(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' && *text != '\t')
			*text = '?';
}

void log_vwrite(enum log_level level, const char *subsystem, const char *format, va_list args)
{
	char text[LOG_LINE_MAX];
	uint64_t now = hal_clock_ns();
	unsigned long flags;
	size_t len;
	bool locked;

	len = min((size_t)fmt_vstring(text, sizeof(text), format, args), sizeof(text) - 1);
	if (len > 0 && text[len - 1] == '\n')
		text[--len] = '\0';
	sanitise(text);
	flags = hal_irq_save();
	locked = take(&log_lock);
	append(level, now, subsystem, text, len);
	if (locked)
		spin_unlock(&log_lock);
	hal_irq_restore(flags);
	if ((int)level <= READ_ONCE(console_level))
		print_record(now, subsystem, text);
	if (log_notify && !READ_ONCE(panic_mode))
		log_notify();
}

void log_write(enum log_level level, const char *subsystem, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_vwrite(level, subsystem, format, args);
	va_end(args);
}

/* Finds record `sequence` and copies it; log_lock is held. Records are read in order nearly always: remembers the last place. */
static int read_locked(uint64_t sequence, struct log_record *ret)
{
	static uint64_t hint_sequence, hint_position;
	uint64_t at = ring_tail, n = first_sequence;
	struct record *r;

	if (sequence < first_sequence)
		sequence = first_sequence;
	if (sequence >= next_sequence)
		return -EAGAIN;
	if (hint_position >= ring_tail && hint_sequence >= n && hint_sequence <= sequence) {
		at = hint_position;
		n = hint_sequence;
	}
	for (;; at += r->size) {
		r = record_at(at);
		if (r->len != RECORD_FILLER && n++ == sequence)
			break;
	}
	hint_sequence = sequence;
	hint_position = at;
	ret->sequence = sequence;
	ret->time_ns = r->time_ns;
	ret->level = r->level;
	ret->len = r->len;
	memcpy(ret->text, r->text, r->len);
	ret->text[r->len] = '\0';
	str_copy(ret->subsystem, sizeof(ret->subsystem), r->subsystem);
	return 0;
}

int log_read(uint64_t sequence, struct log_record *ret)
{
	unsigned long flags = spin_lock_irq(&log_lock);
	int err = read_locked(sequence, ret);

	spin_unlock_irq(&log_lock, flags);
	return err;
}

uint64_t log_next_sequence(void)
{
	return READ_ONCE(next_sequence);
}

void log_set_console_level(int level)
{
	WRITE_ONCE(console_level, level);
}

int log_console_level(void)
{
	return READ_ONCE(console_level);
}

bool log_allowed(struct log_ratelimit *r)
{
	uint64_t now = hal_clock_ns();
	uint32_t missed = 0;

	if (now - READ_ONCE(r->window_start_ns) > r->interval_ns) {
		WRITE_ONCE(r->window_start_ns, now);
		missed = __atomic_exchange_n(&r->missed, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&r->passed, 0, __ATOMIC_RELAXED);
	}
	if (missed > 0)
		log_info("%u lines like the next were held back", missed);
	if (__atomic_fetch_add(&r->passed, 1, __ATOMIC_RELAXED) < r->burst)
		return true;
	__atomic_fetch_add(&r->missed, 1, __ATOMIC_RELAXED);
	return false;
}

/* From here on locks are passed over where they are held: their holders may be stopped for ever. */
void log_panic_mode(void)
{
	WRITE_ONCE(panic_mode, true);
}
