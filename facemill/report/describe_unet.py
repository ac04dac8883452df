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


def describe_unet(
    *,
    dataset: str,
    version: str,
    model: Path,
    metrics: Path,
    labels: list[Path],
    augmented: Path,
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
        augmented: shard of the augmented training portraits.
        portraits: shards of the collection, on whose pseudo-labels v4 and v6 are trained, too.
        model_license: the models' license; without it the card says that it is unknown.
        card: the Markdown to write.
    """
    scores: dict[str, Any] = json.loads(metrics.read_text())[version]
    described_model = json.loads(model.with_suffix(".json").read_text())
    arguments, teachers = described_model["arguments"], described_model["settings"].get("teachers", [])
    size, tokens = arguments["size"], f" and the tokens of {arguments['vit']}" if arguments.get("vit") else ""
    train, validation, test = (count_rows([path]) for path in labels)
    data = (
        f"{train:,} hand-labelled portraits (`labels`, split train) in {count_rows([augmented]):,} augmented copies"
        f"{_unlabelled(version, teachers, portraits) if portraits else ''}. The weights were chosen by the split "
        f"validation ({validation:,}), the figures are of the split test ({test:,})."
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


def _unlabelled(version: str, teachers: list[str], shards: list[Path]) -> str:
    """What a U-Net has learned from the unlabelled portraits; nothing but of v4 and v6."""
    learned = {"v4": "v3's confident pseudo-labels", "v6": f"the soft labels of {' and '.join(teachers)}"}.get(version)
    return f", and {learned} of the unlabelled among {count_rows(shards):,} portraits (`portraits`)" if learned else ""
