"""The command `python -m benchmarks.science`."""

from __future__ import annotations

import sys

from benchmarks.science.command import main

sys.exit(main(sys.argv[1:]))
