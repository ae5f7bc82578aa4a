"""SigFusion's networks as its authors released them (github fengjiawei123/SigFusion), rebuilt from their description."""
