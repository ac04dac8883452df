"""Renderers, painters and classifiers of edits, with a generator whose style code is the hair's color."""

import numpy as np
import pytest
import torch

from facemill.imaging.colors import difference
from facemill.inference.editor import EditClassifier, Renderer, Rendering, decoding_painter, mask_painter, traverse
from facemill.inference.painter import Painter
from facemill.taggers.local import CollectionTagger, ColorTagger
from facemill.taggers.tagger import TaggerInput

NAMES = ["black_hair", "grey_hair", "red_hair"]


def style(color: tuple[int, int, int]) -> np.ndarray:
    return np.array(color) / 127.5 - 1


@pytest.fixture
def paint(colorist, classes, mask):
    return mask_painter(Painter(colorist, classes), {"a": mask, "b": np.flipud(mask).copy()})


def test_each_portraits_mask_is_fixed(paint, mask, classes):
    hair = classes.role_ids("hair")
    first, second = paint(["a", "b"], np.stack([style((200, 100, 0)), style((0, 50, 100))]))
    assert (first[np.isin(mask, hair)] == (200, 100, 0)).all()
    assert (second[np.isin(np.flipud(mask), hair)] == (0, 50, 100)).all()
    np.testing.assert_array_equal(first[mask == 0], np.full_like(first[mask == 0], (40, 160, 90)))


class Gray(torch.nn.Module):
    """Stands in for the VAE: the latent is the brightness of the left and of the right half."""

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        return z[:, None, None, :].repeat_interleave(4, 3).expand(-1, 3, 8, -1)


def test_without_masks_the_decoder_paints():
    images = decoding_painter(Gray())(["a"] * 40, np.tile([-1.0, 1.0], (40, 1)))
    assert images.shape == (40, 8, 8, 3)
    assert (images[:, :, :4] == 0).all() and (images[:, :, 4:] == 255).all()


def test_a_traversal_goes_straight_from_one_color_to_the_other(paint, mask, classes):
    start = style((0, 0, 0))
    pictures = traverse(paint, "a", start, style((200, 100, 0)) - start, np.linspace(0, 1, 5))
    hair = [picture[mask == classes.role_ids("hair")[0]][0].tolist() for picture in pictures]
    assert hair == [[0, 0, 0], [50, 25, 0], [100, 50, 0], [150, 75, 0], [200, 100, 0]]
    assert len({picture[mask == 0].tobytes() for picture in pictures}) == 1


class Halves:
    """Stands in for a segmenter: class 1 where an image is bright."""

    def masks(self, images: np.ndarray) -> np.ndarray:
        return (images.mean(3) > 127).astype(np.uint8)


def test_a_rendering_has_colors_where_there_is_a_mask(paint, mask, classes):
    renderer = Renderer(paint, {"a": mask}, classes)
    with_mask, without = renderer.render(["a", "b"], np.stack([style((200, 100, 0))] * 2))
    assert without.portrait.colors is None and with_mask.mask is None
    twin, _ = renderer.render(["a", "b"], np.stack([style((0, 0, 0))] * 2))
    assert difference(with_mask.portrait.colors["hair"], twin.portrait.colors["hair"]) > 30
    assert difference(with_mask.portrait.colors["eye"], twin.portrait.colors["eye"]) == 0


def test_a_mask_of_another_size_is_resized_to_the_painting(mask, classes):
    renderer = Renderer(
        decoding_painter(Gray()), {"a": np.full((32, 32), classes.role_ids("hair")[0], np.uint8)}, classes
    )
    [rendering] = renderer.render(["a"], np.array([[1.0, 1.0]]))
    np.testing.assert_allclose(rendering.portrait.colors["hair"], [100, 0, 0], atol=0.1)


def test_a_rendering_has_a_mask_where_there_is_a_segmenter():
    [rendering] = Renderer(decoding_painter(Gray()), segmenter=Halves()).render(["a"], np.array([[-1.0, 1.0]]))
    assert rendering.portrait.colors is None
    np.testing.assert_array_equal(rendering.mask, [[0] * 4 + [1] * 4] * 8)


def renderings(*tags: list[str]) -> list[Rendering]:
    return [Rendering(TaggerInput(np.zeros((2, 2, 3), np.uint8), names), None) for names in tags]


def test_of_a_group_the_most_probable_name_counts(paint, mask, classes, palette, hair_paint):
    classifier = EditClassifier(ColorTagger({"hair": palette}), "grey_hair", NAMES)
    latents = np.stack([style(hair_paint["grey_hair"]), style(hair_paint["red_hair"])])
    pictures = Renderer(paint, {"a": mask}, classes).render(["a", "a"], latents)
    np.testing.assert_array_equal(classifier.predictions(pictures, [True, True]), [True, False])
    grey, red = classifier.probabilities(pictures, [True, True])
    assert grey > 0.9 > 0.1 > red
    two = EditClassifier(CollectionTagger(NAMES), "grey_hair", NAMES)
    assert not two.predictions(renderings(["grey_hair", "red_hair"]), [True])[0]


def test_a_removed_boolean_is_classified_by_its_absence():
    classifier = EditClassifier(CollectionTagger(["smile"]), "smile")
    pictures = renderings(["smile"], ["smile"], [], [])
    added = [True, False, True, False]
    np.testing.assert_array_equal(classifier.predictions(pictures, added), [True, False, False, True])
    np.testing.assert_array_equal(classifier.probabilities(pictures, added), [1, 0, 0, 1])
