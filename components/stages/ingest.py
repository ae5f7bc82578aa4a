"""Stage ``ingest``: read or simulate the images of one set, check every one, quarantine what is bad, fix the splits.

Nothing is copied from real folders: the manifest names the files where they lie, with their hashes.
"""

import sys
