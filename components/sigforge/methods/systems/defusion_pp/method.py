"""DeFusion++ as a fusion method: the facts that tables and the command line show."""

from sigforge.methods.systems.defusion_pp.network import KIND, DeFusionPP, load_defusion_pp
from sigforge.methods.systems.method import trained_system

trained_system(
    "defusion_pp",
    build=DeFusionPP,
    read=load_defusion_pp,
    file_kind=KIND,
    paper="Liang, Jiang, Ma & Liu, DeFusion++, arXiv",
    year=2024,
    notes="teachers are the network's own encoder after the single-modal tasks, not ViT-B",
    parameters=11_408_896,
    flops=240_690_659_328,
)
