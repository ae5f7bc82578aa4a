"""DeFusion as a fusion method: the facts that tables and the command line show."""

from sigforge.methods.systems.defusion.network import KIND, DeFusion, load_defusion
from sigforge.methods.systems.method import trained_system

trained_system(
    "defusion",
    build=DeFusion,
    read=load_defusion,
    file_kind=KIND,
    paper="Liang, Jiang, Liu & Ma, Fusion from Decomposition, ECCV",
    year=2022,
    notes="learns to split masked views of one image into common and unique parts",
    parameters=7_687_158,
    flops=221_359_693_824,
)
