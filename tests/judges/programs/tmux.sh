#!/bin/sh
# SPDX-License-Identifier: MIT
# tmux: a server with two windows of pseudo-terminals; what is typed into one of them, and a change of its size.
set -e
export TERM=xterm LC_ALL=C.UTF-8
tmux -f /dev/null new-session -d -s work -x 100 -y 30 'bash --norc'
tmux new-window -t work: 'bash --norc'
tmux send-keys -t work:1 'echo $((6 * 7)) $(stty size)' Enter
wait_for() # PATTERN
{
	for i in $(seq 300); do
		tmux capture-pane -p -t work:1 | grep -q "$1" && return 0
		sleep 0.1
	done
	tmux capture-pane -p -t work:1
	return 1
}
wait_for '^42 30 100$'
tmux resize-window -t work:1 -x 70 -y 20
tmux send-keys -t work:1 'stty size' Enter
wait_for '^20 70$'
tmux send-keys -t work:1 'sleep 1000' Enter
until pgrep -x sleep >/dev/null; do sleep 0.1; done
tmux send-keys -t work:1 C-c
tmux send-keys -t work:1 'echo stopped by $?' Enter
wait_for '^stopped by 130$'
[ "$(tmux list-windows -t work | wc -l)" = 2 ]
tmux kill-server
