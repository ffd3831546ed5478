/* SPDX-License-Identifier: MIT */
/* syslog(2): the kernel log for dmesg. */
#include <linux/capability.h>
#include <cloudos/cred.h>
#include <cloudos/fs.h>
#include <cloudos/log.h>
#include <cloudos/thread.h>
#include <cloudos/uaccess.h>
#include "syscalls_gen.h"

/* What klogctl(3) names with numbers. */
enum { SL_CLOSE, SL_OPEN, SL_READ, SL_READ_ALL, SL_READ_CLEAR, SL_CLEAR, SL_CONSOLE_OFF, SL_CONSOLE_ON, SL_CONSOLE_LEVEL, SL_UNREAD, SL_SIZE };

#define LOG_SIZE_SHOWN (256 * 1024)

static int64_t read_log(int action, uaddr_t buf, int len)
{
	struct io_iter to;

	if (!buf || len < 0)
		return -EINVAL;
	if (!len)
		return 0;
	if (!user_range_ok(buf, (uint64_t)len))
		return -EFAULT;
	io_iter_user(&to, buf, (size_t)len);
	return action == SL_READ ? kmsg_read_next(&to) : kmsg_read_all(&to, action == SL_READ_CLEAR);
}

int64_t sys_syslog(int action, uaddr_t buf, int len)
{
	static int level_before = LOG_WARNING;

	if (action != SL_READ_ALL && action != SL_SIZE && !cred_capable(thread_current()->cred, CAP_SYSLOG))
		return -EPERM;
	switch (action) {
	case SL_CLOSE:
	case SL_OPEN:
		return 0;
	case SL_READ:
	case SL_READ_ALL:
	case SL_READ_CLEAR:
		return read_log(action, buf, len);
	case SL_CLEAR:
		kmsg_clear();
		return 0;
	case SL_CONSOLE_OFF:
		level_before = log_console_level();
		log_set_console_level(LOG_EMERG);
		return 0;
	case SL_CONSOLE_ON:
		log_set_console_level(level_before);
		return 0;
	case SL_CONSOLE_LEVEL:
		if (len < 1 || len > 8)
			return -EINVAL;
		log_set_console_level(len - 1);
		return 0;
	case SL_UNREAD:
		return (int64_t)kmsg_unread();
	case SL_SIZE:
		return LOG_SIZE_SHOWN;
	default:
		return -EINVAL;
	}
}
