#!/bin/sh
# SPDX-License-Identifier: MIT
# sqlite3 under load: four processes write into one database, with a rollback journal and with a write-ahead log; one is killed amid it.
set -e
for mode in delete wal; do
	db=/tmp/load-$mode.db
	rm -f $db*
	sqlite3 $db "pragma journal_mode=$mode; create table t(who int, n int, text text, primary key (who, n));" >/dev/null
	writers=
	for who in 1 2 3 4; do
		for n in $(seq 100); do
			echo "insert into t values($who, $n, hex(randomblob(200)));"
		done | sqlite3 -cmd '.timeout 60000' $db &
		writers="$writers $!"
	done
	for n in $(seq 100000); do echo "insert into t values(5, $n, 'to be killed');"; done | sqlite3 -cmd '.timeout 60000' $db 2>/dev/null &
	victim=$!
	sleep 0.3
	kill -9 $victim
	wait $writers
	[ "$(sqlite3 $db 'pragma integrity_check')" = ok ]
	[ "$(sqlite3 $db 'select count(*) from t where who < 5')" = 400 ]
done
