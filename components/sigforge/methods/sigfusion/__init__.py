"""SigFusion: SigFormer, the signal modulators and PLGN, and the fusion network built on them (AAAI 2026)."""
