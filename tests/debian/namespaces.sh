#!/bin/bash
# SPDX-License-Identifier: MIT
# util-linux, procps and bubblewrap: namespaces made, listed, entered, and a sandbox in all of them.
set -e
[ "$(unshare -Urpf --mount-proc bash -c 'id -u; echo $$; ps -e -o pid= | head -1' | tr -d ' ' | tr '\n' ,)" = 0,1,1, ]
[ "$(unshare -Urpf --mount-proc bash -c 'ps -e -o pid= | wc -l')" -le 4 ]
ipcmk -Q >/dev/null
[ "$(ipcs -q | grep -c 0x)" = 1 ]
[ "$(unshare --ipc ipcs -q | grep -c 0x)" = 0 ]
unshare --uts bash -c 'hostname inner; [ "$(hostname)" = inner ]'
[ "$(hostname)" != inner ]

# one to look at from outside; what bash says when it is killed is nobody's concern
exec 3>&2 2>/dev/null
unshare -Urpf --mount-proc --uts --ipc bash -c 'hostname theirs; sleep 1000; exit 0' 2>/dev/null &
until inner=$(pgrep -x sleep); do sleep 0.1; done
grep -q "^NSpid:	$inner	3$" /proc/$inner/status
[ "$(lsns -n -t pid -o NS | wc -l)" = 2 ]
[ "$(lsns -n -t user -p $inner -o NPROCS)" -ge 2 ]
[ "$(nsenter -t $inner -a bash -c 'id -u; hostname; all=$(ps -e -o comm=); echo "$all" | sort -u' | tr '\n' ,)" = 0,theirs,bash,ps,sleep, ]
kill -KILL "$(pgrep -f -o 'hostname theirs; sleep')" "$inner"
wait || true
exec 2>&3 3>&-

# a sandbox: its own processes, a root that cannot be written, its own terminals
bwrap --unshare-user --unshare-pid --unshare-ipc --unshare-uts --unshare-cgroup-try --ro-bind / / --proc /proc --dev /dev --tmpfs /tmp \
	bash -e -c '
	[ "$$" -le 2 ]
	[ "$(ls -d /proc/[0-9]* | wc -l)" -le 6 ]
	! touch /here 2>/dev/null
	touch /tmp/here
	echo x >/dev/null
	[ -e /dev/pts/ptmx ]
	[ "$(stat -c %u /tmp)" = 0 ]'
[ ! -e /tmp/here ]
echo ok
