/* SPDX-License-Identifier: MIT */
/* Time, as the world has it. */
#include <hal/hal.h>
#include <sim/world.h>

uint64_t hal_clock_ns(void)
{
	return sim_world->clock_ns();
}

uint64_t hal_wall_ns(void)
{
	return sim_world->wall_ns();
}

void hal_wall_set(uint64_t wall_ns)
{
	sim_world->wall_set(wall_ns);
}

uint64_t hal_boot_clock_ns(void)
{
	return 0;
}

void hal_timer_arm(uint64_t deadline_ns)
{
	sim_world->timer_arm(sim_self(), deadline_ns);
}
