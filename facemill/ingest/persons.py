"""Rejection of images in which a tagger predicts no person."""

from collections.abc import Callable

import numpy as np

from facemill.config.ingest import PersonConfig
from facemill.errors import UserError
from facemill.ingest.portraits import Unreadable
from facemill.taggers.tagger import TaggerInput, network_tagger

MIN_SIDE = 448
"""The shorter side in pixels that taggers need of an image: the input size of the WD14 family."""


def person_check(settings: PersonConfig) -> Callable[[np.ndarray], None]:
    """A function that raises `Unreadable` for uint8 RGB (H, W, 3) in which the tagger predicts none of the tags.

    Raises `UserError` when the tagger cannot be loaded, or does not know a tag.
    """
    tagger = network_tagger(settings.tagger, settings.files, settings.threshold)
    if unknown := [tag for tag in settings.tags if not tagger.knows(tag)]:
        raise UserError(f"portraits.person.tags: found {unknown[0]!r}; accepted: tags that {settings.files} names")

    def check(image: np.ndarray) -> None:
        """Raises `Unreadable` where no person is seen."""
        [probs] = tagger.estimate_specific_tags([TaggerInput(image)], settings.tags)
        likeliest = max(probs, key=lambda tag: probs[tag])
        if probs[likeliest] < settings.threshold:
            raise Unreadable(f"no person ({likeliest}: {probs[likeliest]:.2f})")

    return check
