"""What every training run can be told."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class TrainConfig(BaseModel):
    """One training run; the defaults are the paper's where it says anything (Adam, 1e-4, batch 16)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(20_000, ge=1, description="optimiser steps")
    batch: int = Field(16, ge=1, description="crops per step")
    crop: int = Field(128, ge=32, description="side of the random crops, pixels")
    lr: float = Field(1e-4, gt=0, description="peak learning rate")
    warmup: int = Field(0, ge=0, description="steps of linear warm-up")
    schedule: Literal["constant", "cosine"] = Field("constant", description="learning rate after warm-up")
    halve_at: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        (), description="parts of the run after each of which the learning rate is halved"
    )
    rates: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {}, description="parts of the model that learn at this multiple of the learning rate, by their names"
    )
    final_lr: float = Field(1e-6, ge=0, description="where the cosine ends")
    optimizer: Literal["adam", "adamw"] = "adam"
    weight_decay: float = Field(0.0, ge=0)
    clip: float = Field(1.0, gt=0, description="largest gradient norm")
    checkpoint_every: int = Field(500, ge=1, description="steps between checkpoints")
    log_every: int = Field(10, ge=1, description="steps between logged losses")
