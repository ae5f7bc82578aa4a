"""SSPFusion as a fusion method: the facts that tables and the command line show."""

from sigforge.methods.systems.method import trained_system
from sigforge.methods.systems.sspfusion.network import KIND, SSPFusion, load_sspfusion

trained_system(
    "sspfusion",
    build=SSPFusion,
    read=load_sspfusion,
    file_kind=KIND,
    paper="Yang et al., SSPFusion, arXiv",
    year=2025,
    notes="layer sizes are ours, the paper gives none",
    parameters=11_395_570,
    flops=1_557_017_502_720,
)
