"""Templates of file names: from all files below a root to pairs, sequences and photographs."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sigforge.core.errors import UserError
from sigforge.dataset.catalogue.entry import PairRule
from sigforge.dataset.contents import EXTENSIONS, LOOKED_INTO

IMAGES = EXTENSIONS | LOOKED_INTO
NUMBER, FREE, SPLIT = "n", "name", "split"
"""Fields that do not name a scene: place in a sequence by number or by name, and the split."""

_FIELD = re.compile(r"\{(\w+)\}")
_ANY = r"\.(?:" + "|".join(sorted(suffix[1:] for suffix in IMAGES)) + ")"

_DIGITS, _WORD = r"\d+", r"[^/]+"

Key = tuple[str, ...]


@dataclass(frozen=True)
class SceneFiles:
    """Files of one scene, relative to the root.

    Attributes:
        name: of the scene, unique within what was found.
        stem: what its fields say, which may be the same in another split or sub-task.
        split: as the folder is called; empty without one.
        files: two of a pair, one of a photograph, several of a sequence, in order.
        rule: that found them.
    """

    name: str
    stem: str
    split: str
    files: tuple[str, ...]
    rule: PairRule


@dataclass(frozen=True)
class FoundScenes:
    """What rules found: scenes, files without a partner, and sets of files that claim one place."""

    scenes: tuple[SceneFiles, ...]
    lonely: tuple[tuple[str, str], ...]
    doubled: tuple[tuple[str, ...], ...]


def images_below(root: Path) -> list[str]:
    """All image files below a folder, relative to it, sorted; hidden ones are passed over.

    Raises:
        UserError: no such folder, or no image in it.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder: correct the path")
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        base = os.path.relpath(folder, root)
        start = "" if base == "." else f"{base}{os.sep}"
        found += [start + name for name in names if name[0] != "." and os.path.splitext(name)[1].lower() in IMAGES]
    if not found:
        raise UserError(f"{root}: holds no image: unpack the data set there, or correct the path")
    return sorted(path.replace(os.sep, "/") for path in found)


def find_scenes(files: Sequence[str], rules: Iterable[PairRule]) -> FoundScenes:
    """Everything that a set of rules finds among files.

    Args:
        files: relative paths with ``/``.
        rules: that hold together.
    """
    scenes: list[SceneFiles] = []
    lonely: list[tuple[str, str]] = []
    doubled: list[tuple[str, ...]] = []
    for rule in rules:
        if rule.scene:
            found = _sequences(files, rule)
        elif rule.photo:
            found = {key: (path,) for key, path in _clear(_matches(files, rule.photo), doubled).items()}
        else:
            found = _pairs(files, rule, lonely, doubled)
        scenes += _named(found, rule)
    return FoundScenes(tuple(scenes), tuple(lonely), tuple(doubled))


def fields_of(template: str) -> list[str]:
    """Names of the fields of a template, in order."""
    return _FIELD.findall(template)


def _pairs(files: Sequence[str], rule: PairRule, lonely: list, doubled: list) -> dict[Key, tuple[str, ...]]:
    sides = [_clear(_matches(files, template), doubled) for template in (rule.a, rule.b)]
    a, b = sides
    both = sorted(a.keys() & b.keys())
    if both:  # a rule that finds no pair says nothing about files
        for mine, theirs, template in ((a, b, rule.b), (b, a, rule.a)):
            lonely += [(path, template) for key, path in mine.items() if key not in theirs]
    return {key: (a[key], b[key]) for key in both}


def _sequences(files: Sequence[str], rule: PairRule) -> dict[Key, tuple[str, ...]]:
    """Files of one scene in the order of their numbers, else of their names; at least two make a sequence."""
    found: dict[Key, list[tuple[tuple[int, str], str]]] = {}
    for path, fields, root in _fields(files, rule.scene):
        place = (int(fields[NUMBER]), "") if NUMBER in fields else (0, fields.get(FREE, ""))
        found.setdefault(_key(root, fields), []).append((place, path))
    return {key: tuple(path for _, path in sorted(members)) for key, members in found.items() if len(members) > 1}


def _matches(files: Sequence[str], template: str) -> dict[Key, list[str]]:
    found: dict[Key, list[str]] = {}
    for path, fields, root in _fields(files, template):
        found.setdefault(_key(root, fields), []).append(path)
    return found


def _fields(files: Sequence[str], template: str) -> Iterable[tuple[str, Mapping[str, str], str]]:
    pattern = _compiled(template)
    for path in files:
        if match := pattern.fullmatch(path):
            fields = match.groupdict()
            yield path, fields, fields.pop("root_")


def _key(root: str, fields: Mapping[str, str]) -> Key:
    """Folders before the template, split, then the other fields by name."""
    named = [fields[name] for name in sorted(fields) if name not in (NUMBER, FREE, SPLIT)]
    return (root, fields.get(SPLIT, ""), *named)


def _clear(found: Mapping[Key, list[str]], doubled: list) -> dict[Key, str]:
    """Keys with one file; others are put on record."""
    doubled += [tuple(paths) for paths in found.values() if len(paths) > 1]
    return {key: paths[0] for key, paths in found.items() if len(paths) == 1}


def _named(found: Mapping[Key, tuple[str, ...]], rule: PairRule) -> Iterable[SceneFiles]:
    """Names by the fields alone where these are enough, else with split and folders; sub-tasks keep theirs apart."""
    stems = ["-".join(key[2:]) for key in found]
    enough = len(set(stems)) == len(stems)
    for key, stem in zip(found, stems, strict=True):
        folders = () if enough and stem else (key[0].strip("/").replace("/", "-"), key[1])
        name = "-".join(part for part in (rule.subtask, *folders, stem) if part)
        yield SceneFiles(name, stem, key[1], found[key], rule)


@cache
def _compiled(template: str) -> re.Pattern[str]:
    """A template as a regular expression over whole relative paths."""
    body, any_image = (template[:-2], True) if template.endswith(".*") else (template, False)
    parts = ["(?P<root_>(?:.*/)?)"]
    seen: set[str] = set()
    for place, text in enumerate(_FIELD.split(body)):
        if place % 2 == 0:
            parts.append(re.escape(text))
        elif text in seen:
            parts.append(f"(?P={text})")
        else:
            seen.add(text)
            parts.append(f"(?P<{text}>{_DIGITS if text == NUMBER else _WORD})")
    return re.compile("".join(parts) + (_ANY if any_image else ""), re.IGNORECASE)
