# SPDX-License-Identifier: MIT
"""What surrounds the deterministic world: comparing runs, shrinking scenarios, drawing timelines."""

import struct
import tempfile
import unittest
from pathlib import Path

from cloudos import check, timeline
from cloudos.shrink import Scenario, Shrinker, signature

TEXT = """build plain
target locks
seed 9
cpus 4
operations 40
fault ipi.late 300
fault clock.step 5
skip 3-7
"""


class CompareTest(unittest.TestCase):
    def difference(self, left: list[int], right: list[int]) -> int | None:
        with tempfile.TemporaryDirectory() as folder:
            a, b = Path(folder) / "a", Path(folder) / "b"
            for path, times in ((a, left), (b, right)):
                path.write_bytes(b"".join(check.RECORD.pack(time, 0, 0, 0, 0) for time in times))
            return check.first_difference(a, b)

    def test_same_runs_have_no_difference(self) -> None:
        self.assertIsNone(self.difference([1, 2, 3], [1, 2, 3]))

    def test_the_first_event_that_differs_is_counted_from_one(self) -> None:
        self.assertEqual(self.difference([1, 2, 3], [1, 9, 8]), 2)

    def test_a_run_that_ends_earlier_differs_where_it_ends(self) -> None:
        self.assertEqual(self.difference([1, 2, 3], [1, 2]), 3)

    def test_record_is_what_the_simulator_writes(self) -> None:
        self.assertEqual(check.RECORD.size, struct.calcsize("<QIIQQ"))
        self.assertEqual(check.RECORD.size, 32)


class Imagined(Shrinker):
    """A program that fails whenever a fault and some operations are there."""

    def __init__(self) -> None:
        super().__init__(Path("/nowhere"), "", 60)

    def fails(self, scenario: Scenario) -> bool:
        self.tries += 1
        left = [i for i in range(scenario.operations) if not any(a <= i <= b for a, b in scenario.skip)]
        return "ipi.late" in scenario.faults and {5, 6} <= set(left) and scenario.cpus >= 2


class ShrinkTest(unittest.TestCase):
    def test_a_scenario_survives_parsing(self) -> None:
        self.assertEqual(Scenario.parse(TEXT).text(), TEXT)

    def test_everything_that_does_not_matter_goes(self) -> None:
        now = Scenario.parse(TEXT.replace("skip 3-7\n", ""))
        shrinker = Imagined()
        for step in (shrinker.operations, shrinker.faults, shrinker.cpus, shrinker.skips):
            now = step(now)
        self.assertEqual(now.faults, {"ipi.late": "300"})
        self.assertEqual(now.cpus, 2)
        self.assertEqual(now.operations, 7)
        left = [i for i in range(now.operations) if not any(a <= i <= b for a, b in now.skip)]
        self.assertEqual(left, [5, 6])

    def test_the_same_fault_has_the_same_signature(self) -> None:
        a = signature("\nverdict: model: a is 0x5, b is 7 (x.c:3)\n  CPU 0", 124)
        b = signature("\nverdict: model: a is 0xf, b is 9 (x.c:3)\n  CPU 1", 124)
        self.assertEqual(a, b)
        self.assertNotEqual(a, signature("\nverdict: deadlock: every CPU idles", 124))


class TimelineTest(unittest.TestCase):
    LINES = ("      361    0.000007260 CPU0  boot[0]              point   lock    0x4d68a0  in kva_populate+0x113\n"
             "      362    0.000007280 CPU1  idle/1[0]            irq     timer\n"
             "      363    0.000007290 CPU1  worker/0[0]          op      3 \n")

    def test_lines_are_taken_apart(self) -> None:
        events = timeline.parse(self.LINES)
        self.assertEqual(events[0], (361, 7260, 0, "boot[0]", "point", "lock    0x4d68a0  in kva_populate+0x113"))
        self.assertEqual([event[4] for event in events], ["point", "irq", "op"])

    def test_the_page_is_one_file_and_hides_nothing_in_markup(self) -> None:
        page = timeline.page(self.LINES)
        self.assertIn('[361,7260,0,0,"point"', page)
        self.assertNotIn("http", page)
        self.assertNotIn("src=", page)


if __name__ == "__main__":
    unittest.main()
