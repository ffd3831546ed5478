#!/bin/sh
# SPDX-License-Identifier: MIT
# redis-server over a UNIX socket: commands, 50 clients at once, a snapshot by fork, a restart from its log.
set -e
cd "$(mktemp -d)"
call() { redis-cli -s "$PWD/socket" "$@"; }
start() {
	redis-server --port 0 --unixsocket "$PWD/socket" --dir "$PWD" --appendonly yes --save '' --logfile log --daemonize yes >/dev/null
	for i in $(seq 1 100); do [ "$(call ping 2>/dev/null)" = PONG ] && return; sleep 0.1; done
	cat log
	return 1
}
start
call set a 41 >/dev/null
[ "$(call incr a)" = 42 ]
redis-benchmark -s "$PWD/socket" -n 2000 -q -t set,lpush,zadd >/dev/null
call bgsave >/dev/null
for i in $(seq 1 100); do call info persistence | grep -q rdb_bgsave_in_progress:0 && break; sleep 0.1; done
call info persistence | grep -q rdb_last_bgsave_status:ok
call shutdown
for i in $(seq 1 100); do [ -S socket ] || break; sleep 0.1; done
start
[ "$(call get a)" = 42 ]
[ "$(call llen mylist)" = 2000 ]
call shutdown nosave
echo ok
