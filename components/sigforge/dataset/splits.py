"""Which pairs train, which validate and which test: a division that new pairs hardly change."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from sigforge.core.errors import UserError
from sigforge.core.files import sha256_bytes
from sigforge.dataset.tasks import SPLITS

_ROUNDING = 1e-9  # a share of 1 - 0.1 - 0.9 is meant to be 0


def assign_splits(
    ids: Iterable[str], fractions: Mapping[str, float], seed: int, groups: Mapping[str, str] | None = None
) -> dict[str, list[str]]:
    """Divide ids into splits of the asked sizes, by the rank of each id's hash.

    Ids stand in the order of sha256(seed, id), and the row is cut in the order test, val, train at the fractions. New
    ids never change the order of old ones, so an old id changes its split only where it stands near a cut; moving the
    cut between val and train leaves test alone. A split that would stay empty takes the nearest group from a split that
    has another to spare.

    Args:
        ids: distinct names.
        fractions: share of each split, summing to 1.
        seed: another seed, another division.
        groups: base photograph (say) of each id; a group stays together. An id without one is its own group.

    Returns:
        The sorted ids of every split named in ``fractions``.

    Raises:
        UserError: fractions that are negative or do not sum to 1, or an unknown split.

    Example:
        >>> assign_splits("abcdef", {"train": 0.5, "val": 0.25, "test": 0.25}, seed=0)
        {'train': ['b', 'c', 'e'], 'val': ['a', 'd'], 'test': ['f']}
    """
    ranges = _ranges(fractions)
    members: dict[str, list[str]] = {}
    for name in sorted(set(ids)):
        members.setdefault((groups or {}).get(name, name), []).append(name)
    places = _places(members, seed)
    home = {group: next(s for s, (low, high) in ranges.items() if low <= at < high) for group, at in places.items()}
    _fill_empty(home, places, ranges)
    return {split: sorted(n for g, where in home.items() if where == split for n in members[g]) for split in fractions}


def complete_splits(
    ids: Iterable[str],
    published: Mapping[str, str],
    fractions: Mapping[str, float],
    seed: int,
    groups: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The split of every id: the published one, where there is one; the others are divided by ``fractions``.

    Where authors publish what trains and what tests, but nothing that validates, a part of what trains does.

    Args:
        ids: distinct names.
        published: split by id, for some of them.
        fractions: see :func:`assign_splits`.
        seed: likewise.
        groups: likewise.

    Example:
        >>> complete_splits("abcd", {"a": "test", "b": "train"}, {"train": 0.5, "val": 0.5}, seed=0)
        {'a': 'test', 'b': 'train', 'c': 'train', 'd': 'val'}
    """
    names = sorted(set(ids))
    known = {name: published[name] for name in names if published.get(name)}
    free = [name for name in names if name not in known]
    divided = assign_splits(free, fractions, seed, groups) if free else {}
    found = known | {name: split for split, members in divided.items() for name in members}
    training = sorted(name for name, split in known.items() if split == "train")
    if fractions.get("val") and len(training) > 1 and "val" not in found.values():
        drawn = assign_splits(training, {"train": 1 - fractions["val"], "val": fractions["val"]}, seed, groups)
        found |= dict.fromkeys(drawn["val"], "val")
    return dict(sorted(found.items()))


def _ranges(fractions: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """The stretch of the row, from 0 to 1, that belongs to each split."""
    if unknown := set(fractions) - set(SPLITS):
        raise UserError(f"split {min(unknown)!r} is unknown: choose from {', '.join(SPLITS)}")
    if min(fractions.values(), default=-1) < -_ROUNDING or abs(sum(fractions.values()) - 1) > _ROUNDING:
        raise UserError(f"split fractions {dict(fractions)} must be non-negative and sum to 1: correct them")
    ranges, low = {}, 0.0
    for split in reversed(SPLITS):
        share = fractions.get(split, 0.0)
        high = low + share if share > _ROUNDING else low
        ranges[split] = (low, high)
        low = high
    last = max((split for split, (low, high) in ranges.items() if high > low), key=lambda split: ranges[split])
    return ranges | {last: (ranges[last][0], 1.0)}  # the sum of the fractions may be a rounding short of 1


def _places(members: Mapping[str, Sequence[str]], seed: int) -> dict[str, float]:
    """Where the middle of each group stands in the row, in [0, 1)."""
    total, before, places = sum(map(len, members.values())), 0, {}
    for group in sorted(members, key=lambda group: sha256_bytes(f"{seed}:{group}".encode())):
        places[group] = (before + len(members[group]) / 2) / total
        before += len(members[group])
    return places


def _fill_empty(home: dict[str, str], places: Mapping[str, float], ranges: Mapping[str, tuple[float, float]]) -> None:
    """Give every empty split of non-zero width one group, while some split holds two or more."""
    for split, (low, high) in ranges.items():
        if high == low or split in home.values():
            continue
        sizes = Counter(home.values())
        spare = [group for group, where in home.items() if sizes[where] > 1]
        if spare:
            home[min(spare, key=lambda group: (max(low - places[group], places[group] - high), group))] = split
