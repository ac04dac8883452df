"""The config of the first stage: where the collection lies, which posts are kept, how they become portraits."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from facemill.config.fields import Date, Positive, Section, Share, Size


class SampleConfig(Section):
    """The embedded sample, rendered when `kind` is `sample`."""

    portraits: Positive = Field(description="how many portraits to render")
    labelled: Positive = Field(description="how many of them also come with labelme files")


class IndexMasksConfig(Section):
    """Ready-made masks: single-channel PNGs of label numbers, and images of the same names."""

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
    """Where the collection lies, as paths or as http(s):// and s3:// addresses; the sample renders its own."""

    images: Location | list[Location] | None = Field(
        None, description="folders (bucket folders by id % 1000, flat, any depth), zip and tar archives of images"
    )
    labelled: Path | None = Field(None, description="folder of images with labelme JSON files beside them")
    masks: IndexMasksConfig | None = Field(None, description="ready-made masks, besides `labelled` or instead of it")
    metadata: list[Location] = Field([], description="Danbooru metadata: JSON lines or lists, packed or plain")
    attributes: Location | None = Field(None, description="CelebA's list_attr_celeba.txt, or its CSV form")
    partition: Location | None = Field(None, description="CelebA's list_eval_partition.txt, or its CSV form")
    tags: Location | None = Field(None, description="for kind folder: a CSV file, an id or file name, then tags")
    tag_pattern: Annotated[str, AfterValidator(_regex)] | None = Field(
        None, description="regular expression of a tag in that file; without it commas, or else spaces, part tags"
    )
    sha256: dict[str, Sha256] = Field({}, description="checksums of files and archives named above, by their names")
    follow_links: bool = Field(False, description="take images that links in the folders point to, wherever they are")
    max_broken: Share = Field(0.01, description="share of broken metadata lines above which the run stops")

    def image_roots(self) -> list[Location]:
        """The folders and archives of images."""
        return self.images if isinstance(self.images, list) else [self.images] if self.images else []

    def files(self) -> dict[str, list[Location]]:
        """What ingestion reads, by the key that names it."""
        one = {"attributes": self.attributes, "partition": self.partition, "tags": self.tags}
        many = {"images": self.image_roots(), "metadata": self.metadata}
        return many | {key: [location] if location else [] for key, location in one.items()}

    @model_validator(mode="after")
    def _checksums_have_files(self) -> Self:
        named = {str(location) for locations in self.files().values() for location in locations}
        if unknown := sorted(self.sha256.keys() - named):
            raise ValueError(f"sha256.{unknown[0]}: found no such file above; accepted: {', '.join(sorted(named))}")
        return self


class FilterConfig(Section):
    """Which posts are kept; a rule that is null or empty keeps all. In tags `*` stands for any letters or none."""

    ratings: list[Literal["g", "s", "q", "e"]] = Field([], description="ratings to keep")
    min_score: int | None = None
    min_favorites: int | None = None
    min_size: int | None = Field(None, description="least width and height of the original, in pixels")
    min_aspect: float | None = Field(None, gt=0, description="least height of the original, as a multiple of its width")
    max_aspect: float | None = Field(None, gt=0, description="largest height, likewise")
    max_age: Positive | None = Field(None, description="days before the newest post of the collection")
    created_after: Date | None = Field(None, description="date, inclusive")
    created_before: Date | None = Field(None, description="date, exclusive")
    tags_all: list[str] = Field([], description="tags a post must have, all of them")
    tags_any: list[str] = Field([], description="tags of which a post must have one")
    tags_none: list[str] = Field([], description="tags a post must not have")
    limit: Positive | None = Field(None, description="at most so many posts, drawn with the seed")


class DetectorConfig(Section):
    """A face detector, and how its faces become portraits."""

    kind: Literal["cascade", "animeface"] = Field(description="OpenCV's cascade classifier, or the package animeface")
    cascade: Path | None = Field(None, description="the cascade's XML file, such as lbpcascade_animeface.xml")
    margin: float = Field(0.4, ge=0, description="added on each side of a face, as a share of its height")
    min_face: Positive = Field(48, description="least height of a face in pixels of the image")
    faces: Positive = Field(4, description="at most so many faces an image, the largest; each becomes a portrait")

    @model_validator(mode="after")
    def _cascade_has_a_file(self) -> Self:
        if self.kind == "cascade" and self.cascade is None:
            raise ValueError("cascade: found nothing; accepted: a path, which kind 'cascade' needs")
        return self


class PersonConfig(Section):
    """A tagger that must see a person in an image; where it sees none the image is rejected."""

    tagger: Literal["i2v", "wd14"] = Field(description="illustration2vec, or an ONNX tagger of the WD14 family")
    files: Path = Field(description="folder of the tagger's files, as `tags.i2v` and `tags.wd14` name them")
    tags: Annotated[list[str], Field(min_length=1)] = Field(
        ["1girl", "1boy", "multiple_girls", "multiple_boys"], description="one of these must be seen"
    )
    threshold: Share = Field(0.25, description="probability from which a tag is seen")


class PortraitsConfig(Section):
    """The shards of checked portraits."""

    size: Size = Field(description="height in pixels, and width where ratio is 1")
    ratio: float = Field(1, ge=1, le=4, description="height : width; above 1 the body below the face is kept too")
    shards: Positive = Field(description="number of shards: jobs grow with these, never with images")
    detector: DetectorConfig | None = Field(
        None, description="finds faces to crop to; null takes the middle of each image"
    )
    person: PersonConfig | None = Field(None, description="rejects images in which a tagger sees no person")
    duplicates: Annotated[int, Field(ge=0, le=8)] | None = Field(
        None, description="of portraits whose 64-bit perceptual hashes differ in at most so many bits one is kept"
    )
    rejected_ids: list[Path] = Field([], description="lists of ids to leave out, one a line, as culling sheets export")

    @property
    def width(self) -> int:
        """Width in pixels."""
        return round(self.size / self.ratio)
