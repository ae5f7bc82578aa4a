import hashlib
import io
import os
import tarfile

import pytest

from sigforge.shards.tar import hashed_tar, header


def reference(members):
    """By the standard library, with the header fields that are fixed."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


CASES = {
    "none": [],
    "one": [("000000000.a.webp", b"x")],
    "edges": [
        (f"{size:09d}.b.png", bytes(range(256)) * 40 * (size > 0) + b"y" * size) for size in (0, 1, 511, 512, 513)
    ],
    "record": [("0.json", bytes(tarfile.RECORDSIZE - 3 * 512))],
    "several pieces": [(f"{n}.a.png", os.urandom(1 << 20)) for n in range(11)],
}


@pytest.mark.parametrize("members", CASES.values(), ids=CASES)
def test_the_bytes_are_those_of_tarfile(tmp_path, members):
    with (tmp_path / "t.tar").open("wb") as file, hashed_tar(file) as tar:
        starts = [tar.add(name, data) for name, data in members]
    written = (tmp_path / "t.tar").read_bytes()
    assert written == reference(members)
    assert (tar.size, tar.sha256) == (len(written), hashlib.sha256(written).hexdigest())
    assert all(written[start : start + len(data)] == data for start, (_, data) in zip(starts, members, strict=True))


def test_long_names_are_refused():
    assert len(header("n" * 100, 0)) == 512
    with pytest.raises(ValueError, match="a member's name has at most 100 bytes"):
        header("n" * 101, 0)


def test_a_writer_that_fails_does_not_close_the_tar(tmp_path):
    with pytest.raises(RuntimeError), (tmp_path / "t.tar").open("wb") as file, hashed_tar(file) as tar:
        tar.add("0.json", b"{}")
        raise RuntimeError
    assert (tmp_path / "t.tar").read_bytes() == b"" and tar.sha256 == ""
