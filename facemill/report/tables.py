"""What the tables of a dataset are, and what their columns hold: sentences for its card."""

from facemill.data.classes import ROLES

TABLES = {
    "portraits": "all portraits",
    "pseudo_labels": "the masks that a U-Net predicted of them, with their confidence",
    "gate": "which pseudo-labels GauGAN is trained on, and why not on the others",
    "labels": "hand-labelled portraits with their masks",
    "tags": "tags, names of colors, and colors",
    "latents": "codes of the VAE",
    "styles": "style codes by region, with which GauGAN paints",
}
"""What a table is, by its folder."""

COLUMNS = {
    "id": "the portrait's id, the same in all tables: that of its image, with `#2` and so on for further portraits",
    "image": "the portrait, sRGB",
    "mask": "class ids, a palette PNG; 255 is ignored",
    "tags": "tags of the image",
    "source": "image file that the portrait was made from, as its maker's machine names it",
    "split": "the collection's own split",
    "attributes": "the collection's own attributes",
    "confidence": "mean probability of the predicted classes over the pixels",
    "entropy": "mean entropy of the pixels, in nats",
    "flip_disagreement": "share of the pixels whose class changes when the portrait is flipped",
    "rejected": "why it is rejected; null: accepted",
    "latent": "mean of q(z|x); in `styles` the mean color of each class, red, green and blue in [-1, 1]",
    "std": "standard deviation of q(z|x)",
    "tag_probabilities": "probability of each tag",
    "tag_sources": "where each tag is from",
} | {role: "median L*a*b* of the region" for role in ROLES}
"""What a column holds, by its name."""

PREFIXES = {"entropy_": "mean entropy of the pixels of one class, in nats", "area_": "share of the pixels of one class"}
SUFFIXES = {"_probability": "probability of a name", "_source": "where a name is from", "_color": "name of a color"}


def meaning(column: str) -> str:
    """What a column holds; nothing for one of an unknown name."""
    if column in COLUMNS:
        return COLUMNS[column]
    texts = [text for prefix, text in PREFIXES.items() if column.startswith(prefix)]
    return (texts + [text for suffix, text in SUFFIXES.items() if column.endswith(suffix)] + [""])[0]
