"""Fused images that lie in a folder: which file belongs to which pair, and whether it can be one."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sigforge.core.errors import ImageError, UserError
from sigforge.core.files import sha256_file
from sigforge.core.images import read_image
from sigforge.dataset.contents import is_read
from sigforge.dataset.tables import Pair


class FusedFolder:
    """The images of a folder, found by pair.

    A file is named like the id of its pair; or like the pair's first source file, where no other pair has one of that
    name.

    Args:
        path: the folder; sub-folders and what is no image are passed over.
        pairs: all pairs of the task.

    Raises:
        UserError: no such folder.
    """

    def __init__(self, path: str | Path, pairs: Sequence[Pair]) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise UserError(f"{path}: no such folder; correct 'path'")
        self._files: dict[str, list[Path]] = defaultdict(list)
        for file in sorted(self.path.iterdir()):
            if is_read(file) and not file.name.startswith("."):
                self._files[file.stem].append(file)
        self._shared = {stem for stem, count in Counter(Path(pair.a_path).stem for pair in pairs).items() if count > 1}
        used = {stem for pair in pairs for stem in (pair.pair_id, Path(pair.a_path).stem)}
        self.unused = sorted(self._files.keys() - used)

    def find(self, pair: Pair) -> Path:
        """The file of a pair.

        Raises:
            ImageError: ``missing``, or ``ambiguous_stem`` where two files or two pairs share the name.
        """
        stem = Path(pair.a_path).stem
        files = self._files.get(pair.pair_id)
        if files is None and stem in self._shared and stem in self._files:
            detail = f"may belong to several pairs: name it {pair.pair_id}"
            raise ImageError(self._files[stem][0], "ambiguous_stem", detail)
        files = files or self._files.get(stem)
        if not files:
            raise ImageError(self.path / f"{pair.pair_id}.png", "missing", "no such file: add it")
        if len(files) > 1:
            raise ImageError(files[1], "ambiguous_stem", f"has the same stem as {files[0].name}: remove one")
        return files[0]

    def hashes(self, pair: Pair) -> tuple[str, ...]:
        """The sha256 of a pair's file; nothing where there is none."""
        try:
            return (sha256_file(self.find(pair)),)
        except ImageError:
            return ()

    def read(self, pair: Pair) -> np.ndarray:
        """Pixels of a pair's fused image in [0, 1].

        Raises:
            ImageError: no file, a file that cannot be used, or ``different_size``.
        """
        path = self.find(pair)
        pixels, info = read_image(path)
        if (info.height, info.width) != (pair.height, pair.width):
            detail = f"is {info.width}x{info.height}, but its sources are {pair.width}x{pair.height}: make it again"
            raise ImageError(path, "different_size", detail)
        return pixels
