"""The config of stage label: labels merged into classes, the split of labelled portraits, augmentation."""

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from facemill.config.fields import Positive, Section, Share, without_nulls
from facemill.data.classes import IGNORE, ClassTable


class LabelsConfig(Section):
    """Labels merged into classes, and the split of the labelled portraits."""

    merge: Annotated[dict[str, list[str]], BeforeValidator(without_nulls)] = Field(
        description="labelme labels that become each class; null removes a class that another config file named"
    )
    ignore: list[str] = Field([], description="labels whose pixels are left out of losses and metrics")
    index_names: list[str] = Field([], description="labels by their index in ready-made masks, from 0 on")
    tolerance: float = Field(
        1, ge=0, description="pixels by which a point may lie outside its image; it is clipped with a warning"
    )
    fill_gaps: int = Field(
        0, ge=0, description="unlabelled gaps narrower than so many pixels are filled from the nearest labelled pixel"
    )
    validation: Share = Field(description="share of the labelled portraits for validation")
    test: Share = Field(description="share of the labelled portraits for testing")

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        labels = [label for merged in self.merge.values() for label in merged] + self.ignore
        if repeated := sorted({label for label in labels if labels.count(label) > 1}):
            raise ValueError(f"merge: found {repeated[0]!r} twice; accepted: each label in one class or in ignore")
        if unknown := [label for label in self.index_names if label not in labels]:
            raise ValueError(f"index_names: found {unknown[0]!r}; accepted: labels that `merge` or `ignore` names")
        if self.validation + self.test >= 1:
            raise ValueError(f"test: found {self.test}; accepted: less than 1 together with validation")
        return self

    def label_ids(self, classes: ClassTable) -> dict[str, int]:
        """The class id of each label; `IGNORE` for the labels of `ignore`."""
        merged = {label: classes.names.index(name) for name, labels in self.merge.items() for label in labels}
        return merged | dict.fromkeys(self.ignore, IGNORE)


class AugmentConfig(Section):
    """Random warps of the labelled training portraits."""

    copies: Positive = Field(description="augmented copies of each portrait")
    rotation: float = Field(ge=0, le=180, description="largest rotation to either side, in degrees")
    scale: float = Field(ge=0, lt=1, description="largest relative change of size")
    warp: float = Field(ge=0, description="displacement of elastic and grid warps, as a share of the size")
    color: float = Field(0, ge=0, le=1, description="strength of color changes, from 0 (none) to 1")
