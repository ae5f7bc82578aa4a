"""EMMA as a fusion method: the facts that tables and the command line show."""

from sigforge.methods.systems.emma.network import KIND, UFuser, load_emma
from sigforge.methods.systems.method import trained_system

trained_system(
    "emma",
    build=UFuser,
    read=load_emma,
    file_kind=KIND,
    paper="Zhao et al., Equivariant Multi-Modality Image Fusion, CVPR",
    year=2024,
    notes="sensing networks learn from the corpora of stage fuse; rotations are quarter turns",
    parameters=1_517_657,
    flops=80_845_209_600,
)
