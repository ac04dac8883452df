"""The card of a U-Net."""

import json
from pathlib import Path
from typing import Any

from facemill.data.shards import count_rows
from facemill.report.model_cards import Described, write_model_card

MEANINGS = {
    "miou": "mean of the classes' IoUs, of pixels summed over the test portraits",
    "iou": "IoU of one class",
    "boundary_iou": "mean boundary IoU, in bands of 2% of the diagonal (Cheng et al. 2021)",
    "specks": "connected parts of a mask that touch no true pixel of their class, per portrait",
    "checkerboard": "energy of the logits at periods of 2 and 4 pixels against their neighborhood; 1 is none",
    "test_images": "number of test portraits",
    "miou_std": "standard deviation of the mean IoU over test portraits",
    "gain": "mean IoU less that of the version before, on the same portraits",
}

TO_THE_LAST_STEP = ("v5", "v6")
"""Versions without early stopping, which learn from the validation portraits, too."""


def describe_unet(
    *,
    dataset: str,
    version: str,
    model: Path,
    metrics: Path,
    labels: list[Path],
    augmented: list[Path],
    portraits: list[Path] | None = None,
    model_license: str | None = None,
    card: Path,
) -> None:
    """Writes the card of a U-Net: its figures on the test portraits, its data, its settings, how to use it.

    Args:
        dataset: name of the dataset.
        version: the U-Net's, such as v3.
        model: its safetensors file.
        metrics: JSON of the comparison of all versions.
        labels: the labelled portraits: train, validation, test.
        augmented: shards of the augmented portraits: train, validation.
        portraits: shards of the collection, on whose pseudo-labels v4 and v6 are trained, too.
        model_license: the models' license; without it the card says that it is unknown.
        card: the Markdown to write.
    """
    scores: dict[str, Any] = json.loads(metrics.read_text())[version]
    described_model = json.loads(model.with_suffix(".json").read_text())
    arguments, settings = described_model["arguments"], described_model["settings"]
    size, tokens = arguments["size"], f" and the tokens of {arguments['vit']}" if arguments.get("vit") else ""
    data = (
        f"{_labelled(version, settings, labels, augmented)}"
        f"{_unlabelled(version, settings.get('teachers', []), portraits) if portraits else ''}. "
        f"{_chosen(version, labels[1])}, the figures are of the split test ({count_rows(labels[2:]):,})."
    )
    folder = f"results/{dataset}/unet/{version}"
    described = Described(
        title=f"U-Net {version}",
        task="image-segmentation",
        summary=f"A U-Net with the encoder {arguments.get('encoder', 'mobilenet_v2')}{tokens}, which segments "
        f"portraits of {size} pixels into the classes below. Images of any size get masks of the same size.",
        metrics=scores,
        metrics_file="../comparison.json",
        meanings=MEANINGS,
        headline=("miou", "mean IoU, test portraits"),
        trained_on=data,
        use=f"```sh\npython scripts/predict_masks.py --model {folder} --images IMAGES --out MASKS\n```\n\n"
        "```python\nfrom pathlib import Path\n\nfrom facemill.inference.segmenter import Segmenter\n\n"
        f'segmenter = Segmenter.load(Path("{folder}"))\n'
        "masks = segmenter.masks(portraits)  # class ids, uint8 (N, S, S), of uint8 RGB portraits (S, S, 3)\n```",
    )
    write_model_card(card, dataset=dataset, model=model, described=described, license_name=model_license)


def _labelled(version: str, settings: dict[str, Any], labels: list[Path], augmented: list[Path]) -> str:
    """The labelled portraits that a U-Net has learned from, and their copies."""
    splits = 2 if version in TO_THE_LAST_STEP else 1
    portraits, copies = count_rows(labels[:splits]), count_rows(augmented[:splits])
    if version == "v5":
        copies = min(copies, portraits * settings["token_unet"]["copies"])
    names = "splits train and validation" if splits == 2 else "split train"
    return f"{portraits:,} hand-labelled portraits (`labels`, {names}) in {copies:,} augmented copies"


def _chosen(version: str, validation: Path) -> str:
    """How a U-Net's weights were chosen."""
    if version in TO_THE_LAST_STEP:
        return "The weights are those of the last step"
    return f"The weights were chosen by the split validation ({count_rows([validation]):,})"


def _unlabelled(version: str, teachers: list[str], shards: list[Path]) -> str:
    """What a U-Net has learned from the unlabelled portraits; nothing but of v4 and v6."""
    learned = {"v4": "v3's confident pseudo-labels", "v6": f"the soft labels of {' and '.join(teachers)}"}.get(version)
    return f", and {learned} of the unlabelled among {count_rows(shards):,} portraits (`portraits`)" if learned else ""
