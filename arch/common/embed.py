#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes an assembler file that holds a file's bytes, page aligned and padded to whole pages.

embed.py INPUT OUTPUT SYMBOL SECTION: the bytes lie at SYMBOL, and end at SYMBOL_end.
"""
import sys


def main():
    source, target, symbol, section = sys.argv[1:]
    with open(source, 'rb') as f:
        data = f.read()
    lines = [f'\t.section {section}, "a"', '\t.balign 4096',
             f'\t.globl {symbol}', f'\t.hidden {symbol}', f'{symbol}:']
    for at in range(0, len(data), 16):
        lines.append('\t.byte ' + ', '.join(str(b) for b in data[at:at + 16]))
    lines += ['\t.balign 4096', f'\t.globl {symbol}_end', f'\t.hidden {symbol}_end', f'{symbol}_end:',
              '\t.section .note.GNU-stack, "", %progbits']
    with open(target, 'w') as f:
        f.write('\n'.join(lines) + '\n')


main()
