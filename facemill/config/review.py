"""The config of stage review: portraits to label next, labels to doubt."""

from typing import Annotated

from pydantic import Field

from facemill.config.fields import Positive, Section, TrainingConfig


class ReviewConfig(Section):
    """The next portraits to label: where the U-Nets are unsure or disagree."""

    portraits: Positive = Field(description="how many are written as labelme files")


class LabelQualityConfig(Section):
    """The hand-drawn labels that networks trained without them contradict."""

    folds: Annotated[int, Field(ge=2)] = Field(description="parts of the labelled portraits, each judged by a network")
    training: TrainingConfig = Field(description="of v3, once a fold")
