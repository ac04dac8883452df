"""The config of stage ingest: the collection, the filter of its posts, the portraits made of them."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, field_validator, model_validator

from facemill.config.fields import Date, Positive, Section, Share, Size
from facemill.files import expand_home


class SampleConfig(Section):
    """The embedded sample, rendered where kind is sample."""

    portraits: Positive = Field(description="number of portraits")
    labelled: Positive = Field(description="number of them that have labelme files")
    frames: Annotated[int, Field(ge=20)] = Field(240, description="number of frames of each of its two films")


class IndexMasksConfig(Section):
    """Ready-made masks: single-channel PNGs of label indices, and images of the same names."""

    images: Path = Field(description="folder of images")
    masks: Path = Field(description="folder of masks, each of its image's stem and proportions")


Url = Annotated[str, Field(pattern=r"^(https?|s3)://")]
Location = Annotated[Url | Path, Field(union_mode="left_to_right")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")]


def _regex(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"found {value!r}; accepted: a regular expression ({error})") from error
    return value


class SourceConfig(Section):
    """The collection, as paths or http(s):// and s3:// addresses; the sample renders its own."""

    images: Location | list[Location] | None = Field(
        None,
        description="folder (bucket folders by id % 1000, flat, any depth), zip or tar archive, or a list of them",
    )
    labelled: Path | None = Field(None, description="folder of images with labelme JSON files beside them")
    masks: IndexMasksConfig | None = Field(
        None, description="ready-made masks, {images: FOLDER, masks: FOLDER}, besides labelled or instead of it"
    )
    metadata: list[Location] = Field(
        [], description="Danbooru metadata: JSON lines or lists; plain, .gz, .xz, .zst or in a tar"
    )
    attributes: Location | None = Field(None, description="CelebA's list_attr_celeba.txt, or .csv")
    partition: Location | None = Field(None, description="CelebA's list_eval_partition.txt, or .csv")
    tags: Location | None = Field(None, description="for kind folder: a CSV file, an id or file name, then tags")
    tag_pattern: Annotated[str, AfterValidator(_regex)] | None = Field(
        None, description="regular expression of a tag in that file; null: separated by commas, or else by spaces"
    )
    sha256: dict[str, Sha256] = Field({}, description="checksums of files named above, such as {images.zip: 9f86d0...}")
    follow_links: bool = Field(
        False, description="whether symbolic links in the folders are followed, wherever they point"
    )
    max_broken: Share = Field(0.01, description="share of broken metadata lines above which the run stops")

    def image_roots(self) -> list[Location]:
        """The folders and archives of images."""
        return self.images if isinstance(self.images, list) else [self.images] if self.images else []

    def files(self) -> dict[str, list[Location]]:
        """The files, folders and archives that ingestion reads, by their keys."""
        lists = {"images": self.image_roots(), "metadata": self.metadata}
        singles = {"attributes": self.attributes, "partition": self.partition, "tags": self.tags}
        return lists | {key: [location] if location else [] for key, location in singles.items()}

    def follows_links(self, key: str) -> bool:
        """Whether links that lead out of the folders of a key are followed: where images allow it, elsewhere always."""
        return self.follow_links or not key.startswith("source.images")

    @field_validator("sha256")
    @classmethod
    def _expand_names(cls, value: dict[str, str]) -> dict[str, str]:
        return {
            str(expand_home(Path(name))) if name.startswith("~") else name: digest for name, digest in value.items()
        }

    @model_validator(mode="after")
    def _checksums_have_files(self) -> Self:
        named = {str(location) for locations in self.files().values() for location in locations}
        if unknown := sorted(self.sha256.keys() - named):
            raise ValueError(f"sha256.{unknown[0]}: found no such file above; accepted: {', '.join(sorted(named))}")
        return self


class FilterConfig(Section):
    """Criteria of posts; null or [] accepts all. In tags * stands for any letters."""

    ratings: list[Literal["g", "s", "q", "e"]] = Field([], description="accepted ratings: g, s, q, e")
    min_score: int | None = Field(None, description="least score")
    min_favorites: int | None = Field(None, description="least number of favorites")
    min_size: int | None = Field(None, description="least width and height of the original, in pixels")
    min_aspect: float | None = Field(None, gt=0, description="least height of the original, as a multiple of its width")
    max_aspect: float | None = Field(None, gt=0, description="largest height, as a multiple of the width")
    max_age: Positive | None = Field(
        None, description="largest age in days, counted from the newest post of the collection"
    )
    created_after: Date | None = Field(None, description="first accepted date, YYYY-MM-DD")
    created_before: Date | None = Field(None, description="first date no longer accepted, YYYY-MM-DD")
    tags_all: list[str] = Field([], description="tags of which a post must have all")
    tags_any: list[str] = Field([], description="tags of which a post must have at least one")
    tags_none: list[str] = Field([], description="tags of which a post must have none")
    limit: Positive | None = Field(None, description="largest number of posts, sampled with the seed")

    @staticmethod
    def needs_post() -> tuple[str, ...]:
        """The keys of criteria that only posts of a board meet: their ratings, scores, favorites and dates."""
        return ("ratings", "min_score", "min_favorites", "max_age", "created_after", "created_before")


class DetectorConfig(Section):
    """A face detector, and the crops around its faces."""

    kind: Literal["cascade", "animeface"] = Field(description="OpenCV's cascade classifier, or the package animeface")
    cascade: Path | None = Field(None, description="the cascade's XML file, such as lbpcascade_animeface.xml")
    margin: float = Field(0.4, ge=0, description="added on each side of a face, as a share of its height")
    min_face: Positive = Field(48, description="least height of a face in pixels of the image")
    faces: Positive = Field(
        4, description="largest number of faces in an image; each becomes a portrait, largest first"
    )

    @model_validator(mode="after")
    def _cascade_has_a_file(self) -> Self:
        if self.kind == "cascade" and self.cascade is None:
            raise ValueError("cascade: found nothing; accepted: a path, which kind 'cascade' needs")
        return self


class PersonConfig(Section):
    """A tagger that rejects images without a person."""

    tagger: Literal["i2v", "wd14"] = Field(description="illustration2vec, or an ONNX tagger of the WD14 family")
    files: Path = Field(description="folder of the tagger's files, as `tags.i2v` and `tags.wd14` name them")
    tags: Annotated[list[str], Field(min_length=1)] = Field(
        ["1girl", "1boy", "multiple_girls", "multiple_boys"], description="tags of which one must be predicted"
    )
    threshold: Share = Field(0.25, description="least probability of a predicted tag")


CropPlace = Literal["middle", "top", "face"]


class Cropping(BaseModel):
    """How the portraits of a model's collection were cropped, among the settings in its JSON; older ones do not say."""

    crop: CropPlace = "middle"
    detector: DetectorConfig | None = None


class PortraitsConfig(Section):
    """Portraits, checked, in shards."""

    size: Size = Field(description="height in pixels, and width where ratio is 1: 32, 64, 128, 256 or 512")
    ratio: float = Field(
        1,
        ge=1,
        le=4,
        description="height : width; above 1 with the body below the face (2: the 8:4 of half-body portraits)",
    )
    shards: Positive = Field(description="number of shards: jobs grow with shards, never with images")
    detector: DetectorConfig | None = Field(
        None,
        description="crops to faces, such as {kind: cascade, cascade: FILE.xml}; null: the largest box of each image",
    )
    crop: CropPlace = Field(
        "middle",
        description="place of the largest box of this ratio in other images, labelled ones too: middle, top, or face, "
        "with a detector",
    )
    person: PersonConfig | None = Field(
        None, description="rejects images without a person, such as {tagger: wd14, files: FOLDER}"
    )
    duplicates: Annotated[int, Field(ge=0, le=8)] | None = Field(
        None,
        description="largest Hamming distance of near-duplicates' 64-bit perceptual hashes; the best is kept",
    )
    rejected_ids: list[Path] = Field(
        [], description="lists of ids to leave out, one a line, as the culling sheets export them"
    )

    @model_validator(mode="after")
    def _face_has_a_detector(self) -> Self:
        if self.crop == "face" and self.detector is None:
            raise ValueError("crop: found 'face'; accepted: middle or top, or face with a detector")
        return self

    @property
    def width(self) -> int:
        """Width in pixels."""
        return round(self.size / self.ratio)

    @property
    def cropping(self) -> Cropping:
        """What a model's JSON says of its portraits."""
        return Cropping(crop=self.crop, detector=self.detector)
