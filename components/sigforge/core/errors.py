"""Errors that are the user's to mend.

Every entry point (stage, command, flow) turns a :class:`UserError` into one line on stderr and exit code 2; anything
else is a fault of ours and keeps its traceback.
"""


class UserError(ValueError):
    """Bad input: the message is one line that names the file, key or argument, the problem and the mend."""


class NameRefused(UserError):
    """A file system does not take a name: the file of that name is lost, others may be written."""


class ImageError(UserError):
    """An image file that cannot be used.

    Args:
        path: the file.
        reason: a short machine-readable word, e.g. ``truncated`` or ``empty``.
        detail: what is wrong, for a person.
    """

    def __init__(self, path: object, reason: str, detail: str) -> None:
        super().__init__(f"{path}: {detail}")
        self.path, self.reason, self.detail = str(path), reason, detail

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        # An exception is pickled as its message alone, and worker processes send theirs by pickle.
        return type(self), (self.path, self.reason, self.detail)
