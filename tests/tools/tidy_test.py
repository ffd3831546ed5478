# SPDX-License-Identifier: MIT
"""tools/tidy finds what it is there for, and nothing in what is right."""

import importlib.machinery
import importlib.util
import unittest
from pathlib import Path

PATH = str(Path(__file__).resolve().parents[2] / "tools" / "tidy")
LOADER = importlib.machinery.SourceFileLoader("tidy", PATH)
tidy = importlib.util.module_from_spec(importlib.util.spec_from_loader("tidy", LOADER))
LOADER.exec_module(tidy)

HEAD = "/* SPDX-License-Identifier: MIT */"


def findings(name: str, *lines: str) -> list[tuple[int, str]]:
    return [found for rule in tidy.ERRORS for found in rule(name, [HEAD, *lines])]


class TidyTest(unittest.TestCase):
    def test_machine_above_the_seam(self) -> None:
        for line in ("#ifdef __x86_64__", "# if defined(__aarch64__)", "#elif !defined(CLOUDOS_SIM)"):
            self.assertEqual(len(findings("src/kernel/mm/page.c", line)), 1, line)
            self.assertEqual(findings("arch/x86_64/cpu.c", line), [])

    def test_includes_point_down(self) -> None:
        self.assertEqual(len(findings("src/kernel/mm/page.c", "#include <cloudos/thread.h>")), 1)
        self.assertEqual(len(findings("include/cloudos/mm.h", "#include <cloudos/vm.h>")), 1)
        self.assertEqual(findings("src/kernel/vm/fault.c", "#include <cloudos/mm.h>"), [])
        self.assertEqual(findings("src/kernel/proc/fork.c", "#include <cloudos/vfs.h>"), [])

    def test_licence_line(self) -> None:
        rule = tidy.check_spdx
        self.assertEqual(len(list(rule("src/kernel/mm/a.c", ["int a;"]))), 1)
        self.assertEqual(len(list(rule("tools/x", ["#!/bin/sh"]))), 1)
        self.assertEqual(list(rule("docs/A.md", ["text"])), [])

    def test_words(self) -> None:
        self.assertEqual(len(findings("src/kernel/mm/a.c", "/* TO" "DO: later */")), 1)
        self.assertEqual(len(findings("docs/A.md", "see http" "s://somewhere")), 1)
        self.assertEqual(len(findings("tools/x.py", "deb.example" ".org")), 1)
        self.assertEqual(findings("src/kernel/net/a.c", "	todo.next = ops.net;"), [])

    def test_long_function_is_a_warning(self) -> None:
        lines = ["int f(void)", "{", *["	x();"] * 90, "}"]
        self.assertEqual(len(list(tidy.warn_functions("src/a.c", lines))), 1)


if __name__ == "__main__":
    unittest.main()
