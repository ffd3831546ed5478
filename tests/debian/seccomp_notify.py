#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""libseccomp's notifications: a filter that a process and its child have; the process answers for calls of the child."""

import errno
import os

import seccomp

MADE_UP = 4711
CONTINUE = 1            # SECCOMP_USER_NOTIF_FLAG_CONTINUE


def ask() -> int:
    """In the child: what is wrong, as an exit status."""
    if os.getppid() != MADE_UP:
        return 1
    if os.getppid() != parent:
        return 2
    try:
        os.mkdir("/tmp/never")
    except OSError as error:
        return 0 if error.errno == errno.EXDEV else 3
    return 4


def answer(value: int, error: int, flags: int) -> None:
    n = f.receive_notify()
    if n.pid != child:
        raise SystemExit(f"a notification of process {n.pid}, not {child}")
    f.respond_notify(seccomp.NotificationResponse(n, val=value, error=error, flags=flags))


parent = os.getpid()
f = seccomp.SyscallFilter(seccomp.ALLOW)
f.add_rule(seccomp.NOTIFY, "getppid")
f.add_rule(seccomp.NOTIFY, "mkdir" if os.uname().machine == "x86_64" else "mkdirat")
f.load()
child = os.fork()
if child == 0:
    os._exit(ask())
answer(MADE_UP, 0, 0)
answer(0, 0, CONTINUE)
answer(0, -errno.EXDEV, 0)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
if status or os.path.exists("/tmp/never"):
    raise SystemExit(f"the child says {status}")
print("ok")
