"""Comparison of extractors: `shape`, pixels, the autoencoder as published and mended, pretrained networks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from facemill.avatars.compared_parts import ROLES, ComparedParts, compared_parts
from facemill.avatars.extractor_figures import Domains, draw_codes, draw_embeddings
from facemill.avatars.extractor_measures import Measures, Vectors
from facemill.avatars.extractors import Extractor, NetworkExtractor, Raw, Shape, load_extractor
from facemill.avatars.measured import SAMPLE_STYLE
from facemill.avatars.styles import PartRole
from facemill.files import write_json
from facemill.log import log
from facemill.networks.part_autoencoder import SIZE, PartAutoencoder
from facemill.networks.store import load_model

FILM = "a.mp4"
"""The sample's film in which at first nothing happens."""


def compare_extractors(
    *,
    portraits: list[Path],
    pseudo_labels: list[Path],
    regions: list[Path],
    parts: list[Path],
    encoders: list[Path],
    mobilenet_weights: Literal["imagenet"] | Path | None = None,
    variants: Path | None = None,
    films: Path | None = None,
    truth: Path | None = None,
    unet: Path | None = None,
    resnet50_weights: Literal["imagenet"] | Path | None = None,
    size: int,
    looks: int,
    seed: int,
    extractors: Path,
    embeddings: Path,
    codes: Path,
) -> None:
    """Compares extractors on parts of which all is known, and on the collection's portraits.

    Args:
        portraits: shards of the collection.
        pseudo_labels: shards of the portraits' masks.
        regions: shards of the portraits' parts.
        parts: the tables of the styles' parts; what they are is in the JSON beside each.
        encoders: autoencoders of parts, as published and mended.
        mobilenet_weights: ImageNet's weights of a MobileNetV2, which the U-Nets start from; none: it is left out.
        variants: the table of what each of the sample's portraits was drawn of.
        films: the folder of the sample's films.
        truth: the table of what the films' frames show.
        unet: the U-Net that segments the film's frames; none: the truth's masks.
        resnet50_weights: ImageNet's weights of a ResNet50; none: it is left out.
        size: of drawn portraits, in pixels.
        looks: slightly moved copies of a portrait whose descriptors are averaged.
        seed: of the choice of portraits, their moves, and of those that are drawn.
        extractors: JSON of all measures, by extractor.
        embeddings: PNG of both domains, portraits and parts of styles, before and after standardizing.
        codes: PNG of the autoencoders' codes of both domains.
    """
    compared = compared_parts(
        portraits=portraits,
        pseudo_labels=pseudo_labels,
        regions=regions,
        parts=parts,
        variants=variants,
        film=films / FILM if films else None,
        truth=truth,
        unet=unet,
        size=size,
        looks=looks,
        seed=seed,
    )
    by_name = all_extractors(encoders, mobilenet_weights, resnet50_weights)
    style = SAMPLE_STYLE if any(path.stem == SAMPLE_STYLE for path in parts) else parts[0].stem
    results, domains = measure_all(by_name, compared, style)
    write_json(extractors, results)
    draw_embeddings(embeddings, by_name, {name: _of(of, ("eyes", "mouth")) for name, of in domains.items()})
    draw_codes(codes, {name: _of(of, ROLES) for name, of in domains.items() if name.startswith("autoencoder")})


def measure_all(
    extractors: Mapping[str, Extractor], compared: ComparedParts, style: str
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[PartRole, Domains]]]:
    """By extractor, `shape` first: all measures, and the parts of portraits beside those of a style."""
    results: dict[str, dict[str, Any]] = {}
    domains: dict[str, dict[PartRole, Domains]] = {}
    for name, extractor in extractors.items():
        vectors = Vectors.of(extractor, compared)
        results[name] = Measures(extractor, compared, vectors).summary()
        ours, theirs = results["shape"]["mean"], results[name]["mean"]
        results[name]["behind_shape"] = None if theirs is None else ours - theirs
        domains[name] = domains_of(vectors, style)
        log.info("compare_extractors: %s, mean top-1 %s", name, "not measured" if theirs is None else f"{theirs:.3f}")
    return results, domains


def domains_of(vectors: Vectors, style: str) -> dict[PartRole, Domains]:
    """Parts of portraits beside those of a style, by role."""
    libraries = {role: of for (name, role), of in vectors.libraries.items() if name == style}
    return {role: Domains(vectors.collection[role], of) for role, of in libraries.items() if role in vectors.collection}


def _of(domains: Mapping[PartRole, Domains], roles: Sequence[PartRole]) -> dict[PartRole, Domains]:
    return {role: domains[role] for role in roles if role in domains}


def all_extractors(
    encoders: list[Path],
    mobilenet_weights: Literal["imagenet"] | Path | None,
    resnet50_weights: Literal["imagenet"] | Path | None,
) -> Mapping[str, Extractor]:
    """The extractors that there are weights for, by name."""
    extractors: dict[str, Extractor] = {"shape": Shape(), "raw": Raw()}
    for path in encoders:
        network = load_model(PartAutoencoder, path)
        name = f"autoencoder_{network.kind}"
        extractors[name] = NetworkExtractor(name, network.encode, SIZE)
    if mobilenet_weights:
        extractors["mobilenet_v2"] = load_extractor("mobilenet_v2", weights=mobilenet_weights)
    if resnet50_weights:
        extractors["resnet50"] = load_extractor("resnet50", weights=resnet50_weights)
    return extractors
