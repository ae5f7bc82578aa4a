"""What the shards of a release hold, read once from their markers and tables."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sigforge.core.errors import UserError
from sigforge.core.storage import Place
from sigforge.shards.layout import SampleRow, ShardPath, ShardReport, shards_in
from sigforge.shards.pairs import read_rows


@dataclass(frozen=True)
class HeldShard:
    """One shard: its files, its done-marker and the rows of its table."""

    path: ShardPath
    report: ShardReport
    rows: Sequence[SampleRow]

    @property
    def marker(self) -> str:
        """The done-marker as a release has it: without the time that writing took, which differs each time."""
        return replace(self.report, seconds=0.0).to_json()

    @property
    def samples(self) -> dict[str, tuple[str, ...]]:
        """By key, the sha256 of the three parts of every good sample."""
        parts = ("a_sha256", "b_sha256", "json_sha256")
        return {row["key"]: tuple(row[part] for part in parts) for row in self.rows if row["status"] == "ok"}


@dataclass(frozen=True)
class ReleaseContents:
    """All shards of a folder.

    Raises:
        UserError: there are none, or none with a pair.
    """

    shards: tuple[HeldShard, ...]

    @classmethod
    def of(cls, folder: Place) -> "ReleaseContents":
        """What is in ``folder``, which has been verified."""
        held = tuple(
            HeldShard(path, ShardReport.from_json(path.done.read_bytes()), read_rows(path))
            for path in shards_in(folder)
        )
        if not any(shard.report.samples for shard in held):
            raise UserError(f"{folder}: holds no finished shard with a pair: make shards there first")
        return cls(held)

    @property
    def pairs(self) -> int:
        """Good samples."""
        return sum(shard.report.samples for shard in self.shards)

    @property
    def subtasks(self) -> dict[str, int]:
        """Pairs by sub-task."""
        counts: dict[str, int] = {}
        for row in self.good():
            counts[row["subtask"]] = counts.get(row["subtask"], 0) + 1
        return dict(sorted(counts.items()))

    def good(self) -> Iterable[dict]:
        """The rows of good samples."""
        return (row for shard in self.shards for row in shard.rows if row["status"] == "ok")

    @property
    def failures(self) -> int:
        """Candidates that gave no pair."""
        return sum(shard.report.failures for shard in self.shards)

    @property
    def bytes(self) -> int:
        """Of all tars."""
        return sum(shard.report.bytes for shard in self.shards)


@dataclass(frozen=True)
class ReleaseGrowth:
    """What a release has that an earlier one had not.

    Attributes:
        since: the earlier version.
        shards: names of the tars that are new or were lengthened.
        pairs: how many more there are.
    """

    since: str
    shards: tuple[str, ...]
    pairs: int


def growth(before: ReleaseContents, now: ReleaseContents, since: str) -> ReleaseGrowth:
    """Compare with an earlier release, of which every sample must still be there, number and bytes.

    Args:
        before: its contents.
        now: those of the new one.
        since: the earlier version.

    Raises:
        UserError: a sample is gone or differs, or nothing is new.
    """
    old, new = (_samples(contents) for contents in (before, now))
    for key, parts in old.items():
        if new.get(key) != parts:
            what = "differs" if key in new else "is gone"
            raise UserError(
                f"sample {key} of {since} {what}: an appended release keeps all: release under another name"
            )
    known = {shard.path.tar.name: shard.report.sha256 for shard in before.shards}
    added = [shard for shard in now.shards if known.get(shard.path.tar.name) != shard.report.sha256]
    if len(new) == len(old):
        raise UserError(f"nothing is new since {since}: raise 'synth.crops' or 'synth.pairs', or do without --append")
    return ReleaseGrowth(since, tuple(shard.path.tar.name for shard in added), len(new) - len(old))


def _samples(contents: ReleaseContents) -> dict[str, tuple[str, ...]]:
    return {key: parts for shard in contents.shards for key, parts in shard.samples.items()}
