"""The config: all sections of a run, and checks between them."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator

from facemill.config.avatars import AvatarsConfig
from facemill.config.fields import Section, Share, TrainingConfig, without_nulls
from facemill.config.ingest import FilterConfig, PortraitsConfig, SampleConfig, SourceConfig
from facemill.config.label import AugmentConfig, LabelsConfig
from facemill.config.latent import AttributesConfig, LatentsConfig, TagsConfig
from facemill.config.mask_generator import MaskGeneratorConfig
from facemill.config.review import LabelQualityConfig, ReviewConfig
from facemill.config.segment import (
    DistillationConfig,
    PseudoLabelsConfig,
    SelfTrainingConfig,
    TokenUnetConfig,
    UnetConfig,
    UnetTrainConfig,
)
from facemill.config.stylegan import EditsConfig, GeneratedConfig, ProjectionConfig, PropagationConfig, StyleganConfig
from facemill.config.swap import SwapConfig
from facemill.config.synthesize import GauganConfig, VaeConfig
from facemill.config.translate import CycleganConfig
from facemill.data.classes import SEVEN, ClassTable

PRETRAINED = (
    "portraits.detector.cascade",
    "portraits.person.files",
    "unet.encoder_weights",
    "token_unet.weights",
    "gaugan.vgg_weights",
    "gaugan.inception_weights",
    "tags.i2v",
    "tags.wd14",
    "avatars.resnet50_weights",
    "swap.detector_file",
    "swap.identity",
    "swap.initial",
)
"""Keys of the files and folders of pretrained networks."""

FURTHER_UNETS = {"v4": "self_training", "v5": "token_unet", "v6": "distillation"}
"""The sections of the U-Nets that are made when asked for."""

NEED_MASKS = ("avatars", "mask_generator", "swap")
"""Further stages that need masks."""


class Config(Section):
    """All settings of a run."""

    dataset: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", description="results go to results/<dataset>")
    kind: Literal["sample", "danbooru", "celeba", "folder"] = Field(description="sample, danbooru, celeba or folder")
    seed: int = Field(ge=0, description="seed of all random choices")
    holdout: Share = Field(description="share of the portraits held out to evaluate VAE and GauGAN")
    classes: ClassTable = Field(
        SEVEN,
        description="classes of the masks by id; the role tells the code which part of a portrait a class belongs to",
    )
    licenses: Annotated[dict[str, str], BeforeValidator(without_nulls)] = Field(
        {},
        description="licenses for cards and the bill of materials, by what they are of: dataset, models, or the key "
        "of a path, such as {dataset: cc-by-4.0, gaugan.vgg_weights: BSD-3-Clause}; unknown without",
    )
    sample: SampleConfig | None = None
    source: SourceConfig
    filter: FilterConfig
    portraits: PortraitsConfig
    labels: LabelsConfig
    augment: AugmentConfig
    unet: UnetConfig
    self_training: SelfTrainingConfig | None = Field(
        None,
        description="v4, such as {confidence: 0.7, training: {...}}, which needs unlabelled portraits; null: no v4",
    )
    token_unet: TokenUnetConfig | None = Field(
        None,
        description="v5, such as {vit: vit_small_patch14_dinov2, weights: published, copies: 6, training: {...}}; "
        "null: no v5",
    )
    distillation: DistillationConfig | None = Field(
        None,
        description="v6, such as {teachers: [v5], training: {...}}, which needs unlabelled portraits; null: no v6",
    )
    pseudo_labels: PseudoLabelsConfig
    review: ReviewConfig
    label_quality: LabelQualityConfig
    vae: VaeConfig
    gaugan: GauganConfig
    latents: LatentsConfig
    tags: TagsConfig
    attributes: AttributesConfig
    avatars: AvatarsConfig
    stylegan: StyleganConfig
    generated: GeneratedConfig
    projection: ProjectionConfig
    edits: EditsConfig
    propagation: PropagationConfig
    mask_generator: MaskGeneratorConfig
    cyclegan: CycleganConfig
    swap: SwapConfig
    also: list[Literal["avatars", "stylegan", "mask_generator", "cyclegan", "through_masks", "swap"]] = Field(
        [],
        description="further stages that a whole run includes: avatars, stylegan, mask_generator, cyclegan, "
        "through_masks, swap",
    )

    @model_validator(mode="after")
    def _source_fits_kind(self) -> Self:
        needed: dict[str, list[str]] = {
            "sample": [],
            "folder": ["images"],
            "danbooru": ["images", "metadata"],
            "celeba": ["images", "attributes"],
        }
        if missing := [key for key in needed[self.kind] if not getattr(self.source, key)]:
            raise ValueError(f"source.{missing[0]}: found nothing; accepted: a path, which kind {self.kind!r} needs")
        if "color" in self.tags.sources and not self.masked:
            raise ValueError(
                "source.labelled: found nothing; accepted: a path, here or in source.masks; or no color in tags.sources"
            )
        if self.source.masks and not self.labels.index_names:
            raise ValueError("labels.index_names: found nothing; accepted: the labels by their index in source.masks")
        needs_other = {"cyclegan", "through_masks"} & {*self.also}
        if needs_other and self.kind != "sample" and not self.cyclegan.other:
            raise ValueError(
                f"cyclegan.other: found null; accepted: another collection, which also: [{min(needs_other)}] needs"
            )
        if unmasked := [stage for stage in self.also if stage in NEED_MASKS and not self.masked]:
            raise ValueError(
                f"also: found {unmasked[0]}; accepted: further stages that need no masks, or source.labelled or "
                "source.masks"
            )
        if "swap" in self.also and self.kind != "sample" and not self.swap.a:
            raise ValueError("swap.a: found null; accepted: a film or folder, which also: [swap] needs")
        if self.kind == "sample" and self.sample is None:
            raise ValueError("sample: found nothing; accepted: a section, which kind 'sample' needs")
        return self

    @model_validator(mode="after")
    def _portraits_fit_networks(self) -> Self:
        size, width, ratio = self.portraits.size, self.portraits.width, self.portraits.ratio
        if self.masked and width < 64:
            raise ValueError(
                f"portraits.size: found {size}, so {width} pixels wide; "
                "accepted: at least 64 where there are masks, which GauGAN's discriminators need"
            )
        if self.masked and ratio not in (1, 2):
            raise ValueError(f"portraits.ratio: found {ratio}; accepted: 1 or 2 where there are masks")
        if self.token_unet and ratio != 1:
            raise ValueError(f"token_unet: found a section; accepted: null where portraits.ratio is {ratio:g}")
        for name, preset in self.unet.versions.items():
            if self.masked and width % (32 * preset.downscale):
                raise ValueError(
                    f"unet.versions.{name}.downscale: found {preset.downscale}; accepted: a number that makes the "
                    f"portraits' width, {width}, a multiple of 32 still"
                )
        for section in ("stylegan", "mask_generator"):
            if (found := getattr(self, section).size) > size:
                raise ValueError(f"{section}.size: found {found}; accepted: at most portraits.size, {size}")
        return self

    @model_validator(mode="after")
    def _unets_are_made(self) -> Self:
        asked: dict[str, list[str]] = {"pseudo_labels.version": [self.pseudo_labels.version]}
        asked["distillation.teachers"] = [*self.distillation.teachers] if self.distillation else []
        for key, versions in asked.items():
            if missing := [version for version in versions if version not in self.unets]:
                raise ValueError(
                    f"{FURTHER_UNETS[missing[0]]}: found nothing; accepted: a section, which {key} {missing[0]} needs"
                )
        return self

    @model_validator(mode="after")
    def _classes_have_labels(self) -> Self:
        names, merge = self.classes.names, self.labels.merge
        for key, named in (("labels.merge", merge), ("unet.class_weights", self.unet.class_weights)):
            if unknown := [name for name in named if name not in names]:
                raise ValueError(f"{key}.{unknown[0]}: found {unknown[0]!r}; accepted: {', '.join(names)}")
        background = names[0]  # the class of unlabelled pixels: needs no label
        if empty := [name for name in names if name not in merge or not (merge[name] or name == background)]:
            found = merge.get(empty[0], "nothing")
            raise ValueError(
                f"labels.merge.{empty[0]}: found {found}; accepted: at least one label, for this class too"
            )
        return self

    @model_validator(mode="after")
    def _licenses_are_of_something(self) -> Self:
        accepted = ["dataset", "models", *_path_keys(Config)]
        if unknown := [key for key in self.licenses if key not in accepted]:
            raise ValueError(f"licenses: found {unknown[0]!r}; accepted: {', '.join(accepted)}")
        return self

    @model_validator(mode="after")
    def _filter_fits_source(self) -> Self:
        if self.kind in ("sample", "danbooru"):
            return self
        has_tags = self.kind == "celeba" or self.source.tags is not None
        keys = [*self.filter.needs_post(), *([] if has_tags else ["tags_all", "tags_any"])]
        unmet = {key: value for key in keys if (value := getattr(self.filter, key)) not in (None, [])}
        if unmet:
            raise ValueError(
                f"filter.{', '.join(unmet)}: found {', '.join(map(repr, unmet.values()))}; "
                f"accepted: [] or null, since images of kind {self.kind!r} carry no ratings, scores or dates"
                f"{'' if has_tags else ', and tags only in source.tags'}; config/{self.kind}.yaml sets them so: "
                "name it before your file in one --configfile, of several options the last one counts"
            )
        return self

    @property
    def unets(self) -> list[str]:
        """The U-Net versions that are trained and compared."""
        return [*self.unet.versions, *(version for version, key in FURTHER_UNETS.items() if getattr(self, key))]

    @property
    def masked(self) -> bool:
        """Whether there are labelled portraits, and so masks for all; without them only the VAE is trained."""
        return self.kind == "sample" or bool(self.source.labelled or self.source.masks)

    @property
    def styled(self) -> bool:
        """Whether GauGAN paints in styles that are read, and so makes the edits; else the VAE's decoder does."""
        return self.masked and self.gaugan.z in ("encoder", "regions")

    @property
    def styled_by_region(self) -> bool:
        """Whether these styles are codes by region."""
        return self.masked and self.gaugan.z == "regions"

    def paths(self) -> dict[str, Path]:
        """Every path that the config names, by its key; a list's by key and number: `source.metadata.0`."""
        named: dict[str, Any] = {}
        for key in _path_keys(Config):
            value: Any = self
            for name in key.split("."):
                value = getattr(value, name, None)
            named |= {f"{key}.{i}": item for i, item in enumerate(value)} if isinstance(value, list) else {key: value}
        return {key: value for key, value in named.items() if isinstance(value, Path)}

    def files(self, key: str) -> list[Path]:
        """The paths that the config names under a key; none where it is null or an address.

        Raises:
            KeyError: No field that may hold a path has this key.
        """
        if key not in (keys := _path_keys(Config)):
            raise KeyError(f"config: found no path {key!r}; accepted: {', '.join(keys)}")
        return [path for name, path in self.paths().items() if name == key or name.startswith(f"{key}.")]


def _path_keys(kind: Any, prefix: str = "") -> dict[str, None]:
    """The keys of all fields that may hold paths, in a section or a type annotation, in the order of the fields."""
    if kind is Path:
        return {prefix: None}
    if isinstance(kind, type) and issubclass(kind, Section):
        parts = [(f"{prefix}.{name}" if prefix else name, f.annotation) for name, f in kind.model_fields.items()]
    else:
        parts = [(prefix, argument) for argument in get_args(kind)]
    return {key: None for name, part in parts for key in _path_keys(part, name)}


def unet_settings(
    config: Config, version: Literal["v1", "v2", "v3"], training: TrainingConfig | None = None
) -> UnetTrainConfig:
    """The settings of one U-Net version: those all versions share and its preset; `training` replaces the preset's."""
    unet = config.unet
    shared = {key: value for key, value in unet if key != "versions"}
    return UnetTrainConfig(**shared | dict(unet.versions[version]) | ({"training": training} if training else {}))
