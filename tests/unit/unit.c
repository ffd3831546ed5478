/* SPDX-License-Identifier: MIT */
/* CMocka's fixtures around each test: see unit.h. */
#include "unit.h"
#include "usage.h"

struct unit_machine unit_machine;
static struct usage before;

int unit_group_setup(void **state)
{
	(void)state;
	unit_boot(&unit_machine);
	return 0;
}

int unit_begin(void **state)
{
	(void)state;
	usage_measure(&before);
	return 0;
}

int unit_end(void **state)
{
	char message[128];

	(void)state;
	if (usage_returned(&before, message, sizeof(message)))
		return 0;
	print_error("%s\n", message);
	return -1;
}
