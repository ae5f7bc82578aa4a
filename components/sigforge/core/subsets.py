"""Few of many, for what is measured on a sample."""

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def spread(items: Sequence[Item], most: int) -> tuple[Item, ...]:
    """At most ``most`` of some items, evenly spread over all of them.

    Example:
        >>> spread("abcdefghij", 4), spread("ab", 4)
        (('a', 'c', 'f', 'h'), ('a', 'b'))
    """
    count = min(most, len(items))
    return tuple(items[place * len(items) // count] for place in range(count))
