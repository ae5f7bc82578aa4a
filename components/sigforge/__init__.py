"""SigForge: signal-level synthesis of paired image-fusion datasets, and everything measured on them."""

from sigforge.core.threads import spin_briefly

__version__ = "0.1.0"

spin_briefly()  # here, since every entry comes by before torch is imported
