/* SPDX-License-Identifier: MIT */
/*
 * The kernel log: a ring of records (time, level, subsystem, text), printed on the console up to the console level and read
 * by dmesg through /dev/kmsg and syslog(2). One record is one line, at most LOG_LINE_MAX bytes; control characters become '?'.
 * A subsystem's file says `#define LOG_SUBSYSTEM "mm"` before the include.
 */
#ifndef CLOUDOS_LOG_H
#define CLOUDOS_LOG_H

#include <cloudos/types.h>
#include <stdarg.h>

#define LOG_LINE_MAX 512

enum log_level { LOG_EMERG, LOG_ALERT, LOG_CRIT, LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG };

void log_write(enum log_level level, const char *subsystem, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void log_vwrite(enum log_level level, const char *subsystem, const char *format, va_list args);

#ifndef LOG_SUBSYSTEM
#define LOG_SUBSYSTEM "kernel"
#endif
#define log_err(...)	 log_write(LOG_ERR, LOG_SUBSYSTEM, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, LOG_SUBSYSTEM, __VA_ARGS__)
#define log_notice(...)	 log_write(LOG_NOTICE, LOG_SUBSYSTEM, __VA_ARGS__)
#define log_info(...)	 log_write(LOG_INFO, LOG_SUBSYSTEM, __VA_ARGS__)
#define log_debug(...)	 log_write(LOG_DEBUG, LOG_SUBSYSTEM, __VA_ARGS__)

/* Lets `burst` through every `interval_ns`, then says how many were held back. */
struct log_ratelimit {
	uint64_t interval_ns, window_start_ns;
	uint32_t burst, passed, missed;
};
#define LOG_RATELIMIT(burst_lines) { .interval_ns = 5 * NSEC_PER_SEC, .burst = (burst_lines) }
bool log_allowed(struct log_ratelimit *r);

#define log_limited(level, burst_lines, ...)                                       \
	do {                                                                       \
		static struct log_ratelimit log_limit = LOG_RATELIMIT(burst_lines); \
		if (log_allowed(&log_limit))                                       \
			log_write(level, LOG_SUBSYSTEM, __VA_ARGS__);              \
	} while (0)

/* One record for a reader. `text` has no newline at its end. */
struct log_record {
	uint64_t sequence, time_ns;
	enum log_level level;
	char subsystem[11]; /* cut to fit */
	uint16_t len;
	char text[LOG_LINE_MAX];
};

/*
 * Copies the record numbered `sequence`, or the oldest still kept if that is gone; -EAGAIN when there is none yet.
 * The next to read is ret->sequence + 1.
 */
int log_read(uint64_t sequence, struct log_record *ret);
uint64_t log_next_sequence(void);

/* Records up to this level are printed on the console ("quiet" on the command line: LOG_WARNING; "loglevel=N"). */
void log_set_console_level(int level);
int log_console_level(void);

/* Called after each record, in the writer's context (maybe an interrupt's): wakes readers. Set once, by /dev/kmsg. */
extern void (*log_notify)(void);

/*
 * The console's output goes through here from the log and from the tty alike, so that lines do not mix. `raw`: as it is;
 * otherwise "\n" becomes "\r\n". Any context.
 */
void console_output(const char *buf, size_t len, bool raw);

#endif
