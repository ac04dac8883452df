"""Images that a tagger accepts and rejects."""

import numpy as np
import pytest
from helpers.tagger_files import write_brightness_tagger

from facemill.config.ingest import PersonConfig
from facemill.errors import UserError
from facemill.ingest.persons import person_check
from facemill.ingest.portraits import Unreadable

BRIGHT, DARK = (np.full((40, 30, 3), value, np.uint8) for value in (250, 5))


@pytest.fixture
def files(tmp_path):
    return write_brightness_tagger(tmp_path / "wd14", 128)


def test_an_image_without_one_of_the_tags_is_refused(files):
    check = person_check(PersonConfig(tagger="wd14", files=files, tags=["red hair", "blue_hair"], threshold=0.9))
    check(BRIGHT)
    with pytest.raises(Unreadable, match=r"no person \(red hair: 0.00\)"):
        check(DARK)
    with pytest.raises(Unreadable):
        person_check(PersonConfig(tagger="wd14", files=files, tags=["red_hair"]))(BRIGHT)


def test_tags_that_the_tagger_does_not_know_are_named(files):
    with pytest.raises(UserError, match="portraits.person.tags: found '1girl'; accepted: tags that .*wd14 names"):
        person_check(PersonConfig(tagger="wd14", files=files))
