#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make the kernel's table of function names, as assembler source.

usage: ksyms.py [--nm NM --image ELF] --output FILE

Without an image the table is empty: that is what the first link carries. The table, read by
arch/common/ksyms.c:

    ksyms_count         32-bit: number of functions
    ksyms_offsets[]     32-bit each: where the function begins, from _text, ascending, no two alike
    ksyms_name_at[]     32-bit each: where its name begins in ksyms_names
    ksyms_names[]       the names, each ended by a zero byte

It is put in .rodata.ksyms, behind the text, so that adding it moves no function.
"""

import argparse
import subprocess
import sys

LIMIT = 1 << 32


def functions(nm: str, image: str) -> list[tuple[int, str]]:
    """(offset from _text, name) of each function, one name an address, ascending."""
    listing = subprocess.run([nm, "-n", image], check=True, capture_output=True, text=True).stdout
    base = None
    found: dict[int, str] = {}
    for line in listing.splitlines():
        fields = line.split()
        if len(fields) != 3:
            continue
        address, kind, name = int(fields[0], 16), fields[1], fields[2]
        if name == "_text":
            base = address
        elif kind in "tTwW" and not name.startswith("$") and not name.startswith(".L"):
            # Of several names at one address a global one says most.
            if address not in found or kind == "T":
                found[address] = name
    if base is None:
        sys.exit(f"ksyms: {image} has no symbol _text")
    return [(a - base, n) for a, n in sorted(found.items()) if 0 <= a - base < LIMIT]


def table(symbols: list[tuple[int, str]]) -> str:
    names, name_at, place = [], [], 0
    for _, name in symbols:
        name_at.append(place)
        names.append(f'\t.asciz "{name}"')
        place += len(name) + 1

    def section(label: str, lines: list[str]) -> list[str]:
        return ["\t.balign 4", f"\t.globl {label}", f"\t.hidden {label}", f"{label}:", *lines]

    lines = ["/* Made by tools/ksyms.py. */", '\t.section .rodata.ksyms, "a"']
    lines += section("ksyms_count", [f"\t.long {len(symbols)}"])
    lines += section("ksyms_offsets", [f"\t.long {offset:#x}" for offset, _ in symbols])
    lines += section("ksyms_name_at", [f"\t.long {at}" for at in name_at])
    lines += section("ksyms_names", names)
    lines += ['\t.section .note.GNU-stack, ""', ""]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--nm", default="nm")
    parser.add_argument("--image")
    parser.add_argument("--output", required=True)
    args = parser.parse_args()
    symbols = functions(args.nm, args.image) if args.image else []
    with open(args.output, "w", encoding="ascii") as out:
        out.write(table(symbols))
    return 0


if __name__ == "__main__":
    sys.exit(main())
