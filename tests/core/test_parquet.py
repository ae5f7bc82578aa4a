import ast
import contextlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sigforge.core.errors import UserError
from sigforge.core.parquet import (
    parquet_bytes,
    parquet_writer,
    read_table,
    read_table_bytes,
    schema_metadata,
    write_parquet,
)

ROOT = Path(__file__).parents[2]
DOOR = ROOT / "components/sigforge/core/parquet.py"
TABLE = pa.table({"key": ["a", "b", "c"], "n": [1, 2, 3]})


def opens_parquet(path):
    """Whether a module imports pyarrow.parquet, or reads Parquet by pandas."""
    names = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Attribute):
            names.add(node.attr)
    return bool(names & {"pyarrow.parquet", "pyarrow.dataset", "read_parquet", "BufferReader"})


def test_parquet_is_read_and_written_through_one_door():
    files = [path for top in ("components", "flows", "benchmarks") for path in (ROOT / top).rglob("*.py")]
    assert len(files) > 150
    assert [path.relative_to(ROOT).as_posix() for path in files if opens_parquet(path)] == [
        DOOR.relative_to(ROOT).as_posix()
    ]


@pytest.mark.parametrize("name", [os.fsdecode("夜".encode("gbk")), "file:x", "s3:x", "a%2Fb?c"])
def test_a_path_is_no_address(tmp_path, name):
    path = tmp_path / name / "t.parquet"
    path.parent.mkdir()
    write_parquet(TABLE, path)
    with contextlib.chdir(tmp_path):
        assert read_table(Path(name) / "t.parquet").equals(TABLE)
    with parquet_writer(path, TABLE.schema) as writer:
        writer.write_table(TABLE)
    assert read_table(path).equals(TABLE) and schema_metadata(path).keys() <= {b"ARROW:schema"}
    assert parquet_bytes(TABLE) == path.read_bytes()


@pytest.mark.parametrize("rows", [0, 1, 2, 100])
def test_a_table_comes_back_whole(tmp_path, rows):
    table = TABLE.replace_schema_metadata({"key": "key"})[:0] if not rows else TABLE.replace_schema_metadata({"k": "v"})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=rows or 1)
    for found in (read_table(tmp_path / "t.parquet"), read_table_bytes((tmp_path / "t.parquet").read_bytes())):
        assert found.equals(table) and found.schema.metadata.items() >= table.schema.metadata.items()


@pytest.mark.parametrize(
    ("content", "word"), [(None, "no such table"), (b"PAR1nothing", "not a readable Parquet table")]
)
def test_what_is_no_table_is_one_line(tmp_path, content, word):
    path = tmp_path / "t.parquet"
    if content:
        path.write_bytes(content)
    with pytest.raises(UserError, match=word):
        read_table(path)


def test_processes_that_have_read_end_well(tmp_path):
    """With pyarrow's defaults one in five did not. A series of 200 stands in docs/faults.md."""
    pq.write_table(TABLE, tmp_path / "t.parquet")
    code = "import sys, torch\nfrom sigforge.core.parquet import read_table, read_table_bytes\n"
    code += "read_table(sys.argv[1]); read_table_bytes(open(sys.argv[1], 'rb').read())"
    command = [sys.executable, "-c", code, str(tmp_path / "t.parquet")]
    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(lambda _: subprocess.run(command).returncode, range(4))) == {0}
