"""``python -m sigforge.config check|use NAME``: see :mod:`sigforge.config.load`."""

import sys

from sigforge.config.load import main

if __name__ == "__main__":
    sys.exit(main())
