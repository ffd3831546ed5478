#!/bin/sh
# SPDX-License-Identifier: MIT
# git: a repository of 10,000 files is made, cloned, checked, changed, and what changed comes back.
set -e
export HOME=/tmp GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
rm -rf /tmp/from /tmp/to
mkdir /tmp/from && cd /tmp/from
git init -q -b main
awk 'BEGIN {
	print "commit refs/heads/main\ncommitter a <a@b> 1 +0000\ndata 6\nfirst\n"
	for (i = 0; i < 10000; i++) {
		text = "this is file " i "\n"
		print "M 644 inline d" i % 100 "/f" i "\ndata " length(text) "\n" text
	}
}' | git fast-import --quiet
git reset -q --hard
git clone -q /tmp/from /tmp/to
cd /tmp/to
[ "$(find . -name 'f*' -path './d*' | wc -l)" = 10000 ]
git fsck --full --strict
[ -z "$(git status --short)" ]
for i in 1 2 3; do echo more >> d$i/f$i; done
git commit -qam second
cd /tmp/from
git pull -q /tmp/to main
[ "$(git log --format=%s | tr '\n' ' ')" = 'second first ' ]
[ "$(cat d3/f3 | wc -l)" = 2 ]
git gc -q
git fsck
