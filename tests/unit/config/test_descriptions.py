"""The fields' descriptions are the comments of `config.yaml`."""

import inspect
import json
import re
from collections.abc import Iterator

from helpers.configs import ROOT, sample_config
from pydantic import BaseModel

from facemill.config.root import Config
from facemill.config.validation import schema


def descriptions(section: BaseModel, prefix: str = "") -> Iterator[tuple[str, str | None]]:
    """Each key of a section and below it, with the field's description, or that of the section that it holds."""
    for name, field in type(section).model_fields.items():
        key, value = f"{prefix}{name}", getattr(section, name)
        yield key, field.description or inspect.getdoc(value)
        items = {f"{key}.{k}": item for k, item in value.items()} if isinstance(value, dict) else {key: value}
        for below, item in items.items():
            if isinstance(item, BaseModel):
                yield from descriptions(item, f"{below}.")


def comments() -> dict[str, str]:
    """The comment beside each key of `config.yaml` that has a line of its own."""
    texts: dict[str, str] = {}
    keys: list[str] = []
    for line in (ROOT / "config/config.yaml").read_text().splitlines():
        if entry := re.match(r"( *)(\w+):.*?(?: # (.*))?$", line):
            keys = [*keys[: len(entry[1]) // 2], entry[2]]
            texts[".".join(keys)] = entry[3] or ""
        elif continued := re.match(r" +# (.*)", line):
            texts[".".join(keys)] += f" {continued[1]}"
    return texts


def test_the_comments_are_the_descriptions():
    described = {key: text for key, text in descriptions(Config.model_validate(sample_config())) if key in comments()}
    commented = {key: text for key, text in comments().items() if text and key in described}
    assert commented == {key: described[key] for key in commented}
    repeated = re.compile(r"unet\.versions\.v[23]\.\w+")  # v1's say it
    assert described.keys() - commented.keys() == {key for key in described if repeated.fullmatch(key)}


def test_every_field_has_a_description():
    models = {"Config": schema()} | schema()["$defs"]
    assert [name for name, model in models.items() if not model.get("description")] == []
    fields = {
        f"{name}.{key}": field for name, model in models.items() for key, field in model.get("properties", {}).items()
    }
    assert [
        key for key, field in fields.items() if "description" not in field and "$ref" not in json.dumps(field)
    ] == []
