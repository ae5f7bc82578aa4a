import errno
import hashlib
import os

import pytest

from sigforge.core.errors import NameRefused, UserError
from sigforge.core.files import (
    atomic_path,
    canonical_json,
    fingerprint,
    hash_of,
    sha256_bytes,
    sha256_file,
    write_atomic,
)


def names(folder):
    return sorted(os.listdir(folder))


@pytest.mark.parametrize("data", [b"\x00\xff bytes", "text with é\r\n"])
def test_write_atomic_writes_exactly_the_data(tmp_path, data):
    path = tmp_path / "new" / "folder" / "file.txt"
    write_atomic(path, data)
    assert path.read_bytes() == (data if isinstance(data, bytes) else data.encode())
    assert names(path.parent) == ["file.txt"]


def test_file_keeps_the_permissions_of_a_plain_write(tmp_path):
    (tmp_path / "plain").write_bytes(b"x")
    write_atomic(tmp_path / "atomic", b"x")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_old_content_stands_until_the_block_ends(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic_path(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == tmp_path
    assert path.read_text() == "new"


def test_temporary_is_hidden_and_keeps_the_suffix_on_request(tmp_path):
    with atomic_path(tmp_path / "a.png") as temporary:
        assert temporary.name.startswith(".a.png.") and temporary.name.endswith(".tmp")
        temporary.touch()
    with atomic_path(tmp_path / "a.png", keep_suffix=True) as temporary:
        assert temporary.name.startswith(".a.") and temporary.name.endswith(".tmp.png")
        temporary.touch()


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    with atomic_path(tmp_path / "a") as one, atomic_path(tmp_path / "a") as two:
        one.write_text("one")
        two.write_text("two")
    assert names(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "one"


@pytest.mark.parametrize("fault", [RuntimeError, KeyboardInterrupt])
def test_a_failing_block_leaves_the_old_file_and_nothing_else(tmp_path, fault):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(fault), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise fault
    assert names(tmp_path) == ["a.txt"] and path.read_text() == "old"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_full_disk_is_one_line_and_leaves_nothing(tmp_path, monkeypatch, code, call):
    def full(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, full)
    with pytest.raises(UserError) as caught:
        write_atomic(tmp_path / "a.txt", b"data")
    assert str(caught.value) == (
        f"disk full while writing {tmp_path}/a.txt: free space or point 'data' elsewhere; finished work is kept"
    )
    assert names(tmp_path) == []


def test_full_disk_inside_the_writer(tmp_path):
    with pytest.raises(UserError, match="disk full"), atomic_path(tmp_path / "a") as temporary:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert names(tmp_path) == []


def test_permission_is_named(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "a"))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(UserError, match=r"a: permission denied: change its owner"):
        write_atomic(tmp_path / "a", b"data")
    assert names(tmp_path) == []


def test_file_in_place_of_a_folder(tmp_path):
    (tmp_path / "data").write_text("a file")
    with pytest.raises(UserError, match="a file stands where a folder is needed"):
        write_atomic(tmp_path / "data" / "a", b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="a folder where the file goes"):
        write_atomic(tmp_path / "folder", b"")
    assert names(tmp_path) == ["data", "folder"]


def test_other_faults_keep_their_type(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a"):
        (tmp_path / "missing").read_text()
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "never-written"):
        pass
    assert names(tmp_path) == []


def test_file_and_folder_are_flushed_before_and_after_the_rename(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(
        os, "fsync", lambda fd: (calls.append(os.path.basename(os.readlink(f"/proc/self/fd/{fd}"))), fsync(fd))
    )
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("rename"), replace(a, b)))
    write_atomic(tmp_path / "a", b"x")
    assert [call.startswith(".a.") or call for call in calls] == [True, "rename", tmp_path.name]


def test_hashes_agree_with_hashlib(tmp_path):
    data = bytes(range(256)) * 9000
    (tmp_path / "a").write_bytes(data)
    assert sha256_file(tmp_path / "a") == sha256_bytes(data) == hashlib.sha256(data).hexdigest()


def test_canonical_json_has_one_spelling():
    assert canonical_json({"b": 1, "a": {"d": [1, 2], "c": "é"}}) == '{"a":{"c":"é","d":[1,2]},"b":1}'
    assert hash_of({"a": 1, "b": 2}) == hash_of({"b": 2, "a": 1}) != hash_of({"a": 1, "b": 3})
    assert hash_of({}) == hashlib.sha256(b"{}").hexdigest()
    with pytest.raises(ValueError):
        canonical_json({"a": float("nan")})
    with pytest.raises(TypeError):
        canonical_json({"a": object()})


def test_fingerprint_depends_on_names_and_contents_only(tmp_path):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "one").write_text("1")
        (tmp_path / folder / "two").write_text("2")
    x, y = ([tmp_path / folder / name for name in ("one", "two")] for folder in "xy")
    assert fingerprint(x) == fingerprint(y[::-1])
    (tmp_path / "y" / "two").write_text("3")
    assert fingerprint(x) != fingerprint(y)
    (tmp_path / "y" / "two").rename(tmp_path / "y" / "three")
    (tmp_path / "y" / "three").write_text("2")
    assert fingerprint(x) != fingerprint([tmp_path / "y" / "one", tmp_path / "y" / "three"])


@pytest.mark.parametrize("keep_suffix", [False, True])
@pytest.mark.parametrize(
    "name", ["x" * 251 + ".png", "夜" * 83 + ".png", os.fsdecode("夜".encode("gbk") * 120) + ".png"]
)
def test_the_longest_names_are_written(tmp_path, name, keep_suffix):
    assert len(os.fsencode(name)) > 240
    with atomic_path(tmp_path / name, keep_suffix=keep_suffix) as temporary:
        temporary.write_bytes(b"1")
        assert temporary.suffix == (".png" if keep_suffix else ".tmp")
    assert (tmp_path / name).read_bytes() == b"1" and len(list(tmp_path.iterdir())) == 1


def test_a_longer_name_is_one_line_of_its_own_kind(tmp_path):
    with pytest.raises(NameRefused, match="this file system takes no such name"):
        write_atomic(tmp_path / ("x" * 256), b"1")
    assert list(tmp_path.iterdir()) == []
