"""ReFusion, trained here, as a fusion method: the facts that tables and the command line show."""

from sigforge.methods.systems.method import trained_system
from sigforge.methods.systems.refusion.network import KIND, ReFusionSystem, load_refusion

trained_system(
    "refusion_trained",
    build=ReFusionSystem,
    read=load_refusion,
    file_kind=KIND,
    paper="Bai et al., ReFusion, IJCV",
    year=2025,
    notes="the loss proposal learns from reconstruction by a gradient of second order",
    parameters=137_376,
    flops=36_972_134_400,
)
