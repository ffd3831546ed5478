#!/bin/sh
# SPDX-License-Identifier: MIT
# libcap's setcap and getcap: capabilities of files, and a program that has some.
set -e
cd "$(mktemp -d)"
chmod 755 .
as_nobody() { /usr/bin/setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
is() { [ "$1" = "$2" ] || { echo "'$1' is not '$2'"; exit 1; }; }
cp /usr/sbin/capsh .
is "$(getcap capsh)" ''
setcap cap_net_raw,cap_sys_time=ep capsh
is "$(getcap capsh)" 'capsh cap_net_raw,cap_sys_time=ep'
setcap -v cap_net_raw,cap_sys_time=ep capsh >/dev/null
is "$(as_nobody ./capsh --has-p=cap_sys_time --print | grep ^Current:)" 'Current: cap_net_raw,cap_sys_time=ep'
setcap -n 1000 cap_net_raw=ep capsh # for another user namespace's root
is "$(getcap -n capsh)" 'capsh cap_net_raw=ep [rootid=1000]'
is "$(as_nobody ./capsh --print | grep ^Current:)" 'Current: ='
setcap -r capsh
is "$(getcap capsh)" ''
if as_nobody setcap cap_net_raw=ep capsh 2>/dev/null; then
	echo 'nobody has set capabilities'
	exit 1
fi
echo ok
