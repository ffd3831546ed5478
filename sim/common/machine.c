/* SPDX-License-Identifier: MIT */
/*
 * The machine as the kernel sees it at boot: RAM, command line, initramfs, names. Page 0 is left out: address
 * 0 means "none".
 */
#include <hal/hal.h>
#include <sim/disk.h>
#include <sim/fault.h>
#include <sim/host.h>
#include <sim/user.h>
#include <sim/world.h>

struct sim_machine sim_machine;
const struct sim_world *sim_world = &sim_realtime;

bool sim_machine_has(const char *text)
{
	for (const char *at = sim_machine.cmdline; *at; at++) {
		size_t i = 0;

		while (text[i] && at[i] == text[i])
			i++;
		if (!text[i])
			return true;
	}
	return false;
}

void hal_ram_clear(paddr_t from, uint64_t size)
{
	host_ram_clear(from, size);
}

size_t hal_mem_ranges(const struct hal_mem_range **ret)
{
	static struct hal_mem_range ranges[4];
	uint64_t end = sim_machine.initrd_len ? sim_machine.initrd : sim_machine.ram_size;
	uint64_t gone = end / 1000000 * sim_fault_rate(SIM_FAULT_MEMORY_PRESSURE) & PAGE_MASK;

	ranges[0] = (struct hal_mem_range){0, PAGE_SIZE, HAL_MEM_RESERVED};
	ranges[1] = (struct hal_mem_range){PAGE_SIZE, end - gone - PAGE_SIZE, HAL_MEM_FREE};
	ranges[2] = (struct hal_mem_range){end - gone, gone, HAL_MEM_RESERVED};
	ranges[3] = (struct hal_mem_range){end, sim_machine.ram_size - end, HAL_MEM_INITRD};
	if (!gone)
		ranges[2] = ranges[3];
	*ret = ranges;
	return 2 + (gone > 0) + (sim_machine.initrd_len > 0);
}

const char *hal_cmdline(void)
{
	return sim_machine.cmdline;
}

bool hal_initrd(const void **ret_data, size_t *ret_len)
{
	if (!sim_machine.initrd_len)
		return false;
	*ret_data = hal_phys_to_virt(sim_machine.initrd);
	*ret_len = sim_machine.initrd_len;
	return true;
}

const char *hal_boot_path(void)
{
	return "sim";
}

const char *hal_cpu_model(void)
{
	static char model[64];

	if (sim_machine.hide_cpu)
		return sim_fixed_cpu_model();
	if (!model[0])
		host_cpu_model(model, sizeof(model));
	return model;
}

size_t hal_entropy(void *buf, size_t len)
{
	return sim_world->entropy(buf, len);
}

void hal_console_write(const char *buf, size_t len)
{
	sim_world->console_write(buf, len);
}

struct sim_disk *sim_machine_disk(unsigned number)
{
	return number < sim_machine.disk_count ? sim_world->disk(number) : NULL;
}
