"""Source ``catalogue``: a data set that :mod:`sigforge.dataset.catalogue` knows, where it was unpacked."""

from typing import Literal

from pydantic import Field, field_validator

from sigforge.core.errors import UserError
from sigforge.dataset.catalogue.entry import entry_of
from sigforge.dataset.catalogue.reading import DatasetImport, read_dataset
from sigforge.dataset.sequences import write_sequences
from sigforge.dataset.sources.registry import SourceFinds, SourceOptions, SourceRequest, pair_source, photo_source


class CatalogueSource(SourceOptions):
    """A data set of the catalogue, where it was unpacked; its layout is recognised."""

    kind: Literal["catalogue"]
    name: str
    root: str
    published: bool = Field(True, description="keep the split that its authors have published, if they have")
    limit: int | None = Field(None, ge=1)

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            return entry_of(name).name
        except UserError as error:
            raise ValueError(str(error)) from None


@pair_source(CatalogueSource)
def find_catalogue_pairs(options: CatalogueSource, request: SourceRequest) -> SourceFinds:
    """The pairs of a data set, with the splits that its authors have published."""
    read = _read(options, request)
    if read.sequences:
        write_sequences(read.sequences, request.folder / f"sequences-{options.name}.parquet")
    splits = read.splits if options.published else {}
    return SourceFinds(read.pairs[: options.limit], read.quarantined, notes=read.odd, splits=splits)


@photo_source(CatalogueSource)
def find_catalogue_photos(options: CatalogueSource, request: SourceRequest) -> SourceFinds:
    """The photographs of a data set."""
    read = _read(options, request)
    return SourceFinds(read.photos[: options.limit], read.quarantined, notes=read.odd)


def _read(options: CatalogueSource, request: SourceRequest) -> DatasetImport:
    entry = entry_of(options.name)
    if entry.task != request.task:
        raise UserError(f"ingest.{request.task}: {entry.title} is a data set of {entry.task}: name it there")
    return read_dataset(entry, request.resolve(options.root))
