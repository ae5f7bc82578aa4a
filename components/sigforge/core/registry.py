"""Entries by name: modules register them when they are imported, which happens when the first name is asked for.

Methods, metrics, systems and sources each have one :class:`Registry`. Packages that others have installed add to it by
entry points; one that is broken costs a line of warning and its own entries, not the command.
"""

import difflib
import pkgutil
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from threading import RLock
from typing import Generic, TypeVar

from sigforge.core.errors import UserError

Entry = TypeVar("Entry")
Kind = TypeVar("Kind")


class Registry(Generic[Entry]):
    """Named entries of one kind.

    Args:
        noun: what an entry is, in messages: ``metric``.
        modules: whose import registers entries. ``package.*`` stands for every module of a package, ``package.*.name``
            for the module ``name`` of every package in it.
        group: entry points of installed packages that register more. Each names a module, or something inside one.

    Example:
        >>> tools = Registry("tool")
        >>> for name in ("saw_10", "saw_2"):
        ...     tools.add(name, len(name), holder="the shed")
        >>> tools.names(), tools.get("saw_2"), "axe" in tools
        (('saw_2', 'saw_10'), 5, False)
        >>> tools.get("sow_2")
        Traceback (most recent call last):
        sigforge.core.errors.UserError: unknown tool 'sow_2': did you mean 'saw_2'?
    """

    def __init__(self, noun: str, *, modules: tuple[str, ...] = (), group: str | None = None) -> None:
        self.noun, self.modules, self.group = noun, modules, group
        self._entries: dict[str, Entry] = {}
        self._holders: dict[str, str] = {}
        self._loaded = False
        self._lock = RLock()

    def add(self, name: str, entry: Entry, *, holder: str) -> None:
        """Register an entry.

        Args:
            name: its key.
            entry: what :meth:`get` will give.
            holder: who registers it, for the message at a second one of that name.

        Raises:
            ValueError: the name is taken; says by whom.
        """
        if name in self._entries:
            raise ValueError(f"{self.noun} {name!r} is already defined by {self._holders[name]}")
        self._entries[name], self._holders[name] = entry, holder

    def get(self, name: str) -> Entry:
        """The entry of that name.

        Raises:
            UserError: there is none; the message suggests the nearest name, or lists all.
        """
        self._load()
        if name in self._entries:
            return self._entries[name]
        near = nearest(name, self.names())
        advice = f"did you mean {near!r}?" if near else f"choose from {', '.join(self.names())}"
        raise UserError(f"unknown {self.noun} {name!r}: {advice}")

    def names(self) -> tuple[str, ...]:
        """All names in natural order: ``q_2`` before ``q_10``."""
        self._load()
        return tuple(sorted(self._entries, key=_natural))

    def entries(self) -> tuple[Entry, ...]:
        """All entries in the order of their names."""
        return tuple(self._entries[name] for name in self.names())

    def of(self, kind: type[Kind]) -> tuple[Kind, ...]:
        """The entries of one class, in the order of their names."""
        return tuple(entry for entry in self.entries() if isinstance(entry, kind))

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._entries

    def _load(self) -> None:
        """Import what registers entries, once; a module that asks meanwhile sees what is there so far."""
        with self._lock:
            if self._loaded:
                return
            self._loaded = True
            try:
                for module in _expand(self.modules):
                    import_module(module)
            except BaseException:
                self._loaded = False
                raise
            for point in entry_points(group=self.group) if self.group else ():
                self._load_foreign(point)

    def _load_foreign(self, point: EntryPoint) -> None:
        before = dict(self._entries)
        try:
            point.load()
        except Exception as error:
            self._entries = before
            owner = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
            reason = f"{type(error).__name__}: {error}".partition("\n")[0]
            print(f"warning: {self.group} of {owner} left out: {reason}", file=sys.stderr)


def nearest(name: str, names: tuple[str, ...]) -> str | None:
    """The name that was probably meant: one that goes on where ``name`` ends, else the likest, if any is like it.

    Args:
        name: what was asked for; case does not count.
        names: what there is.

    Example:
        >>> nearest("refusion", ("defusion", "refusion_trained")), nearest("VIFSUM", ("sd", "vif_sum"))
        ('refusion_trained', 'vif_sum')
    """
    longer = [known for known in names if known.startswith(f"{name}_")]
    return next(iter(longer + difflib.get_close_matches(name.lower(), names, n=1)), None)


def _natural(name: str) -> list[int | str]:
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def _expand(patterns: tuple[str, ...]) -> Iterator[str]:
    for pattern in patterns:
        package, star, inner = pattern.partition(".*")
        if not star:
            yield package
            continue
        for module in pkgutil.iter_modules(import_module(package).__path__, f"{package}."):
            if not inner or module.ispkg:
                yield module.name + inner
