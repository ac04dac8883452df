"""The bill of materials of a dataset and its models, in CycloneDX's form.

Format: https://cyclonedx.org/docs/1.6/json/
"""

import json
import re
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6

from facemill.config.root import Config
from facemill.files import sha256, write_json
from facemill.report.materials import Material, packages, sources, weights

READ = {
    "unet": ("unet.encoder_weights",),
    "unet/v5": ("unet.encoder_weights", "token_unet.weights"),
    "gaugan": ("gaugan.vgg_weights", "gaugan.inception_weights"),
}
"""The pretrained weights that the training and the evaluation of a model read, as keys of the config."""


def list_materials(
    *, settings: Config, code: str, models: list[Path], checksums: Path | None = None, bill: Path
) -> None:
    """Writes what a dataset and its models were made of: data, weights, packages, code and settings.

    Files have their SHA-256, folders that of their listing, of names and sizes. Licenses are those that the config or
    the file itself names, or else `unknown`. The same materials give the same bytes: the serial number follows from the
    contents, and there is no date.

    Args:
        settings: the config.
        code: digests of the code of all rules, as JSON.
        models: the models' safetensors files, in folders beside the bill.
        checksums: checksums of the sample, where it was rendered.
        bill: the JSON to write.
    """
    dataset = _component(Material("dataset", settings.dataset), ComponentType.DATA, settings)
    data = [_component(material, ComponentType.DATA, settings) for material in sources(settings.source, checksums)]
    pretrained = [_component(m, ComponentType.MACHINE_LEARNING_MODEL, settings) for m in weights(settings)]
    read_by = {kind: [c for c in pretrained if c.bom_ref.value in keys] for kind, keys in READ.items()}
    rest = [c for c in pretrained if not any(c in read for read in read_by.values())]
    libraries = [_component(material, ComponentType.LIBRARY, settings) for material in packages()]
    bom = Bom(components=[*data, *pretrained, *libraries], serial_number=UUID(int=0))
    bom.metadata.component = dataset
    bom.register_dependency(dataset, [*data, *rest])
    for path in models:
        name = path.relative_to(bill.parent).parent.as_posix()
        material = Material(f"models/{name}", name, sha256(path))
        model = _component(material, ComponentType.MACHINE_LEARNING_MODEL, settings)
        bom.components.add(model)
        bom.register_dependency(model, [dataset, *read_by.get(name, read_by.get(name.split("/")[0], []))])
    bom.metadata.properties.update(_properties("facemill:config", settings.model_dump(mode="json")))
    bom.metadata.properties.update(_properties("facemill:code", json.loads(code)))
    bom.serial_number = uuid5(NAMESPACE_URL, json.dumps(_dateless(bom)))
    write_json(bill, _dateless(bom))


def _component(material: Material, kind: ComponentType, settings: Config) -> Component:
    """A component of the bill, with the license that the config names for it, or else the material's own."""
    key = re.sub(r"\.\d+$", "", material.key.split("/")[0])  # of one in a list, or in a folder
    properties = [Property(name=f"facemill:{name}", value=value) for name, value in material.properties.items()]
    urls = [ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(url)) for url in material.urls]
    return Component(
        name=material.name,
        version=material.version,
        type=kind,
        bom_ref=material.key,
        purl=material.purl,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=material.sha256)] if material.sha256 else [],
        licenses=[LicenseFactory().make_from_string(settings.licenses.get(key, material.license_name))],
        properties=properties,
        external_references=urls,
    )


def _properties(prefix: str, content: Any) -> list[Property]:
    """Nested settings as properties such as `facemill:config.gaugan.preset`; lists as JSON."""
    if isinstance(content, dict) and content:
        return [item for key, value in content.items() for item in _properties(f"{prefix}.{key}", value)]
    return [Property(name=prefix, value=content if isinstance(content, str) else json.dumps(content))]


def _dateless(bom: Bom) -> dict[str, Any]:
    """The bill as JSON without the time at which it is written."""
    content: dict[str, Any] = json.loads(JsonV1Dot6(bom).output_as_string())
    del content["metadata"]["timestamp"]
    return content
