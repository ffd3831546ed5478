#!/bin/sh
# SPDX-License-Identifier: MIT
# lz4 from Debian's source package, on four CPUs, and its own test of the command.
set -e
mkdir /tmp/lz4 && cd /tmp/lz4 && tar xf /sources/lz4_*.orig.tar.gz --strip-components=1
make -j4 lib lz4 >build.log 2>&1 || { tail -20 build.log; exit 1; }
make -C tests -j4 fullbench frametest datagen >>build.log 2>&1 || { tail -20 build.log; exit 1; }
cd tests
./frametest -T5s
PATH="$PWD/../programs:$PATH" make test-lz4-basic test-lz4-multiple test-lz4-sparse >test.log 2>&1 || { tail -30 test.log; exit 1; }
