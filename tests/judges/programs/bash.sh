#!/bin/bash
# SPDX-License-Identifier: MIT
# bash: co-processes, process substitution, traps, arrays, job control, a pipeline of 50.
set -e
coproc BACK { while read -r line; do echo "${line^^}"; done; }
echo hello >&"${BACK[1]}"
read -r said <&"${BACK[0]}"
[ "$said" = HELLO ]
[ "$(paste -sd, <(seq 3) <(seq 4 6))" = $'1,2,3\n4,5,6' ]
trap 'caught=yes' USR1
kill -USR1 $$
[ "$caught" = yes ]
declare -A words
while read -r word; do words[$word]=$((${words[$word]:-0} + 1)); done < <(printf '%s\n' a b a c a)
[ "${words[a]}" = 3 ]
set -m
sleep 100 &
kill -STOP %1
until [[ "$(jobs -s)" == *Stopped* ]]; do sleep 0.05; done
kill -CONT %1
kill %1
wait %1 || [ $? = 143 ]
set +m
line='cat'
for i in $(seq 49); do line="$line | cat"; done
[ "$(seq 20000 | eval "$line" | md5sum)" = "$(seq 20000 | md5sum)" ]
