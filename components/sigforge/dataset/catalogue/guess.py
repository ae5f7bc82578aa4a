"""A rule for a layout that nobody has described: which names differ in one word alone?

Of every path one word at a time is masked, wherever it stands. Paths that are equal then, and differ in two words in
all, are the two sides of a pair; numbers of more than two are the places of a sequence.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from sigforge.dataset.catalogue.entry import PairRule
from sigforge.dataset.catalogue.rules import SceneFiles, find_scenes

_WORD = re.compile(r"[A-Za-z]+|\d+")
_MASK = "\0"
FIRST = ("ir", "infrared", "thermal", "lwir", "ct", "pet", "spect", "near", "under", "a", "1", "source1")
"""Words of the first source, where the order of the alphabet would say otherwise."""
LONGEST = 30
"""Files of a sequence, at most: a folder of more is one side of many pairs."""
_EXAMPLES = 3


@dataclass(frozen=True)
class GuessedRule:
    """A proposal: the rule, how many pairs or sequences it gives, and some of them."""

    rule: PairRule
    scenes: int
    examples: tuple[SceneFiles, ...]


def guess_rules(files: Sequence[str], most: int = 3) -> list[GuessedRule]:
    """Rules that files follow, the one that finds most first.

    Args:
        files: relative paths with ``/``.
        most: proposals at most.

    Example:
        >>> found = guess_rules(["IR/1.png", "IR/2.png", "VIS/1.png", "VIS/2.png"])
        >>> found[0].rule.a, found[0].rule.b, found[0].scenes
        ('IR/{id}.*', 'VIS/{id}.*', 2)
    """
    found = []
    for rule in dict.fromkeys((*_pair_rules(files), *_sequence_rules(files))):
        scenes = find_scenes(files, [rule]).scenes
        if scenes:
            found.append(GuessedRule(rule, len(scenes), scenes[:_EXAMPLES]))
    return sorted(found, key=lambda one: (-one.scenes, not _known(one.rule)))[:most]


def _pair_rules(files: Sequence[str]) -> Iterable[PairRule]:
    groups: dict[str, set[str]] = defaultdict(set)
    for file in files:
        path = str(PurePosixPath(file).with_suffix(""))
        for word in sorted(set(_WORD.findall(path)), key=_numbers_last):
            groups[_masked(path, word)].add(word)
    two = [(masked, tuple(sorted(words, key=_order))) for masked, words in groups.items() if len(words) == 2]
    counted = Counter(words for _, words in two)
    for words, _ in counted.most_common(5):
        masked = [path for path, found in two if found == words]
        if template := _template(masked):
            a, b = (f"{template.replace(_MASK, word)}.*" for word in words)
            yield PairRule(a=a, b=b)


def _sequence_rules(files: Sequence[str]) -> Iterable[PairRule]:
    """One folder a scene, its files numbered or named."""
    folders: dict[PurePosixPath, list[str]] = defaultdict(list)
    for file in files:
        folders[PurePosixPath(file).parent].append(PurePosixPath(file).stem)
    several = [stems for stems in folders.values() if len(stems) > 1]
    if len(several) > 1 and len(several) * 2 > len(folders) and max(map(len, several)) <= LONGEST:
        numbered = all(stem.isdigit() for stems in several for stem in stems)
        yield PairRule(scene="{id}/{n}.*" if numbered else "{id}/{name}.*")


def _known(rule: PairRule) -> bool:
    """Whether its first source has a name that people give to one."""
    return any(word.lower() in FIRST for word in _WORD.findall(rule.a))


def _numbers_last(word: str) -> tuple[bool, str]:
    """An order that is the same in every process; of rules that find as much, those by names come first."""
    return (word.isdigit(), word)


def _order(word: str) -> tuple[bool, str]:
    return (word.lower() not in FIRST, word)


def _masked(path: str, word: str) -> str:
    """Every whole word of that value, masked."""
    return _WORD.sub(lambda match: _MASK if match[0] == word else match[0], path)


def _template(paths: Sequence[str]) -> str:
    """What paths have in common, folder by folder from the right; what varies becomes a field."""
    split = [path.split("/") for path in paths]
    depth = min(map(len, split))
    parts, fields = [], iter(("{id}", "{folder}", "{group}", "{part}"))
    for place in range(1, depth + 1):
        names = {segments[-place] for segments in split}
        part = next(iter(names)) if len(names) == 1 else _common(names, fields)
        if part is None:
            return ""
        parts.append(part)
        if (
            _MASK in "".join(parts)
            and "{" in "".join(parts)
            and not any(_MASK in segment for segments in split for segment in segments[:-place])
        ):
            break  # folders further up say nothing
    return "/".join(reversed(parts))


def _common(names: set[str], fields: Iterator[str]) -> str | None:
    """``{id}_*`` of ``1_*``, ``2_*``: the text around the mask that all share, and a field for what they do not."""
    name = next(fields, None)
    if name is None:
        return None
    if not any(_MASK in one for one in names):
        return name
    before, after = zip(*(one.split(_MASK, 1) if _MASK in one else ("", one) for one in names), strict=True)
    if len(set(after)) == 1:
        return _varying(before, name) + _MASK + after[0]
    if len(set(before)) == 1:
        return before[0] + _MASK + _varying(after, name)
    other = next(fields, None)
    return None if other is None else _varying(before, name) + _MASK + _varying(after, other)


def _varying(texts: Sequence[str], field: str) -> str:
    """The field between the letters and marks that all texts begin and end with."""
    start = _prefix(texts)
    end = _prefix([text[len(start) :][::-1] for text in texts])[::-1]
    start, end = re.sub(r"\d+$", "", start), re.sub(r"^\d+", "", end)
    return f"{start}{field}{end}"


def _prefix(texts: Sequence[str]) -> str:
    short = min(texts, key=len)
    return next((short[:n] for n in range(len(short), 0, -1) if all(text.startswith(short[:n]) for text in texts)), "")
