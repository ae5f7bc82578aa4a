"""The card of a release: a page that the Hugging Face Hub shows, and that a person wants to read."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

from sigforge.dataset.tasks import modalities
from sigforge.release.attribution import PhotoCredit
from sigforge.release.contents import ReleaseContents, ReleaseGrowth
from sigforge.release.croissant import CroissantFacts
from sigforge.release.layout import PICTURE
from sigforge.release.terms import hub_licence

if TYPE_CHECKING:
    from sigforge.release.realism import RealismTable

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
TASK_TEXTS = {
    "vif": ("infrared and visible image fusion", "infrared and visible images"),
    "mif": ("medical image fusion", "CT, PET or SPECT images and MR images"),
    "mfif": ("multi-focus image fusion", "images focused near and far"),
    "mef": ("multi-exposure image fusion", "under- and over-exposed images"),
}
NAMES = {"ir": "infrared", "vis": "visible", "ct": "CT", "pet": "PET", "spect": "SPECT", "mri": "MR"}
NAMES |= {"near": "focused near", "far": "focused far", "under": "under-exposed", "over": "over-exposed"}
CITATION = """@inproceedings{wang2026sigfusion,
  title = {SigFusion: Unified Signal-Level Self-Supervised Learning Paradigm for Image Fusion},
  author = {Wang, Zeyu and Feng, Jiawei and Wang, Jiayu and Wang, Pengjie and Song, Haiyu},
  booktitle = {Proceedings of the AAAI Conference on Artificial Intelligence},
  year = {2026}
}"""


@dataclass(frozen=True)
class CardFacts:
    """What the card says beside the contents.

    Attributes:
        task: of the pairs.
        side: of the images, pixels.
        about: title, description and the like.
        realism: as it was measured, if it was.
        growth: since an earlier version, if there is one.
        picture: what its columns are, left to right; empty without a picture.
        model: fingerprint of the model that made the pairs.
    """

    task: str
    side: int
    about: CroissantFacts
    realism: "RealismTable | None" = None
    growth: ReleaseGrowth | None = None
    picture: Sequence[str] = ()
    model: str = ""


def card(told: CardFacts, contents: ReleaseContents, credits: Sequence[PhotoCredit]) -> str:
    """The README.md of a release: YAML for the Hub, then the page.

    Args:
        told: what is said of the whole.
        contents: of the shards.
        credits: the photographs.
    """
    sections = (_what, _picture, _made, _realism, _load, _photographs, _limits, _new, _cite)
    front = yaml.safe_dump(_front(told, contents, credits), sort_keys=False, allow_unicode=True)
    parts = [text for section in sections if (text := section(told, contents, credits))]
    return f"---\n{front}---\n\n" + "\n\n".join(parts) + "\n"


def _front(told: CardFacts, contents: ReleaseContents, credits: Sequence[PhotoCredit]) -> dict[str, object]:
    licence = hub_licence([credit.licence for credit in credits])
    named = {"license_name": "per-photograph", "license_link": "LICENSE"} if licence == "other" else {}
    size = next((name for most, name in SIZES if contents.pairs < most), "n>1M")
    return {
        "pretty_name": f"{told.about.title.name} {told.about.title.version}",
        "license": licence,
        **named,
        "task_categories": ["image-to-image"],
        "tags": list(told.about.keywords),
        "size_categories": [size],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "*.tar"}]}],
    }


def _what(told: CardFacts, contents: ReleaseContents, credits: Sequence[PhotoCredit]) -> str:
    by_subtask = contents.subtasks
    names = [
        f"{count} {' and '.join(NAMES[name] for name in modalities(told.task, subtask))}"
        for subtask, count in by_subtask.items()
    ]
    size, shards = contents.bytes / 1e6, len(contents.shards)
    return f"""# {told.about.title.name} {told.about.title.version}

{told.about.description}

| | |
|---|---|
| pairs | {contents.pairs} ({", ".join(names)}) |
| images | {told.side} x {told.side} pixels, 8 bits, lossless {told.about.extension.upper()} |
| made of | {len(credits)} photographs |
| for | training networks for {TASK_TEXTS[told.task][0]} |
| size | {size:,.1f} MB in {shards} tar {"shard" if shards == 1 else "shards"} |
| licence | that of each photograph, see [LICENSE](LICENSE) |"""


def _picture(told: CardFacts, contents: ReleaseContents, credits: Sequence[PhotoCredit]) -> str:
    return (
        f"![{', '.join(told.picture)}]({PICTURE})\n\nLeft to right: {', '.join(told.picture)}." if told.picture else ""
    )


def _made(told: CardFacts, contents: ReleaseContents, credits: Sequence[PhotoCredit]) -> str:
    failures = contents.failures
    left_out = f" {failures} candidates failed a check; the tables beside the shards say why." if failures else ""
    model = f" The model's fingerprint is `{told.model[:16]}`." if told.model else ""
    return f"""## How the pairs were made

Squares of each photograph were cut out and scaled. A network, the PLGN of SigFusion, has learned from pairs and their
fused images what the signals of {TASK_TEXTS[told.task][1]} are like. It modulates those of the
photograph, subband by subband, and so makes two images of one scene. They are registered to the pixel, for both come
from one picture.{model}

Photographs that resemble test images, doubles, and pairs that came out empty or unchanged were left out.{left_out}
`provenance.json` has the commit, all parameters and the hashes of everything that was read."""


def _realism(told: CardFacts, contents: ReleaseContents, credits: Sequence[PhotoCredit]) -> str:
    if told.realism is None:
        return ""
    head = f"""## Realism, before and after

How far the photographs (before) and the synthetic images (after) are from real images of the modality. Smaller is
nearer; two halves of the real images are as far apart as the column "real" says. {told.realism.against}"""
    tables = []
    for modality, rows in told.realism.rows.items():
        lines = ["| measure | real | photographs | synthetic |", "|---|---|---|---|"]
        tables.append("\n".join([f"**{NAMES[modality]}**", "", *lines, *(f"| {' | '.join(row)} |" for row in rows)]))
    return "\n\n".join([head, *tables, *(f"Not measured: {sentence}" for sentence in told.realism.left_out)])


def _load(told: CardFacts, contents: ReleaseContents, credits: Sequence[PhotoCredit]) -> str:
    a, b = (NAMES[name] for name in modalities(told.task, next(iter(contents.subtasks))))
    ext = told.about.extension
    return f"""## How to load it

A sample has three members: `KEY.a.{ext}` ({a}), `KEY.b.{ext}` ({b}) and `KEY.json`. The JSON names photograph, crop,
licence and attribution.

```python
# Hugging Face datasets
from datasets import load_dataset
pairs = load_dataset("webdataset", data_files="*.tar", split="train", streaming=True)

# webdataset
import glob, webdataset as wds
shards = sorted(glob.glob("*.tar"))
pairs = wds.WebDataset(shards, shardshuffle=False).decode("rgb8", pre=[], post=[])

# SigForge: every byte is checked against its sha256
from sigforge.shards.loader import ShardLoader
from sigforge.shards.stream import ShardDataset
for a, b, facts in ShardLoader(ShardDataset("."), batch=16):
    ...
```

`sha256sum -c SHA256SUMS` checks the files, `sigforge verify .` also every member and every count."""


def _photographs(told: CardFacts, contents: ReleaseContents, credits: Sequence[PhotoCredit]) -> str:
    counts = Counter((credit.source or "unnamed source", credit.licence) for credit in credits)
    rows = [f"| {source} | {licence} | {count} |" for (source, licence), count in sorted(counts.items())]
    return "\n".join(
        [
            "## The photographs",
            "",
            "`ATTRIBUTION.parquet` names photograph, author, licence and changes, one row each.",
            "",
            "| source | licence | photographs |",
            "|---|---|---|",
            *rows,
        ]
    )


def _limits(told: CardFacts, contents: ReleaseContents, credits: Sequence[PhotoCredit]) -> str:
    return """## Limits

- The images are synthetic. They show what a network has learned of a modality, not what a sensor would have seen: no
  heat is measured, no tissue is depicted. They are for training and for method research, never for measuring.
- Do not report test scores on them. Fusion networks trained here need real pairs to be judged.
- What photographs lack, the pairs lack too: their subjects, places and people are those that people upload."""


def _new(told: CardFacts, contents: ReleaseContents, credits: Sequence[PhotoCredit]) -> str:
    if not told.growth:
        return ""
    names = "\n".join(f"- `{name}`" for name in told.growth.shards)
    return f"""## New since {told.growth.since}

{told.growth.pairs} more pairs, in shards that are new or longer; every earlier pair keeps its number and its bytes.

{names}"""


def _cite(told: CardFacts, contents: ReleaseContents, credits: Sequence[PhotoCredit]) -> str:
    title = told.about.title
    return f"""## How to cite

Name the release `{title.name}` and its version `{title.version}`, and credit the photographs.

```bibtex
{told.about.citation or CITATION}
```"""
