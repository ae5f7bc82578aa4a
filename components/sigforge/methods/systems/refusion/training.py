r"""ReFusion's training: the loss proposal learns from reconstruction which loss teaches the fusion network best.

Bai et al., "ReFusion", IJCV 133, 2025, Eqs. (7)-(12) and Algorithm 1. An epoch is ``meta_steps`` outer updates of P,
then ``fusion_steps`` updates of F and R. Each is one step of the one loop: what a step does not update reaches its loss
only detached and so has no gradient, and Adam leaves parameters without a gradient, and their moments, as they are.
The paper leaves open how the meta sets are drawn (ours: random halves, anew each epoch) and :math:`\eta_{F'}`, here
``inner_lr``.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad
from torch.utils.data import Dataset

from sigforge.core.errors import UserError
from sigforge.core.seeds import SeedNames, rng_of
from sigforge.methods.systems.refusion.losses import fusion_loss, reconstruction_loss
from sigforge.methods.systems.refusion.network import KIND, ReFusionSystem
from sigforge.methods.systems.refusion.options import ReFusionOptions
from sigforge.methods.systems.registry import system
from sigforge.methods.systems.training import Material
from sigforge.training.crops import CropBatches, Sample
from sigforge.training.run import TrainingRun


@dataclass(frozen=True)
class Episode:
    """Sources of one step, (2, B, 1, H, W) in [0, 1].

    Args:
        train: of the meta-training set in a meta step, else of the whole training set.
        test: of the meta-test set; None in a fusion step.
    """

    train: Tensor
    test: Tensor | None


class Episodes(Dataset):
    """Meta and fusion steps in the order of Algorithm 1; index = step.

    Args:
        load, count, batch, crop, turns, names: as for :class:`sigforge.training.crops.CropBatches`.
        meta_steps, fusion_steps: M and N of Algorithm 1, the steps of an epoch.

    Raises:
        UserError: a single pair, which cannot be split.
    """

    def __init__(
        self,
        load: Callable[[int], Sample],
        count: int,
        *,
        batch: int,
        crop: int,
        turns: bool,
        names: SeedNames,
        meta_steps: int = 600,
        fusion_steps: int = 1622,
    ) -> None:
        if count < 2:
            raise UserError(f"pairs: ReFusion splits its training pairs in two and there is {count}; give more")
        self.load, self.count, self.names = load, count, names
        self.options: dict[str, Any] = {"batch": batch, "crop": crop, "turns": turns}
        self.meta_steps, self.fusion_steps = meta_steps, fusion_steps

    def __getitem__(self, step: int) -> Episode:
        """The episode of one step."""
        epoch, place = divmod(step, self.meta_steps + self.fusion_steps)
        if place >= self.meta_steps:
            return Episode(self._crops(range(self.count), "fusion", step), None)
        order = rng_of(*self.names, "split", epoch).permutation(self.count)
        half = self.count // 2
        return Episode(self._crops(order[:half], "train", step), self._crops(order[half:], "test", step))

    def _crops(self, chosen: Sequence[int] | np.ndarray, name: str, step: int) -> Tensor:
        names = (*self.names, name)
        crops = CropBatches(lambda index: self.load(int(chosen[index])), len(chosen), **self.options, names=names)
        return crops[step][0]


def refusion_losses(
    system: ReFusionSystem, *, inner_lr: float = 1e-3, alpha1: float = 1.0, alpha2: float = 1.0
) -> Callable[[Episode], dict[str, Tensor]]:
    """Episode to the loss whose gradient is that of Eqs. (11) and (12) or, in a meta step, of Eq. (9) / inner_lr.

    Args:
        system: what is trained.
        inner_lr: step size of Eqs. (7) and (8).
        alpha1, alpha2: weight of the gradient terms, Eqs. (1) and (4).
    """

    def losses(episode: Episode) -> dict[str, Tensor]:
        device = next(system.parameters()).device
        train = episode.train.to(device, non_blocking=True)
        # A gradient of a gradient: in bfloat16 little of it would be left.
        with torch.autocast(device.type, enabled=False):
            if episode.test is None:
                return fusion_step(system, train, alpha1=alpha1, alpha2=alpha2)
            test = episode.test.to(device, non_blocking=True)
            outer = outer_loss(system, train, test, inner_lr=inner_lr, alpha1=alpha1, alpha2=alpha2)
            # Eq. (10) is proportional to inner_lr, and most of it would drown in Adam's epsilon of 1e-8.
            return {"loss": outer / inner_lr, "outer": outer}

    return losses


def fusion_step(system: ReFusionSystem, sources: Tensor, *, alpha1: float, alpha2: float) -> dict[str, Tensor]:
    """Eqs. (11) and (12): the proposed loss reaches F alone, reconstruction R alone.

    Args:
        system: F, P and R; P is not changed here.
        sources: (2, B, 1, H, W) in [0, 1].
        alpha1: weight of the gradients in the proposed loss.
        alpha2: weight of the gradients in the reconstruction loss.

    Returns:
        ``loss``, the sum of ``fusion`` and ``reconstruction``, each a scalar.
    """
    with torch.no_grad():
        weights = system.proposal(sources)
    fused = system.fusion(sources)
    fusion = fusion_loss(fused, sources, weights, alpha1=alpha1)
    rebuilding = reconstruction_loss(system.reconstruction(fused.detach()), sources, alpha2=alpha2)
    return {"loss": fusion + rebuilding, "fusion": fusion, "reconstruction": rebuilding}


def outer_loss(
    system: ReFusionSystem, train: Tensor, test: Tensor, *, inner_lr: float, alpha1: float, alpha2: float
) -> Tensor:
    r"""Eq. (9)'s loss after the inner updates; its gradient reaches P alone, through F' (the second order of Eq. 10).

    .. math:: L_r(I^{mts}, R'(F'(I^{mts}))), \quad \theta_{F'} = \theta_F-\eta\partial L_f(I^{mtr}; P)/\partial\theta_F

    Args:
        system: F, P and R; F and R are tried with updates and left as they are.
        train: (2, B, 1, H, W) in [0, 1], the meta-training sources.
        test: likewise, the meta-test sources.
        inner_lr: eta, the step of the inner updates.
        alpha1: weight of the gradients in the proposed loss.
        alpha2: weight of the gradients in the reconstruction loss.
    """
    weights = system.proposal(train)
    fusion, reconstruction = _detached(system.fusion), _detached(system.reconstruction)

    def proposed(parameters: dict[str, Tensor]) -> Tensor:
        return fusion_loss(functional_call(system.fusion, parameters, (train,)), train, weights, alpha1=alpha1)

    def rebuilding(parameters: dict[str, Tensor], fused: Tensor, sources: Tensor) -> Tensor:
        rebuilt = functional_call(system.reconstruction, parameters, (fused,))
        return reconstruction_loss(rebuilt, sources, alpha2=alpha2)

    with torch.no_grad():
        fused = system.fusion(train)
    tried_fusion = _descended(fusion, grad(proposed)(fusion), inner_lr)
    tried_reconstruction = _descended(reconstruction, grad(rebuilding)(reconstruction, fused, train), inner_lr)
    return rebuilding(tried_reconstruction, functional_call(system.fusion, tried_fusion, (test,)), test)


def _detached(module: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach() for name, parameter in module.named_parameters()}


def _descended(parameters: dict[str, Tensor], gradients: dict[str, Tensor], lr: float) -> dict[str, Tensor]:
    return {name: value - lr * gradients[name] for name, value in parameters.items()}


@system("refusion_trained", options=ReFusionOptions)
def train_refusion(options: ReFusionOptions, data: Material) -> Iterator[TrainingRun]:
    """One run, in which steps of the loss proposal and of fusion and reconstruction take turns."""
    system, config = data.begin(ReFusionSystem(), KIND, {}), options.training
    turns: dict[str, Any] = {"meta_steps": options.meta_steps, "fusion_steps": options.fusion_steps}
    episodes = Episodes(data.pairs.load, data.pairs.count, **data.options(config, "episodes"), **turns)
    losses = refusion_losses(system, inner_lr=options.inner_lr)
    yield TrainingRun(system, episodes, losses, config, KIND, {})
