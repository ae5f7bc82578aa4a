import errno
import os
import pickle
import sys
import tempfile
from pathlib import Path

import pytest

from sigforge.core import storage
from sigforge.core.errors import UserError
from sigforge.core.files import atomic_path, write_atomic
from sigforge.core.storage import RemoteError, check_reachable, fetched, place, remove_leftovers, size_of


def names(folder):
    return [path.name for path in folder.iterdir()]


@pytest.mark.parametrize("text", ["s3://", "s3:///", "gs://bucket/x", "http://host/x"])
def test_other_addresses_are_refused(text):
    with pytest.raises(UserError, match=r"not a place for shards: give a local folder or s3://bucket/prefix"):
        place(text)


def test_no_s3fs_is_one_clear_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(UserError, match=r"s3:// needs s3fs: pip install 'sigforge\[s3\]', or give a local folder"):
        place("s3://bucket/prefix")
    assert place("some/folder") == Path("some/folder")


def test_names_are_those_of_a_path(s3):
    path = s3.folder / "vif-train-000000.tar"
    assert (path.name, path.stem, path.suffix) == ("vif-train-000000.tar", "vif-train-000000", ".tar")
    assert str(path.with_suffix(".json")) == f"{s3.folder}/vif-train-000000.json"
    assert place(f"{s3.folder}/") == s3.folder == pickle.loads(pickle.dumps(s3.folder))


def test_what_is_written_is_read_and_listed(s3):
    assert names(s3.folder) == [] and not s3.folder.is_dir()
    for name, data in (("b.json", "text é"), ("a.tar", b"\x00\xff" * 500), ("deeper/c.tar", b"c")):
        write_atomic(s3.folder / name, data)
    assert names(s3.folder) == ["a.tar", "b.json"] and s3.folder.is_dir()
    assert names(s3.folder / "deeper") == ["c.tar"]
    assert [path.name for path in s3.folder.glob("*.js*n")] == ["b.json"]
    assert (s3.folder / "b.json").read_text() == "text é"
    assert size_of(s3.folder / "a.tar") == 1000
    assert size_of(s3.folder / "none") is None and size_of(s3.folder / "deeper") is None
    with (s3.folder / "a.tar").open() as file:
        assert file.read(3) == b"\x00\xff\x00"
        file.seek(999)
        assert file.read(7) == b"\xff"


def test_size_of_a_local_file(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert size_of(tmp_path / "a") == 3 and size_of(tmp_path / "b") is None


def test_missing_objects_are_what_missing_files_are(s3):
    for call in (lambda p: p.read_bytes(), lambda p: p.open(), lambda p: p.unlink()):
        with pytest.raises(FileNotFoundError):
            call(s3.folder / "none")
    (s3.folder / "none").unlink(missing_ok=True)
    write_atomic(s3.folder / "some", b"1")
    (s3.folder / "some").unlink()
    assert not (s3.folder / "some").exists()


@pytest.mark.parametrize("fault", [RuntimeError, KeyboardInterrupt])
def test_old_content_stands_until_the_block_ends_well(s3, fault):
    path = s3.folder / "a"
    write_atomic(path, b"old")
    with pytest.raises(fault), atomic_path(path) as temporary:
        temporary.write_bytes(b"half")
        raise fault
    assert path.read_bytes() == b"old" and names(s3.folder) == ["a"]
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_temporary_files_have_no_name_that_a_kill_could_leave(s3, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with atomic_path(s3.folder / "a") as temporary:
        temporary.write_bytes(b"x")
        assert os.listdir(tmp_path) == []
    with fetched(s3.folder / "a") as copy:
        assert copy.read_bytes() == b"x" and os.listdir(tmp_path) == []


def test_large_objects_go_in_parts(s3, monkeypatch):
    monkeypatch.setattr(storage, "PART", 5 << 20)
    data = os.urandom(11 << 20)
    write_atomic(s3.folder / "large", data)
    with fetched(s3.folder / "large") as copy:
        assert copy.read_bytes() == data


def test_leftovers_are_removed_here_and_nowhere_else(s3, tmp_path):
    fs, bucket = storage._s3(), s3.folder.place.parts[0]
    for key in ("shards/vif/x.tar", "shards/vif/deeper/x.tar", "shards/x.tar"):
        fs.call_s3("create_multipart_upload", Bucket=bucket, Key=key)
    remove_leftovers(s3.folder)
    left = fs.call_s3("list_multipart_uploads", Bucket=bucket)["Uploads"]
    assert sorted(upload["Key"] for upload in left) == ["shards/vif/deeper/x.tar", "shards/x.tar"]
    for name in (".a.tar.0123.tmp", ".a.0123.tmp.png", "a.tar"):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert os.listdir(tmp_path) == ["a.tar"]


CALLS = {
    "list": lambda folder: list(folder.iterdir()),
    "reach": check_reachable,
    "clean": remove_leftovers,
    "write": lambda folder: write_atomic(folder / "a", b"x"),
    "unlink": lambda folder: (folder / "a").unlink(missing_ok=True),
}
READS = {
    "size": lambda folder: size_of(folder / "a"),
    "read": lambda folder: (folder / "a").read_bytes(),
    "open": lambda folder: (folder / "a").open(),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_missing_bucket_is_one_line(s3, call):
    with pytest.raises(RemoteError, match=r"^s3://nowhere: no such bucket: create it, or correct the address$"):
        CALLS[call](place("s3://nowhere/shards"))


@pytest.mark.parametrize("call", [*(CALLS.keys() - {"clean"}), *READS])
def test_a_wrong_key_is_one_line(s3, call):
    s3.requests_before_keys_are_checked(b"0")
    try:
        with pytest.raises(
            RemoteError, match=r"^s3://\S+: access refused \(.+\): check the access key.+, then run again$"
        ):
            (CALLS | READS)[call](s3.folder)
    finally:
        s3.requests_before_keys_are_checked(b"inf")


def test_no_key_is_one_line(s3, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    client = type(storage._s3())(use_listings_cache=False, skip_instance_cache=True)  # the other has its key already
    monkeypatch.setattr(storage, "_s3", lambda: client)
    with pytest.raises(RemoteError, match=r"access refused \(Unable to locate credentials\): check the access key"):
        check_reachable(s3.folder)


@pytest.mark.parametrize("call", CALLS | READS)
def test_a_lost_connection_is_one_line(s3, call):
    write_atomic(s3.folder / "a", b"x")
    s3.stop()
    with pytest.raises(
        RemoteError, match=r"^s3://\S+: S3 does not answer, or broke off \(.+\): check the network and AWS_"
    ):
        (CALLS | READS)[call](s3.folder)
    s3.start()
    assert (s3.folder / "a").read_bytes() == b"x"


def test_a_connection_lost_while_reading_is_one_line(s3, monkeypatch):
    write_atomic(s3.folder / "a", bytes(5000))
    monkeypatch.setattr(storage, "PART", 1 << 10)
    with (s3.folder / "a").open() as file:
        assert file.read(10) == bytes(10)
        s3.stop()
        with pytest.raises(RemoteError, match="S3 does not answer, or broke off"):
            file.read()


def test_a_full_disk_of_temporary_files_is_one_line(s3):
    with pytest.raises(UserError, match=r"disk full: shards for S3 are made there first; free space or set TMPDIR"):
        with atomic_path(s3.folder / "a"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert names(s3.folder) == []


def test_faults_of_ours_keep_their_type(s3):
    with pytest.raises(AttributeError), storage._explained(s3.folder):
        None.x  # noqa: B018
