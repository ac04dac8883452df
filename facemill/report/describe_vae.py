"""The card of the VAE."""

import json
from pathlib import Path

from facemill.data.shards import read_rows
from facemill.data.splits import trained_on
from facemill.report.model_cards import Described, write_model_card

MEANINGS = {
    "reconstruction_l1": "mean absolute difference of pixels in [0, 1] between held-out portraits and reconstructions",
    "reconstruction_l1_std": "its standard deviation over portraits",
    "kl": "KL divergence to N(0, 1), in nats per portrait",
    "images": "number of held-out portraits",
}


def describe_vae(
    *,
    dataset: str,
    model: Path,
    metrics: Path,
    portraits: list[Path],
    holdout: float,
    model_license: str | None = None,
    card: Path,
) -> None:
    """Writes the card of the VAE: its figures on held-out portraits, its data, its settings, how to use it.

    Args:
        dataset: name of the dataset.
        model: its safetensors file.
        metrics: JSON of its evaluation.
        portraits: shards of the collection.
        holdout: share of the portraits that is held out.
        model_license: the models' license; without it the card says that it is unknown.
        card: the Markdown to write.
    """
    arguments = json.loads(model.with_suffix(".json").read_text())["arguments"]
    size, keep = arguments["size"], trained_on(portraits, holdout)
    trained = [keep(row["id"]) for row in read_rows(portraits, ["id"])]
    described = Described(
        title="VAE",
        task="unconditional-image-generation",
        summary=f"A variational autoencoder of portraits at {size} x {size} pixels with codes of {arguments['z_dim']} "
        "dimensions; with `gaugan.z: encoder` its encoder reads the styles that GauGAN paints in.",
        metrics=json.loads(metrics.read_text()),
        meanings=MEANINGS,
        headline=("reconstruction_l1", "L1 of reconstructions, held-out portraits"),
        trained_on=f"{sum(trained):,} of the {len(trained):,} portraits (`portraits`); the others are held out.",
        use="```python\nfrom pathlib import Path\n\nfrom facemill.networks.store import load_model\n"
        "from facemill.networks.vae import Vae\n\n"
        f'vae = load_model(Vae, Path("results/{dataset}/vae"))\n'
        f"mean, log_variance = vae.encode(images)  # of float32 RGB (N, 3, {size}, {size}) in [-1, 1]\n"
        "portraits = vae.decode(mean)\n```",
    )
    write_model_card(card, dataset=dataset, model=model, described=described, license_name=model_license)
