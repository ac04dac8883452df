"""Persons: whether a tagger sees one in an image."""

from collections.abc import Callable

import numpy as np

from facemill.config.ingest import PersonConfig
from facemill.errors import UserError
from facemill.ingest.portraits import Unreadable
from facemill.taggers.tagger import TaggerInput, network_tagger

MIN_SIDE = 448
"""Pixels of the shorter side that taggers need of an image: the largest that those of the WD14 family take."""


def person_check(settings: PersonConfig) -> Callable[[np.ndarray], None]:
    """A function that raises `Unreadable` for uint8 RGB (H, W, 3) in which the tagger sees none of the tags.

    Raises `UserError` when the tagger cannot be read, or does not know a tag.
    """
    tagger = network_tagger(settings.tagger, settings.files, settings.threshold)
    if unknown := [tag for tag in settings.tags if not tagger.knows(tag)]:
        raise UserError(f"portraits.person.tags: found {unknown[0]!r}; accepted: tags that {settings.files} names")

    def check(image: np.ndarray) -> None:
        [seen] = tagger.estimate_specific_tags([TaggerInput(image)], settings.tags)
        likeliest = max(seen, key=lambda tag: seen[tag])
        if seen[likeliest] < settings.threshold:
            raise Unreadable(f"no person seen ({likeliest}: {seen[likeliest]:.2f})")

    return check
