"""What a run leaves, in small and without a training: models of 64 px with chosen weights, and 24 drawn portraits.

The generator paints each class in its color, but hair in that of the style code, and a mouth redder with a fourth
number of it; the U-Net names each pixel by the nearest class color. Noise on all weights lets everything depend on
everything a little, as in a trained network.
"""

from pathlib import Path

import numpy as np
import torch
import yaml
from torch import Tensor, nn

from facemill.config.root import Config
from facemill.data.classes import SEVEN
from facemill.data.shards import encode_jpeg, encode_mask, write_shard
from facemill.imaging.palettes import rgb
from facemill.inference.vectors import Vectors
from facemill.ingest.portraits import SCHEMA as PORTRAIT
from facemill.label.labelled_rows import SCHEMA as LABELLED
from facemill.latent.encode_latents import LATENT_SCHEMA
from facemill.networks.region_styles import CODE
from facemill.networks.spade import Generator
from facemill.networks.store import save_model
from facemill.networks.unet import Unet
from facemill.networks.vae import Vae
from facemill.review.review_portraits import write_labelme
from helpers.running import ROOT, merged

SIZE, Z_DIM, PORTRAITS, NOISE = 64, 8, 24, 0.01
OFFSET = 4.0
"""Added to what the generator paints, so that no leaky ReLU bends it, and taken off again."""

HAIR = {"black_hair": "#2a262d", "grey_hair": "#c3c6cf", "red_hair": "#b0302c"}
GAUGAN = {"size": SIZE, "z_dim": Z_DIM, "ngf": 4, "nhidden": 8, "classes": 7}
BY_REGION = GAUGAN | {"z": "regions", "z_dim": 7 * CODE}


def code_of(color: str) -> Tensor:
    """The first three numbers of a style code that paints hair in this color."""
    return torch.atanh(torch.tensor(rgb(color)) * 1.9 - 0.95)


@torch.no_grad()
def make_generator(z: str = "encoder") -> Generator:
    """Portraits whose hair has the color of the style code."""
    torch.manual_seed(0)
    generator = Generator(**GAUGAN | {"z": z} | ({"z_dim": 0} if z == "none" else {}))
    for parameter in generator.parameters():
        parameter.normal_(0, NOISE / max(1, parameter[0].numel()) ** 0.5)
    places = generator.base_height * generator.base_width
    for channel in range(min(4, generator.z_dim)):  # the code, through all blocks
        generator.first.weight[channel * places : (channel + 1) * places, channel] += 1
        for block in generator.blocks[1:]:
            block.conv_s.weight[channel, channel] += 1
    last = generator.blocks[-1]
    spade, channels = last.spade_s, last.spade_s.norm.num_features
    gamma, beta = spade.scale_shift.weight[:channels, :, 1, 1], spade.scale_shift.weight[channels:, :, 1, 1]
    for i, c in enumerate(SEVEN.root):
        spade.shared[0].weight[i, i, 1, 1] += 1
        gamma[:3, i] -= float(c.role != "hair")
        gamma[3, i] -= float(c.role != "mouth")
        beta[4:7, i] += OFFSET + (0 if c.role == "hair" else code_of(c.color))
    for channel in range(3):
        last.conv_s.weight[channel, channel + 4] += 1
        generator.last.weight[channel, channel, 1, 1] += 1
    last.conv_s.weight[0, 3] += 1
    last.conv_s.weight[3].zero_()
    generator.last.bias -= OFFSET
    return generator


@torch.no_grad()
def make_region_generator() -> Generator:
    """Portraits of which each class has the color that a style code by region gives it, but for a tanh."""
    torch.manual_seed(0)
    generator = Generator(**BY_REGION)
    for parameter in generator.parameters():
        parameter.normal_(0, NOISE / max(1, parameter[0].numel()) ** 0.5)
    last = generator.blocks[-1]
    channels = last.spade_s.norm.num_features
    last.spade_s.scale_shift.bias[channels : channels + CODE] += OFFSET
    for channel in range(CODE):
        generator.shifts[-1].linear.weight[channel, channel] += 1
        last.conv_s.weight[channel, channel] += 1
        generator.last.weight[channel, channel, 1, 1] += 1
    generator.last.bias -= OFFSET
    return generator


@torch.no_grad()
def make_unet() -> tuple[Unet, dict]:
    """A U-Net whose class is that of the nearest color: -|p - c|^2 is linear in p, but for a term without c."""
    torch.manual_seed(0)
    arguments = {"classes": 7, "size": SIZE, "decoder": "upsample", "decoder_channels": [8] * 5}
    unet = Unet(**arguments).eval()
    for convolution, source in zip(unet.blocks[-1].convolve, (8, 0), strict=True):  # the image comes after 8 channels
        convolution[0].weight.zero_()
        for channel in range(3):
            convolution[0].weight[channel, source + channel, 1, 1] = 1
            convolution[1].bias[channel] = OFFSET if source else 0
    colors = torch.tensor(SEVEN.colors) / 255
    unet.head.weight.zero_()
    unet.head.weight[:, :3, 0, 0] = 60 * colors * unet.std.flatten()
    shift = unet.mean.flatten() - OFFSET * unet.std.flatten()
    unet.head.bias.copy_(60 * colors @ shift - 30 * colors.square().sum(1))
    return unet, arguments


def draw_mask(seed: int, size: int = SIZE) -> np.ndarray:
    """A head with hair, eyes, mouth, neck and clothes: class ids, uint8 (size, size)."""
    random = np.random.default_rng(seed)
    ys, xs = (axis / size for axis in np.mgrid[:size, :size] + 0.5)
    x, y, r = random.uniform(0.45, 0.55), random.uniform(0.42, 0.5), random.uniform(0.2, 0.25)
    mask = np.zeros((size, size), np.uint8)
    mask[((xs - x) / 1.7) ** 2 + (ys - 1.05) ** 2 < 0.06] = 6
    mask[(xs - x) ** 2 + (ys - y) ** 2 < (r + 0.12) ** 2] = 5
    mask[(abs(xs - x) < 0.08) & (ys > y) & (ys < 0.84)] = 1
    mask[(xs - x) ** 2 + (ys - y - 0.03) ** 2 < r**2] = 2
    for side in (-1, 1):
        mask[(xs - x + side * 0.09) ** 2 + ((ys - y) / 1.3) ** 2 < 0.045**2] = 3
    mask[((xs - x) / 2) ** 2 + (ys - y - 0.14) ** 2 < 0.022**2] = 4
    return mask


def draw_portrait(mask: np.ndarray, hair: str) -> np.ndarray:
    """A flat portrait, uint8 RGB (H, W, 3): each class in its color, hair in another."""
    palette = np.array([hexed(hair) if c.role == "hair" else hexed(c.color) for c in SEVEN.root], np.uint8)
    return palette[mask]


def hexed(color: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(color[1:]))


def write_models(folder: Path, z: str = "encoder") -> None:
    """Writes `gaugan`, with what reads its styles, and `unet/v3`."""
    unet, unet_arguments = make_unet()
    save_model(folder / "unet/v3/model.safetensors", unet, unet_arguments, {}, SEVEN)
    if z == "regions":
        save_model(folder / "gaugan/model.safetensors", make_region_generator(), BY_REGION, {"z": z}, SEVEN)
        save_model(folder / "gaugan/style_encoder.safetensors", unet, unet_arguments, {}, SEVEN)
        return
    arguments = GAUGAN | {"z": z} | ({"z_dim": 0} if z == "none" else {})
    save_model(folder / "gaugan/model.safetensors", make_generator(z), arguments, {"z": z}, SEVEN)
    torch.manual_seed(0)
    vae = {"size": SIZE, "z_dim": Z_DIM, "width": 4}
    encoder = Vae(**vae)
    nn.init.normal_(encoder.mean.weight, 0, 0.5)
    if z == "encoder":
        save_model(folder / "gaugan/style_encoder.safetensors", encoder, vae, {})


def write_vectors(folder: Path) -> None:
    """Writes vectors between three hair colors, and to a red mouth."""
    names = list(HAIR)

    def step(a: str, b: str) -> np.ndarray:
        difference = np.zeros(Z_DIM, np.float32)
        difference[:3] = code_of(HAIR[b]) - code_of(HAIR[a])
        return difference

    pairs = {(a, b): step(a, b) for a in names for b in names if a != b}
    mouth = np.float32(np.eye(Z_DIM)[3])
    vectors = Vectors({"hair_color": names}, pairs, {"open_mouth": mouth})
    vectors.save(folder / "attributes/vectors.safetensors", dict.fromkeys(vectors.names(), 8), {})


def write_collection(folder: Path) -> None:
    """Writes portraits, latents, pseudo-labels, labels and the review's files, of two shards where a run has two."""
    random, colors, names = np.random.default_rng(0), list(HAIR.values()), [str(1000 + i) for i in range(PORTRAITS)]
    masks = [draw_mask(i) for i in range(PORTRAITS)]
    pictures = [encode_jpeg(draw_portrait(mask, colors[i % 3])) for i, mask in enumerate(masks)]
    rows = [
        {"id": name, "image": {"bytes": picture}, "mask": {"bytes": encode_mask(mask, SEVEN)}, "tags": []}
        | {"source": "", "latent": [*code_of(colors[i % 3]).tolist(), *random.normal(0, 1, Z_DIM - 3)]}
        | {"std": [0.1] * Z_DIM}
        for i, (name, picture, mask) in enumerate(zip(names, pictures, masks, strict=True))
    ]
    for shard in range(2):
        name, inside = f"shard-{shard:04d}.parquet", rows[shard::2]
        write_shard(folder / "portraits" / name, inside, PORTRAIT)
        write_shard(folder / "latents" / name, inside, LATENT_SCHEMA)
        write_shard(folder / "pseudo_labels" / name, inside, LABELLED.remove(1), SEVEN)
    for split, inside in {"train": rows[:2], "validation": rows[2:3], "test": rows[3:4]}.items():
        write_shard(folder / f"labels/{split}.parquet", inside, LABELLED, SEVEN)
    (folder / "review/labelme").mkdir(parents=True)
    pairs = [(row, row) for row in rows[4:7]]
    write_labelme(folder / "review/labelme", pairs, settings().labels, SEVEN)


def settings() -> Config:
    return Config.model_validate(raw_settings())


def raw_settings() -> dict:
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    tiny = {"dataset": "tiny", "portraits": {"size": SIZE}, "unet": {"versions": {"v1": {"downscale": 2}}}}
    return merged(config, tiny)


def write_results(folder: Path, z: str = "encoder") -> Path:
    """Writes all that the studio looks for beside a model, but no vectors for styles by region; returns the folder."""
    write_models(folder, z)
    if z != "regions":
        write_vectors(folder)
    write_collection(folder)
    (folder / "config.yaml").write_text(yaml.safe_dump(raw_settings(), sort_keys=False))
    return folder
