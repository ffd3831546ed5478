# SPDX-License-Identifier: MIT
"""Where things are. All that is made lies under build/, but for the wraps' sources in subprojects/."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "build"
DEBIAN = BUILD / "debian"            # downloads from Debian, kept by `clean`
STATE = BUILD / "state"              # logs and other files of one run
PACKAGECACHE = ROOT / "subprojects" / "packagecache"
