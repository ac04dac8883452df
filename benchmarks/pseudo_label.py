"""Pseudo-labelling, end to end, against the network alone and against a plain script.

    python benchmarks/pseudo_label.py --portraits results/sample/portraits/shard-0000.parquet

End to end: a shard of JPEGs to a shard of masks and numbers, as the rule `pseudo_label` does it. The network alone: the
same graph (a U-Net with horizontal-flip test-time augmentation (TTA), masks and confidence) on pixels in memory, as
many batches at once. The plain script: files through a DataLoader and Pillow, segmentation_models_pytorch's U-Net as it
comes, in float32, masks saved by Pillow; with TTA, as here, and without, which gives worse masks. They take turns, so
that other work on the machine disturbs all; the medians count. The last line holds the ratios as JSON: `vs_plain` is
that to the script with TTA, `vs_plain_without_tta` that to the other. Of a trained model `agreement` is the share of
one batch's pixels whose class torch in float32 predicts, too.
"""

import json
import os
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

from facemill.data.classes import SEVEN
from facemill.data.shards import IMAGE, decode_image, encode_jpeg, read_images, read_rows, write_batches, write_shard
from facemill.inference.backends import Backend, fastest_backend
from facemill.networks.device import device
from facemill.networks.store import load_model
from facemill.networks.unet import WIDTHS, Unet
from facemill.segment.pseudo_label import pseudo_label_batches, pseudo_label_schema
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
def plain_script(unet: torch.nn.Module, paths: list[Path], tta: bool) -> None:
    """A script as it is written in ten minutes."""
    for images, names in DataLoader(Files(paths), batch_size=8, num_workers=2):
        images = images.to(device())
        logits = unet(images)
        if tta:
            logits = logits + unet(images.flip(3)).flip(3)
        for mask, name in zip(logits.argmax(1).byte().cpu().numpy(), names, strict=True):
            picture = Image.fromarray(mask, "P")
            picture.putpalette(SEVEN.palette)
            picture.save(name)


def network_alone(backend: Backend, batches: list[np.ndarray]) -> None:
    """The network on batches in memory."""
    with ThreadPoolExecutor(backend.concurrency) as pool:
        list(pool.map(backend, batches))


def end_to_end(backend: Backend, shard: Path, out: Path) -> None:
    """A shard of portraits to a shard of pseudo-labels, on all processors that this process may use."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        batches = pseudo_label_batches(backend, SEVEN, read_images(shard), pool)
        write_batches(out, batches, pseudo_label_schema(SEVEN), SEVEN)


@torch.inference_mode()
def agreement(backend: Backend, unet: Unet, images: np.ndarray) -> float:
    """The share of the pixels of a batch, uint8 (B, S, S, 3), whose class torch in float32 predicts, too."""
    pixels = torch.from_numpy(images).to(device()).permute(0, 3, 1, 2).float() / 255
    logits = unet(pixels) + unet(pixels.flip(3)).flip(3)
    return float((backend(list(images)).masks == logits.argmax(1).cpu().numpy()).mean())


def timed(call: Callable[[], None]) -> float:
    """Seconds of a call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main(
    *, portraits: list[Path], model: Path | None = None, size: int = 512, images: int = 192, rounds: int = 5
) -> None:
    """Times pseudo-labelling by a U-Net: a v3 with the narrow decoder, or a trained one.

    Args:
        portraits: shards of portraits, enlarged or shrunk to the size.
        model: a trained U-Net of that size, of any version; its weights change no speed, but masks of noise are larger
            files.
        size: of the portraits, in pixels.
        images: portraits in a turn, in whole batches; some thousands for a GPU. The plain script has an eighth.
        rounds: turns of each.
    """
    torch.manual_seed(0)
    channels = WIDTHS["narrow"]
    new = Unet(classes=len(SEVEN), size=size, decoder="upsample", decoder_channels=channels).eval().to(device())
    unet = load_model(Unet, model, SEVEN) if model else new
    start = time.perf_counter()
    backend = fastest_backend(unet)
    backend(np.zeros((backend.batch, size, size, 3), np.uint8))
    start_seconds = time.perf_counter() - start
    images = -(-images // backend.batch) * backend.batch
    plain = smp.Unet("mobilenet_v2", encoder_weights=None, classes=len(SEVEN)).eval().to(device())

    with tempfile.TemporaryDirectory() as folder:
        shard, out, paths = Path(folder, "in.parquet"), Path(folder, "out.parquet"), []
        rows = list(read_rows(portraits, ["id", "image"]))
        resized = []
        for i in range(images):
            pixels = Image.fromarray(decode_image(rows[i % len(rows)]["image"]["bytes"]))
            data = encode_jpeg(np.asarray(pixels.resize((size, size), Image.Resampling.LANCZOS)))
            resized.append({"id": str(i), "image": {"bytes": data, "path": f"{i}.jpg"}})
            paths.append(Path(folder, f"{i}.jpg"))
            paths[-1].write_bytes(data)
        write_shard(shard, resized, pa.schema([("id", pa.string()), ("image", IMAGE)]))
        decoded = np.stack([decode_image(row["image"]["bytes"]) for row in resized])
        batch = backend.batch
        batches = [decoded[i : i + batch] for i in range(0, images, batch)]
        some = paths[: max(8, images // 8)]
        end_to_end(backend, shard, out)  # what is imported and started once
        rates: dict[str, list[float]] = {name: [] for name in ("plain without TTA", "plain", "network", "end to end")}
        for _ in range(rounds):
            rates["plain without TTA"].append(len(some) / timed(lambda: plain_script(plain, some, tta=False)))
            rates["plain"].append(len(some) / timed(lambda: plain_script(plain, some, tta=True)))
            rates["network"].append(images / timed(lambda: network_alone(backend, batches)))
            rates["end to end"].append(images / timed(lambda: end_to_end(backend, shard, out)))

    print(f"portraits of {size} px, {type(backend).__name__}, {torch.get_num_threads()} threads; images per second")
    for name, turns in rates.items():
        print(f"{name:17} median {statistics.median(turns):7.2f}  all {' '.join(f'{rate:.2f}' for rate in turns)}")
    rate = statistics.median(rates["end to end"])
    hours = (PORTRAITS / rate + PORTRAITS / 1000 * start_seconds) / 3600
    print(f"{PORTRAITS:,} portraits: {hours:.1f} h here, with {start_seconds:.1f} s to start for each 1,000")
    print(f"largest memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GB")
    peers = {"of_network": "network", "vs_plain": "plain", "vs_plain_without_tta": "plain without TTA"}
    pairs = {key: zip(rates["end to end"], rates[peer], strict=True) for key, peer in peers.items()}
    ratios = {key: round(statistics.median(a / b for a, b in turns), 3) for key, turns in pairs.items()}
    print(json.dumps(ratios | ({"agreement": round(agreement(backend, unet, batches[0]), 5)} if model else {})))


if __name__ == "__main__":
    run("pseudo_label:main", gpu=True)
