"""Pseudo-labelling, end to end, against the network alone and against a plain script.

    python benchmarks/pseudo_label.py --portraits results/sample/portraits/shard-0000.parquet

End to end: a shard of JPEGs to a shard of masks and numbers, as the rule `pseudo_label` does it. The network alone: the
same graph (a U-Net's two looks at each portrait, it and its mirror image; classes and numbers) on pixels that lie in
memory, as many batches at once. The plain script: files through a DataLoader and Pillow, segmentation_models_pytorch's
U-Net as it comes, in float32, masks saved by Pillow; with both looks, as here, and with one, which gives worse masks.
Each takes its turns, so that other work on the machine disturbs all; what counts are medians. The last line holds the
ratios as JSON: `vs_plain` is that to the script which does the same, `vs_plain_one_look` that to the other.
"""

import json
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import segmentation_models_pytorch as smp
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from facemill.data.classes import CLASSES, palette
from facemill.data.shards import IMAGE, decode_image, encode_jpeg, read_rows, write_shard
from facemill.inference.backends import Labels, labeller
from facemill.networks.store import device, load_model
from facemill.networks.unet import WIDTHS, Unet
from facemill.segment.pseudo_label import SCHEMA, pseudo_labels
from facemill.workflow.command import run

PORTRAITS = 302_652
"""Danbooru2019-Portraits; 1,000 to a shard."""


class Files(Dataset):
    """The plain script's images: float32 (3, H, W) and the path to write to."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, str]:
        pixels = np.asarray(Image.open(self.paths[index]).convert("RGB"), np.float32) / 255
        return torch.from_numpy(pixels).permute(2, 0, 1), str(self.paths[index].with_suffix(".png"))


@torch.no_grad()
def plain_script(unet: torch.nn.Module, paths: list[Path], looks: int) -> None:
    """What one would write in ten minutes."""
    for images, names in DataLoader(Files(paths), batch_size=8, num_workers=2):
        logits = unet(images)
        if looks == 2:
            logits = logits + unet(images.flip(3)).flip(3)
        for mask, name in zip(logits.argmax(1).byte().numpy(), names, strict=True):
            picture = Image.fromarray(mask, "P")
            picture.putpalette(palette())
            picture.save(name)


def alone(label: Callable[[np.ndarray], Labels], pixels: list[np.ndarray]) -> None:
    """The network on batches that lie in memory."""
    with ThreadPoolExecutor(label.at_once) as pool:
        list(pool.map(label, pixels))


def atomic_write(label: Callable[[np.ndarray], Labels], shard: Path, out: Path) -> None:
    """As scripts/pseudo_label.py does it."""
    with ThreadPoolExecutor(2) as pool:
        write_shard(out, list(pseudo_labels(label, read_rows([shard], ["id", "image"]), pool)), SCHEMA)


def timed(call: Callable[[], None]) -> float:
    """Seconds of a call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main(
    *, portraits: list[Path], model: Path | None = None, size: int = 512, images: int = 192, rounds: int = 5
) -> None:
    """Times labelling with a U-Net v3 of the narrow decoder.

    Args:
        portraits: shards of portraits, enlarged or shrunk to the size
        model: a trained U-Net of that size; its weights change no speed, but masks of noise are larger files
        size: of the portraits, in pixels
        images: portraits in a turn; the plain script has an eighth of them
        rounds: turns of each
    """
    torch.manual_seed(0)
    arguments = {"size": size, "decoder": "upsample", "decoder_channels": WIDTHS["narrow"]}
    unet = load_model(Unet, model) if model else Unet(**arguments).eval().to(device())
    begun = time.perf_counter()
    label = labeller(unet)
    label(np.zeros((label.batch, size, size, 3), np.uint8))
    begun = time.perf_counter() - begun
    plain = smp.Unet("mobilenet_v2", encoder_weights=None, classes=len(CLASSES)).eval()

    with tempfile.TemporaryDirectory() as folder:
        shard, out, paths = Path(folder, "in.parquet"), Path(folder, "out.parquet"), []
        rows = list(read_rows(portraits, ["id", "image"]))
        made = []
        for i in range(images):
            pixels = Image.fromarray(decode_image(rows[i % len(rows)]["image"]["bytes"]))
            data = encode_jpeg(np.asarray(pixels.resize((size, size), Image.Resampling.LANCZOS)))
            made.append({"id": str(i), "image": {"bytes": data, "path": f"{i}.jpg"}})
            paths.append(Path(folder, f"{i}.jpg"))
            paths[-1].write_bytes(data)
        write_shard(shard, made, pa.schema([("id", pa.string()), ("image", IMAGE)]))
        decoded = np.stack([decode_image(row["image"]["bytes"]) for row in made])
        batches = [decoded[i : i + label.batch] for i in range(0, images // label.batch * label.batch, label.batch)]
        some = paths[: max(8, images // 8)]
        rates: dict[str, list[float]] = {name: [] for name in ("plain, one look", "plain", "network", "whole")}
        for _ in range(rounds):
            rates["plain, one look"].append(len(some) / timed(lambda: plain_script(plain, some, looks=1)))
            rates["plain"].append(len(some) / timed(lambda: plain_script(plain, some, looks=2)))
            rates["network"].append(len(batches) * label.batch / timed(lambda: alone(label, batches)))
            rates["whole"].append(images / timed(lambda: atomic_write(label, shard, out)))

    print(f"portraits of {size} px, {type(label).__name__}, {torch.get_num_threads()} threads; images per second")
    for name, found in rates.items():
        print(f"{name:15} median {statistics.median(found):7.2f}  all {' '.join(f'{rate:.2f}' for rate in found)}")
    rate = statistics.median(rates["whole"])
    hours = (PORTRAITS / rate + PORTRAITS / 1000 * begun) / 3600
    print(f"{PORTRAITS:,} portraits: {hours:.1f} h here, with {begun:.1f} s to build the graph for each 1,000")
    print(f"largest memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GB")
    named = {"of_network": "network", "vs_plain": "plain", "vs_plain_one_look": "plain, one look"}
    turns = {key: zip(rates["whole"], rates[peer], strict=True) for key, peer in named.items()}
    print(json.dumps({key: round(statistics.median(w / p for w, p in pairs), 3) for key, pairs in turns.items()}))


if __name__ == "__main__":
    run(main, gpu=True)
