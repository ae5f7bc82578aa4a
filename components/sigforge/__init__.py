"""SigForge: signal-level synthesis of paired image-fusion datasets, and everything measured on them."""

__version__ = "0.1.0"
