"""The card of GauGAN."""

import json
from pathlib import Path

from facemill.data.shards import read_rows
from facemill.data.splits import trained_on
from facemill.report.model_cards import Described, write_model_card

MEANINGS = {
    "resegmentation_miou": "mask fidelity: mean IoU of the masks that a U-Net, which did not label the training set, "
    "predicts of the generated portraits",
    "resegmentation_miou_real": "the same of the masks' real portraits",
    "resegmentation_iou": "mask fidelity of one class",
    "style_color_error": "CIEDE2000 of a region's color to that of a portrait: `reference` is the style's",
    "style_diversity_vs_real": "distance between portraits of one mask in several styles, against real portraits'",
    "lpips_diversity": "the same as LPIPS",
    "frechet_distance": "distance of one portrait a mask to portraits of the training",
    "frechet_distance_real": "the same of held-out real portraits",
    "kid": "kernel Inception distance to portraits of the training",
    "fid": "Inception's Frechet distance to portraits of the training",
    "styles": "where the styles of the figures without a prefix `from_` come from",
    "masks": "number of held-out masks",
    "images": "number of generated portraits",
    "frechet_features": "features of the Frechet distance",
}


def describe_gaugan(
    *,
    dataset: str,
    model: Path,
    metrics: Path,
    portraits: list[Path],
    gate: Path,
    holdout: float,
    model_license: str | None = None,
    card: Path,
) -> None:
    """Writes the card of GauGAN: its figures on held-out masks, its data, its settings, how to use it.

    Args:
        dataset: name of the dataset.
        model: the generator's safetensors file.
        metrics: JSON of its evaluation.
        portraits: shards of the collection.
        gate: table of the portraits that the gate rejects.
        holdout: share of the portraits that is held out.
        model_license: the models' license; without it the card says that it is unknown.
        card: the Markdown to write.
    """
    arguments = json.loads(model.with_suffix(".json").read_text())["arguments"]
    keep = trained_on(portraits, holdout)
    rows = [(keep(row["id"]), row["rejected"] is None) for row in read_rows([gate], ["id", "rejected"])]
    held_out = sum(not training for training, _ in rows)
    folder = f"results/{dataset}/gaugan"
    command = f"python scripts/generate_portraits.py --model {folder} --masks MASKS"
    styled = f"{command} --style IMAGE --out PORTRAITS\n" if arguments["z"] in ("encoder", "regions") else ""
    styled += f"{command} --style IMAGE --style-of hair=OTHER --out PORTRAITS\n" if arguments["z"] == "regions" else ""
    described = Described(
        title="GauGAN",
        task="image-to-image",
        summary="A SPADE generator (Park et al. 2019) that paints portraits, "
        f"{arguments['size']} pixels high, from masks of the classes below.",
        metrics=json.loads(metrics.read_text()),
        meanings=MEANINGS,
        headline=("resegmentation_miou", "re-segmentation mean IoU, held-out masks"),
        trained_on=f"{sum(map(all, rows)):,} of the {len(rows):,} portraits with pseudo-labels (`portraits`, "
        f"`pseudo_labels`): {held_out:,} are held out, and the gate (`gate`) rejects the others.",
        use=f"```sh\n{styled}{command} --seed 7 --out PORTRAITS\n```",
    )
    write_model_card(card, dataset=dataset, model=model, described=described, license_name=model_license)
