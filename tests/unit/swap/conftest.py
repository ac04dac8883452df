"""A finder of painted faces."""

import pytest
from helpers.color_unet import ColorUnet

from facemill.data.classes import SEVEN
from facemill.inference.segmenter import Segmenter
from facemill.swap.detectors import load_detector
from facemill.swap.find_faces import FaceFinder


@pytest.fixture(scope="session")
def segmenter():
    return Segmenter(ColorUnet().eval(), SEVEN)


@pytest.fixture(scope="session")
def finder(segmenter):
    return FaceFinder(segmenter, load_detector("masks", None, segmenter), every_frame=False)
