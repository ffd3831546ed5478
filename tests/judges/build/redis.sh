#!/bin/sh
# SPDX-License-Identifier: MIT
# redis from Debian's source package, on four CPUs; then its benchmark against it over a UNIX socket.
set -e
mkdir /tmp/redis && cd /tmp/redis && tar xf /sources/redis_*.orig.tar.gz --strip-components=1
make -j4 MALLOC=libc >build.log 2>&1 || { tail -20 build.log; exit 1; }
src/redis-server --port 0 --unixsocket /tmp/redis/socket --save '' --daemonize yes --logfile log >/dev/null
for i in $(seq 1 100); do [ "$(src/redis-cli -s socket ping 2>/dev/null)" = PONG ] && break; sleep 0.1; done
src/redis-benchmark -s /tmp/redis/socket -n 20000 -c 50 -q
[ "$(src/redis-cli -s socket set answer 42)" = OK ] && [ "$(src/redis-cli -s socket get answer)" = 42 ]
src/redis-cli -s socket shutdown nosave
