"""The trainings on a GPU that is none: fake tensors have a device, a type and a shape, but no numbers.

An operation on tensors of two devices raises, as on a GPU. So does here whatever makes the processor wait for the GPU
within a step. Gradients are not computed, since autograd asks the driver for streams; they are zero.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from helpers.fake_gpu import fake_cuda
from helpers.scenes import save_unet
from helpers.vgg import write_vgg
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode

from facemill.config.fields import TrainingConfig
from facemill.config.segment import DistillationConfig, SelfTrainingConfig, TokenUnetConfig, UnetTrainConfig
from facemill.config.synthesize import GauganConfig, VaeConfig
from facemill.data.dataset import ShardDataset
from facemill.data.shards import IMAGE, read_rows, write_shard
from facemill.networks import store, vgg
from facemill.networks.segmentation_losses import cross_entropy_dice
from facemill.networks.store import save_model
from facemill.networks.unet import Unet
from facemill.networks.vae import Vae
from facemill.segment import distill_unet, self_train_unet, train_token_unet, train_unet
from facemill.segment.cached_rows import CachedRows
from facemill.segment.gate_pseudo_labels import SCHEMA as GATE
from facemill.synthesize import train_gaugan, train_vae
from facemill.training.run import Run

SIZE, BATCH, STEPS = 64, 4, 3
TRAINING = TrainingConfig(images=BATCH * STEPS, batch=BATCH, learning_rate=1e-3)
UNET = UnetTrainConfig(
    encoder_weights=None, width="tiny", patience=9, decoder="upsample", downscale=1, training=TRAINING
)
GAUGAN = GauganConfig(
    z="encoder", preset="tiny", feature_matching_weight=10, perceptual_weight=10, diff_augment=True, training=TRAINING
)
STUDENT = SelfTrainingConfig(confidence=0.5, training=TRAINING)
TOKENS = TokenUnetConfig(vit="vit_tiny_patch16_224", weights=None, copies=8, training=TRAINING)
DISTILLED = DistillationConfig(teachers=["v3"], training=TRAINING)
VAE = VaeConfig(size=32, z_dim=6, width=4, kl_weight=1e-4, training=TRAINING)

NAMES = [
    "train_unet",
    "self_train_unet",
    "train_token_unet",
    "distill_unet",
    "train_vae",
    "train_gaugan",
    "train_segmenting_gaugan",
    "train_gaugan by region",
]

aten = torch.ops.aten


class Gpu(TorchDispatchMode):
    """Raises where the processor waits for the GPU while `at_work`, and notes in which types some operators compute.

    Numbers on the processor that decide what is done next, such as coins, are made up.
    """

    def __init__(self) -> None:
        super().__init__()
        self.at_work = False
        self.steps: list[int] = []
        self.types: dict[Any, set[torch.dtype]] = {aten.mv.default: set(), aten.convolution.default: set()}
        self.coins = cycle([True, False, False])

    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.at_work and operator in self.types:
            self.types[operator].add(args[0].dtype)
        if operator is aten._local_scalar_dense.default:
            self.refuse_to_wait(args[0].is_cuda, operator)
            return next(self.coins) if args[0].dtype == torch.bool else args[0].dtype.is_floating_point / 2
        if operator is aten._to_copy.default and kwargs.get("device", args[0].device).type != args[0].device.type:
            self.refuse_to_wait(not kwargs.get("non_blocking"), operator)
        if operator is aten.copy_.default and args[0].device.type != args[1].device.type:
            self.refuse_to_wait(True, operator)
        return operator(*args, **kwargs)

    def refuse_to_wait(self, waits: bool, operator: Any) -> None:
        if self.at_work and waits:
            raise AssertionError(f"{operator} waits for the GPU")


@pytest.fixture
def trainings(tmp_path, monkeypatch, pairs) -> dict[str, Callable[[], None]]:
    """Every training, with its files; they are written before tensors are fake."""
    monkeypatch.chdir(tmp_path)
    shard, portraits = pairs("pairs.parquet", range(8)), tmp_path / "portraits.parquet"
    rows = list(read_rows([shard]))
    write_shard(portraits, rows, pa.schema([("id", pa.string()), ("image", IMAGE)]))
    write_shard(tmp_path / "gate.parquet", [{"id": row["id"], "rejected": None} for row in rows], GATE)
    vae, teacher = tmp_path / "vae.safetensors", save_unet(tmp_path / "teacher.safetensors")
    arguments = {"size": 32, "z_dim": 6, "width": 4}
    save_model(vae, Vae(**arguments), arguments, {})

    made = {"model": tmp_path / "model.safetensors", "curves": tmp_path / "curves.csv"}
    unet = {"size": SIZE, "seed": 1, "train": shard, "validation": shard} | made
    to_the_last_step = {"size": SIZE, "seed": 1, "train": [shard, shard]} | made
    collection = {"seed": 1, "holdout": 0.2, "portraits": [portraits], "pseudo_labels": [shard]} | made
    gaugan = {"size": SIZE, "style_reader": vae, "gate": tmp_path / "gate.parquet", "style_encoder": tmp_path / "style"}
    vgg_loss = {"vgg_weights": write_vgg(tmp_path / "vgg.safetensors"), "perceptual": "vgg"}
    segmenting = GAUGAN.model_copy(update={"discriminator": "segmentation", "perceptual": "unet"})
    train = partial(train_gaugan.train_gaugan, **collection, **gaugan)
    student = {"portraits": [portraits], "labelled": [pairs("labelled.parquet", range(90, 91))]}
    student |= {"settings": STUDENT, "unet_settings": UNET}
    return {
        "train_unet": partial(train_unet.train_unet, version="v3", settings=UNET, **unet),
        "self_train_unet": partial(self_train_unet.self_train_unet, teacher=teacher, **unet, **student),
        "train_token_unet": partial(
            train_token_unet.train_token_unet, settings=TOKENS, unet_settings=UNET, initial=teacher, **to_the_last_step
        ),
        "distill_unet": partial(
            distill_unet.distill_unet, **to_the_last_step, **student | {"settings": DISTILLED, "teachers": [teacher]}
        ),
        "train_vae": partial(train_vae.train_vae, settings=VAE, **collection),
        "train_gaugan": partial(train, settings=GAUGAN.model_copy(update=vgg_loss)),
        "train_segmenting_gaugan": partial(train, settings=segmenting, perceptual_unet=teacher),
        "train_gaugan by region": partial(train, settings=GAUGAN.model_copy(update={"z": "regions"})),
    }


@pytest.fixture
def gpu(monkeypatch, trainings) -> Iterator[Gpu]:
    """Tensors are fake, `cuda` is a device, and a training's batches lie there; what needs numbers is left out."""
    fake_cuda(monkeypatch)
    monkeypatch.setattr("torch.cuda.is_current_stream_capturing", lambda: False)
    for module, reader in ((store, "load_file"), (vgg, "load_tensors")):
        monkeypatch.setattr(module, reader, unset_fake_temporarily()(getattr(module, reader)))
    monkeypatch.setattr(Accelerator, "backward", backward)
    monkeypatch.setattr(Run, "_means", lambda run, images: dict.fromkeys(run._sums, 0.0))
    monkeypatch.setattr(Run, "finish", lambda run, curves: run._board.close())
    caches = {"tokens": ((3 * 192, 8, 8), torch.float16), "soft_labels": ((7, SIZE, SIZE), torch.uint8)}

    def compute(rows: CachedRows, path: Path, function: Callable) -> None:
        """As many arrays as a batch has rows."""
        shape, dtype = caches[path.stem]
        rows.cache = torch.zeros(BATCH, *shape, dtype=dtype, device="cuda")

    monkeypatch.setattr(CachedRows, "compute", compute)
    monkeypatch.setattr(train_unet, "validate", lambda unet, rows: (0.5, 0.1))
    monkeypatch.setattr(train_gaugan, "snapshot_callback", lambda *_: lambda step, images: None)
    monkeypatch.setattr(train_gaugan, "style_distribution", lambda *_: (torch.zeros(6), torch.eye(6)))
    monkeypatch.setattr(train_gaugan, "region_distribution", lambda *_: (torch.zeros(21), torch.eye(21)))
    monkeypatch.setattr(train_gaugan, "copy_model", lambda *_: None)
    mode = Gpu()
    for module in (train_unet, self_train_unet, train_token_unet, distill_unet, train_vae, train_gaugan):
        monkeypatch.setattr(module, "save_model", lambda *_: None)
        monkeypatch.setattr(module, "train_loader", batches)
    steps = Run.steps

    def steps_at_work(run: Run, *arguments: int) -> Iterator[int]:
        mode.at_work = True
        for step in steps(run, *arguments):
            yield step
            mode.steps.append(step)  # nothing in it has raised
        mode.at_work = False

    monkeypatch.setattr(Run, "steps", steps_at_work)
    AcceleratorState._reset_state(True)
    with FakeTensorMode(allow_non_fake_inputs=True), mode:
        yield mode
    AcceleratorState._reset_state(True)


def backward(accelerator: Accelerator, loss: Tensor, **options: Any) -> None:
    assert loss.is_cuda and loss.requires_grad and loss.dtype == torch.float32
    for network in accelerator._models:
        for weight in network.parameters():
            if weight.requires_grad:
                weight.grad = torch.zeros_like(weight)


def batches(rows: ShardDataset, batch: int, seed: int, first_step: int) -> Iterator[Any]:
    """Endless batches on the GPU, as the loader that Accelerate prepares yields them."""
    images, masks = (
        torch.zeros(batch, *rest, dtype=torch.uint8, device="cuda") for rest in ((3, SIZE, SIZE), (SIZE, SIZE))
    )
    parts = [images, *([masks] if rows.with_masks else [])]
    if isinstance(rows, CachedRows):
        parts.append(rows.cache)
    while True:
        yield parts if len(parts) > 1 else images


@pytest.mark.parametrize("name", NAMES)
def test_a_training_keeps_its_tensors_on_the_gpu_and_does_not_wait_for_it(gpu, trainings, name):
    trainings[name]()
    assert gpu.steps == list(range(STEPS))


def test_a_unet_convolves_in_float32_in_its_stem_alone(gpu):
    unet = Unet(classes=7, size=SIZE, decoder="upsample", decoder_channels=[8] * 5).to("cuda")
    gpu.at_work = True
    with torch.autocast("cuda", torch.bfloat16):
        features = unet.stem(torch.zeros(1, 3, SIZE, SIZE, device="cuda"))
        assert gpu.types[aten.convolution.default] == {torch.float32}
        gpu.types[aten.convolution.default].clear()
        unet.decode(unet.encode_deeper(features))
    assert gpu.types[aten.convolution.default] == {torch.bfloat16}


def test_gaugan_convolves_in_bfloat16_and_measures_its_weights_in_float32(gpu, trainings):
    trainings["train_gaugan"]()
    assert gpu.types == {aten.convolution.default: {torch.bfloat16}, aten.mv.default: {torch.float32}}


@pytest.mark.parametrize(
    ("planted", "error"),
    [
        (lambda loss: loss * torch.ones(1), "two devices|device"),
        (lambda loss: loss if loss > 0 else -loss, "waits for the GPU"),
        (lambda loss: loss * torch.tensor([1.0], device="cuda"), "waits for the GPU"),
    ],
)
def test_a_planted_fault_is_noticed(gpu, trainings, monkeypatch, planted, error):
    monkeypatch.setattr(train_unet, "cross_entropy_dice", lambda *args: planted(cross_entropy_dice(*args)).sum())
    with pytest.raises((RuntimeError, AssertionError), match=error):
        trainings["train_unet"]()
