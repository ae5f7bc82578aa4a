"""DeFusion++ as a fusion method: the facts that tables and the command line show."""

from sigforge.methods.systems.defusion_pp.forms import KIND, load_defusion_pp
from sigforge.methods.systems.defusion_pp.released import ReleasedDeFusionPP
from sigforge.methods.systems.method import trained_system

trained_system(
    "defusion_pp",
    build=ReleasedDeFusionPP,
    read=load_defusion_pp,
    file_kind=KIND,
    paper="Liang, Jiang, Ma & Liu, DeFusion++, arXiv",
    year=2024,
    notes="as its authors built it, from random weights; teachers are its own encoder after the single-modal tasks",
    parameters=13_420_416,
    flops=107_729_593_344,
)
