#!/bin/sh
# SPDX-License-Identifier: MIT
# zstd from Debian's source package, on four CPUs, and round trips with its fuzzer.
set -e
mkdir /tmp/zstd && cd /tmp/zstd && tar xf /sources/libzstd_*.orig.tar.xz --strip-components=1
make -j4 -C programs zstd >build.log 2>&1 || { tail -20 build.log; exit 1; }
make -j4 -C tests fuzzer datagen >>build.log 2>&1 || { tail -20 build.log; exit 1; }
tests/fuzzer -T10s
tests/datagen -g20M >data
for how in -1 -9 --fast=5 "-T4 -5" "--long=24 -3"; do
	programs/zstd -q -f $how data -o data.zst
	programs/zstd -q -d -c data.zst | cmp - data
done
programs/zstd -q -t data.zst
