"""Materials of a dataset and its models: data, pretrained weights, Python packages."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import PackageMetadata, distributions
from pathlib import Path
from typing import Any

from huggingface_hub import try_to_load_from_cache
from packageurl import PackageURL
from safetensors import SafetensorError, safe_open

from facemill.config.ingest import SourceConfig
from facemill.config.root import PRETRAINED, Config
from facemill.data.contents import Everything, summarized
from facemill.files import sha256

UNKNOWN = "unknown"
"""The license of what names none."""

IMAGENET = ("smp-hub/mobilenet_v2.imagenet", "e67aa804e17f7b404b629127eabbd224c4e0690b")
"""Repository and revision on Hugging Face of what `unet.encoder_weights: imagenet` downloads."""


@dataclass(frozen=True)
class Material:
    """One thing that a dataset was made from."""

    key: str
    """The config's key for it, with a number or a file's name where there are several."""
    name: str
    sha256: str | None = None
    """Of its content; None where that is not at hand."""
    license_name: str = UNKNOWN
    """As the file itself names it."""
    urls: tuple[str, ...] = ()
    properties: dict[str, str] = field(default_factory=dict)
    version: str | None = None
    purl: PackageURL | None = None


def sources(source: SourceConfig, checksums: Path | None = None) -> Iterator[Material]:
    """Yields the collection's files, folders, archives and addresses, and the labels.

    A checksum that the config names is taken from it, since ingestion has verified it.

    Args:
        source: the section `source`.
        checksums: checksums of the sample, where it was rendered.
    """
    if checksums:
        yield Material("source", "sample", None, "CC-BY-4.0", properties={"checksums_sha256": sha256(checksums)})
    named: dict[str, list[Any]] = {f"source.{key}": list(paths) for key, paths in source.files().items()}
    named["source.labelled"] = [source.labelled] if source.labelled else []
    masks = source.masks
    named |= {"source.masks.images": [masks.images], "source.masks.masks": [masks.masks]} if masks else {}
    for key, locations in named.items():
        for i, location in enumerate(locations):
            numbered = f"{key}.{i}" if len(locations) > 1 else key
            known = source.sha256.get(str(location))
            if isinstance(location, str):
                yield Material(numbered, location.rsplit("/", 1)[-1], known and known.lower(), urls=(location,))
            elif location.is_dir():
                held = summarized(Everything(source.follows_links(key)).files(location))
                yield Material(numbered, location.name, properties={name: str(value) for name, value in held.items()})
            else:
                yield Material(numbered, location.name, known.lower() if known else sha256(location))


def weights(settings: Config) -> Iterator[Material]:
    """Yields the files of all pretrained networks that the config names, with their SHA-256."""
    if settings.unet.encoder_weights == "imagenet":
        key, encoder = "unet.encoder_weights", settings.unet.encoder
        yield _downloaded(key, *IMAGENET) if encoder == "mobilenet_v2" else _of_timm(key, encoder)
    if settings.token_unet and settings.token_unet.weights == "published":
        yield _of_timm("token_unet.weights", settings.token_unet.vit)
    for key in PRETRAINED:
        for path in settings.files(key):
            files = {key: path}
            if path.is_dir():
                walked = sorted(Everything(follow_links=True).files(path))
                files = {f"{key}/{file.name}": Path(file.path) for file in walked}
            for part, file in files.items():
                yield Material(part, file.name, sha256(file), _named_license(file))


def _of_timm(key: str, name: str) -> Material:
    """The published weights of a network of timm, with the license that timm names."""
    import timm  # takes seconds to import

    published = timm.get_pretrained_cfg(name)
    return _downloaded(key, published.hf_hub_id, "main", published.license or UNKNOWN)


def _downloaded(key: str, repository: str, revision: str, license_name: str = UNKNOWN) -> Material:
    """The weights of a repository on Hugging Face; their SHA-256 where they have been downloaded."""
    cached = try_to_load_from_cache(repository, "model.safetensors", revision=revision)
    digest = sha256(Path(cached)) if isinstance(cached, str) else None
    url = f"https://huggingface.co/{repository}/resolve/{revision}/model.safetensors"
    return Material(key, repository, digest, license_name, urls=(url,))


def _named_license(file: Path) -> str:
    """The license in the metadata of a safetensors file."""
    if file.suffix != ".safetensors":
        return UNKNOWN
    try:
        with safe_open(file, "np") as tensors:
            return (tensors.metadata() or {}).get("license", UNKNOWN)
    except SafetensorError:
        return UNKNOWN  # the training says that it cannot be read


def packages() -> Iterator[Material]:
    """Yields the installed Python packages, by name."""
    by_name: dict[str, PackageMetadata] = {}
    for package in distributions():
        metadata = package.metadata  # parsed anew at each call
        if name := metadata["Name"]:
            by_name.setdefault(re.sub(r"[-_.]+", "-", name).lower(), metadata)
    for name, metadata in sorted(by_name.items()):
        version = metadata["Version"]
        purl = PackageURL("pypi", name=name, version=version)
        license_name = _package_license(metadata)
        yield Material(f"pypi/{name}", metadata["Name"], None, license_name, version=version, purl=purl)


def _package_license(metadata: PackageMetadata) -> str:
    """The license that a package's metadata name: as an expression, in a line of its own, or by a classifier."""
    classifiers = [c.split(" :: ")[-1] for c in metadata.get_all("Classifier") or [] if c.startswith("License :: ")]
    lines = [line.strip() for line in (metadata["License"] or "").splitlines() if line.strip()]
    return metadata["License-Expression"] or (lines[0] if len(lines) == 1 else " AND ".join(classifiers)) or UNKNOWN
