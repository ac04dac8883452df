"""The config of stage label: how fine labels become classes, how labelled portraits are split and warped."""

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from facemill.config.fields import Positive, Section, Share, without_nulls


class LabelsConfig(Section):
    """How fine labels become classes, and which labelled portraits are kept for measuring."""

    merge: Annotated[dict[str, list[str]], BeforeValidator(without_nulls)] = Field(
        description="labelme labels that become each class; null removes an entry that another config file made"
    )
    ignore: list[str] = Field([], description="labels whose pixels are left out of losses and metrics")
    index_names: list[str] = Field([], description="the labels that numbers stand for in ready-made masks, from 0 on")
    tolerance: float = Field(
        1, ge=0, description="pixels that a point may lie outside its image: clipped with a warning"
    )
    fill_gaps: int = Field(
        0, ge=0, description="unlabelled strips narrower than so many pixels go to the nearest class"
    )
    validation: Share = Field(description="share of labelled portraits that a training is watched on")
    test: Share = Field(description="share of labelled portraits that measure the U-Nets")

    @model_validator(mode="after")
    def _every_label_once(self) -> Self:
        labels = [label for merged in self.merge.values() for label in merged] + self.ignore
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(f"merge: found {twice[0]!r} twice; accepted: each label in one class or in ignore")
        lost = [label for label in self.index_names if label not in labels]
        if lost:
            raise ValueError(f"index_names: found {lost[0]!r}; accepted: labels that `merge` or `ignore` names")
        if self.validation + self.test >= 1:
            raise ValueError(f"test: found {self.test}; accepted: less than 1 together with validation")
        return self


class AugmentConfig(Section):
    """Random warps of the training portraits."""

    copies: Positive = Field(description="augmented pairs for each labelled one")
    rotation: float = Field(ge=0, le=180, description="degrees to either side")
    scale: float = Field(ge=0, lt=1, description="largest relative change of size")
    warp: float = Field(ge=0, description="displacement of elastic and grid warps, as a share of the size")
    color: float = Field(0, ge=0, le=1, description="strength of color changes; 0 is off")
