#!/bin/bash
# SPDX-License-Identifier: MIT
# bash with coreutils: substitutions, here strings, arrays, jobs, traps, co-processes; files copied and compared.
set -e
cd "$(mktemp -d)"
declare -A squares
for i in {1..9}; do squares[$i]=$((i * i)); done
[ "${squares[7]}" = 49 ]
[ "$(cat <(echo sub) - <<<here | tr '\n' ,)" = sub,here, ]
coproc tac; exec {back}<&"${COPROC[0]}"; echo -e 'one\ntwo' >&"${COPROC[1]}"; exec {COPROC[1]}>&-
[ "$(cat <&"$back" | paste -sd,)" = two,one ]
sleep 10 & kill -TERM $!; wait $! || [ $? = 143 ]
timeout 0.2 sleep 10 || [ $? = 124 ]
trap 'echo caught' USR1; [ "$(trap 'echo caught' USR1; kill -USR1 $BASHPID)" = caught ]
seq 1 20000 | shuf | sort -n --parallel=2 -S 64K | cmp - <(seq 1 20000)
mkdir a; cp -a /etc/passwd a/; ln -s passwd a/link; ln a/passwd a/hard; mkfifo a/fifo; truncate -s 1G a/sparse
cp -a a b; [ "$(stat -c %h b/passwd)" = 2 ]; [ "$(readlink b/link)" = passwd ]; [ -p b/fifo ]
[ "$(stat -c %s b/sparse)" = 1073741824 ]; [ "$(du -k b/sparse | cut -f1)" -lt 1000 ]
(echo through >b/fifo &); [ "$(cat b/fifo)" = through ]
dd if=/dev/urandom of=c bs=64K count=16 2>/dev/null; split -b 100000 c part; cat part* | cmp - c
chmod 600 c; [ "$(stat -c %a c)" = 600 ]; touch -d 2001-02-03 c; [ "$(date -r c +%F)" = 2001-02-03 ]
[ "$(nice -n 5 nice)" = 5 ]; [ "$(chroot / /bin/echo x)" = x ]; [ "$(nproc)" -ge 1 ]
echo ok
