"""The Croissant description of a release (https://docs.mlcommons.org/croissant/docs/croissant-spec-1.0.html).

Written by hand, since a description is plain JSON; tests read it with ``mlcroissant``, records included.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from sigforge.release.attribution import CREDITS
from sigforge.release.layout import ATTRIBUTION, ReleaseTitle
from sigforge.shards.layout import SAMPLES

CONFORMS = "http://mlcommons.org/croissant/1.0"
_PARQUET, _TAR = "application/x-parquet", "application/x-tar"
_TYPES = {pa.string(): "sc:Text", pa.int32(): "sc:Integer", pa.int64(): "sc:Integer"}
_TERMS = (
    "citeAs",
    "column",
    "equivalentProperty",
    "extract",
    "field",
    "fileProperty",
    "fileObject",
    "fileSet",
    "format",
    *("includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references"),
    *("regex", "repeated", "replace", "samplingRate", "separator", "source", "subField", "transform"),
)
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in _TERMS},
}


@dataclass(frozen=True)
class CroissantFacts:
    """What a description says beside the files.

    Attributes:
        title: name and version.
        description: a sentence or two.
        licences: addresses, or names where there is none.
        keywords: for catalogues.
        modalities: names of ``a`` and ``b``.
        extension: of the images, ``webp`` or ``png``.
        creator: a name; empty if none is given.
        homepage: address; empty likewise.
        citation: BibTeX; empty likewise.
        date: ``2026-11-28``; empty likewise.
    """

    title: ReleaseTitle
    description: str
    licences: Sequence[str]
    keywords: Sequence[str]
    modalities: tuple[str, str]
    extension: str
    creator: str = ""
    homepage: str = ""
    citation: str = ""
    date: str = ""


def croissant_text(about: CroissantFacts, sums: Mapping[str, str], sizes: Mapping[str, int]) -> str:
    """The JSON-LD of a release.

    Args:
        about: what it is.
        sums: sha256 of the tars, of the tables beside them and of the attribution table, by name.
        sizes: their bytes.
    """
    tars, tables = (sorted(name for name in sums if name.endswith(end)) for end in (".tar", ".parquet"))
    series, kind = tars[0].rsplit("-", 1)[0], about.extension
    tree = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS,
        "name": about.title.name,
        "version": about.title.version,
        "description": about.description,
        "license": list(about.licences),
        "keywords": list(about.keywords),
        **_optional(about),
        "distribution": [
            *(_file(name, sums[name], sizes[name]) for name in (*tars, *tables)),
            _file_set("tables", f"{series}-*.parquet", _PARQUET),
            *(_file_set(f"{side}-images", f"*.{side}.{kind}", f"image/{kind}", tars) for side in "ab"),
        ],
        "recordSet": [
            *(_images(side, name) for side, name in zip("ab", about.modalities, strict=True)),
            _columns(
                "samples", "A row per sample; those that failed say why.", {"fileSet": {"@id": "tables"}}, SAMPLES
            ),
            _columns("photographs", "Whom to name.", {"fileObject": {"@id": ATTRIBUTION}}, CREDITS),
        ],
    }
    return json.dumps(tree, indent=1, ensure_ascii=False) + "\n"


def _optional(about: CroissantFacts) -> dict[str, object]:
    creator = {"@type": "sc:Organization", "name": about.creator} if about.creator else None
    facts = {"creator": creator, "url": about.homepage, "citeAs": about.citation, "datePublished": about.date}
    return {name: value for name, value in facts.items() if value}


def _file(name: str, sha256: str, size: int) -> dict[str, object]:
    kind = _TAR if name.endswith(".tar") else _PARQUET
    facts = {"name": name, "contentUrl": name, "contentSize": f"{size} B", "encodingFormat": kind, "sha256": sha256}
    return {"@type": "cr:FileObject", "@id": name, **facts}


def _file_set(name: str, includes: str, kind: str, within: Sequence[str] = ()) -> dict[str, object]:
    """Files of one kind: inside tars, or beside the description."""
    where = {"containedIn": [{"@id": file} for file in within]} if within else {}
    facts = {"name": name, **where, "includes": includes, "encodingFormat": kind}
    return {"@type": "cr:FileSet", "@id": name, **facts}


def _images(side: str, modality: str) -> dict[str, object]:
    """One image of every pair by its key. mlcroissant cannot join two sets of files, so readers join by ``key``."""
    files = {"fileSet": {"@id": f"{side}-images"}}
    digits = files | {"extract": {"fileProperty": "filename"}, "transform": {"regex": r"^(\d+)\..*$"}}
    key = _field(f"{side}/key", "Number of the pair.", "sc:Text", digits)
    pixels = files | {"extract": {"fileProperty": "content"}}
    image = _field(f"{side}/image", f"The {modality} image.", "sc:ImageObject", pixels)
    told = f"The {modality} image of every pair; its partner has the same key."
    return _record_set(side, told, [key, image]) | {"key": {"@id": f"{side}/key"}}


def _columns(name: str, description: str, where: dict[str, object], schema: pa.Schema) -> dict[str, object]:
    fields = [
        _field(f"{name}/{column.name}", "", _TYPES[column.type], where | {"extract": {"column": column.name}})
        for column in schema
    ]
    return _record_set(name, description, fields)


def _record_set(name: str, description: str, fields: Sequence[dict[str, object]]) -> dict[str, object]:
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "description": description, "field": list(fields)}


def _field(name: str, description: str, kind: str, source: Mapping[str, object]) -> dict[str, object]:
    told = {"description": description} if description else {}
    return {"@type": "cr:Field", "@id": name, "name": name, **told, "dataType": kind, "source": source}
