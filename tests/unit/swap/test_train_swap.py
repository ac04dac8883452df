"""Training of a face swap: exact resume, one decoder that becomes two, what is learned, refusals."""

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.swap_faces import SETTINGS, SIDE, SKINS, changed, make_face, some_faces, write_faces
from helpers.training import sigterm_in_step

from facemill.data.synthetic import read_mark
from facemill.errors import UserError
from facemill.networks.face_swap import FaceSwap
from facemill.networks.store import load_model, model_settings
from facemill.swap import faces as tables
from facemill.swap import train_swap as module
from facemill.swap.face_batches import Batch, augment, stack_faces
from facemill.swap.train_swap import build_learner, copy_decoder, image_losses, mask_loss, swap_losses, train_swap
from facemill.training.optimization import make_accelerator

STEPS = SETTINGS.training.steps
APART = STEPS // 5


@pytest.fixture
def inputs(tmp_path, monkeypatch) -> dict:
    monkeypatch.chdir(tmp_path)
    sides = {person: write_faces(tmp_path / person / "faces.parquet", some_faces(person)) for person in "ab"}
    return {"settings": SETTINGS, "seed": 1} | sides | into(tmp_path)


def into(folder: Path) -> dict[str, Path]:
    return {"model": folder / "model.safetensors", "curves": folder / "curves.csv"}


def one_step(**changes) -> dict:
    return {"settings": changed(training={"images": 4, "batch": 4, "learning_rate": 1e-3}, **changes)}


def test_a_training_leaves_a_model_curves_and_eight_grids(inputs, tmp_path):
    train_swap(**inputs)
    network, said = load_model(FaceSwap, inputs["model"]), model_settings(inputs["model"])
    assert (network.preset, network.size, said["images"], said["seed"]) == ("tiny", 32, 80, 1)
    curves = np.genfromtxt(inputs["curves"], delimiter=",", names=True)
    assert set(curves.dtype.names) == {"images", "loss_a", "loss_b", "mask"} and curves["images"][-1] == 80
    grids = sorted(tmp_path.glob("work/swap-*/preview-*.png"))
    assert [int(path.stem.split("-")[1]) for path in grids] == [8, 20, 32, 40, 48, 60, 72, 80]
    assert all(read_mark(path).source_type == "compositeWithTrainedAlgorithmicMedia" for path in grids)
    assert not list(tmp_path.glob("work/*/checkpoint.safetensors"))


@pytest.mark.parametrize("stop", [APART - 1, APART, STEPS - 4])
def test_a_stopped_training_resumes_to_the_same_bytes(inputs, tmp_path, stop):
    """Right before the decoders part, right after, and near the end."""
    runs = [inputs | into(tmp_path / name) for name in ("uninterrupted", "resumed")]
    train_swap(**runs[0])
    with sigterm_in_step(stop):
        train_swap(**runs[1])
    assert list(tmp_path.glob("work/swap-*/checkpoint.safetensors"))
    train_swap(**runs[1])
    for product in ("model", "curves"):
        assert runs[0][product].read_bytes() == runs[1][product].read_bytes()


def test_another_seed_gives_another_network_and_the_same_one_the_same(inputs, tmp_path):
    models = []
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        products = into(tmp_path / name)
        train_swap(**inputs | {"seed": seed} | products)
        models.append(products["model"].read_bytes())
    assert models[0] == models[1] != models[2]


def test_one_decoder_draws_both_for_a_fifth_of_the_training_and_is_copied_then(inputs, monkeypatch):
    """After the copy both decoders are one, in weights, their EMA and the moments; one step later they differ."""
    seen = []

    def watched_copy(learner) -> None:
        copy_decoder(learner)
        a, b = (learner.raw.decoders[side] for side in "ab")
        moments = [
            [value for weight in decoder.parameters() for value in learner.optimizer.optimizer.state[weight].values()]
            for decoder in (a, b)
        ]
        assert len(moments[0]) == len(moments[1]) > 0
        assert all(torch.equal(x, y) and x is not y for x, y in zip(*moments, strict=True))
        for network in (learner.raw, learner.ema):
            weights = [network.decoders[side].state_dict().values() for side in "ab"]
            assert all(torch.equal(x, y) and x is not y for x, y in zip(*weights, strict=True))
        seen.append(learner)

    def watched_losses(learner, faces, *, apart) -> dict:
        steps.append(apart)
        return swap_losses(learner, faces, apart=apart)

    steps: list[bool] = []
    monkeypatch.setattr(module, "copy_decoder", watched_copy)
    monkeypatch.setattr(module, "swap_losses", watched_losses)
    train_swap(**inputs)
    assert steps == [False] * APART + [True] * (STEPS - APART) and len(seen) == 1
    weights = [seen[0].raw.decoders[side].state_dict().values() for side in "ab"]
    assert not any(torch.equal(x, y) for x, y in zip(*weights, strict=True))


def test_before_the_decoders_part_only_that_of_a_has_gradients(accelerator):
    torch.manual_seed(0)
    learner = build_learner(accelerator, SETTINGS, None)
    faces = augment(torch.cat([stack_faces(some_faces(person, 2), SIDE) for person in "ab"]))
    for apart in (False, True):
        accelerator.backward(sum(swap_losses(learner, faces, apart=apart).values()))
        assert all((weight.grad is not None) == apart for weight in learner.raw.decoders["b"].parameters())
        assert all(weight.grad.any() for weight in learner.raw.decoders["a"].parameters())
        learner.raw.zero_grad()


def known(drawn: float, weights: torch.Tensor) -> tuple[torch.Tensor, Batch]:
    """Two faces of one gray, where black ones should have been drawn."""
    shape = (2, 3, 32, 32)
    targets, masks = torch.zeros(shape), torch.ones(2, 1, 32, 32)
    return torch.full(shape, drawn), Batch(targets, targets, masks, weights)


def test_losses_are_those_worked_out_by_hand():
    drawn, faces = known(0.3, torch.ones(2, 1, 32, 32))
    similar = 0.01**2 / (0.3**2 + 0.01**2)  # flat images: only their means differ
    for loss in image_losses(drawn, faces).values():
        assert loss.item() == pytest.approx(0.3 + 1 - similar, rel=1e-3)
    assert mask_loss(torch.full((2, 1, 32, 32), 0.25), faces).item() == pytest.approx(0.75)


def test_weights_say_where_a_difference_counts_and_each_side_has_its_own_loss():
    weights = torch.ones(2, 1, 32, 32)
    weights[:, :, :16] = 0
    drawn, faces = known(0.0, weights)
    drawn[0, :, :8] = 1  # farther than a window from what counts
    assert image_losses(drawn, faces)["loss_a"].item() == pytest.approx(0, abs=1e-5)
    drawn[0, :, 24:] = 1
    losses = image_losses(drawn, faces)
    assert losses["loss_a"] > 0.5 and losses["loss_b"].item() == pytest.approx(0, abs=1e-5)
    beyond = torch.ones(2, 1, 32, 32)
    beyond[:, :, :16] = 0.5
    assert mask_loss(beyond, faces).item() == pytest.approx(0)


def openness(drawn: np.ndarray) -> np.ndarray:
    """How many pixels around the mouth are dark red, of images (N, S, S, 3)."""
    around = drawn[:, 18:30, 10:22].astype(int)
    return ((around[..., 0] - around[..., 1] > 60) & (around[..., 1] < 60)).sum((1, 2))


def test_the_other_person_is_drawn_with_the_same_mouth(inputs):
    training = {"images": 1600, "batch": 4, "learning_rate": 2e-3}
    train_swap(**inputs | {"settings": changed(preset="light", training=training)})
    network, mouths = load_model(FaceSwap, inputs["model"]), np.linspace(0, 1, 5)
    faces = stack_faces([make_face("a", 1, openness) for openness in mouths], 32)[:, :3].float() / 255
    with torch.no_grad():
        drawn = network(faces, "b").permute(0, 2, 3, 1).numpy()
    cheek = 255 * drawn[:, 16, 6:9, :3].mean((0, 1))
    assert np.abs(cheek - SKINS["b"]).mean() < np.abs(cheek - SKINS["a"]).mean() / 2
    mouths = openness(255 * drawn[..., :3])
    assert mouths[-1] > 1.6 * mouths[0] and np.corrcoef(mouths, np.arange(5))[0, 1] > 0.9
    mask = stack_faces([make_face("b", 1, 0.5)], 32)[0, 3].numpy() / 255
    assert np.abs(drawn[..., 3] - mask).mean() < 0.05


def test_an_earlier_model_gives_its_encoder(inputs, tmp_path):
    train_swap(**inputs)
    earlier = load_model(FaceSwap, inputs["model"])
    learner = build_learner(make_accelerator(), SETTINGS, inputs["model"])
    for network in (learner.raw, learner.ema):
        for (name, mine), theirs in zip(
            network.encoder.state_dict().items(), earlier.encoder.state_dict().values(), strict=True
        ):
            assert torch.equal(mine.cpu(), theirs.cpu()), name
    assert not torch.equal(learner.raw.decoders["a"][-1].weight, earlier.decoders["a"][-1].weight)
    products = into(tmp_path / "later")
    train_swap(**inputs | products | one_step() | {"initial": tmp_path})  # a folder with a model
    assert load_model(FaceSwap, products["model"]).size == 32


def test_an_earlier_model_of_another_form_is_refused(inputs):
    train_swap(**inputs | one_step())
    for changes, accepted in (({"size": 64}, "preset tiny, size 64"), ({"preset": "light"}, "preset light, size 32")):
        with pytest.raises(UserError, match=f"swap.initial: found .* preset tiny, size 32; accepted: {accepted}"):
            train_swap(**inputs | one_step(**changes) | {"initial": inputs["model"]})


def test_every_nth_frame_is_learned_from(inputs, monkeypatch):
    """No other one is decoded."""
    counted, decoded, decode = [], [], tables.decode_image
    monkeypatch.setattr(module, "stack_faces", lambda faces, size: counted.append(faces) or stack_faces(faces, size))
    monkeypatch.setattr(tables, "decode_image", lambda data: decoded.append(data) or decode(data))
    module.learned_faces(inputs["a"], changed(every=5))
    frames = [face.frame for face in counted[0]]
    assert frames == list(range(0, 48, 5))  # those from 48 on are held out
    assert len(decoded) == len(frames)


def test_comparing_the_sides_takes_little_memory():
    sides = [stack_faces(some_faces(person), 2 * SIDE) for person in "ab"]
    tracemalloc.start()
    module.check_sides(sides)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < sides[0].nbytes / 4


def test_rejected_and_held_out_faces_are_not_learned_from_and_a_side_without_others_is_refused(inputs, tmp_path):
    faces = some_faces("a", 8, held_out=0.5)  # the two before these were smoothed with them
    faces[0] = replace(faces[0], rejected="blurred")
    assert len(module.learned_faces(write_faces(tmp_path / "few.parquet", faces), SETTINGS)) == 1
    faces[1] = replace(faces[1], rejected="small")
    for name, rows in (("rejected", faces), ("empty", [])):
        path = write_faces(tmp_path / f"{name}.parquet", rows)
        with pytest.raises(UserError, match=f"{name}.parquet: found no face to learn from; accepted: 1 or more"):
            train_swap(**inputs | {"b": path})


def test_one_face_a_side_is_enough_and_said_to_be_few(inputs, tmp_path, caplog):
    sides = {side: write_faces(tmp_path / f"one-{side}.parquet", [make_face(side, 0, 0.5)]) for side in "ab"}
    with caplog.at_level("WARNING", logger="facemill"):
        train_swap(**inputs | sides)
    assert [message.split(": ")[1] for message in caplog.messages] == [
        "1 faces to learn from; expressions that they lack cannot be drawn"
    ] * 2
    assert inputs["model"].exists()


def test_the_same_film_twice_is_refused(inputs, tmp_path):
    with pytest.raises(UserError, match=r"swap.b: found \d+ of the faces in swap.a; accepted: another person's film"):
        train_swap(**inputs | {"b": inputs["a"]})
    cut = [replace(face, id=face.id.replace("a", "b", 1)) for face in some_faces("a")[10:30]]
    with pytest.raises(UserError, match=r"swap.b: found \d+ of the faces in swap.a"):
        train_swap(**inputs | {"b": write_faces(tmp_path / "cut.parquet", cut)})


def test_the_loss_that_is_not_a_number_ends_the_training(inputs):
    wild = changed(training={"images": 400, "batch": 4, "learning_rate": 1e30})
    with pytest.raises(UserError, match="lower the learning rate"):
        train_swap(**inputs | {"settings": wild})


def test_crops_of_any_size_are_brought_to_the_network_s(inputs, tmp_path):
    train_swap(**inputs | one_step(size=64))
    assert json.loads(inputs["model"].with_suffix(".json").read_text())["arguments"] == {"preset": "tiny", "size": 64}
