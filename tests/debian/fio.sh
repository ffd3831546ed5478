#!/bin/sh
# SPDX-License-Identifier: MIT
# fio by io_uring, also with registered files and buffers, and by libaio: what is read must be what was written.
set -e
cd "$(mktemp -d)"
job() { fio --name=job --rw=randrw --bs=4k --size=1m --iodepth=16 --verify=crc32c --directory="$PWD" --minimal "$@" >log 2>&1 || { cat log; exit 1; }; }
job --ioengine=io_uring
job --ioengine=io_uring --registerfiles=1 --fixedbufs=1
job --ioengine=libaio
echo ok
