#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make a folder of links to Linux's ABI headers and nothing else.

usage: abi_headers.py FOLDER {x86_64|aarch64}

The kernel takes the numbers and structures of the Linux ABI from linux-libc-dev. Those headers lie among the C
library's, which the kernel must not see, so that it gets this folder (asm, asm-generic, linux) instead.
"""

import os
import sys

HOMES = {
    "x86_64": ("/usr/include/x86_64-linux-gnu", "/usr/include", "/usr/x86_64-linux-gnu/include"),
    "aarch64": ("/usr/aarch64-linux-gnu/include", "/usr/include/aarch64-linux-gnu", "/usr/include"),
}


def main() -> int:
    folder, arch = sys.argv[1:]
    os.makedirs(folder, exist_ok=True)
    for name in ("asm", "asm-generic", "linux"):
        home = next((h for h in HOMES[arch] if os.path.isdir(os.path.join(h, name))), None)
        if home is None:
            sys.exit(f"abi_headers: no <{name}/> for {arch}: install linux-libc-dev"
                     + ("-arm64-cross" if arch == "aarch64" else ""))
        link = os.path.join(folder, name)
        if os.path.islink(link):
            os.unlink(link)
        os.symlink(os.path.join(home, name), link)
    return 0


if __name__ == "__main__":
    sys.exit(main())
