/* SPDX-License-Identifier: MIT */
/* Limits; what describes the system; random numbers; restartable sequences; the end. */
#define LOG_SUBSYSTEM "syscall"
#include <cloudos/errno.h>
#include <cloudos/limits.h>
#include <cloudos/log.h>
#include <cloudos/mm.h>
#include <cloudos/random.h>
#include <cloudos/rseq.h>
#include <cloudos/service.h>
#include <cloudos/string.h>
#include <cloudos/swap.h>
#include <cloudos/task.h>
#include <cloudos/uaccess.h>
#include <cloudos/uts.h>
#include <linux/capability.h>
#include <linux/random.h>
#include <linux/reboot.h>
#include <linux/rseq.h>
#include <linux/sysinfo.h>
#include <linux/utsname.h>
#include "syscalls_gen.h"

/* ---- limits ---- */

int64_t sys_prlimit64(int pid, unsigned resource, uaddr_t new, uaddr_t old)
{
	struct rlimit64 wanted, former;
	int err;

	if (new && get_user(wanted, new) < 0)
		return -EFAULT;
	err = process_prlimit(pid, resource, new ? &wanted : NULL, &former);
	if (err == 0 && old && put_user(former, old) < 0)
		return -EFAULT;
	return err;
}

_Static_assert(sizeof(struct rlimit) == sizeof(struct rlimit64) && RLIM_INFINITY == RLIM64_INFINITY, "one layout");

int64_t sys_getrlimit(unsigned resource, uaddr_t limit)
{
	struct rlimit64 now;
	int err = process_prlimit(0, resource, NULL, &now);

	return err < 0 ? err : put_user(now, limit);
}

int64_t sys_setrlimit(unsigned resource, uaddr_t limit)
{
	struct rlimit64 wanted, former;

	if (get_user(wanted, limit) < 0)
		return -EFAULT;
	return process_prlimit(0, resource, &wanted, &former);
}

/* ---- the system's description ---- */

int64_t sys_uname(uaddr_t name)
{
	struct new_utsname u;

	uts_get(task_uts(), &u);
	return put_user(u, name);
}

static int64_t set_uts(uaddr_t name, int len, void (*set)(struct uts_namespace *ns, const char *name))
{
	char text[__NEW_UTS_LEN + 1];

	if (!task_uts_capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (len < 0 || len > __NEW_UTS_LEN)
		return -EINVAL;
	if (copy_from_user(text, name, (size_t)len) < 0)
		return -EFAULT;
	text[len] = '\0';
	set(task_uts(), text);
	return 0;
}

int64_t sys_sethostname(uaddr_t name, int len)
{
	return set_uts(name, len, uts_set_node_name);
}

int64_t sys_setdomainname(uaddr_t name, int len)
{
	return set_uts(name, len, uts_set_domain_name);
}

int64_t sys_sysinfo(uaddr_t to)
{
	struct sysinfo info;
	struct swap_figures swap;
	struct mm_stats mm;
	uint64_t load[3];

	mm_get_stats(&mm);
	sched_load(load);
	memset(&info, 0, sizeof(info));
	info.uptime = (__kernel_long_t)(hal_clock_ns() / NSEC_PER_SEC);
	for (int i = 0; i < 3; i++)
		info.loads[i] = load[i];
	info.totalram = mm.total_pages * PAGE_SIZE;
	info.freeram = mm.free_pages * PAGE_SIZE;
	swap_get_figures(&swap);
	info.totalswap = swap.total_pages * PAGE_SIZE;
	info.freeswap = swap.free_pages * PAGE_SIZE;
	info.procs = (uint16_t)min(task_total(), UINT32_C(65535));
	info.mem_unit = 1;
	return put_user(info, to);
}

int64_t sys_personality(unsigned persona)
{
	struct process *p = process_self();
	uint32_t old = READ_ONCE(p->personality);

	if (persona != UINT32_MAX)
		WRITE_ONCE(p->personality, persona);
	return old;
}

/* ---- random numbers ---- */

int64_t sys_getrandom(uaddr_t buf, size_t len, unsigned flags)
{
	uint8_t chunk[256];
	size_t done = 0;

	if ((flags & ~(unsigned)(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE)) ||
	    (flags & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE))
		return -EINVAL;
	len = min(len, (size_t)INT32_MAX);
	while (done < len) {
		size_t n = min(len - done, sizeof(chunk));

		random_bytes(chunk, n);
		if (copy_to_user(buf + done, chunk, n) < 0)
			return done ? (int64_t)done : -EFAULT;
		done += n;
		if (done < len && thread_signal_pending())
			break;
		sched_point();
	}
	return (int64_t)done;
}

/* ---- restartable sequences ---- */

int64_t sys_rseq(uaddr_t area, unsigned len, int flags, unsigned signature)
{
	if (flags == RSEQ_FLAG_UNREGISTER)
		return rseq_unregister(area, len, signature);
	return flags ? -EINVAL : rseq_register(area, len, signature);
}

/* ---- the end ---- */

static _Noreturn void shut_down(bool again)
{
	log_notice("%s", again ? "restarting" : "powering off");
	services_stop();
	if (again)
		hal_reboot();
	hal_power_off();
}

/* In a namespace of pids it is the end of that. */
static int64_t reboot_namespace(unsigned command)
{
	switch (command) {
	case LINUX_REBOOT_CMD_RESTART:
	case LINUX_REBOOT_CMD_RESTART2:
		pid_namespace_reboot(SIGHUP);
	case LINUX_REBOOT_CMD_POWER_OFF:
	case LINUX_REBOOT_CMD_HALT:
		pid_namespace_reboot(SIGINT);
	default:
		return -EINVAL;
	}
}

#define REBOOT_TEXT_MAX 256 /* bytes of LINUX_REBOOT_CMD_RESTART2's text, as on Linux; what is longer is cut */

int64_t sys_reboot(unsigned magic1, unsigned magic2, unsigned command, uaddr_t arg)
{
	char text[REBOOT_TEXT_MAX];

	if (!pid_namespace_capable(CAP_SYS_BOOT))
		return -EPERM;
	if (magic1 != LINUX_REBOOT_MAGIC1 ||
	    (magic2 != LINUX_REBOOT_MAGIC2 && magic2 != LINUX_REBOOT_MAGIC2A && magic2 != LINUX_REBOOT_MAGIC2B &&
	     magic2 != LINUX_REBOOT_MAGIC2C))
		return -EINVAL;
	if (!process_sees_all())
		return reboot_namespace(command);
	switch (command) {
	case LINUX_REBOOT_CMD_RESTART2: /* what the text says is the firmware's, and none asks */
		if (copy_string_from_user(text, arg, sizeof(text)) == -EFAULT)
			return -EFAULT;
		shut_down(true);
	case LINUX_REBOOT_CMD_RESTART:
		shut_down(true);
	case LINUX_REBOOT_CMD_POWER_OFF:
	case LINUX_REBOOT_CMD_HALT:
		shut_down(false);
	case LINUX_REBOOT_CMD_CAD_ON:
	case LINUX_REBOOT_CMD_CAD_OFF:
		return 0; /* there is no Ctrl-Alt-Del to turn on or off */
	default:
		return -EINVAL;
	}
}
