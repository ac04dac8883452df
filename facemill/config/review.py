"""The config of stage review: portraits to label next, labels to doubt."""

from typing import Annotated

from pydantic import Field

from facemill.config.fields import Positive, Section, TrainingConfig


class ReviewConfig(Section):
    """Portraits to label next (active learning)."""

    portraits: Positive = Field(description="number of portraits, written as labelme files")


class LabelQualityConfig(Section):
    """Labels that networks trained without them contradict (confident learning)."""

    folds: Annotated[int, Field(ge=2)] = Field(description="cross-validation folds of the labelled portraits")
    training: TrainingConfig = Field(description="training of v3 on all folds but one")
