# SPDX-License-Identifier: MIT
"""The one command of CloudOS: builds, boots, tests and measures it. One file a verb."""
