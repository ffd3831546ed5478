/* SPDX-License-Identifier: MIT */
/* Shared by init's files. There is no C library: a call returns a negative errno as the kernel gave it. */
#ifndef INIT_H
#define INIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATUS_NOT_EXECUTABLE 126 /* as a POSIX shell says it */
#define STATUS_NOT_FOUND      127

/* ---- sys.c: the system calls that init uses, named and typed as their manual pages do ---- */
int sys_open(const char *path, int flags);
long sys_read(int fd, void *buf, size_t len);
long sys_write(int fd, const void *buf, size_t len);
int sys_close(int fd);
int sys_dup3(int from, int to);
int sys_mount(const char *source, const char *target, const char *type, unsigned long flags);
int sys_mkdir(const char *path, unsigned mode);
int sys_symlink(const char *target, const char *path);
int sys_chdir(const char *path);
int sys_execve(const char *path, char *const argv[], char *const envp[]);
int sys_fork(void);
int sys_wait(int *ret_status);
int sys_setsid(void);
int sys_ioctl(int fd, unsigned long request, long argument);
void sys_sync(void);
int sys_reboot(unsigned command);
_Noreturn void sys_exit(int status);

/* ---- text.c ---- */
size_t text_len(const char *text);
/* Decimal digits of n, NUL ended; returns their number. */
size_t text_decimal(char ret[static 24], unsigned long n);
/* Writes the strings up to a null, on one descriptor, in one call where they fit. */
void text_write(int fd, ...);

/* ---- vector.c: NUL-separated strings of a file as an argument vector ---- */
#define VECTOR_BYTES_MAX (128u << 10) /* Linux takes no single argument above that either */
#define VECTOR_MAX	 1024

struct vector {
	char *items[VECTOR_MAX + 1]; /* null ended */
	size_t count;
	char bytes[VECTOR_BYTES_MAX];
};
/* 0, -ENOENT where there is no such file, -E2BIG above the limits, or the errno of reading. */
int vector_read(const char *path, struct vector *ret);
/* The value of NAME in an environment, or `absent`. */
const char *vector_value(const struct vector *environment, const char *name, const char *absent);

/* ---- exec.c ---- */
/* Executes argv[0] as a shell would: by PATH, 127 or 126 with a message when it cannot be. Does not return. */
_Noreturn void exec_command(char *const argv[], const struct vector *environment);
/* Waits for the child, reaping whatever else ends; its status as a shell gives it (128 + signal). */
int exec_wait(int child);

/* ---- the two lives of init; each returns when the machine is to be switched off ---- */
void shell_mode(const struct vector *environment);
void command_mode(const struct vector *command, const struct vector *environment);

#endif
