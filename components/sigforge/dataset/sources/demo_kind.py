"""Source ``demo``: simulated pairs, and tiles of the photographs inside the scikit-image wheel; written as PNG."""

from typing import Literal

from pydantic import Field

from sigforge.core.images import write_image
from sigforge.dataset.sources import demo, scenes
from sigforge.dataset.sources.registry import (
    PairCandidate,
    PhotoCandidate,
    SourceFinds,
    SourceOptions,
    SourceRequest,
    pair_source,
    photo_source,
)
from sigforge.dataset.tasks import SIMULATED


class DemoSource(SourceOptions):
    """Images made from what lies inside the scikit-image wheel; pairs are simulated."""

    kind: Literal["demo"]
    count: int = Field(ge=1)
    size: int = Field(ge=64, le=512)


@pair_source(DemoSource)
def find_simulated_pairs(options: DemoSource, request: SourceRequest) -> SourceFinds:
    """Simulated pairs, grouped by the picture each comes from, so that no two splits share one."""
    candidates, groups = [], {}
    for pair in scenes.simulate(request.task, options.count, options.size, request.seed):
        names = pair.a_modality, pair.b_modality
        paths = [request.folder / "images" / name / f"{pair.pair_id}.png" for name in names]
        for path, image in zip(paths, (pair.a, pair.b), strict=True):
            write_image(path, image)
        a, b = map(str, paths)
        subtask = pair.subtask or request.task
        candidates.append(PairCandidate(pair.pair_id, request.task, subtask, a, b, SIMULATED, pair.licence))
        groups[pair.pair_id] = pair.base
    return SourceFinds(candidates, groups=groups)


@photo_source(DemoSource)
def find_demo_photos(options: DemoSource, request: SourceRequest) -> SourceFinds:
    """Tiles of the photographs."""
    candidates = []
    for photo in demo.photographs(options.count, options.size, request.seed):
        path = request.folder / "images" / f"{photo.photo_id}.png"
        write_image(path, photo.image)
        terms = {name: getattr(photo, name) for name in ("source", "licence", "licence_url", "author")}
        rights = {name: getattr(photo, name) for name in ("allows_derivatives", "allows_commercial")}
        candidates.append(PhotoCandidate(photo.photo_id, str(path), **terms, **rights))
    return SourceFinds(candidates)
