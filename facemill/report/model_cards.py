"""What the cards of all models share: header, figures, data, settings, how to use it, license.

Format: https://huggingface.co/docs/hub/model-cards, with the evaluation results of its section `model-index`.
"""

import json
from pathlib import Path
from typing import Any, Literal, NamedTuple

from huggingface_hub.repocard_data import EvalResult, eval_results_to_model_index

from facemill.data.classes import ClassTable
from facemill.files import atomic_write
from facemill.report.markdown import card, class_table, json_part, license_part, scalars, table

Task = Literal["image-segmentation", "image-to-image", "unconditional-image-generation"]


class Described(NamedTuple):
    """What a card says of one model."""

    title: str
    task: Task
    """Hugging Face's name of the task."""
    summary: str
    metrics: dict[str, Any]
    meanings: dict[str, str]
    """What a metric is, by its name at any level of `metrics`."""
    headline: tuple[str, str]
    """The metric of the header: its key in `metrics`, and its name."""
    trained_on: str
    use: str
    metrics_file: str = "metrics.json"
    """Where all figures are, for the reader: a path from the card's folder."""


def write_model_card(path: Path, *, dataset: str, model: Path, described: Described, license_name: str | None) -> None:
    """Writes the card of a saved model.

    Args:
        path: the card.
        dataset: its name.
        model: the model's safetensors file, with its JSON beside it.
        described: what differs from one kind of model to another.
        license_name: that of the models, as the config names it.
    """
    metadata = json.loads(model.with_suffix(".json").read_text())
    key, name = described.headline
    header: dict[str, Any] = {"pipeline_tag": described.task, "library_name": "facemill", "tags": ["facemill"]}
    if (value := described.metrics.get(key)) is not None:
        result = EvalResult(described.task, dataset, dataset, key, round(value, 6), metric_name=name)
        header |= {"model-index": eval_results_to_model_index(f"{dataset}/{described.title}", [result])}
    parts = [
        f"# {described.title}, trained on {dataset}",
        described.summary,
        _figures(described),
        f"## Trained on\n\n{described.trained_on}",
        f"## Use\n\n{described.use}",
    ]
    if "classes" in metadata:
        parts.append(f"## Classes\n\n{class_table(ClassTable.model_validate(metadata['classes']))}")
    shown = {key: metadata[key] for key in ("network", "arguments", "settings", "sha256") if key in metadata}
    parts.append(
        "## Arguments and settings\n\n"
        f"Of the network, and of its training; the SHA-256 is that of `{model.name}`.\n\n{json_part(shown)}"
    )
    with atomic_write(path) as tmp:
        tmp.write_text(card(header, license_name, *parts, license_part(license_name, "models")))


def _figures(described: Described) -> str:
    rows = []
    for name, value in scalars(described.metrics):
        meanings = [described.meanings[part] for part in name.split(".") if part in described.meanings]
        rows.append((f"`{name}`", value, "".join(meanings[:1])))
    shown = table(["figure", "value", "what it is"], rows)
    return f"## Figures\n\n{shown}\n\nAll of them are in `{described.metrics_file}`."
