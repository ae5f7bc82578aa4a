import os
import shlex
import sys
import time

import numpy as np
import psutil
import pytest

from sigforge.core.errors import UserError
from sigforge.core.files import sha256_file
from sigforge.core.images import read_image, write_image
from sigforge.dataset.tables import Pair
from sigforge.methods.external.command import command_files, run_command
from sigforge.methods.external.options import CommandOptions

COPY = """
import shutil, sys
from pathlib import Path
a, b, out = map(Path, sys.argv[1:4])
for file in a.iterdir():
    assert (b / file.name).exists()
    shutil.copy(file, out / file.name)
print("copied", len(list(out.iterdir())))
"""


@pytest.fixture
def pairs(tmp_path):
    made = []
    for index in range(3):
        paths = [tmp_path / f"{side}{index}.png" for side in "ab"]
        for path in paths:
            write_image(path, np.full((20, 24), index / 4), bit_depth=16 if index else 8)
        made.append(Pair(f"p{index}", "vif", "vif", "train", *map(str, paths), "", "", 20, 24, 1, 1, "mine", ""))
    return made


@pytest.fixture
def program(tmp_path):
    def write(text, **limits):
        path = tmp_path / "program with spaces.py"
        path.write_text(text)
        words = (sys.executable, str(path), "{a}", "{b}", "{out}")
        command = " ".join(word if word[0] == "{" else shlex.quote(word) for word in words)
        return CommandOptions(external="command", command=command, **limits)

    return write


def test_images_go_in_and_come_out_with_their_depth(pairs, program, tmp_path):
    log = tmp_path / "log"
    with run_command(program(COPY), pairs, log) as done:
        assert (done.problem, done.unread) == ("", {}) and done.seconds > 0
        depths = [read_image(done.out / f"{pair.pair_id}.png")[1].bit_depth for pair in pairs]
        folder = done.out.parent
    assert depths == [8, 16, 16] and not folder.exists()
    said = log.read_text()
    assert "copied 3" in said and said.startswith("$ ") and said.endswith("# finished\n")


def test_the_log_is_kept_over_several_runs(pairs, program, tmp_path):
    for _ in range(2):
        with run_command(program(COPY), pairs[:1], tmp_path / "log"):
            pass
    assert (tmp_path / "log").read_text().count("copied 1") == 2


def test_a_failure_is_one_line_with_the_log(pairs, program, tmp_path):
    with run_command(program(COPY + "sys.exit(3)"), pairs, tmp_path / "log") as done:
        assert done.problem == f"the command ended with exit code 3; see {tmp_path / 'log'}"
        assert len(list(done.out.iterdir())) == 3


def ended(pid, seconds=5):
    """Whether a process is gone, or soon will be: the kernel takes a moment where the machine is busy."""
    until = time.monotonic() + seconds
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def test_a_hanging_program_is_ended_with_all_it_started(pairs, program, tmp_path):
    hang = (
        f"import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid)); time.sleep(60)"
    )
    started = time.monotonic()
    with run_command(program(hang, timeout=2), pairs, tmp_path / "log") as done:
        assert "was ended after 2 s" in done.problem
    assert time.monotonic() - started < 20
    child = int((tmp_path / "pid").read_text())
    assert ended(child)


def test_a_source_that_cannot_be_read_does_not_stop_the_others(pairs, program, tmp_path):
    os.truncate(pairs[1].b_path, 30)
    with run_command(program(COPY), pairs, tmp_path / "log") as done:
        assert sorted(path.name for path in done.out.iterdir()) == ["p0.png", "p2.png"]
        assert done.unread.keys() == {"p1"} and done.unread["p1"].reason == "truncated"


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("no-such-program {a} {b} {out}", "'no-such-program' cannot be started"),
        ("'tool {a} {b} {out}", "mend its quotes"),
    ],
)
def test_what_cannot_be_started(command, problem, pairs, tmp_path):
    options = CommandOptions(external="command", command=command)
    with pytest.raises(UserError, match=problem), run_command(options, pairs, tmp_path / "log"):
        pass


def test_no_shell_reads_the_command(pairs, tmp_path):
    options = CommandOptions(external="command", command=f"echo {{a}} {{b}} {{out}} > {tmp_path}/made; $HOME")
    with run_command(options, pairs, tmp_path / "log") as done:
        assert done.problem == ""
    assert not (tmp_path / "made").exists() and "; $HOME" in (tmp_path / "log").read_text()


def test_a_changed_script_is_another_method(program, tmp_path):
    options = program(COPY)
    before = command_files(options.command)
    assert sha256_file(tmp_path / "program with spaces.py") in before
    program(COPY + "# changed")
    assert command_files(options.command) != before
