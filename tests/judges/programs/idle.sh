#!/bin/sh
# SPDX-License-Identifier: MIT
# 100 idle python3 processes; all are there, all answer, all end.
set -e
rm -f /tmp/idle.fifo /tmp/idle.out; mkfifo /tmp/idle.fifo
sleep 600 > /tmp/idle.fifo & # holds it open
holder=$!
for i in $(seq 100); do python3 -c 'import sys, os; open("/tmp/idle.out", "a").write("up\n"); sys.stdin.read()' < /tmp/idle.fifo & done
until [ "$(cat /tmp/idle.out 2>/dev/null | wc -l)" = 100 ]; do sleep 0.2; done
[ "$(pgrep -c -x python3)" = 100 ]
grep MemAvailable /proc/meminfo
kill $holder
wait
[ "$(pgrep -c -x python3)" = 0 ]
