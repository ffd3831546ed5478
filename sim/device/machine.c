/* SPDX-License-Identifier: MIT */
/* The devices that the command line asks for. */
#include <sim/device.h>
#include <sim/host.h>
#include <sim/virtio.h>

void sim_devices_create(void)
{
	struct sim_disk *disk;

	for (unsigned i = 0; (disk = sim_machine_disk(i)); i++) {
		struct sim_virtio_blk *b = sim_virtio_blk_create(disk);

		if (!b || sim_pci_plug(&sim_virtio_blk_device(b)->pci) < 0)
			host_fatal("no room for disk %u", i);
	}
}
