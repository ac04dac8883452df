"""The config: all sections of a run."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from facemill.config.fields import Section, Share, TrainingConfig
from facemill.config.ingest import FilterConfig, PortraitsConfig, SampleConfig, SourceConfig
from facemill.config.label import AugmentConfig, LabelsConfig
from facemill.config.latent import AttributesConfig, LatentsConfig, TagsConfig
from facemill.config.review import LabelQualityConfig, ReviewConfig
from facemill.config.segment import PseudoLabelsConfig, SelfTrainingConfig, UnetConfig, UnetTrainConfig
from facemill.config.synthesize import GauganConfig, VaeConfig
from facemill.data.classes import SEVEN, ClassTable


class Config(Section):
    """All settings of a run."""

    dataset: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", description="results go to results/<dataset>")
    kind: Literal["sample", "danbooru", "celeba", "folder"]
    seed: int = Field(ge=0)
    holdout: Share = Field(description="share of the portraits on which VAE and GauGAN are measured, never trained")
    classes: ClassTable = Field(SEVEN, description="of the masks, by id")
    sample: SampleConfig | None = None
    source: SourceConfig
    filter: FilterConfig
    portraits: PortraitsConfig
    labels: LabelsConfig
    augment: AugmentConfig
    unet: UnetConfig
    self_training: SelfTrainingConfig | None = Field(
        None, description="v4, which needs unlabelled portraits; null: no v4"
    )
    pseudo_labels: PseudoLabelsConfig
    review: ReviewConfig
    label_quality: LabelQualityConfig
    vae: VaeConfig
    gaugan: GauganConfig
    latents: LatentsConfig
    tags: TagsConfig
    attributes: AttributesConfig

    @model_validator(mode="after")
    def _sections_fit(self) -> Self:
        needed = {
            "sample": [],
            "folder": ["images"],
            "danbooru": ["images", "metadata"],
            "celeba": ["images", "attributes"],
        }[self.kind]
        missing = [key for key in needed if not getattr(self.source, key)]
        if missing:
            raise ValueError(f"source.{missing[0]}: found nothing; accepted: a path, which kind {self.kind!r} needs")
        if "color" in self.tags.sources and not self.masked:
            raise ValueError(
                "source.labelled: found nothing; accepted: a path, here or in source.masks; or no color in tags.sources"
            )
        if self.source.masks and not self.labels.index_names:
            raise ValueError(
                "labels.index_names: found nothing; accepted: the labels behind the numbers in source.masks"
            )
        if self.kind == "sample" and self.sample is None:
            raise ValueError("sample: found nothing; accepted: a section, which kind 'sample' needs")
        if self.masked and self.portraits.width < 64:
            raise ValueError(
                f"portraits.size: found {self.portraits.size}, so {self.portraits.width} pixels wide; "
                "accepted: at least 64 where there are masks, which GauGAN's discriminators need"
            )
        if self.masked and self.portraits.ratio not in (1, 2):
            raise ValueError(f"portraits.ratio: found {self.portraits.ratio}; accepted: 1 or 2 where there are masks")
        for name, preset in self.unet.versions.items():
            if self.masked and self.portraits.width % (32 * preset.downscale):
                raise ValueError(
                    f"unet.versions.{name}.downscale: found {preset.downscale}; accepted: a number that makes the "
                    f"portraits' width, {self.portraits.width}, a multiple of 32 still"
                )
        if self.pseudo_labels.version == "v4" and self.self_training is None:
            raise ValueError("self_training: found nothing; accepted: a section, which pseudo_labels.version v4 needs")
        return self

    @model_validator(mode="after")
    def _classes_have_labels(self) -> Self:
        names, merge = self.classes.names, self.labels.merge
        for key, named in {"labels.merge": merge, "unet.class_weights": self.unet.class_weights}.items():
            if unknown := [name for name in named if name not in names]:
                raise ValueError(f"{key}.{unknown[0]}: found {unknown[0]!r}; accepted: {', '.join(names)}")
        if empty := [name for name in names if name not in merge or (name != names[0] and not merge[name])]:
            found = merge.get(empty[0], "nothing")
            raise ValueError(f"labels.merge.{empty[0]}: found {found}; accepted: at least one label, for this class too")
        return self

    @property
    def unets(self) -> list[str]:
        """The U-Net versions that are trained and compared."""
        return [*self.unet.versions, *(["v4"] if self.self_training else [])]

    @property
    def masked(self) -> bool:
        """Whether there are labelled portraits, and so masks for all; otherwise the chain is that of the VAE alone."""
        return self.kind == "sample" or bool(self.source.labelled or self.source.masks)

    @property
    def styled(self) -> bool:
        """Whether GauGAN paints in the VAE's styles, and so along vectors; otherwise the VAE's decoder does."""
        return self.masked and self.gaugan.z == "encoder"

    def paths(self) -> dict[str, Path]:
        """Every path that the config names, by its key."""
        source = self.source
        named = {
            "source.labelled": source.labelled,
            "source.masks.images": source.masks and source.masks.images,
            "source.masks.masks": source.masks and source.masks.masks,
            "portraits.detector.cascade": self.portraits.detector and self.portraits.detector.cascade,
            "portraits.person.files": self.portraits.person and self.portraits.person.files,
            "unet.encoder_weights": self.unet.encoder_weights,
            "gaugan.vgg_weights": self.gaugan.vgg_weights,
            "gaugan.inception_weights": self.gaugan.inception_weights,
            "tags.i2v": self.tags.i2v,
            "tags.wd14": self.tags.wd14,
        }
        lists = {f"source.{key}": paths for key, paths in source.files().items()}
        lists |= {"portraits.rejected_ids": self.portraits.rejected_ids}
        for key, paths in lists.items():
            is_list = key in ("source.metadata", "portraits.rejected_ids") or len(paths) > 1
            named |= {f"{key}.{i}" if is_list else key: path for i, path in enumerate(paths)}
        return {key: path for key, path in named.items() if isinstance(path, Path)}


def unet_settings(
    config: Config, version: Literal["v1", "v2", "v3"], training: TrainingConfig | None = None
) -> UnetTrainConfig:
    """The settings of one U-Net version: what all versions share and what its own preset says.

    `training` stands in for the preset's own.
    """
    unet = config.unet
    shared = {key: value for key, value in unet if key != "versions"}
    return UnetTrainConfig(**shared | dict(unet.versions[version]) | ({"training": training} if training else {}))
