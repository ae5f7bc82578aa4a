"""The one door through which Parquet is read and written.

Read with its defaults, pyarrow leaves work of its thread pool behind: beside torch, six processes of twenty then ended
with SIGABRT, their work done and their exit code 134. What is set here starts no thread.

Files are opened here and handed over open: pyarrow takes a path for an address first, and names that are not UTF-8 not
at all.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sigforge.core.errors import UserError


def read_table(path: str | Path) -> pa.Table:
    """A table on the disk, its schema's metadata included.

    Row groups are read one by one: a million photographs at once would take twice their size.

    Raises:
        UserError: no such file, or not a Parquet table.
    """
    try:
        with open(path, "rb") as opened, pq.ParquetFile(opened, pre_buffer=False) as file:
            groups = [file.read_row_group(n, use_threads=False) for n in range(file.num_row_groups)]
            return pa.concat_tables(groups) if groups else file.schema_arrow.empty_table()
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such table: run the stage that writes it first") from error
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path}: not a readable Parquet table: write it again") from error


def read_table_bytes(data: bytes) -> pa.Table:
    """The table in the bytes of a file.

    Raises:
        OSError, pyarrow.ArrowException: they are damaged.
    """
    with pq.ParquetFile(io.BytesIO(data), pre_buffer=False) as file:
        return file.read(use_threads=False)


def schema_metadata(path: str | Path) -> dict[bytes, bytes]:
    """What stands beside a table's columns; nothing is read but its end."""
    with open(path, "rb") as opened, pq.ParquetFile(opened, pre_buffer=False) as file:
        return dict(file.schema_arrow.metadata or {})


def write_parquet(table: pa.Table, path: str | Path, **options: object) -> None:
    """Write a table whole.

    Args:
        table: what is written.
        path: of the file.
        **options: those of :func:`pyarrow.parquet.write_table`.
    """
    with open(path, "wb") as file:
        pq.write_table(table, file, **options)


def parquet_bytes(table: pa.Table, **options: object) -> bytes:
    """The bytes that :func:`write_parquet` writes."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


@contextmanager
def parquet_writer(path: str | Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """Write a table part by part."""
    with open(path, "wb") as file, pq.ParquetWriter(file, schema) as writer:
        yield writer
