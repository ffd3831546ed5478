# SPDX-License-Identifier: MIT
"""Where the time of a boot goes, as one HTML page: a bar a service, from /proc/cloudos/services of a boot under
-icount, where a microsecond is a thousand instructions."""

from __future__ import annotations

import html
import re
from pathlib import Path

from . import run
from .machine import Setup
from .ui import Failure

STYLE = """body{font:14px/1.5 system-ui,sans-serif;margin:2em;color:#222;background:#fff}
.row{display:grid;grid-template-columns:12em 1fr 8em;gap:1em;align-items:center}
.row:nth-child(even){background:#f5f5f5}.lane{position:relative;height:1.1em}
.lane i{position:absolute;height:100%;background:#2a78b8;min-width:2px}.failed .lane i{background:#c0392b}
.row span:last-child{text-align:right;font-variant-numeric:tabular-nums}"""


def services(arch: str) -> list[tuple[str, str, float, float]]:
    """(name, state, begin, duration) in microseconds."""
    output = bytearray()
    result = run.execute(Setup(machine=arch, icount=True), ["cat", "/proc/cloudos/services"],
                         on_output=lambda letter, data: output.extend(data), timeout_s=120)
    if result.end != "status" or result.status != 0:
        raise Failure(f"no /proc/cloudos/services ({result.end}):\n{result.log_tail()}")
    found = []
    for line in output.decode().splitlines():
        words = re.match(r"(\S+)\s+(\S+)\s+\S+\s+(\d+)\s+(\d+)\s", line)      # name state cpu begin_us took_us
        if words:
            found.append((words[1], words[2], float(words[3]), float(words[4])))
    return found


def write(target: Path, arch: str) -> None:
    found = services(arch)
    if not found:
        raise Failure("/proc/cloudos/services has no line that this understands")
    last = max(begin + took for _, _, begin, took in found) or 1.0
    lines = []
    for name, state, begin, took in found:
        bar = f'<i style="left:{100 * begin / last:.2f}%;width:{100 * took / last:.2f}%"></i>'
        lines.append(f'<div class="row {html.escape(state)}"><span>{html.escape(name)}</span>'
                     f'<span class="lane">{bar}</span><span>{took:.1f} µs</span></div>')
    target.write_text(f'<!doctype html><meta charset="utf-8"><title>CloudOS boot</title><style>{STYLE}</style>'
                      f"<h1>CloudOS on {arch}: services by time of start</h1>"
                      f"<p>{last:.0f} µs to the last one; one instruction is one nanosecond.</p>" + "\n".join(lines))
