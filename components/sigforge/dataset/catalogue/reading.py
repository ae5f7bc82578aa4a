"""From an entry of the catalogue and the folder where somebody has unpacked it to candidates for the manifest."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sigforge.core.errors import ImageError, UserError
from sigforge.core.images import read_image
from sigforge.dataset.catalogue.entry import CatalogueEntry, PairRule, catalogue
from sigforge.dataset.catalogue.rules import FoundScenes, SceneFiles, find_scenes, images_below
from sigforge.dataset.sources.folders import STAGE, PairCandidate, PhotoCandidate, safe_id
from sigforge.dataset.sources.licences import read_terms
from sigforge.dataset.tables import Quarantined
from sigforge.dataset.tasks import SPLITS

SHARE = 0.5
"""Fewer names than this in the form that an entry knows: another data set lies there."""


@dataclass(frozen=True)
class DatasetImport:
    """What was found below a root.

    Attributes:
        pairs: candidates, not yet opened; empty for photographs.
        photos: likewise.
        splits: by candidate's id, where the authors have published one.
        quarantined: files left out.
        odd: sentences on what a user should look at.
        layout: templates that fitted.
        sequences: id and files, in order, of scenes with more than two.
    """

    pairs: tuple[PairCandidate, ...] = ()
    photos: tuple[PhotoCandidate, ...] = ()
    splits: Mapping[str, str] = field(default_factory=dict)
    quarantined: tuple[Quarantined, ...] = ()
    odd: tuple[str, ...] = ()
    layout: tuple[str, ...] = ()
    sequences: tuple[tuple[str, tuple[str, ...]], ...] = ()


def read_dataset(entry: CatalogueEntry, root: Path) -> DatasetImport:
    """Recognise the layout, pair, split and count what lies below ``root``.

    Args:
        entry: of the catalogue.
        root: where the data set was unpacked; folders may stand between.

    Raises:
        UserError: no such folder, no layout fits, or another data set lies there.
    """
    files = images_below(root)
    rules, found = best_layout(entry, files, root)
    _same_dataset(entry, found, root)
    splits, odd = _splits(entry, found, root)
    layout = tuple(template for rule in rules for template in (rule.a, rule.b, rule.scene, rule.photo) if template)
    left_out = _left_out(found, root)
    if entry.task == "photos":
        photos = tuple(_photo(entry, scene, root) for scene in found.scenes)
        odd += _counts(entry, Counter({"photos": len(photos)}))
        return DatasetImport(photos=photos, quarantined=left_out, odd=tuple(odd), layout=layout)
    pairs, sequences, bad = [], [], list(left_out)
    for scene in found.scenes:
        try:
            paths = _in_order(scene, root)
            pairs.append(_pair(entry, scene, paths))
            if len(paths) > 2:
                sequences.append((pairs[-1].pair_id, paths))
        except ImageError as error:
            bad.append(Quarantined(error.path, STAGE, error.reason, error.detail))
    names = {safe_id(entry.name, scene.name): splits.get(scene.name, "") for scene in found.scenes}
    known = {name: split for name, split in names.items() if split}
    counted = Counter({"pairs": len(pairs)})
    counted.update(known[pair.pair_id] for pair in pairs if pair.pair_id in known)
    counted.update(pair.subtask for pair in pairs)
    odd += _counts(entry, counted)
    return DatasetImport(tuple(pairs), (), known, tuple(bad), tuple(odd), layout, tuple(sequences))


def best_layout(entry: CatalogueEntry, files: Sequence[str], root: Path) -> tuple[tuple[PairRule, ...], FoundScenes]:
    """The layout that gives most scenes, and what it gives.

    Args:
        entry: of the catalogue.
        files: below the root.
        root: for errors.

    Raises:
        UserError: none gives any.
    """
    tried = [(rules, find_scenes(files, rules)) for rules in entry.layouts]
    rules, found = max(tried, key=lambda one: len(one[1].scenes))
    if not found.scenes:
        wanted = next(rule.a or rule.scene or rule.photo for rule in entry.layouts[0])
        raise UserError(
            f"{root}: no known layout of {entry.title} fits (as {wanted!r}){_looks_like(entry, files)}: "
            f"correct the path, or ask 'sigforge data guess {root}'"
        )
    return rules, found


def _looks_like(entry: CatalogueEntry, files: Sequence[str]) -> str:
    """Names of other entries whose own form of names the files have."""
    stems = [Path(file).stem for file in files]
    fits = [
        other.title
        for other in catalogue().values()
        if other.ids and other is not entry and _share(other.ids, stems) > SHARE
    ]
    return f"; the names look like {' or '.join(fits)}" if fits else ""


def _share(pattern: str, names: Sequence[str]) -> float:
    return sum(bool(re.fullmatch(pattern, name, re.IGNORECASE)) for name in names) / len(names)


def _same_dataset(entry: CatalogueEntry, found: FoundScenes, root: Path) -> None:
    names = [scene.stem for scene in found.scenes]
    if entry.ids and _share(entry.ids, names) < SHARE:
        other = _looks_like(entry, [f"{name}.png" for name in names])
        raise UserError(
            f"{root}: names such as {names[0]!r} are not those of {entry.title} ({entry.ids}){other}: correct the path"
        )


def _splits(entry: CatalogueEntry, found: FoundScenes, root: Path) -> tuple[dict[str, str], list[str]]:
    """Split by scene's name, and what is odd."""
    split = entry.split
    folders = {name.lower(): meaning for name, meaning in split.folders.items()}
    known: dict[str, str] = {
        scene.name: folders[scene.split.lower()] for scene in found.scenes if scene.split.lower() in folders
    }
    odd: list[str] = []
    for meaning, name in split.lists.items():
        for file in sorted(root.rglob(name)):
            listed = [line.strip().removesuffix(split.strip) for line in file.read_text().splitlines() if line.strip()]
            there = {scene.stem: scene.name for scene in found.scenes}
            known |= {there[line]: meaning for line in listed if line in there}
            if absent := [line for line in listed if line not in there]:
                odd.append(f"{file}: names {len(absent)} pairs that are not there, as {absent[0]!r}")
    if split.all:
        known |= {scene.name: split.all for scene in found.scenes}
    return known, odd


def _counts(entry: CatalogueEntry, counted: Mapping[str, int]) -> list[str]:
    return [
        f"{entry.title}: {counted.get(name, 0)} {name} found, {expected} published"
        for name, expected in entry.counts.items()
        if counted.get(name, 0) != expected and (name not in SPLITS or any(counted.get(split) for split in SPLITS))
    ]


def _left_out(found: FoundScenes, root: Path) -> tuple[Quarantined, ...]:
    lonely = [
        Quarantined(str(root / path), STAGE, "no_partner", f"no file fits {template!r} with the same name")
        for path, template in found.lonely
    ]
    doubled = [
        Quarantined(str(root / path), STAGE, "ambiguous_stem", f"{', '.join(paths)} share a name: keep one")
        for paths in found.doubled
        for path in paths
    ]
    return (*lonely, *doubled)


def _photo(entry: CatalogueEntry, scene: SceneFiles, root: Path) -> PhotoCandidate:
    try:
        terms = read_terms(entry.licence)
        allowed = (terms.allows_derivatives, terms.allows_commercial)
    except UserError:
        allowed = (False, False)
    path = str(root / scene.files[0])
    return PhotoCandidate(
        safe_id(entry.name, scene.name), path, entry.name, entry.licence, entry.licence_url, "", *allowed
    )


def _in_order(scene: SceneFiles, root: Path) -> tuple[str, ...]:
    paths = [str(root / file) for file in scene.files]
    if scene.rule.order == "brightness":
        paths.sort(key=lambda path: float(read_image(path)[0].mean()))
    return tuple(paths)


def _pair(entry: CatalogueEntry, scene: SceneFiles, paths: Sequence[str]) -> PairCandidate:
    """Of a sequence, the first and the last are the pair."""
    subtask, pair_id = scene.rule.subtask or entry.task, safe_id(entry.name, scene.name)
    return PairCandidate(pair_id, entry.task, subtask, paths[0], paths[-1], entry.name, entry.licence)
