#!/bin/sh
# SPDX-License-Identifier: MIT
# redis-server over a UNIX socket under redis-benchmark with 50 clients; it saves, ends, and has everything when it comes back.
set -e
rm -rf /tmp/redis-data && mkdir /tmp/redis-data
serve()
{
	redis-server --port 0 --unixsocket /tmp/redis-data/socket --save '' --appendonly yes --dir /tmp/redis-data --daemonize yes >/dev/null
	until redis-cli -s /tmp/redis-data/socket ping 2>/dev/null | grep -q PONG; do sleep 0.1; done
}
ask() { redis-cli -s /tmp/redis-data/socket "$@"; }
serve
redis-benchmark -s /tmp/redis-data/socket -q -n 2000 -c 50 -P 4 -t set,get,incr,lpush,lrange_100,mset >/tmp/redis-data/said
grep -q 'SET: .* requests per second' /tmp/redis-data/said
ask set kept value >/dev/null
ask bgrewriteaof >/dev/null
until ask info persistence | grep -q aof_rewrite_in_progress:0; do sleep 0.1; done
ask shutdown >/dev/null
while pgrep -x redis-server >/dev/null; do sleep 0.1; done
serve
[ "$(ask get kept)" = value ]
ask shutdown nosave
