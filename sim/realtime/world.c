/* SPDX-License-Identifier: MIT */
/* Real time, as the table that <sim/world.h> describes. Nothing is injected here. */
#include <hal/hal.h>
#include <sim/host.h>
#include "realtime.h"

static __attribute__((noreturn)) void halt(struct sim_vcpu *v)
{
	(void)v;
	host_halt_thread();
}

static void end(void)
{
}

const struct sim_world sim_realtime = {
    .clock_ns = realtime_clock_ns,
    .wall_ns = realtime_wall_ns,
    .wall_set = realtime_wall_set,
    .timer_arm = realtime_timer_arm,
    .timer_due = realtime_timer_due,
    .cpu_start = realtime_cpu_start,
    .idle = realtime_idle,
    .relax = realtime_relax,
    .halt = halt,
    .kick = realtime_kick,
    .user_enter = realtime_user_enter,
    .entropy = host_entropy,
    .console_start = host_console_start,
    .console_write = host_console_write,
    .console_peek = host_console_peek,
    .console_take = host_console_take,
    .disk = realtime_disk,
    .end = end,
};
