"""Progress of long jobs, with an ETA: a bar on a terminal, a line every few seconds in a log."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

EVERY_SECONDS = 5.0


class Progress:
    """Counts finished units of one job and says so on stderr."""

    def __init__(self, label: str, total: int) -> None:
        self.label, self.total, self.done, self.note = label, total, 0, ""
        self.started = self.shown = time.monotonic()
        self.live = sys.stderr.isatty()

    def advance(self, count: int = 1, note: str = "") -> None:
        """``count`` more units are done; ``note`` is shown beside them."""
        self.done, self.note = self.done + count, note
        if time.monotonic() - self.shown >= (0.2 if self.live else EVERY_SECONDS):
            self._show()

    def finish(self) -> None:
        """Show the final count and the time taken."""
        self._show()
        if self.live:
            print(file=sys.stderr)

    def _show(self) -> None:
        self.shown = time.monotonic()
        spent = self.shown - self.started
        left = spent / self.done * (self.total - self.done) if self.done else float("nan")
        share = 100 * self.done / self.total if self.total else 100
        eta = f"{_clock(spent)} spent" if self.done >= self.total else f"ETA {_clock(left)}"
        line = f"{self.label}: {self.done}/{self.total} ({share:.0f} %), {eta}{', ' + self.note if self.note else ''}"
        print(f"\r{line:<100}" if self.live else line, end="" if self.live else "\n", file=sys.stderr, flush=True)


@contextmanager
def progress(label: str, total: int) -> Iterator[Progress]:
    """A :class:`Progress` that shows its last state even when the job fails."""
    bar = Progress(label, total)
    try:
        yield bar
    finally:
        bar.finish()


def _clock(seconds: float) -> str:
    if seconds != seconds:
        return "unknown"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
