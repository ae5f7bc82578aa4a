"""SigFusion's networks as released by its authors (github fengjiawei123/SigFusion), rebuilt from their description."""
