#!/bin/sh
# SPDX-License-Identifier: MIT
# git: a repository of 200 files, its clones by link and by protocol, garbage collection and a check of every object.
set -e
export HOME="$(mktemp -d)"
cd "$HOME"
git config --global user.email nobody@localhost
git config --global user.name nobody
git config --global init.defaultBranch main
git init -q one
cd one
for i in $(seq 1 200); do echo "$i" >"file$i"; done
git add .
git commit -qm first
echo more >>file7
git mv file8 file8a
git commit -qam second
[ "$(git log --format=%s | tr '\n' ,)" = second,first, ]
[ -z "$(git status --porcelain)" ]
[ "$(git diff --numstat HEAD~1 -M | wc -l)" = 2 ]
git clone -q . ../two
git clone -q --no-local . ../three
cd ../two
git checkout -qb side
echo side >>file9
git commit -qam third
git push -q origin side
git gc -q
git fsck --strict 2>/dev/null
cd ../three
git fetch -q
git merge -q origin/side
[ "$(git rev-parse HEAD)" = "$(git -C ../two rev-parse side)" ]
[ "$(ls | wc -l)" = 200 ]
echo ok
