/* SPDX-License-Identifier: MIT */
/* Memory policies, as on any machine with one node. */
#include "cases.h"

#include <linux/mempolicy.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifndef SYS_set_mempolicy_home_node
#define SYS_set_mempolicy_home_node 450
#endif
#define PAGE 4096ul

static unsigned long node0[16] = { 1 }, node1[16] = { 2 }, both[16] = { 3 };

static long set(int mode, void *mask, unsigned long max)
{
	return syscall(SYS_set_mempolicy, mode, mask, max);
}

static long get(int *mode, void *mask, unsigned long max, void *addr, int flags)
{
	return syscall(SYS_get_mempolicy, mode, mask, max, addr, flags);
}

static long bind_to(void *p, unsigned long len, int mode, void *mask, unsigned long max, int flags)
{
	return syscall(SYS_mbind, p, len, mode, mask, max, flags);
}

static long home(void *p, unsigned long len, unsigned long node, unsigned long flags)
{
	return syscall(SYS_set_mempolicy_home_node, p, len, node, flags);
}

static int mode;
static unsigned long mask[16];

static int told(int wanted_mode, unsigned long wanted_mask)
{
	mode = -1;
	memset(mask, 0x55, sizeof(mask));
	return get(&mode, mask, 1024, NULL, 0) == 0 && mode == wanted_mode && mask[0] == wanted_mask && mask[15] == 0;
}

static void of_a_thread(void)
{
	EXPECT(told(MPOL_DEFAULT, 0));
	EXPECT(set(MPOL_BIND, node0, 64) == 0 && told(MPOL_BIND, 1));
	EXPECT_ERRNO(set(MPOL_BIND, node1, 64), EINVAL);
	EXPECT(set(MPOL_BIND, both, 64) == 0 && told(MPOL_BIND, 1));
	EXPECT(set(MPOL_BIND | MPOL_F_STATIC_NODES, node0, 64) == 0 && told(MPOL_BIND | MPOL_F_STATIC_NODES, 1));
	EXPECT(set(MPOL_BIND | MPOL_F_RELATIVE_NODES, node0, 64) == 0 && told(MPOL_BIND | MPOL_F_RELATIVE_NODES, 1));
	EXPECT(set(MPOL_INTERLEAVE, node0, 2) == 0 && told(MPOL_INTERLEAVE, 1) && get(&mode, NULL, 0, NULL, MPOL_F_NODE) == 0 && mode == 0);
	EXPECT(set(MPOL_PREFERRED, NULL, 0) == 0 && told(MPOL_LOCAL, 0));
	EXPECT(set(MPOL_PREFERRED, node0, 64) == 0 && told(MPOL_PREFERRED, 1));
	EXPECT(set(MPOL_LOCAL, NULL, 0) == 0 && told(MPOL_LOCAL, 0));
	EXPECT(set(MPOL_DEFAULT, NULL, 0) == 0 && told(MPOL_DEFAULT, 0));
}

static void refused(void)
{
	EXPECT_ERRNO(set(50, NULL, 0), EINVAL);
	EXPECT_ERRNO(set(MPOL_BIND, NULL, 0), EINVAL);
	EXPECT_ERRNO(set(MPOL_DEFAULT, node0, 64), EINVAL);
	EXPECT_ERRNO(set(MPOL_LOCAL, node0, 64), EINVAL);
	EXPECT_ERRNO(set(MPOL_BIND | MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES, node0, 64), EINVAL);
	EXPECT_ERRNO(set(MPOL_PREFERRED | MPOL_F_NUMA_BALANCING, node0, 64), EINVAL);
	EXPECT_ERRNO(set(MPOL_BIND, (void *)16, 64), EFAULT);
	EXPECT_ERRNO(set(MPOL_BIND, node0, PAGE * 8 + 2), EINVAL);
	EXPECT_ERRNO(get(&mode, mask, 0, NULL, 0), EINVAL);
	EXPECT(get(&mode, mask, 1, NULL, 0) == 0);
	EXPECT_ERRNO(get(&mode, NULL, 0, mask, 0), EINVAL);
	EXPECT_ERRNO(get(&mode, NULL, 0, NULL, 8), EINVAL);
	EXPECT_ERRNO(get(&mode, NULL, 0, NULL, MPOL_F_NODE), EINVAL);
	EXPECT_ERRNO(get(&mode, NULL, 0, (void *)16, MPOL_F_ADDR), EFAULT);
	EXPECT_ERRNO(get(&mode, NULL, 0, NULL, MPOL_F_MEMS_ALLOWED | MPOL_F_NODE), EINVAL);
	EXPECT_ERRNO(get((int *)16, NULL, 0, NULL, 0), EFAULT);
	EXPECT(get(NULL, mask, 1024, NULL, MPOL_F_MEMS_ALLOWED) == 0 && mask[0] == 1 && mask[15] == 0);
}

static void goes_to_children(void)
{
	int status;
	pid_t pid;

	EXPECT(set(MPOL_BIND, node0, 64) == 0);
	pid = fork();
	if (pid == 0)
		_exit(!told(MPOL_BIND, 1));
	EXPECT(waitpid(pid, &status, 0) == pid && status == 0 && set(MPOL_DEFAULT, NULL, 0) == 0);
}

static int mode_at(char *p)
{
	return get(&mode, NULL, 0, p, MPOL_F_ADDR) == 0 ? mode : -1;
}

static void of_areas(void)
{
	char *p = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	EXPECT(bind_to(p + PAGE, 2 * PAGE, MPOL_BIND, node0, 64, 0) == 0);
	EXPECT(mode_at(p) == MPOL_DEFAULT && mode_at(p + PAGE) == MPOL_BIND && mode_at(p + 2 * PAGE) == MPOL_BIND && mode_at(p + 3 * PAGE) == MPOL_DEFAULT);
	EXPECT_ERRNO(bind_to(p + 1, PAGE, MPOL_BIND, node0, 64, 0), EINVAL);
	EXPECT(bind_to(p, 0, MPOL_BIND, node0, 64, 0) == 0);
	EXPECT_ERRNO(bind_to(p, PAGE, MPOL_BIND, node0, 64, 8), EINVAL);
	EXPECT_ERRNO(bind_to(p, PAGE, MPOL_BIND, node1, 64, 0), EINVAL);
	EXPECT_ERRNO(bind_to(p, -PAGE, MPOL_BIND, node0, 64, 0), EINVAL);
	p[PAGE] = 1;
	EXPECT(bind_to(p, 4 * PAGE, MPOL_PREFERRED, node0, 64, MPOL_MF_STRICT | MPOL_MF_MOVE) == 0 && mode_at(p) == MPOL_PREFERRED && p[PAGE] == 1);
	EXPECT(get(&mode, NULL, 0, p + 5 * PAGE, MPOL_F_ADDR | MPOL_F_NODE) == 0 && mode == 0);
	EXPECT(munmap(p + 6 * PAGE, PAGE) == 0);
	EXPECT_ERRNO(bind_to(p + 5 * PAGE, 3 * PAGE, MPOL_BIND, node0, 64, 0), EFAULT);
	EXPECT(bind_to(p, 6 * PAGE, MPOL_DEFAULT, NULL, 0, 0) == 0 && mode_at(p) == MPOL_DEFAULT);
	EXPECT_ERRNO(home(p, PAGE, 0, 0), ENOENT);
	EXPECT(bind_to(p, PAGE, MPOL_BIND, node0, 64, 0) == 0 && home(p, PAGE, 0, 0) == 0 && mode_at(p) == MPOL_BIND);
	EXPECT_ERRNO(home(p, PAGE, 1, 0), EINVAL);
	EXPECT_ERRNO(home(p, PAGE, 0, 1), EINVAL);
	EXPECT_ERRNO(home(p + 1, PAGE, 0, 0), EINVAL);
	EXPECT(home(p, 0, 0, 0) == 0 && bind_to(p, PAGE, MPOL_INTERLEAVE, node0, 64, 0) == 0);
	EXPECT_ERRNO(home(p, PAGE, 0, 0), EOPNOTSUPP);
	munmap(p, 8 * PAGE);
}

static void moving(void)
{
	char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *pages[3] = { p, p + PAGE, (void *)16 };
	int nodes[3] = { 0 }, status[3] = { 9, 9, 9 };
	unsigned long none[16] = { 0 };

	p[0] = 1;
	EXPECT(syscall(SYS_move_pages, 0, 3ul, pages, NULL, status, 0) == 0 && status[0] == 0 && status[1] == -ENOENT && status[2] == -EFAULT);
	status[0] = status[1] = status[2] = 9;
	EXPECT(syscall(SYS_move_pages, 0, 3ul, pages, nodes, status, MPOL_MF_MOVE) == 0 && status[0] == 0 && status[1] == -ENOENT && status[2] == -EFAULT);
	nodes[1] = 1;
	EXPECT_ERRNO(syscall(SYS_move_pages, 0, 3ul, pages, nodes, status, MPOL_MF_MOVE), ENODEV);
	nodes[1] = -1;
	EXPECT_ERRNO(syscall(SYS_move_pages, 0, 3ul, pages, nodes, status, MPOL_MF_MOVE), ENODEV);
	EXPECT_ERRNO(syscall(SYS_move_pages, 0, 3ul, pages, NULL, status, 1), EINVAL);
	EXPECT_ERRNO(syscall(SYS_move_pages, 0, 3ul, pages, NULL, (void *)16, 0), EFAULT);
	EXPECT_ERRNO(syscall(SYS_move_pages, 0, 3ul, (void *)16, NULL, status, 0), EFAULT);
	EXPECT_ERRNO(syscall(SYS_move_pages, 0x3fffffff, 3ul, pages, NULL, status, 0), ESRCH);
	EXPECT(syscall(SYS_move_pages, 0, 0ul, NULL, NULL, NULL, 0) == 0);
	EXPECT(syscall(SYS_migrate_pages, 0, 64ul, node0, node0) == 0);
	EXPECT_ERRNO(syscall(SYS_migrate_pages, 0, 64ul, node0, none), EINVAL);
	EXPECT_ERRNO(syscall(SYS_migrate_pages, 0, 64ul, (void *)16, node0), EFAULT);
	EXPECT_ERRNO(syscall(SYS_migrate_pages, 0x3fffffff, 64ul, node0, node0), ESRCH);
	munmap(p, 4 * PAGE);
}

int main(void)
{
	CASE(of_a_thread);
	CASE(refused);
	CASE(goes_to_children);
	CASE(of_areas);
	CASE(moving);
	return abi_result();
}
