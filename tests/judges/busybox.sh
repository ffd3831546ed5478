#!/bin/sh
# SPDX-License-Identifier: MIT
# One applet's tests of busybox's own suite, by the busybox of Debian's busybox-static, whose configuration says what it should know.
# The first that a machine runs unpacks them.
if [ ! -e /tmp/busybox/busybox ]; then
	mkdir -p /tmp/busybox && cd /tmp/busybox && bzcat /sources/busybox_*.orig.tar.bz2 | tar xf - --strip-components=1 &&
		xzcat /sources/busybox_*.debian.tar.xz | tar xf - debian/config/pkg/static && cp debian/config/pkg/static .config && cp /bin/busybox busybox || exit 1
fi
export LC_ALL=C.UTF-8
cd /tmp/busybox/testsuite && exec ./runtest -v "$1"
