"""Progress of long jobs, with rate and ETA: a bar on a terminal, a line every few seconds in a log."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sigforge.core.escape import escape_terminal

EVERY_SECONDS = 5.0


class Progress:
    """Counts finished units of one job and says so on stderr."""

    def __init__(self, label: str, total: int) -> None:
        self.label, self.total, self.done, self.found, self.note = label, total, 0, 0, ""
        self.started = self.shown = time.monotonic()
        self.live = sys.stderr.isatty()

    def advance(self, count: int = 1, note: str = "") -> None:
        """``count`` more units are done; ``note`` is shown beside them."""
        self.done, self.note = self.done + count, note
        if time.monotonic() - self.shown >= (0.2 if self.live else EVERY_SECONDS):
            self._show()

    def find(self, count: int) -> None:
        """``count`` units were done before this job began: they count, but say nothing of its speed."""
        self.done, self.found = self.done + count, self.found + count

    def finish(self) -> None:
        """Show the final count and the time taken."""
        self._show()
        if self.live:
            print(file=sys.stderr)

    def _show(self) -> None:
        self.shown = time.monotonic()
        spent = self.shown - self.started
        new = self.done - self.found
        left = spent / new * (self.total - self.done) if new else float("nan")
        share = 100 * self.done / self.total if self.total else 100
        eta = f"{clock(spent)} spent" if self.done >= self.total else f"ETA {clock(left)}"
        rate = f"{_rate(new, spent)}, " if new and spent else ""
        note = f", {escape_terminal(self.note)}" if self.note else ""
        line = f"{self.label}: {self.done}/{self.total} ({share:.0f} %), {rate}{eta}{note}"
        print(f"\r{line:<100}" if self.live else line, end="" if self.live else "\n", file=sys.stderr, flush=True)


@contextmanager
def progress(label: str, total: int) -> Iterator[Progress]:
    """A :class:`Progress` that shows its last state even when the job fails."""
    bar = Progress(label, total)
    try:
        yield bar
    finally:
        bar.finish()


def _rate(count: int, seconds: float) -> str:
    """Per second, or per unit where that is the larger number."""
    return f"{count / seconds:.1f}/s" if count >= seconds else f"{seconds / count:.1f} s each"


def clock(seconds: float) -> str:
    """Seconds as ``m:ss`` or ``h:mm:ss``.

    Example:
        >>> clock(75), clock(3675)
        ('1:15', '1:01:15')
    """
    if seconds != seconds:
        return "unknown"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
