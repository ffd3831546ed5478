#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the system-call code and its documentation from the rows of src/kernel/syscall/table/*.tbl.

A row is

    name(kind argument, ...) STATUS ["what is missing, or why"]

with STATUS one of done, partial, absent, gone (Linux answers ENOSYS, too). `kind` names both the C type of the handler's argument and how strace
prints it. An absent call has no handler: it answers -ENOSYS. Calls that no row names are absent too.
Numbers are not written here: the generated C asks <asm/unistd.h>, so a call that an architecture does not have
falls out by itself.
"""
import argparse
import pathlib
import re
import subprocess
import sys

KINDS = {  # kind: (C type, strace kind)
    'int': ('int', 'INT'), 'uint': ('unsigned', 'HEX'), 'long': ('int64_t', 'INT'), 'u64': ('uint64_t', 'HEX'),
    'fd': ('int', 'FD'), 'pid': ('int', 'INT'), 'id': ('uint32_t', 'INT'), 'ptr': ('uaddr_t', 'PTR'),
    'str': ('uaddr_t', 'STR'), 'buf': ('uaddr_t', 'PTR'), 'size': ('size_t', 'UINT'), 'off': ('int64_t', 'INT'),
    'flags': ('unsigned', 'HEX'), 'mode': ('uint32_t', 'OCT'), 'sig': ('int', 'SIG'),
}
ROW = re.compile(r'^(\w+)\(([^)]*)\)\s+(done|partial|absent|gone)(?:\s+"([^"]*)")?$')


class Row:
    def __init__(self, where, text):
        found = ROW.match(text)
        if not found:
            sys.exit(f'{where}: not a row: {text}')
        self.name, arguments, self.status, self.note = found.groups()
        self.family = where.split(':')[0].rsplit('/', 1)[-1].removesuffix('.tbl')
        self.arguments = []
        for argument in filter(None, (a.strip() for a in arguments.split(','))):
            kind, _, name = argument.partition(' ')
            if kind not in KINDS or not name.isidentifier():
                sys.exit(f'{where}: {argument!r}: want one of {", ".join(KINDS)} and a name')
            self.arguments.append((kind, name))
        if len(self.arguments) > 6:
            sys.exit(f'{where}: {self.name} has more than six arguments')
        if self.status == 'partial' and not self.note:
            sys.exit(f'{where}: {self.name} is partial: say what is missing')

    def has_handler(self):
        return self.status in ('done', 'partial')

    def prototype(self):
        arguments = ', '.join(f'{KINDS[k][0]} {n}' for k, n in self.arguments) or 'void'
        return f'int64_t sys_{self.name}({arguments});'


def read_rows(paths):
    rows = {}
    for path in sorted(paths):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            line = line.split('#')[0].strip()
            if not line:
                continue
            row = Row(f'{path}:{number}', line)
            if row.name in rows:
                sys.exit(f'{path}:{number}: {row.name} stands in {rows[row.name].family}.tbl too')
            rows[row.name] = row
    return [rows[name] for name in sorted(rows)]


def header(rows):
    out = ['/* SPDX-License-Identifier: MIT */', '/* Made by tools/gen_syscalls.py from table/. */',
           '#ifndef SYSCALLS_GEN_H', '#define SYSCALLS_GEN_H', '#include <cloudos/types.h>', '']
    out += [row.prototype() for row in rows if row.has_handler()]
    return '\n'.join(out + ['', '#endif', ''])


def source(rows):
    out = ['/* SPDX-License-Identifier: MIT */', '/* Made by tools/gen_syscalls.py from table/. */',
           '#include <asm/unistd.h>', '#include <hal/hal.h>', '#include "syscall_internal.h"',
           '#include "syscalls_gen.h"', '']
    for row in rows:
        if not row.has_handler():
            continue
        values = ', '.join(f'({KINDS[k][0]})hal_abi_syscall_arg(r, {i})' for i, (k, _) in enumerate(row.arguments))
        out += [f'#ifdef __NR_{row.name}', f'static int64_t enter_{row.name}(const struct hal_regs *r)', '{']
        if not row.arguments:
            out.append('\t(void)r;')
        out += [f'\treturn sys_{row.name}({values});', '}', '#endif']
    out += ['', 'const syscall_entry syscall_entries[SYSCALL_NUMBERS] = {']
    for row in rows:
        if row.has_handler():
            out += [f'#ifdef __NR_{row.name}', f'\t[__NR_{row.name}] = enter_{row.name},', '#endif']
    out += ['};', '', 'const struct syscall_info syscall_infos[SYSCALL_NUMBERS] = {']
    for row in rows:
        kinds = ', '.join(f'SYSCALL_ARG_{KINDS[k][1]}' for k, _ in row.arguments) or '0'
        out += [f'#ifdef __NR_{row.name}', f'\t[__NR_{row.name}] = {{ "{row.name}", {len(row.arguments)}, {{ {kinds} }} }},',
                '#endif']
    return '\n'.join(out + ['};', ''])


def numbers(compiler, includes):
    """The call numbers of an architecture, as its <asm/unistd.h> has them."""
    text = subprocess.run([*compiler, '-E', '-dM', *includes, '-'], input='#include <asm/unistd.h>\n', check=True,
                          capture_output=True, text=True).stdout
    found = {}
    for name, value in re.findall(r'#define __NR_(\w+) (\S+)', text):
        if value.isdigit():
            found[name] = int(value)
    names = [n for n in found if n not in ('syscalls', 'arch_specific_syscall')]
    return {n: found[n] for n in names}


def document(rows, tables):
    by_name = {row.name: row for row in rows}
    out = ['# The Linux system-call ABI', '',
           'Made by `tools/gen_syscalls.py --document` from `src/kernel/syscall/table/`; a test checks that it is up to date.',
           'Call numbers are those of linux-libc-dev. A call that is absent answers `ENOSYS` and says so in the kernel log; one that is gone has a',
           'number, but Linux answers `ENOSYS`, too: it is there no longer, or never was.', '']
    out += ['| architecture | calls | done | partial | absent | gone |', '|---|---|---|---|---|---|']
    for arch, table in tables.items():
        status = [by_name[n].status if n in by_name else 'absent' for n in table]
        out.append(f'| {arch} | {len(table)} | {status.count("done")} | {status.count("partial")} | {status.count("absent")} | '
                   f'{status.count("gone")} |')
    out += ['', '| call | ' + ' | '.join(tables) + ' | state | note |', '|---|' + '---|' * len(tables) + '---|---|']
    for name in sorted(set().union(*tables.values())):
        row = by_name.get(name)
        cells = ' | '.join(str(table.get(name, '-')) for table in tables.values())
        out.append(f'| {name} | {cells} | {row.status if row else "absent"} | {(row.note or "") if row else ""} |')
    return '\n'.join(out + [''])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--header', type=pathlib.Path)
    parser.add_argument('--source', type=pathlib.Path)
    parser.add_argument('--document', type=pathlib.Path)
    parser.add_argument('tables', type=pathlib.Path, nargs='+')
    options = parser.parse_args()
    rows = read_rows(options.tables)
    if options.header:
        options.header.write_text(header(rows))
    if options.source:
        options.source.write_text(source(rows))
    if options.document:
        tables = {'x86_64': numbers(['gcc'], []),
                  'aarch64': numbers(['aarch64-linux-gnu-gcc'], [])}
        options.document.write_text(document(rows, tables))


if __name__ == '__main__':
    main()
