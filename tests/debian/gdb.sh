#!/bin/sh
# SPDX-License-Identifier: MIT
# gdb: a breakpoint in a thread, its stack, variables, steps; a process that runs already; a core file.
set -e
cd "$(mktemp -d)"
debug() { gdb -nx --batch "$@" </dev/null >log 2>&1 || { cat log; return 1; }; }
says() { grep -q -- "$1" log || { echo "no $1"; cat log; return 1; }; }
debug -ex 'break deep if n == 0' -ex run -ex backtrace -ex 'print answer' -ex 'info threads' -ex stepi -ex finish \
	-ex 'print answer' -ex delete -ex 'print deep(2)' -ex continue /debian/debugged
says '^#0  .*deep (n=0)'
says '^#3  0x.* in deep (n=3)'
says '^\$1 = 41'
says '^\* 2 .*LWP'
says '^Value returned is \$2 = 42'
says '^\$3 = 42'
says '^\$4 = 45' # called by gdb: 43 and two returns
says '^45$'
says 'exited normally'
/debian/debugged wait &
pid=$!
debug -p $pid -ex 'backtrace 1' -ex 'print answer' -ex 'set var answer = 107' -ex detach
says '^\$1 = 41'
code=0
wait $pid || code=$?
[ $code = 7 ]
debug -ex run -ex 'print $_siginfo.si_signo' -ex backtrace -ex kill --args /debian/debugged abort
says 'received signal SIGABRT'
says '^\$1 = 6'
says ' in main ('
# A core file: what it says of the threads of a program that is no more.
sh -c 'ulimit -c unlimited; /debian/debugged abort; :' 2>/dev/null
if [ -f core ]; then
	debug -ex 'print $_siginfo.si_signo' -ex 'thread apply all backtrace' -ex 'print answer' /debian/debugged core
	says 'Program terminated with signal SIGABRT'
	says '^\$1 = 6'
	says ' in main ('
	says '^\$2 = 45'
elif [ -d /proc/cloudos ]; then
	echo 'no core file'
	exit 1
fi
echo ok
