"""The config: every key, its type, its meaning and what it accepts."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from facemill.config.fields import Palette, Positive, Reduction, Section, Share, number
from facemill.config.ingest import Filter, Portraits, Sample, Source
from facemill.data.classes import CLASSES, ClassName


class Labels(Section):
    """How fine labels become classes, and which labelled portraits are kept for measuring."""

    merge: dict[ClassName, list[str]] = Field(description="for each class the labelme labels that become it")
    ignore: list[str] = Field([], description="labels whose pixels are left out of losses and metrics")
    numbered: list[str] = Field([], description="the labels that numbers stand for in ready-made masks, from 0 on")
    tolerance: float = Field(
        1, ge=0, description="pixels that a point may lie outside its image: clipped with a warning"
    )
    cracks: int = Field(0, ge=0, description="unlabelled strips narrower than so many pixels go to the nearest class")
    validation: Share = Field(description="share of labelled portraits that a training is watched on")
    test: Share = Field(description="share of labelled portraits that measure the U-Nets")

    @model_validator(mode="after")
    def _every_class_once(self) -> "Labels":
        lost = [name for name in CLASSES if name not in self.merge or (name != "background" and not self.merge[name])]
        if lost:
            found = self.merge.get(lost[0], "nothing")
            raise ValueError(f"merge.{lost[0]}: found {found}; accepted: at least one label, for this class too")
        labels = [label for merged in self.merge.values() for label in merged] + self.ignore
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(f"merge: found {twice[0]!r} twice; accepted: each label in one class or in ignore")
        lost = [label for label in self.numbered if label not in labels]
        if lost:
            raise ValueError(f"numbered: found {lost[0]!r}; accepted: labels that `merge` or `ignore` names")
        if self.validation + self.test >= 1:
            raise ValueError(f"test: found {self.test}; accepted: less than 1 together with validation")
        return self


class Augment(Section):
    """Random warps of the training portraits."""

    copies: Positive = Field(description="augmented pairs for each labelled one")
    rotation: float = Field(ge=0, le=180, description="degrees to either side")
    scale: float = Field(ge=0, lt=1, description="largest relative change of size")
    warp: float = Field(ge=0, description="displacement of elastic and grid warps, as a share of the size")
    color: float = Field(0, ge=0, le=1, description="strength of colour changes; 0 is off")


class Review(Section):
    """The next portraits to label: where the U-Nets are unsure or disagree."""

    portraits: Positive = Field(description="how many are written as labelme files")


class Training(Section):
    """One training: counted in images, so that it means the same at any batch size."""

    images: Positive = Field(description="images seen, repeats counted")
    batch: Positive
    learning_rate: float = Field(gt=0)


class UnetPreset(Section):
    """What tells the U-Net versions apart."""

    decoder: Literal["transposed", "upsample"]
    reduction: Reduction = Field(description="the network works at the portraits' size divided by this")
    training: Training


Width = Literal["tiny", "narrow", "wide"]
ClassWeights = Annotated[
    dict[ClassName, Annotated[float, Field(gt=0)]],
    Field(description="of the classes in the cross-entropy; 1 where nothing is said"),
]
Patience = Annotated[Positive, Field(description="validations, of ten, in a row below the best, after which it stops")]


class Unet(Section):
    """The U-Nets: a MobileNetV2 encoder under three decoders."""

    encoder_weights: Literal["imagenet"] | Path | None = Field(description="`imagenet`, a safetensors file, or null")
    width: Width = Field(description="of the decoder; facemill/networks/unet.py has the channels")
    class_weights: ClassWeights = {}
    patience: Patience
    versions: Annotated[dict[Literal["v1", "v2", "v3"], UnetPreset], Field(min_length=3)]


class SelfTraining(Section):
    """v4: a new U-Net that learns from what v3 is sure of in the unlabelled portraits, too."""

    confidence: Share = Field(description="probability from which a pixel's class is believed")
    training: Training = Field(description="counted in unlabelled images; as many labelled ones are seen beside them")


class PseudoLabels(Section):
    """Who labels the collection, and which of its portraits GauGAN may learn from."""

    version: Literal["v3", "v4"] = Field(description="the U-Net that labels")
    min_confidence: Share = Field(description="least mean confidence of an accepted portrait")
    max_flipped: Annotated[float, Field(gt=0, le=1)] = Field(
        description="largest share of its pixels whose class changes when it is mirrored"
    )


class LabelQuality(Section):
    """The hand-drawn labels that networks trained without them contradict."""

    folds: Annotated[int, Field(ge=2)] = Field(description="parts of the labelled portraits, each judged by a network")
    training: Training = Field(description="of v3, once a fold")


class UnetSettings(Section):
    """All that one U-Net version is trained with; another version's settings do not concern it."""

    encoder_weights: Literal["imagenet"] | Path | None
    width: Width
    class_weights: ClassWeights
    patience: Patience
    decoder: Literal["transposed", "upsample"]
    reduction: Reduction
    training: Training


class Vae(Section):
    """The VAE whose encoder gives GauGAN its style code."""

    size: Annotated[Literal[32, 64, 128, 256], BeforeValidator(number)] = Field(
        description="pixels that it works at; portraits are resized to it"
    )
    z_dim: Positive = Field(description="dimensions of the style code")
    width: Positive = Field(description="channels after the first convolution")
    kl_weight: float = Field(ge=0)
    training: Training


class Gaugan(Section):
    """The SPADE generator and its multi-scale PatchGAN discriminators."""

    preset: Literal["tiny", "small", "medium", "large", "paper"] = Field(
        description="the networks' channels; facemill/networks/spade.py has the numbers"
    )
    z: Literal["encoder", "normal", "none"] = Field(
        "encoder", description="where a style comes from: the VAE's encoder, N(0, 1), or nowhere"
    )
    feature_matching_weight: float = Field(ge=0)
    perceptual_weight: float = Field(ge=0, description="weight of the VGG loss; without vgg_weights it is left out")
    vgg_weights: Path | None = Field(None, description="safetensors file of torchvision's VGG16 convolutions")
    inception_weights: Path | None = Field(None, description="safetensors file of FID's Inception: names its features")
    diff_augment: bool = Field(False, description="differentiable augmentation, for fewer than some thousand portraits")
    accumulate: Positive = Field(1, description="parts in which a batch is computed; more need less memory")
    gpus: Positive = Field(1, description="GPUs that share a batch")
    training: Training

    @model_validator(mode="after")
    def _batch_has_parts(self) -> "Gaugan":
        if self.training.batch % (self.accumulate * self.gpus):
            raise ValueError(
                f"training.batch: found {self.training.batch}; accepted: a multiple of accumulate times gpus, "
                f"{self.accumulate * self.gpus}"
            )
        return self


class Tags(Section):
    """Where tags come from, and what colours are called."""

    sources: Annotated[list[Literal["tags", "color", "i2v", "wd14"]], Field(min_length=1)] = Field(
        description="`tags`: the collection's own; `color`: median colours under the masks; `i2v`, `wd14`: networks; "
        "the first that has a name gives it"
    )
    i2v: Path | None = Field(None, description="folder of illustration2vec's published files")
    wd14: Path | None = Field(None, description="folder of a WD14 tagger's model.onnx and selected_tags.csv")
    threshold: Share = Field(0.25, description="probability from which a network's tag is believed")
    hair_colors: Palette
    skin_colors: Palette
    eye_colors: Palette

    @model_validator(mode="after")
    def _networks_have_files(self) -> "Tags":
        if missing := [name for name in ("i2v", "wd14") if name in self.sources and getattr(self, name) is None]:
            raise ValueError(f"{missing[0]}: found nothing; accepted: the folder of its files, since sources names it")
        return self


class Attributes(Section):
    """Attribute vectors and the pictures they make."""

    booleans: list[str] = Field([], description="tags that are attributes of their own, such as Smiling")
    method: Literal["means", "logistic"] = Field(
        "means", description="difference of means, or the normal of a logistic regression"
    )
    hold: list[str] = Field([], description="regions whose colours, and booleans, that vectors leave as they are")
    strength: float = Field(1, gt=0, description="how many times a vector is added")
    min_images: Positive = Field(description="least number of latents behind a vector")
    edited: Positive = Field(description="held-out portraits on which each vector is tried")
    steps: Annotated[int, Field(ge=2)] = Field(description="pictures in a transition")


class Config(Section):
    """All settings of a run."""

    dataset: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", description="results go to results/<dataset>")
    kind: Literal["sample", "danbooru", "celeba", "folder"]
    seed: int = Field(ge=0)
    holdout: Share = Field(description="share of the portraits on which VAE and GauGAN are measured, never trained")
    sample: Sample | None = None
    source: Source
    filter: Filter
    portraits: Portraits
    labels: Labels
    augment: Augment
    unet: Unet
    self_training: SelfTraining | None = Field(None, description="v4, which needs unlabelled portraits; null: no v4")
    pseudo_labels: PseudoLabels
    review: Review
    label_quality: LabelQuality
    vae: Vae
    gaugan: Gaugan
    latents: Positive = Field(description="portraits, at most, that are encoded: in the plane and behind the vectors")
    tags: Tags
    attributes: Attributes

    @model_validator(mode="after")
    def _sections_fit(self) -> "Config":
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
        if self.source.masks and not self.labels.numbered:
            raise ValueError("labels.numbered: found nothing; accepted: the labels behind the numbers in source.masks")
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
            if self.masked and self.portraits.width % (32 * preset.reduction):
                raise ValueError(
                    f"unet.versions.{name}.reduction: found {preset.reduction}; accepted: a number that makes the "
                    f"portraits' width, {self.portraits.width}, a multiple of 32 still"
                )
        if self.pseudo_labels.version == "v4" and self.self_training is None:
            raise ValueError("self_training: found nothing; accepted: a section, which pseudo_labels.version v4 needs")
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


def unet_settings(config: Config, version: Literal["v1", "v2", "v3"], training: Training | None = None) -> UnetSettings:
    """The settings of one U-Net version: what all versions share and what its own preset says.

    `training` stands in for the preset's own.
    """
    unet = config.unet
    shared = {key: value for key, value in unet if key != "versions"}
    return UnetSettings(**shared | dict(unet.versions[version]) | ({"training": training} if training else {}))
