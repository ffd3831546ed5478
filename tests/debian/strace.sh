#!/bin/sh
# SPDX-License-Identifier: MIT
# strace: children and pipes, calls that it makes fail, a process that runs already.
set -e
cd "$(mktemp -d)"
[ "$(strace -f -o log sh -c 'ls / | wc -l; true')" = "$(ls / | wc -l)" ]
grep -q 'openat(AT_FDCWD, "/", .*O_DIRECTORY' log
grep -q 'SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED' log
[ "$(grep -c '+++ exited with 0 +++' log)" = 3 ]
touch file
if strace -o log -e trace=unlink,unlinkat -e inject=unlink,unlinkat:error=EPERM rm file 2>/dev/null; then exit 1; fi
[ -f file ]
grep -q 'EPERM (Operation not permitted) (INJECTED)' log
sleep 1000 &
pid=$!
strace -o log -p $pid 2>/dev/null &
tracer=$!
for i in $(seq 1 200); do grep -q 'nanosleep\|restart_syscall' log 2>/dev/null && break; sleep 0.1; done
grep -q "TracerPid:.$tracer" /proc/$pid/status
kill $tracer
wait $tracer 2>/dev/null || true
grep -q "TracerPid:.0" /proc/$pid/status
kill $pid
wait $pid 2>/dev/null || [ $? = 143 ]
strace -c -o log true
grep -q execve log
echo ok
