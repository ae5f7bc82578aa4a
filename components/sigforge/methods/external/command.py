"""Fusion by a program: two folders in, one folder out, within a time limit, its output kept in a log."""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from sigforge.core.errors import ImageError, UserError
from sigforge.core.files import sha256_file
from sigforge.core.images import encode_png, read_image
from sigforge.core.parallel import die_with_parent
from sigforge.dataset.tables import Pair
from sigforge.methods.external.options import CommandOptions

LOG = "command.log"


@dataclass(frozen=True)
class CommandRun:
    """How one run ended.

    Args:
        out: where its images are.
        problem: what went wrong with the program, in one line; empty if nothing did.
        unread: pairs that it was not given, by id, because a source cannot be read.
        seconds: how long it ran.
    """

    out: Path
    problem: str
    unread: dict[str, ImageError]
    seconds: float


@contextmanager
def run_command(options: CommandOptions, pairs: Sequence[Pair], log: Path) -> Iterator[CommandRun]:
    """Run the program once over some pairs; its images are there until the block ends.

    Args:
        options: the command and its limit.
        pairs: their images are handed over as PNG, named by pair id.
        log: the program's output is appended to it.

    Raises:
        UserError: the program cannot be started.
    """
    with TemporaryDirectory(prefix="sigforge-") as name:
        folders = {key: Path(name) / key for key in ("a", "b", "out")}
        for folder in folders.values():
            folder.mkdir()
        unread = _hand_over(pairs, folders)
        arguments = _fill(options.command, folders)
        with log.open("ab") as sink:
            sink.write(f"$ {shlex.join(arguments)}  # {len(pairs)} pairs\n".encode())
            sink.flush()
            started = time.perf_counter()
            problem = _run(arguments, options.timeout, sink)
            seconds = time.perf_counter() - started
            sink.write(f"# {problem or 'finished'}\n".encode())
        yield CommandRun(folders["out"], f"{problem}; see {log}" if problem else "", unread, seconds)


def command_files(command: str) -> list[str]:
    """Hashes of the files that a command names: a changed script is another method."""
    return [sha256_file(part) for part in _split(command) if Path(part).is_file()]


def _hand_over(pairs: Sequence[Pair], folders: dict[str, Path]) -> dict[str, ImageError]:
    """Write the sources into the folders a and b; returns what could not be read."""
    unread = {}
    for pair in pairs:
        try:
            sources = [read_image(path) for path in (pair.a_path, pair.b_path)]
        except ImageError as error:
            unread[pair.pair_id] = error
            continue
        for side, (pixels, info) in zip("ab", sources, strict=True):
            data = encode_png(pixels, 16 if info.bit_depth > 8 else 8)
            (folders[side] / f"{pair.pair_id}.png").write_bytes(data)
    return unread


def _split(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise UserError(f"command {command!r} cannot be split into words ({error}); mend its quotes") from None


def _fill(command: str, folders: dict[str, Path]) -> list[str]:
    """The words of a command with the folders in place; other braces are left alone."""
    words = _split(command)
    for key, folder in folders.items():
        words = [word.replace(f"{{{key}}}", str(folder)) for word in words]
    return words


def _run(arguments: list[str], timeout: float, sink) -> str:
    """What went wrong, or nothing."""
    try:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
    except OSError as error:
        raise UserError(f"command '{arguments[0]}' cannot be started ({error.strerror}); correct 'command'") from None
    try:
        code = process.wait(timeout)
    except subprocess.TimeoutExpired:
        return f"the command was ended after {timeout:g} s"
    finally:
        _end(process)
    return f"the command ended with exit code {code}" if code else ""


def _end(process: subprocess.Popen) -> None:
    """Kill the whole session: what a program started itself would go on writing."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
