"""What the options of every system have in common; each system's own stand in its folder.

They are given under ``systems.<task>.<name>`` of params.yaml. Defaults are the papers', epochs counted on their data
sets; ``docs/systems.md`` tells what the papers leave open.
"""

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sigforge.training.config import TrainConfig


class Options(BaseModel):
    """Base of what a system can be told."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    multiple: ClassVar[int] = 1

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, given: Any) -> Any:
        """What is said of a training is laid over the paper's values."""
        if not isinstance(given, dict):
            return given
        filled = dict(given)
        for name, field in cls.model_fields.items():
            if isinstance(field.json_schema_extra, dict) and isinstance(given.get(name), dict):
                filled[name] = {**field.json_schema_extra, **given[name]}
        return filled

    @model_validator(mode="after")
    def _crops_fit(self) -> "Options":
        for name, config in self:
            if isinstance(config, TrainConfig) and config.crop % self.multiple:
                raise ValueError(f"{name}.crop: {config.crop} is no multiple of {self.multiple}; choose one that is")
        return self


def as_published(**values: Any) -> Any:
    """The default of a :class:`TrainConfig` in :class:`Options`: these values where the user says nothing else."""
    return Field(default_factory=lambda: TrainConfig(**values), json_schema_extra=values)
