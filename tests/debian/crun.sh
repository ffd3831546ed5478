#!/bin/bash
# SPDX-License-Identifier: MIT
# crun: an OCI bundle in namespaces of its own, with limits of processes, of memory and of CPU time that hold; frozen, listed and killed from outside.
set -e
bundle=$(mktemp -d)
cd "$bundle"
mkdir -p rootfs/{bin,lib,lib64,usr,proc,sys,dev,tmp}

write_config() # COMMAND
{
	cat > config.json <<-END
	{
	  "ociVersion": "1.0.0",
	  "process": {
	    "terminal": false, "user": { "uid": 0, "gid": 0 }, "cwd": "/", "noNewPrivileges": true,
	    "args": [ "/bin/bash", "-c", "$1" ], "env": [ "PATH=/usr/bin:/bin" ],
	    "capabilities": { "bounding": ["CAP_KILL"], "effective": ["CAP_KILL"], "permitted": ["CAP_KILL"] }
	  },
	  "root": { "path": "rootfs", "readonly": false },
	  "hostname": "contained",
	  "mounts": [
	    { "destination": "/proc", "type": "proc", "source": "proc" },
	    { "destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"] },
	    { "destination": "/bin", "type": "bind", "source": "/bin", "options": ["rbind", "ro"] },
	    { "destination": "/lib", "type": "bind", "source": "/lib", "options": ["rbind", "ro"] },
	    $([ -d /lib64 ] && echo '{ "destination": "/lib64", "type": "bind", "source": "/lib64", "options": ["rbind", "ro"] },')
	    { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"] },
	    { "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["nosuid", "noexec", "nodev", "ro"] }
	  ],
	  "linux": {
	    "cgroupsPath": "/box",
	    "resources": { "pids": { "limit": 6 }, "memory": { "limit": 25165824 }, "cpu": { "shares": 512, "quota": 20000, "period": 100000 } },
	    "uidMappings": [ { "containerID": 0, "hostID": 0, "size": 65536 } ],
	    "gidMappings": [ { "containerID": 0, "hostID": 0, "size": 65536 } ],
	    "namespaces": [ {"type": "pid"}, {"type": "mount"}, {"type": "uts"}, {"type": "ipc"}, {"type": "user"}, {"type": "cgroup"} ]
	  }
	}
	END
}
run() # CRUN'S ARGUMENTS
{
	crun --cgroup-manager=cgroupfs "$@" 2>>"$bundle/log" # it says that there are no keyrings
}
field() # FILE NAME
{
	sed -n "s/^$2 //p" "$1"
}

# what it sees of itself
write_config 'echo $$ $(hostname) $(id -u); cat /proc/self/cgroup /sys/fs/cgroup/pids.max /sys/fs/cgroup/cpu.max /sys/fs/cgroup/memory.max; grep -c / /proc/self/mountinfo >/dev/null; grep -o \"/ /sys/fs/cgroup\" /proc/self/mountinfo'
[ "$(run run box | tr '\n' ,)" = "1 contained 0,0::/,6,20000 100000,25165824,/ /sys/fs/cgroup," ]

# the limit of processes holds
write_config 'for i in 1 2 3 4 5 6 7 8; do sleep 0.2 & done 2>/dev/null; wait'
run run box || [ $? -gt 0 ]

# the limit of memory holds: who wants more dies, and the rest lives
write_config 'head -c 60000000 /dev/zero | tail -c 50000000; echo $?; grep \"oom_kill \" /sys/fs/cgroup/memory.events'
[ "$(run run box | tr '\n' ,)" = "137,oom_kill 1," ]

# the limit of CPU time holds: a fifth of one, whatever it tries. (Loops with a call: in the deterministic world nothing ends a program that only computes.)
write_config 'while kill -0 1; do :; done & while kill -0 1; do :; done'
run run --detach box </dev/null >/dev/null
group=/sys/fs/cgroup/box
until [ "$(wc -l < $group/cgroup.procs)" = 2 ]; do sleep 0.1; done
sleep 0.3
from=$(field $group/cpu.stat usage_usec) began=$(date +%s%N)
sleep 2
used=$(($(field $group/cpu.stat usage_usec) - from)) took=$((($(date +%s%N) - began) / 1000))
[ $((used * 100 / took)) -ge 2 ] # on a machine that is busy with other things, too
[ $((used * 100 / took)) -le 26 ]
[ "$(field $group/cpu.stat nr_throttled)" -gt 0 ]

# frozen it uses nothing; then it goes on; then it ends
run pause box
until [ "$(field $group/cgroup.events frozen)" = 1 ]; do sleep 0.01; done
[ "$(run state box | grep -c '"status": "paused"')" = 1 ]
from=$(field $group/cpu.stat usage_usec)
sleep 0.3
[ "$(field $group/cpu.stat usage_usec)" = "$from" ]
run resume box
[ "$(run exec box sh -c 'hostname')" = contained ]
run kill box KILL
run delete --force box
[ ! -e $group ]
cd /
rm -rf "$bundle"
echo ok
