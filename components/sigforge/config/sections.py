"""The sections of params.yaml: one frozen pydantic model each, strict about keys, types and ranges."""

from functools import partial, reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from sigforge.core.errors import UserError
from sigforge.core.registry import Registry
from sigforge.dataset.registration.pairs import Register
from sigforge.dataset.sources.registry import PAIR_SOURCES, PHOTO_SOURCES, SourceKind, SourceOptions
from sigforge.dataset.tasks import TASKS, Task
from sigforge.losses.fusion import (
    FusionLoss,
    GradientReading,
    IntensityTarget,
    LossReading,
    MseTarget,
    Term,
    task_weights,
)
from sigforge.methods.sigfusion.full.network import FullConfig
from sigforge.methods.sigfusion.fusion import Form, FusionConfig, HeadKind
from sigforge.methods.sigfusion.modulator import Condition, Modulated
from sigforge.methods.sigfusion.prior import MapKind
from sigforge.methods.sigfusion.sigformer import SigFormerConfig
from sigforge.methods.sigfusion.training import Supervision
from sigforge.release.layout import ReleaseTitle
from sigforge.synthesis.gates import Gates
from sigforge.training.config import TrainConfig

if TYPE_CHECKING:
    from sigforge.metrics import Metric


class Section(BaseModel):
    """Base of all sections: frozen, and strict about keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def source_types(kinds: Registry[SourceKind]) -> Any:
    """The type of a list of sources of any kind that is registered; ``kind`` tells which."""
    either = reduce(or_, (kind.options for kind in kinds.entries()))
    return tuple[Annotated[either, Field(discriminator="kind"), BeforeValidator(partial(_known_kind, kinds))], ...]  # type: ignore[valid-type]


def _known_kind(kinds: Registry[SourceKind], given: object) -> object:
    """What was given; a UserError, if it names a kind that is not registered."""
    if isinstance(given, dict) and isinstance(given.get("kind"), str):
        kinds.get(given["kind"])
    return given


if TYPE_CHECKING:
    PairSources: TypeAlias = tuple[SourceOptions, ...]
    PhotoSources: TypeAlias = tuple[SourceOptions, ...]
else:
    PairSources, PhotoSources = source_types(PAIR_SOURCES), source_types(PHOTO_SOURCES)


class Splits(Section):
    """Fractions of the pairs; what is left after val and test trains."""

    val: float = Field(0.1, ge=0, lt=1)
    test: float = Field(0.2, gt=0, lt=1)

    @model_validator(mode="after")
    def _leave_some(self) -> "Splits":
        if self.val + self.test >= 1:
            raise ValueError("val and test together leave no pair to train on; make their sum less than 1")
        return self


class IngestPairs(Section):
    """Where the pairs of one task come from."""

    watch: str = Field(description="path that DVC watches: the folder that holds the images, or the simulator's code")
    sources: PairSources = Field(min_length=1)
    splits: Splits = Splits()
    register_pairs: Register = Field(
        "none", alias="register", description="lay the first image on the second; report: only say how far it is off"
    )
    min_pairs: int = Field(2, ge=2, description="fewer usable pairs than this stop the run")


class IngestPhotos(Section):
    """Where the photographs come from."""

    watch: str
    sources: PhotoSources = Field(min_length=1)
    min_photos: int = Field(2, ge=1)


class IngestParams(Section):
    """One entry per task, and the photographs."""

    photos: IngestPhotos
    vif: IngestPairs
    mif: IngestPairs
    mfif: IngestPairs
    mef: IngestPairs


class FuseParams(Section):
    """Per task: method name to its options."""

    vif: dict[str, dict[str, Any]] = Field(min_length=1)
    mif: dict[str, dict[str, Any]] = Field(min_length=1)
    mfif: dict[str, dict[str, Any]] = Field(min_length=1)
    mef: dict[str, dict[str, Any]] = Field(min_length=1)

    @model_validator(mode="after")
    def _known_methods(self) -> "FuseParams":
        from sigforge.methods.produce import configured

        for task in TASKS:
            for name, options in getattr(self, task).items():
                try:
                    configured(name, options, task)
                except UserError as error:
                    raise ValueError(f"{task}.{name}: {error}") from None
        return self


class SystemsParams(Section):
    """Per task: system name to its options; what is not named is not trained."""

    vif: dict[str, dict[str, Any]] = {}
    mif: dict[str, dict[str, Any]] = {}
    mfif: dict[str, dict[str, Any]] = {}
    mef: dict[str, dict[str, Any]] = {}

    @model_validator(mode="after")
    def _known_systems(self) -> "SystemsParams":
        from sigforge.methods.systems.registry import parse_options

        for task in TASKS:
            for name, options in getattr(self, task).items():
                try:
                    parse_options(name, options)
                except UserError as error:
                    raise ValueError(f"{task}.{name}: {error}") from None
        return self


class TransferParams(Section):
    """Per task: systems that are trained once more, on synthetic pairs before the real ones."""

    vif: tuple[str, ...] = ()
    mif: tuple[str, ...] = ()
    mfif: tuple[str, ...] = ()
    mef: tuple[str, ...] = ()


class FewShotParams(Section):
    """Fine-tuning the head alone on few real pairs, with and without synthetic ones before."""

    counts: tuple[Annotated[int, Field(ge=1)], ...] = Field((), description="real pairs; nothing is done without any")
    steps: int = Field(300, ge=4, description="of each network, in all")
    first: float = Field(0.5, gt=0, lt=1, description="part of them on synthetic pairs")
    seeds: int = Field(3, ge=1, description="repetitions, each with other real pairs")
    batch: int = Field(4, ge=1, description="crops per step")
    crop: int = Field(88, ge=32, description="side of the crops, pixels")
    lr: float = Field(2e-3, gt=0, description="peak learning rate")
    tests: int = Field(12, ge=2, description="test pairs that are scored, evenly spread")


class SigFormerParams(SigFormerConfig):
    """The architecture, which model files carry, and how its weights come about, which they do not."""

    pretrained: bool = Field(True, description="trained by Eq. 15 before others build on it; else left as it starts")

    @property
    def architecture(self) -> SigFormerConfig:
        """What the network needs to know of itself."""
        return SigFormerConfig.model_validate(self.model_dump(exclude={"pretrained"}))


class FusionParams(Section):
    """The fusion network. Its SigFormer may have another form than PLGN's, which is always ``tokens``."""

    form: Form = Field("tokens", description="of its SigFormer; released: the authors' code, full: ours at stride 1")
    head: HeadKind = Field("none", description="select: a reconstruction block that sees the sources")
    slip: bool = Field(True, description="released: four of five decoder blocks are lost, as in the authors' code")
    full: FullConfig = FullConfig()

    def network(self, sigformer: SigFormerConfig) -> FusionConfig:
        """What is built, with the ``sigformer`` that form ``tokens`` shares with PLGN."""
        return FusionConfig(form=self.form, head=self.head, slip=self.slip, sigformer=sigformer, full=self.full)


class LossParams(Section):
    """Eqs. (2)-(3) as pretext and fine-tuning read them."""

    gradient: GradientReading = Field("unsigned", description="signed keeps the direction of the strongest gradient")
    intensity: dict[Task, IntensityTarget] = Field({}, description="target of the intensity term, per task")
    mse: MseTarget = Field("sources", description="what the squared error is to, where it has a weight")
    weights: dict[Term, Annotated[float, Field(ge=0)]] = Field({}, description="instead of the paper's, in all tasks")
    decoded: float = Field(0.5, ge=0, description="weight of the loss on the decoded plane, where a head chooses")
    share: float = Field(0.1, ge=0, lt=0.3, description="least share of every candidate of the head, on average")

    def supervision(self, task: Task, *, photograph: bool = False) -> Supervision:
        """What the networks of a task are told."""
        reading = LossReading(self.gradient, self.intensity.get(task, "max"), self.mse)
        weights = {name: weight for name, weight in (task_weights(task) | self.weights).items() if weight}
        loss = FusionLoss(reading, weights)
        return Supervision(loss, decoded=self.decoded, share=self.share, photograph=photograph)


class PlgnParams(TrainConfig):
    """Training the signal modulators."""

    sm: Modulated = Field("all", description="subbands that have a modulator; all but 'all' are the paper's ablations")
    condition: Condition = Field(
        "none", description="dominance: modulators see what belongs to which source; none: the paper read literally"
    )


class SynthParams(Section):
    """Synthesis of photograph pairs into shards."""

    size: int = Field(256, ge=64, le=2048, description="side of the synthetic images, pixels")
    shard_size: int = Field(1000, ge=1, description="pairs per tar")
    limit: int | None = Field(None, ge=1, description="photographs used; all if null")
    crops: int = Field(1, ge=1, le=1000, description="squares of each photograph; the first is in the middle")
    pairs: int | None = Field(None, ge=1, description="the plan ends with so many pairs, photographs permitting")
    batch: int | None = Field(
        None, ge=1, le=256, description="pairs the network sees at once; null: 1 on a CPU, 16 on a GPU"
    )
    image_format: Literal["png", "webp"] = "webp"
    focus_mix: bool = Field(True, description="mfif: mix photograph and modulated image with complementary masks")
    maps: MapKind | None = Field(
        None, description="how dominance maps lie over photographs (plgn.condition: dominance); null: segments"
    )
    modality: bool = Field(
        True, description="with a condition: grey levels, details and noise as real images have them"
    )
    gates: Gates = Gates()


class PretextParams(TrainConfig):
    """Training the fusion network on synthetic pairs."""

    source: Literal["plgn", "natural", "none"] = Field(
        "plgn", description="natural: the photographs themselves are both sources; none: no pretext training at all"
    )
    target: Literal["sources", "photograph"] = Field(
        "sources", description="photograph: what both sources were made of is the label, in place of the sources"
    )


class FinetuneParams(TrainConfig):
    """Fine-tuning the fusion network on real pairs."""


class EvaluateParams(Section):
    """Metrics reported for every method."""

    metrics: tuple[str, ...] = (
        *("q_g", "q_m", "q_p", "mi", "sd", "vif_sum"),
        *("q_g_min", "q_p_min", "vif_min", "ssim_local_min", "nabf", "distance_a", "distance_b"),
    )

    @field_validator("metrics")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        from sigforge.metrics import get_metric

        for name in names:
            try:
                get_metric(name)
            except UserError as error:
                raise ValueError(str(error)) from None
        return names

    @property
    def chosen(self) -> "list[Metric]":
        """The metrics, in the order of the columns."""
        from sigforge.metrics import get_metric

        return [get_metric(name) for name in self.metrics]


class RealismParams(Section):
    """How synthetic images are compared with real ones."""

    images: int = Field(
        200, ge=6, description="at most so many of every set: real images, photographs, synthetic images"
    )
    side: int = Field(128, ge=32, description="crops that are measured, pixels; smaller where an image is")


class ReportParams(Section):
    """What the HTML report shows."""

    gallery: int = Field(2, ge=1, le=20, description="test pairs shown per task")
    realism: RealismParams = RealismParams()


class ReleaseParams(Section):
    """What a task's release is called, and what it must not hold."""

    name: str = Field(description="lower case; part of addresses")
    version: str = Field(description="1.0.0; one that ends in -dev is a draft: replaced freely, never sent")
    append: str | None = Field(None, description="an earlier version of which every pair must be kept")
    exclude: tuple[str, ...] = Field((), description="licences not wanted, by a part of their name: nc, sa")
    creator: str = ""
    homepage: str = ""
    citation: str = Field("", description="BibTeX; SigFusion's if empty")

    @model_validator(mode="after")
    def _well_named(self) -> "ReleaseParams":
        for version in filter(None, (self.version, self.append)):
            try:
                ReleaseTitle(self.name, version)
            except UserError as error:
                raise ValueError(str(error)) from None
        return self


class PublishParams(Section):
    """One release per task."""

    vif: ReleaseParams
    mif: ReleaseParams
    mfif: ReleaseParams
    mef: ReleaseParams


class ComputeParams(Section):
    """Where and how fast; no stage depends on it. What each key does to last digits stands in params.yaml."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    threads: int = Field(2, ge=1, description="CPU threads of a training process")
    workers: int = Field(2, ge=1, description="processes over pairs or shards")
    compile: bool = Field(False, description="torch.compile of SigFusion's networks in training; minutes at its start")


class Params(Section):
    """The whole of params.yaml."""

    seed: int = Field(ge=0)
    compute: ComputeParams
    sigformer: SigFormerParams
    fusion: FusionParams = FusionParams()
    loss: LossParams = LossParams()
    ingest: IngestParams
    fuse: FuseParams
    systems: SystemsParams = SystemsParams()
    transfer: TransferParams = TransferParams()
    pretrain: TrainConfig
    plgn: PlgnParams
    synth: SynthParams
    pretext: PretextParams
    finetune: FinetuneParams
    few_shot: FewShotParams = FewShotParams()
    evaluate: EvaluateParams
    report: ReportParams
    publish: PublishParams

    @model_validator(mode="after")
    def _transferred_are_systems(self) -> "Params":
        for task in TASKS:
            named = getattr(self.systems, task)
            for name in getattr(self.transfer, task):
                if name not in named:
                    raise ValueError(f"transfer.{task}: '{name}' is not under 'systems.{task}'; name it there, too")
        return self
