"""What the options of every system have in common; each system's own stand in its folder.

They are given under ``systems.<task>.<name>`` of params.yaml. Defaults are the papers', epochs counted on their data
sets; ``docs/systems.md`` tells what the papers leave open.
"""

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from sigforge.training.config import TrainConfig


class Options(BaseModel):
    """Base of what a system can be told."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    multiple: ClassVar[int] = 1

    @model_validator(mode="after")
    def _crops_fit(self) -> "Options":
        for name, config in self:
            if isinstance(config, TrainConfig) and config.crop % self.multiple:
                raise ValueError(f"{name}.crop: {config.crop} is no multiple of {self.multiple}; choose one that is")
        return self


def as_published(**values: Any) -> Any:
    """The type of a :class:`TrainConfig` whose values are ``values`` where the user says nothing else."""
    fill = BeforeValidator(lambda given: values | given if isinstance(given, dict) else given)
    return Annotated[TrainConfig, fill, Field(default_factory=dict, validate_default=True)]
