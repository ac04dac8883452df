"""Training and conversion of a face swap against plain loops with the same network, in one process.

    python benchmarks/swap.py --a results/sample/swap/a/faces.parquet --b results/sample/swap/b/faces.parquet \
        --film results/sample/source/films/a.mp4

Training: the plain step warps, moves and colors one image after another by OpenCV, runs encoder and decoder for either
side by itself, in NCHW and float32, and averages windows by pooling. Ours runs as shipped, with its loader and the EMA.
Rates are pairs per second.

Conversion: the film is brought to 640 x 360 first, its faces with it, and is converted with its sound, from the file
to the file. The plain loop reads a frame, crops, draws one face in float32, warps colors and mask to the full frame,
blends all of it in float, and encodes it, one after another; both take the faces and masks from the same table.
Rates are frames per second. `share` is the rate over that of the slowest of the stages (decoding, drawing, composing,
encoding), each alone; `share_of_cores` is that over the most that the cores can give, all of them busy with all stages.

Both take turns, so that other work on the machine disturbs them alike; medians. The last line is JSON.
"""

import copy
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from facemill.config.swap import SwapConfig
from facemill.data.batching import batched
from facemill.data.classes import SEVEN
from facemill.data.film import Encoder, FilmWriter, about, frames
from facemill.data.shards import read_rows, write_shard
from facemill.data.synthetic import Mark, draw_mark, film_tags
from facemill.networks.face_swap import FaceSwap
from facemill.networks.store import save_model
from facemill.swap.alignment import crop
from facemill.swap.blending import face_alpha
from facemill.swap.color_transfer import color_transfer
from facemill.swap.conversion import FilmConversion
from facemill.swap.converted_film import Swap, convert_film
from facemill.swap.face_batches import face_batches, stack_faces
from facemill.swap.faces import FACES_SCHEMA, face_of, read_faces, row_of
from facemill.swap.frame_faces import shots
from facemill.swap.train_swap import build_learner, swap_losses
from facemill.swap.warp import CHROMA, LIGHTNESS, NODES, SHIFT, TURN, WARP, ZOOM
from facemill.training.optimization import make_accelerator
from facemill.workflow.command import run

CORES = len(os.sched_getaffinity(0))
WIDTH, HEIGHT = 640, 360
STEPS = 4
SETTINGS = {
    "detector": "masks",
    "holdout": 0.15,
    "every": 1,
    "size": 64,
    "preset": "light",
    "color": "lab",
    "blend": "alpha",
    "feather": 0.06,
    "mark": True,
    "training": {"images": 16000, "batch": 4, "learning_rate": 2e-3},
}


class PlainTraining:
    """The usual training step, with a copy of the network of ours."""

    def __init__(self, network: FaceSwap, sides: Sequence[Tensor], batch: int) -> None:
        self.network = plain_copy(network)
        self.sides = [side.permute(0, 2, 3, 1).contiguous().numpy() for side in sides]
        self.adam = torch.optim.Adam(self.network.parameters(), 2e-3, betas=(0.9, 0.99))
        self.batch, self.random = batch, np.random.default_rng(0)

    def step(self) -> None:
        """A step of both sides."""
        loss = torch.zeros(())
        for name, faces in zip("ab", self.sides, strict=True):
            inputs, targets = self.batch_of(faces)
            colors, masks, weights = targets.split([3, 1, 1], dim=1)
            drawn = self.network(inputs, name)
            faults = (drawn[:, :3] - colors).abs() + 1 - pooled_ssim(drawn[:, :3], colors)
            loss = loss + (faults.mean(1, keepdim=True) * weights).sum() / weights.sum()
            loss = loss + (drawn[:, 3:] - masks).abs().mean()
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()

    def batch_of(self, faces: np.ndarray) -> tuple[Tensor, Tensor]:
        """Inputs, float32 (N, 3, S, S), and targets, float32 (N, 5, S, S), of some of the faces of a side."""
        chosen = [self.augmented(faces[i]) for i in self.random.integers(len(faces), size=self.batch)]
        inputs, targets = (
            torch.from_numpy(np.stack(part).transpose(0, 3, 1, 2).copy()) for part in zip(*chosen, strict=True)
        )
        return inputs, targets

    def augmented(self, face: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Input, float32 (S, S, 3), and target, float32 (S, S, 5), of a face, uint8 (S, S, 5)."""
        size, draw = len(face), self.random.uniform
        values = face.astype(np.float32) / 255
        matrix = cv2.getRotationMatrix2D((size / 2, size / 2), draw(-TURN, TURN), 1 + draw(-ZOOM, ZOOM))
        matrix[:, 2] += draw(-SHIFT, SHIFT, 2) * size
        planes = [values[..., :3], values[..., 3:]]
        moved = [cv2.warpAffine(plane, matrix, (size, size), borderMode=cv2.BORDER_REFLECT) for plane in planes]
        target = np.concatenate(moved, 2)[:, :: self.random.choice([-1, 1])]
        lab = cv2.cvtColor(np.ascontiguousarray(target[..., :3]), cv2.COLOR_RGB2LAB)
        lab[..., 0] *= 1 + draw(-LIGHTNESS, LIGHTNESS)
        lab[..., 1:] += draw(-CHROMA, CHROMA, 2)
        colored = np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1)
        nodes = self.random.normal(0, WARP * size, (NODES, NODES, 2)).astype(np.float32)
        warp = cv2.resize(nodes, (size, size), interpolation=cv2.INTER_CUBIC)
        places = np.stack(np.meshgrid(np.arange(size), np.arange(size)), -1).astype(np.float32) + warp
        return cv2.remap(colored, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT), target


def pooled_ssim(x: Tensor, y: Tensor) -> Tensor:
    """Structural similarity with windows of 7 pixels by average pooling."""
    means = [F.avg_pool2d(z, 7, 1, 3, count_include_pad=False) for z in (x, y, x * x, y * y, x * y)]
    mean_x, mean_y, square_x, square_y, product = means
    variances = square_x - mean_x**2 + square_y - mean_y**2
    similarity = (2 * mean_x * mean_y + 1e-4) * (2 * (product - mean_x * mean_y) + 9e-4)
    return similarity / ((mean_x**2 + mean_y**2 + 1e-4) * (variances + 9e-4))


def plain_copy(network: FaceSwap) -> FaceSwap:
    """A copy in float32 and NCHW."""
    plain = copy.deepcopy(network).float().to(memory_format=torch.contiguous_format)
    if hasattr(plain, "_original_forward"):  # Accelerate's wrapper for bfloat16
        plain.forward = type(plain).forward.__get__(plain)
    return plain


def training_steps(a: Path, b: Path) -> dict[str, Callable[[], None]]:
    """Ours and the plain step, on the faces of two tables."""
    settings = SwapConfig.model_validate(SETTINGS)
    batch, faces = settings.training.batch, [read_faces(path) for path in (a, b)]
    torch.manual_seed(0)
    learner = build_learner(make_accelerator(), settings, None)
    plain = PlainTraining(learner.raw, [stack_faces(side, settings.size) for side in faces], batch)
    batches = face_batches([stack_faces(side, 2 * settings.size) for side in faces], batch, 0, 0)
    inputs, targets = map(torch.cat, zip(*map(plain.batch_of, plain.sides), strict=True))
    first = next(batches)
    assert first.inputs.shape == inputs.shape and first.targets.shape == targets[:, :3].shape

    def ours() -> None:
        losses = swap_losses(learner, next(batches), apart=True)
        learner.step(torch.stack([*losses.values()]).sum(), 0)

    return {"plain": plain.step, "facemill": ours}


def large_film(film: Path, table: Path, folder: Path) -> tuple[Path, Path]:
    """A film of 640 x 360 with sound, in whose middle another one is, and the table of its faces."""
    size = about(film)
    scale = HEIGHT / size.height
    left = round((WIDTH - size.width * scale) / 2)
    back = np.array([(1 / scale, 0, -left / scale), (0, 1 / scale, 0), (0, 0, 1)])
    back[:2, 2] += 0.5 / scale - 0.5
    rows: dict[int, list[dict]] = {}
    for row in read_rows([table]):
        if not row["rejected"]:
            rows.setdefault(row["frame"], []).append(row)
    out, moved = folder / "film.mp4", []
    with FilmWriter(out, like=film) as writer:
        for frame in frames(film):
            inner = cv2.resize(frame.pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
            wide = cv2.copyMakeBorder(inner, 0, 0, left, WIDTH - left - inner.shape[1], cv2.BORDER_REFLECT)
            writer.write(wide, frame)
    for frame in frames(out):
        for row in rows.get(frame.number, ()):
            face = face_of(row)
            matrix = face.matrix @ back
            image = crop(frame.pixels, matrix, len(face.image))
            moved.append(row_of(replace(face, matrix=matrix, image=image)))
    write_shard(folder / "faces.parquet", moved, FACES_SCHEMA, SEVEN)
    return out, folder / "faces.parquet"


def plain_conversion(network: FaceSwap, film: Path, table: Path, out: Path) -> None:
    """The usual loop: one frame and one step after another."""
    info, rows = about(film), {row["frame"]: row for row in read_rows([table])}
    encoder = None
    for frame in frames(film):
        pixels = frame.pixels
        if row := rows.get(frame.number):
            pixels = plainly_converted(network, pixels, row)
        pixels = draw_mark(pixels)
        tags = film_tags(Mark("compositeWithTrainedAlgorithmicMedia"))
        encoder = encoder or Encoder(
            out, (WIDTH, HEIGHT), frame.time_base, info.rate or Fraction(12), tags, "h264", film
        )
        encoder.add(pixels, frame.pts)
    assert encoder
    encoder.finish()
    encoder.close()


@torch.inference_mode()
def plainly_converted(network: FaceSwap, pixels: np.ndarray, row: dict) -> np.ndarray:
    """A frame with another face: all of it is warped and blended, in float."""
    face, size = face_of(row), network.size
    source = crop(pixels, face.matrix, size)
    image = torch.from_numpy(source).permute(2, 0, 1)[None].float() / 255
    drawn = network(image, "b")[0].permute(1, 2, 0).numpy()
    colors, mask = drawn[..., :3] * np.float32(255), np.ascontiguousarray(drawn[..., 3])
    region = cv2.resize(face.mask, (size, size), interpolation=cv2.INTER_NEAREST) == SEVEN.role_ids("face")[0]
    if transfer := color_transfer(colors, source.astype(np.float32), region, "lab"):
        colors = transfer(colors)
    alpha = face_alpha(face.mask, cv2.resize(mask, face.mask.shape), 0.06)
    full = [warped_to_frame(values, face.matrix, pixels.shape[:2]) for values in (colors, alpha)]
    share = np.clip(full[1], 0, 1)[..., None]
    return np.rint(pixels * (1 - share) + np.clip(full[0], 0, 255) * share).astype(np.uint8)


def warped_to_frame(values: np.ndarray, matrix: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A crop's values at all pixels of a frame."""
    transform = matrix * len(values)
    transform[:, 2] -= 0.5
    inverse = cv2.invertAffineTransform(transform)
    return cv2.warpAffine(values, inverse, shape[::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT)


def stages(swap: Swap, film: Path, table: Path, out: Path) -> dict[str, Callable[[], None]]:
    """The stages of the conversion, each for the whole film and alone."""
    shown = list(shots(frames(film), table, film, to_end=True))
    conversion = FilmConversion(swap.converter(), {}, marks=True)
    batches = list(batched(shown, conversion.converter.batch))
    drawn = [conversion._draw(batch) for batch in batches]
    composed = [item for batch in drawn for item in conversion._compose(batch)]

    def encode() -> None:
        with FilmWriter(out, rate=about(film).rate) as writer:
            for frame, pixels in composed:
                writer.write(pixels, frame)

    return {
        "decode": lambda: [None for _ in frames(film)] and None,
        "draw": lambda: [conversion._draw(batch) for batch in batches] and None,
        "compose": lambda: [conversion._compose(batch) for batch in drawn] and None,
        "encode": encode,
    }


def seconds(tasks: dict[str, Callable[[], None]], turns: int) -> dict[str, tuple[float, float]]:
    """The median seconds of each task, and the median seconds of processors; they take turns, after a first one."""
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in tasks}
    for turn in range(turns + 1):
        for name, task in tasks.items():
            start, worked = time.perf_counter(), time.process_time()
            task()
            if turn:
                measured[name].append((time.perf_counter() - start, time.process_time() - worked))
    return {name: tuple(map(statistics.median, zip(*values, strict=True))) for name, values in measured.items()}  # type: ignore[misc]


def main(*, a: Path, b: Path, film: Path, turns: int = 5) -> None:
    """Prints rates of training and conversion.

    Args:
        a: table of the faces of one person.
        b: that of the other.
        film: of a.
        turns: of each side.
    """
    tasks = {name: repeated(step, STEPS) for name, step in training_steps(a, b).items()}
    trained = seconds(tasks, turns)
    pairs = STEPS * SETTINGS["training"]["batch"]
    for name, (wall, worked) in trained.items():
        print(f"training, {name:9} {pairs / wall:7.1f} pairs/s, {pairs / worked:7.1f} a second of processors")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        large, table = large_film(film.resolve(), a.resolve(), folder)
        os.chdir(folder)
        torch.manual_seed(0)
        network = FaceSwap(preset="light", size=64)
        for decoder in network.decoders.values():
            torch.nn.init.constant_(decoder[-1].bias[3:], 9)  # the mask of all of a face
        save_model(folder / "model.safetensors", network, {"preset": "light", "size": 64}, {})
        swap, plain = Swap.load(folder, "b"), plain_copy(network.eval())
        conversions = {
            "plain": lambda: plain_conversion(plain, large, table, folder / "plain.mp4"),
            "facemill": lambda: convert_film(swap, large, table, folder / "out.mp4", start=None, end=None, table=None),
        }
        count = sum(1 for _ in frames(large))
        converted = seconds(conversions, turns)
        alone = seconds(stages(swap, large, table, folder / "stage.mp4"), turns)
    report(count, trained, converted, alone)


def repeated(step: Callable[[], None], times: int) -> Callable[[], None]:
    """A task of several steps."""

    def task() -> None:
        for _ in range(times):
            step()

    return task


def report(count: int, trained: dict, converted: dict, alone: dict) -> None:
    """Prints the rates of conversion of a film of so many frames, and the JSON."""
    for name, (wall, worked) in (converted | alone).items():
        print(f"conversion, {name:9} {count / wall:7.1f} frames/s, {count / worked:7.1f} a second of processors")
    wall, _ = converted["facemill"]
    slowest = max(value for value, _ in alone.values())
    busy = sum(worked for _, worked in alone.values()) / CORES
    result = {
        "training_vs_plain": trained["plain"][0] / trained["facemill"][0],
        "convert_vs_plain": converted["plain"][0] / wall,
        "convert_vs_plain_of_processors": converted["plain"][1] / converted["facemill"][1],
        "frames_per_second": count / wall,
        "share": slowest / wall,
        "share_of_cores": max(slowest, busy) / wall,
    }
    print(json.dumps({name: round(value, 2) for name, value in result.items()}))


if __name__ == "__main__":
    run("swap:main")
