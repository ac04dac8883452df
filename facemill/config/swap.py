"""The config of stage swap: two people's faces exchanged in films and photos."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from facemill.config.fields import Positive, Section, Share, Size, TrainingConfig

Detector = Literal["masks", "photo", "cascade", "yunet"]
Color = Literal["lab", "mean", "none"]
Blend = Literal["alpha", "poisson"]


class SwapConfig(Section):
    """Two people's faces exchanged."""

    a: Path | None = Field(None, description="whose face is replaced: a film, or a folder of frames or photos")
    b: Path | None = Field(None, description="whose face is put there; the sample films two drawn actors")
    detector: Detector = Field(
        description="masks (the U-Net's), photo (OpenCV's cascade of photographed faces), cascade or yunet"
    )
    detector_file: Path | None = Field(None, description="the cascade's XML, or YuNet's ONNX")
    identity: Path | None = Field(
        None, description="SFace's ONNX, by which persons are told apart; null: the evaluator's features"
    )
    rejected_faces: list[Path] = Field([], description="files of ids that culling pages export")
    holdout: Annotated[Share, Field(gt=0)] = Field(
        description="share of each stretch of a film, its end, that is held out"
    )
    every: Positive = Field(description="every n-th frame is learned from")
    size: Size = Field(description="pixels of a face's side in the network")
    preset: Literal["tiny", "light", "medium", "original"] = Field(
        description="channels (facemill/networks/face_swap.py): tiny, light, medium or original"
    )
    initial: Path | None = Field(None, description="an earlier model, whose encoder the training starts from")
    color: Color = Field(
        description="how a face takes the colors of the one it replaces: lab (mean and deviation), mean or none"
    )
    blend: Blend = Field(description="alpha, or poisson, which flickers")
    feather: Annotated[Share, Field(le=0.25)] = Field(
        description="width of the border that fades, as a share of the face's side"
    )
    mark: bool = Field(description="a visible word in a corner; the metadata say that the film is synthetic always")
    training: TrainingConfig = Field(description="counted in pairs, one face of each side")

    @model_validator(mode="after")
    def _detector_has_file(self) -> Self:
        needs = self.detector in ("cascade", "yunet")
        if needs != (self.detector_file is not None):
            accepted = "a file" if needs else "null"
            raise ValueError(
                f"detector_file: found {self.detector_file or 'null'}; accepted: {accepted} with detector "
                f"{self.detector}"
            )
        return self

    @model_validator(mode="after")
    def _films_of_two(self) -> Self:
        if (self.a is None) != (self.b is None):
            missing = "a" if self.a is None else "b"
            raise ValueError(f"{missing}: found null; accepted: a film or folder, as the other side has one")
        if self.a and self.a == self.b:
            raise ValueError(f"b: found {self.b}, which is swap.a; accepted: another person's film or folder")
        return self
