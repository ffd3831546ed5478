/* SPDX-License-Identifier: MIT */
/* Core files: when one is left, under which name, what wait() says of it, and what is in it: headers, notes, registers, memory. */
#include "cases.h"
#include "scratch.h"
#include "inside.h"
#include <elf.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/procfs.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define FILL	0x5ac0ffee12345678ul
#define THREADS 3
#define PAGE	4096ul

/* Where the things are that a child has in its memory: the same as in its parent. */
static uint64_t marked = FILL;
static unsigned char *shown, *hidden, *shared, *reserved, *untouched;
static volatile int *volatile nowhere = (volatile int *)24;

static void set_limit(rlim_t bytes)
{
	struct rlimit r = { bytes, RLIM_INFINITY };

	setrlimit(RLIMIT_CORE, &r);
}

/* A child that calls fn(arg); its wait status, and its number. */
static int status_of(void (*fn)(long), long arg, pid_t *ret_pid)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		fn(arg);
		_exit(0);
	}
	EXPECT(waitpid(pid, &status, 0) == pid);
	if (ret_pid)
		*ret_pid = pid;
	return status;
}

static void die(long signo)
{
	signal((int)signo, SIG_DFL);
	set_limit(RLIM_INFINITY);
	raise((int)signo);
}

static bool there_is(const char *name)
{
	return access(name, F_OK) == 0;
}

static void which_signals(void)
{
	static const int with[] = { SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGFPE, SIGSEGV, SIGBUS, SIGSYS, SIGXCPU, SIGXFSZ };
	static const int without[] = { SIGHUP, SIGINT, SIGKILL, SIGTERM, SIGPIPE, SIGALRM, SIGUSR1 };

	for (size_t i = 0; i < sizeof(with) / sizeof(with[0]); i++) {
		int status = status_of(die, with[i], NULL);

		EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == with[i] && WCOREDUMP(status));
		EXPECT(unlink("core") == 0);
	}
	for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++) {
		int status = status_of(die, without[i], NULL);

		EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == without[i] && !WCOREDUMP(status));
		EXPECT(!there_is("core"));
	}
}

static void the_parent_is_told(void)
{
	siginfo_t si = { 0 };
	pid_t pid = fork();

	if (pid == 0)
		die(SIGABRT);
	EXPECT(waitid(P_PID, (id_t)pid, &si, WEXITED) == 0);
	EXPECT(si.si_code == CLD_DUMPED && si.si_status == SIGABRT && si.si_pid == pid);
	EXPECT(unlink("core") == 0);
}

static void without_limit(long signo)
{
	set_limit(0);
	raise((int)signo);
}

static void less_than_a_page(long signo)
{
	set_limit(PAGE - 1);
	raise((int)signo);
}

static void not_dumpable(long signo)
{
	prctl(PR_SET_DUMPABLE, 0);
	die(signo);
}

static void in_a_folder_that_is_not_its_own(long signo)
{
	if (setgid(65534) || setuid(65534))
		_exit(1);
	prctl(PR_SET_DUMPABLE, 1);
	die(signo);
}

static void none_is_left(void)
{
	void (*const ways[])(long) = { without_limit, less_than_a_page, not_dumpable, in_a_folder_that_is_not_its_own };

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		int status = status_of(ways[i], SIGSEGV, NULL);

		EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV && !WCOREDUMP(status));
		EXPECT(!there_is("core"));
	}
}

static void what_is_in_the_way(void)
{
	struct stat st;
	int status;

	EXPECT(close(open("old", O_CREAT | O_WRONLY, 0644)) == 0 && symlink("old", "core") == 0);
	status = status_of(die, SIGABRT, NULL); /* the link goes, and not what it leads to */
	EXPECT(WCOREDUMP(status) && lstat("core", &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 07777) == 0600);
	EXPECT(stat("old", &st) == 0 && st.st_size == 0 && unlink("old") == 0 && unlink("core") == 0);
	EXPECT(mkdir("core", 0700) == 0);
	status = status_of(die, SIGABRT, NULL);
	EXPECT(WIFSIGNALED(status) && !WCOREDUMP(status));
	EXPECT(rmdir("core") == 0);
}

static void cut(long bytes)
{
	set_limit((rlim_t)bytes);
	memset(mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 1, 64 * PAGE);
	abort();
}

static void the_limit_cuts(void)
{
	int status = status_of(cut, 16 * (long)PAGE, NULL);
	struct stat st;

	EXPECT(WIFSIGNALED(status) && WCOREDUMP(status));
	EXPECT(stat("core", &st) == 0 && st.st_blocks <= 16 * (long)PAGE / 512 + 16);
	EXPECT(unlink("core") == 0);
}

/* ---- names ---- */

#define PATTERN "/proc/sys/kernel/core_pattern"
#define USES	"/proc/sys/kernel/core_uses_pid"

static void named(long signo)
{
	prctl(PR_SET_NAME, "a/b");
	die(signo);
}

static void dots(long signo)
{
	prctl(PR_SET_NAME, "..");
	die(signo);
}

static void leaves(void (*fn)(long), const char *pattern, const char *format)
{
	char name[64];
	pid_t pid;
	int status;

	EXPECT(write_file(PATTERN, pattern) == 0);
	status = status_of(fn, SIGABRT, &pid);
	snprintf(name, sizeof(name), format, pid);
	EXPECT(WCOREDUMP(status));
	EXPECT(unlink(name) == 0);
}

/* The machine's pattern is changed where this is all that runs on it. */
static void names(void)
{
	int status;

	if (access("/proc/cloudos", F_OK))
		return;

	EXPECT(file_is(PATTERN, "core\n") && file_is(USES, "0\n"));
	leaves(die, "c.%p", "c.%d");
	leaves(die, "c.%P.%s.%u.%g\n", "c.%d.6.0.0");
	leaves(die, "c.%i.%%", "c.%d.%%");
	leaves(named, "%e.x", "a!b.x");
	leaves(dots, "%e", "!.");
	leaves(die, "x%q%", "x");
	EXPECT(write_file(USES, "1\n") == 0);
	leaves(die, "core", "core.%d");
	leaves(die, "c%p", "c%d");
	EXPECT(write_file(USES, "0\n") == 0 && write_file(PATTERN, "\n") == 0);
	status = status_of(die, SIGABRT, NULL);
	EXPECT(WIFSIGNALED(status) && !WCOREDUMP(status));
	EXPECT(write_file(PATTERN, "core\n") == 0 && file_is(PATTERN, "core\n"));
}

/* ---- what is in it ---- */

static struct {
	char *data;
	size_t size;
} core;

static bool take_core(void)
{
	struct stat st;
	int fd = open("core", O_RDONLY);

	if (fd < 0 || fstat(fd, &st))
		return false;
	core.size = (size_t)st.st_size;
	core.data = mmap(NULL, core.size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	unlink("core");
	return core.data != MAP_FAILED;
}

static void drop_core(void)
{
	munmap(core.data, core.size);
}

static const Elf64_Ehdr *header(void)
{
	return (const Elf64_Ehdr *)(const void *)core.data;
}

static const Elf64_Phdr *segment(unsigned n)
{
	return (const Elf64_Phdr *)(const void *)(core.data + header()->e_phoff) + n;
}

/* The bytes of a page of the program's, or null: not there. */
static const unsigned char *memory(const void *at)
{
	uintptr_t addr = (uintptr_t)at;

	for (unsigned i = 0; i < header()->e_phnum; i++) {
		const Elf64_Phdr *p = segment(i);

		if (p->p_type == PT_LOAD && addr >= p->p_vaddr && addr < p->p_vaddr + p->p_filesz)
			return (const unsigned char *)core.data + p->p_offset + (addr - p->p_vaddr);
	}
	return NULL;
}

/* The n-th note of a type; its length in *ret_len. */
static const void *note(unsigned type, unsigned n, size_t *ret_len)
{
	const Elf64_Phdr *p = segment(0);

	for (size_t at = p->p_offset; at + sizeof(Elf64_Nhdr) <= p->p_offset + p->p_filesz;) {
		const Elf64_Nhdr *h = (const Elf64_Nhdr *)(const void *)(core.data + at);
		const char *name = core.data + at + sizeof(*h), *desc = name + ((h->n_namesz + 3) & ~3u);

		if (h->n_type == type && n-- == 0) {
			*ret_len = h->n_descsz;
			return desc;
		}
		at = (size_t)(desc - core.data) + ((h->n_descsz + 3) & ~3u);
	}
	return NULL;
}

static void *stand(void *arg)
{
	*(volatile pid_t *)arg = gettid();
	for (;;)
		pause();
	return NULL;
}

static void prepare_memory(void)
{
	unsigned char *at = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	shown = at;
	hidden = at + 2 * PAGE;
	reserved = at + 4 * PAGE;
	untouched = at + 6 * PAGE;
	memset(shown, 0x31, PAGE);
	memset(hidden, 0x32, PAGE);
	memset(reserved, 0x33, PAGE);
	EXPECT(madvise(hidden, PAGE, MADV_DONTDUMP) == 0 && mprotect(reserved, PAGE, PROT_NONE) == 0);
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memset(shared, 0x34, PAGE);
}

static void fall(long threads)
{
	set_limit(RLIM_INFINITY);
	for (long i = 0; i < threads; i++) {
		volatile pid_t tid = 0;
		pthread_t t;

		pthread_create(&t, NULL, stand, (void *)(uintptr_t)&tid);
		while (!tid || !abi_asleep(tid))
			sched_yield();
	}
	marked++;
	*nowhere = 1;
}

static void headers_and_memory(void)
{
	pid_t pid;
	int status = status_of(fall, 0, &pid);
	const unsigned char *at;

	EXPECT(WCOREDUMP(status) && take_core());
	EXPECT(!memcmp(header()->e_ident, ELFMAG, SELFMAG) && header()->e_ident[EI_CLASS] == ELFCLASS64);
	EXPECT(header()->e_type == ET_CORE && header()->e_phnum > 2 && segment(0)->p_type == PT_NOTE);
	for (unsigned i = 1; i < header()->e_phnum; i++)
		EXPECT(segment(i)->p_type == PT_LOAD && segment(i)->p_offset % PAGE == 0 && segment(i)->p_offset + segment(i)->p_filesz <= core.size);
	at = memory(&marked);
	EXPECT(at && *(const uint64_t *)(const void *)at == FILL + 1);
	at = memory(shown);
	EXPECT(at && at[0] == 0x31 && at[PAGE - 1] == 0x31);
	at = memory(reserved);
	EXPECT(at && at[7] == 0x33);
	at = memory(shared);
	EXPECT(at && at[0] == 0x34);
	at = memory(untouched);
	EXPECT(at && at[0] == 0);
	EXPECT(!memory(hidden));
	drop_core();
}

static void notes_of_the_process(void)
{
	pid_t pid;
	int status = status_of(fall, 0, &pid);
	const struct elf_prstatus *s;
	const struct elf_prpsinfo *p;
	const siginfo_t *si;
	const uint64_t *words;
	size_t len;

	EXPECT(WCOREDUMP(status) && take_core());
	s = note(NT_PRSTATUS, 0, &len);
	EXPECT(s && len == sizeof(*s) && s->pr_pid == pid && s->pr_ppid == getpid() && s->pr_cursig == SIGSEGV);
	EXPECT(s->pr_pgrp == getpgrp() && s->pr_sid == getsid(0) && s->pr_fpvalid == 1);
	EXPECT(!note(NT_PRSTATUS, 1, &len));
	p = note(NT_PRPSINFO, 0, &len);
	EXPECT(p && len == sizeof(*p) && p->pr_pid == pid && p->pr_sname == 'R' && p->pr_uid == getuid());
	EXPECT(!strcmp(p->pr_fname, "t_coredump") && strstr(p->pr_psargs, "t_coredump"));
	si = note(NT_SIGINFO, 0, &len);
	EXPECT(si && len == sizeof(*si) && si->si_signo == SIGSEGV && si->si_code == SEGV_MAPERR && si->si_addr == (void *)24);
	words = note(NT_AUXV, 0, &len);
	EXPECT(words && len % 16 == 0 && words[len / 8 - 2] == AT_NULL);
	words = note(NT_FILE, 0, &len);
	EXPECT(words && words[0] > 0 && words[1] == PAGE && len > 16 + words[0] * 24);
	EXPECT(words[2] % PAGE == 0 && words[3] > words[2] && words[2] <= (uint64_t)(uintptr_t)&fall);
	EXPECT(note(NT_PRFPREG, 0, &len) && len > 500);
	drop_core();
}

static void all_threads(void)
{
	const struct elf_prstatus *s;
	bool seen_main = false;
	size_t len;
	pid_t pid;
	int status = status_of(fall, THREADS, &pid);

	EXPECT(WCOREDUMP(status) && take_core());
	for (unsigned i = 0; i <= THREADS; i++) {
		s = note(NT_PRSTATUS, i, &len);
		EXPECT(s && s->pr_cursig == SIGSEGV && note(NT_PRFPREG, i, &len));
		EXPECT(i == 0 || s->pr_pid != pid);
		seen_main |= s && s->pr_pid == pid;
#ifdef __x86_64__
		EXPECT(i == 0 || (s && (long)s->pr_reg[15] == SYS_pause)); /* orig_rax */
#endif
	}
	EXPECT(seen_main && !note(NT_PRSTATUS, THREADS + 1, &len));
	drop_core();
}

static void filtered(long filter)
{
	char text[16];

	snprintf(text, sizeof(text), "%#lx", filter);
	if (write_file("/proc/self/coredump_filter", text))
		_exit(1);
	fall(0);
}

static void the_filter(void)
{
	EXPECT(file_is("/proc/self/coredump_filter", "00000033\n"));
	EXPECT(WCOREDUMP(status_of(filtered, 0x2, NULL)) && take_core());
	EXPECT(!memory(shown) && !memory(&marked) && memory(shared));
	drop_core();
	EXPECT(WCOREDUMP(status_of(filtered, 0x5, NULL)) && take_core());
	EXPECT(memory(shown) && !memory(shared) && memory((const void *)&fall));
	drop_core();
	EXPECT(WCOREDUMP(status_of(filtered, 0, NULL)) && take_core());
	EXPECT(!memory(shown) && !memory(shared));
	drop_core();
	EXPECT_ERRNO(write_file("/proc/self/coredump_filter", "x"), EINVAL);
	EXPECT(write_file("/proc/self/coredump_filter", "0xfffff") == 0 && file_is("/proc/self/coredump_filter", "000001ff\n"));
	EXPECT(write_file("/proc/self/coredump_filter", "51\n") == 0 && file_is("/proc/self/coredump_filter", "00000033\n"));
}

/* ---- filters of system calls ---- */

static void forbidden(long action)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, (uint32_t)action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	set_limit(RLIM_INFINITY);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		_exit(1);
	syscall(SYS_getppid);
}

static void a_filter_ends_it(void)
{
	static const uint32_t actions[] = { SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP };

	for (unsigned i = 0; i < 3; i++) {
		int status = status_of(forbidden, (long)actions[i], NULL);
		const siginfo_t *si;
		size_t len;

		EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS && WCOREDUMP(status) && take_core());
		si = note(NT_SIGINFO, 0, &len);
		EXPECT(si && si->si_signo == SIGSYS && si->si_syscall == SYS_getppid);
		drop_core();
	}
}

int main(void)
{
	if (!file_is(PATTERN, "core\n") || !file_is(USES, "0\n")) {
		printf("skipped: the host calls core files otherwise\n");
		return 0;
	}
	umask(022);
	if (scratch_enter("coredump"))
		return 1;
	prepare_memory();
	CASE(which_signals);
	CASE(the_parent_is_told);
	CASE(none_is_left);
	CASE(what_is_in_the_way);
	CASE(the_limit_cuts);
	CASE(names);
	CASE(headers_and_memory);
	CASE(notes_of_the_process);
	CASE(all_threads);
	CASE(the_filter);
	CASE(a_filter_ends_it);
	scratch_leave();
	return abi_result();
}
