"""Progress for people: a bar when stderr is a terminal, else a line every few seconds."""

from __future__ import annotations

import sys
import time

from pipelines.beam.progress import Marker

_LINE_INTERVAL_S = 10.0
_COUNTS_SHOWN = ("documents", "dead_letters", "edges", "components", "removed/exact", "removed/near", "kept/documents",
                 "rejected/documents", "tokens", "vocab_size")  # fmt: skip


class Display:
    """Show stages as they run: documents, MB/s and tasks left.

    Args:
        total_tasks: unknown until a stage starts, so set by `stage_started`.
    """

    def __init__(self) -> None:
        self._tty = sys.stderr.isatty()
        self._started = self._printed = time.monotonic()
        self._todo = 0
        self._bar = None

    def stage_started(self, stage: str, todo: int, done: int) -> None:
        """A stage begins."""
        self._started = self._printed = time.monotonic()
        self._todo = todo
        if todo == 0:
            self._say(f"{stage:<11} done already ({done} task{'s' if done != 1 else ''})")
        elif self._tty:
            self._open_bar(stage, todo)

    def show(self, stage: str, markers: dict[str, Marker]) -> None:
        """Show how far a stage is."""
        documents = sum(marker.documents for marker in markers.values())
        megabytes = sum(marker.text_bytes for marker in markers.values()) / 1e6
        seconds = max(1e-9, time.monotonic() - self._started)
        begun = sum(not key.startswith("map-") for key in markers)
        what = f"{begun} of {self._todo} tasks begun" if begun or not markers else f"{len(markers)} map tasks begun"
        text = f"{documents:,} documents, {megabytes:,.1f} MB, {megabytes / seconds:.1f} MB/s"
        if self._bar is not None:
            self._bar.update(self._task, completed=max(0, begun - 1), detail=text)
        elif not self._tty and time.monotonic() - self._printed > _LINE_INTERVAL_S:
            self._printed = time.monotonic()
            left = f", about {seconds * (self._todo - begun) / begun:.0f} s left" if begun else ""
            self._say(f"{stage:<11} {what}, {text}{left}")

    def stage_finished(self, stage: str, counts: dict[str, int]) -> None:
        """A stage is finished."""
        self._close_bar()
        if self._todo:
            shown = [f"{name.replace('/documents', '')} {counts[name]:,}" for name in _COUNTS_SHOWN if name in counts]
            self._say(f"{stage:<11} {time.monotonic() - self._started:6.1f} s  {', '.join(shown)}")

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._close_bar()

    def _open_bar(self, stage: str, todo: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description:<11}"), BarColumn(), TextColumn("{task.completed}/{task.total}"),
                   TextColumn("{task.fields[detail]}"), TimeRemainingColumn())  # fmt: skip
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(stage, total=todo, detail="")
        self._bar.start()

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    @staticmethod
    def _say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)
