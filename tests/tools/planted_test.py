# SPDX-License-Identifier: MIT
"""Every planted bug (tests/planted) says what it is, names models that exist, and applies to the sources as they stand."""

import re
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATCHES = sorted((ROOT / "tests" / "planted").glob("*.patch"))
sys.path.insert(0, str(ROOT / "tools"))

from cloudos import debian, planted  # noqa: E402


def models() -> set[str]:
    return {name for path in (ROOT / "tests" / "model").glob("*.c")
            for name in re.findall(r"MODEL_DEFINE\((\w+)", path.read_text())}


def lines_of(text: str, mark: str) -> list[str]:
    """What is there without the bug (mark "-") or with it ("+"), context and all."""
    lines = text.partition("\n--- ")[2].splitlines()
    return [line[1:] for line in lines if line[:1] in (" ", mark) and not line.startswith((mark * 3 + " "))]


def changed(text: str, mark: str) -> int:
    return sum(line.startswith(mark) and not line.startswith(mark * 3 + " ") for line in text.partition("\n--- ")[2].splitlines())


class PlantedTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        debian.install(debian.PATCH_PACKAGES)

    def test_there_are_enough(self) -> None:
        self.assertGreaterEqual(len(PATCHES), 60)

    def test_headers(self) -> None:
        known = models()
        for path in PATCHES:
            with self.subTest(path.stem):
                bug = planted.read(path)
                self.assertRegex(path.stem, r"^[a-z0-9-]+$")
                self.assertEqual([target for target in bug.targets if target not in known], [])

    def test_no_two_are_the_same(self) -> None:
        seen: dict[str, str] = {}
        for path in PATCHES:
            change = path.read_text().partition("\n--- ")[2]
            self.assertNotIn(change, seen, f"{path.stem} is {seen.get(change)}")
            seen[change] = path.stem

    def test_each_changes_something_small(self) -> None:
        for path in PATCHES:
            with self.subTest(path.stem):
                text = path.read_text()
                self.assertNotEqual(" ".join(lines_of(text, "-")).split(), " ".join(lines_of(text, "+")).split())
                self.assertLessEqual(max(changed(text, "-"), changed(text, "+")), 16)

    def test_each_applies(self) -> None:
        for path in PATCHES:
            with self.subTest(path.stem):
                done = subprocess.run(["patch", "-p1", "--dry-run", "-N", "-s", "--fuzz=0", "-i", str(path)], cwd=ROOT,
                                      capture_output=True, text=True)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
