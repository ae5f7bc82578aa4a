"""The head alone as a fusion method: the facts that tables and the command line show."""

from sigforge.methods.systems.method import trained_system
from sigforge.methods.systems.select.network import KIND, SelectFusion, load_select

trained_system(
    "select",
    build=SelectFusion,
    read=load_select,
    file_kind=KIND,
    paper="none: the control of SigFusion's forms, its head alone",
    year=2026,
    notes="weighs the sources per pixel by their values and gradients",
    parameters=3_816,
    flops=4_121_395_200,
    n_sources=(2, None),
    symmetric=True,
)
