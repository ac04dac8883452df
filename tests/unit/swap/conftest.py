"""A finder of painted faces, and a network that exchanges faces, in a folder for what is converted."""

import pytest
from helpers.color_unet import ColorUnet
from helpers.swapped import save_network

from facemill.data.classes import SEVEN
from facemill.inference.segmenter import Segmenter
from facemill.swap import film_pieces
from facemill.swap.detectors import load_detector
from facemill.swap.find_faces import FaceFinder


@pytest.fixture(scope="session")
def segmenter():
    return Segmenter(ColorUnet().eval(), SEVEN)


@pytest.fixture(scope="session")
def finder(segmenter):
    return FaceFinder(segmenter, load_detector("masks", None, segmenter), every_frame=False)


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    return save_network(tmp_path_factory.mktemp("swap"))


@pytest.fixture
def in_a_folder(tmp_path, monkeypatch):
    """Files and `work/` are in a folder of the test; films are made in pieces of ten frames."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(film_pieces, "PIECE", 10)
