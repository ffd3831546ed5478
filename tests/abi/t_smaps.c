/* SPDX-License-Identifier: MIT */
/* /proc/self/smaps and smaps_rollup: what pages of one's own, of a child's too, of a file and of nobody count
 * as. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "cases.h"

#define PAGE 4096
#define RW   (PROT_READ | PROT_WRITE)

/* A figure, in KiB, of the mapping at addr (of the whole, with addr null); -1: there is none. */
static long figure(const void *addr, const char *name)
{
	FILE *file = fopen(addr ? "/proc/self/smaps" : "/proc/self/smaps_rollup", "r");
	char line[4352], wanted[32];
	long value, found = -1;
	int inside = !addr;
	unsigned long start, end;

	snprintf(wanted, sizeof(wanted), "%s:", name);
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = !addr || (start <= (unsigned long)addr && (unsigned long)addr < end);
		else if (inside && strncmp(line, wanted, strlen(wanted)) == 0 &&
			 sscanf(line + strlen(wanted), "%ld kB", &value) == 1)
			found = value;
	}
	if (file)
		fclose(file);
	return found;
}

/* So many pages with a neighbour on each side that has another protection: a mapping of their own. */
static char *apart(int pages, int prot, int flags, int fd)
{
	char *at = mmap(NULL, (size_t)(pages + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mmap(at + PAGE, (size_t)pages * PAGE, prot, flags | MAP_FIXED, fd, 0);
}

static void untouched_pages_cost_nothing(void)
{
	char *p = apart(4, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	EXPECT(figure(p, "Size") == 16 && figure(p, "Rss") == 0 && figure(p, "Pss") == 0);
	EXPECT(*(volatile char *)p == 0);
	EXPECT(figure(p, "Private_Dirty") == 0);
	EXPECT(figure(p, "KernelPageSize") == 4 && figure(p, "MMUPageSize") == 4 && figure(p, "Swap") == 0);
}

static void written_pages_are_private_and_dirty(void)
{
	char *p = apart(4, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	p[0] = p[2 * PAGE] = 1;
	EXPECT(figure(p, "Rss") == 8 && figure(p, "Pss") == 8 && figure(p, "Pss_Dirty") == 8);
	EXPECT(figure(p, "Private_Dirty") == 8 && figure(p, "Private_Clean") == 0);
	EXPECT(figure(p, "Shared_Dirty") == 0 && figure(p, "Anonymous") == 8 && figure(p, "Referenced") == 8);
}

/* In a child whose parent has the page as well. */
static int seen_by_child(char *p)
{
	int status, good;
	pid_t pid = fork();

	if (pid == 0) {
		good = figure(p, "Shared_Dirty") == 8 && figure(p, "Pss") == 4 &&
		       figure(p, "Private_Dirty") == 0;
		p[0] = 2;
		good = good && figure(p, "Shared_Dirty") == 4 && figure(p, "Private_Dirty") == 4 &&
		       figure(p, "Pss") == 6;
		_exit(good ? 0 : 1);
	}
	return waitpid(pid, &status, 0) == pid ? status : -1;
}

static void a_child_shares_them_until_it_writes(void)
{
	char *p = apart(2, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	p[0] = p[PAGE] = 1;
	EXPECT(seen_by_child(p) == 0);
	EXPECT(figure(p, "Private_Dirty") == 8 && figure(p, "Shared_Dirty") == 0);
}

static void a_page_twice_mapped_is_shared(void)
{
	char name[] = "smaps-XXXXXX", *p, *q;
	int fd = mkstemp(name);

	EXPECT(ftruncate(fd, 2 * PAGE) == 0 && unlink(name) == 0);
	p = apart(2, RW, MAP_SHARED, fd);
	q = apart(2, RW, MAP_SHARED, fd);
	p[0] = q[0] = p[PAGE] = 1;
	EXPECT(figure(q, "Rss") - figure(q, "Private_Clean") - figure(q, "Private_Dirty") >= 4);
	EXPECT(figure(q, "Shared_Dirty") + figure(q, "Shared_Clean") >= 4);
	EXPECT(figure(q, "Anonymous") == 0);
	close(fd);
}

static void locked_pages_are_told(void)
{
	char *p = apart(2, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	EXPECT(mlock(p, 2 * PAGE) == 0);
	EXPECT(figure(p, "Rss") == 8 && figure(p, "Locked") == 8);
}

static void the_sum_is_that_of_the_parts(void)
{
	long rss = figure(NULL, "Rss"), pss = figure(NULL, "Pss");
	char *p = apart(256, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	EXPECT(rss > 0 && pss > 0 && pss <= rss);
	EXPECT(figure(NULL, "Size") == -1);
	memset(p, 1, 256 * PAGE);
	EXPECT(figure(NULL, "Rss") - rss >= 1000 && figure(NULL, "Private_Dirty") >= 1000);
}

int main(void)
{
	CASE(untouched_pages_cost_nothing);
	CASE(written_pages_are_private_and_dirty);
	CASE(a_child_shares_them_until_it_writes);
	CASE(a_page_twice_mapped_is_shared);
	CASE(locked_pages_are_told);
	CASE(the_sum_is_that_of_the_parts);
	return abi_result();
}
