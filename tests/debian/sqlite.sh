#!/bin/sh
# SPDX-License-Identifier: MIT
# sqlite3: write-ahead log, mapped reads, two programs that write one database.
set -e
cd "$(mktemp -d)"
[ "$(sqlite3 a.db 'pragma journal_mode=wal; create table t(n, b);
	insert into t select value, randomblob(50) from generate_series(1, 5000); select count(*), sum(n) from t;
	delete from t where n % 2; vacuum; pragma integrity_check;' | tr '\n' ,)" = "wal,5000|12502500,ok," ]
[ "$(sqlite3 a.db 'pragma mmap_size=10000000; select sum(n) from t;' | tr '\n' ,)" = "10000000,6252500," ]
sqlite3 b.db 'create table t(n);'
for writer in 1 2; do
	(for i in $(seq 1 20); do echo "insert into t values($i);"; done | sqlite3 -cmd '.timeout 20000' b.db) &
done
wait
[ "$(sqlite3 b.db 'select count(*), sum(n) from t; pragma integrity_check;' | tr '\n' ,)" = "40|420,ok," ]
echo ok
