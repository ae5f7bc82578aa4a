"""Releases: shards with all that a stranger needs to use, credit and check them, in one folder that never changes."""
