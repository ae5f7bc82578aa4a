import ast
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sigforge.core.errors import UserError
from sigforge.core.parquet import read_table, read_table_bytes

ROOT = Path(__file__).parents[2]
DOOR = ROOT / "components/sigforge/core/parquet.py"
READERS = {"read_table", "read_pandas", "read_parquet", "read_metadata", "read_schema", "ParquetFile", "ParquetDataset"}
TABLE = pa.table({"key": ["a", "b", "c"], "n": [1, 2, 3]})


def read_elsewhere(path):
    """Lines that read Parquet by pyarrow or pandas, not by the door."""
    tree = ast.parse(path.read_bytes())
    return [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in READERS
    ] + [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").startswith(("pyarrow", "pandas"))
        and {alias.name for alias in node.names} & (READERS | {"dataset", "BufferReader"})
    ]


def test_parquet_is_read_through_one_door():
    files = [path for top in ("components", "flows", "benchmarks") for path in (ROOT / top).rglob("*.py")]
    assert len(files) > 150 and read_elsewhere(DOOR)
    assert [line for path in files if path != DOOR for line in read_elsewhere(path)] == []


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
