"""A studio's server in this process, and its visitors."""

import asyncio

import aiohttp
import pytest
from aiohttp.test_utils import TestServer
from helpers.studio_client import HTML, TOKEN, Browser
from helpers.studio_models import write_results

from facemill.studio.answers import Answers
from facemill.studio.labels import Labels
from facemill.studio.painting import Studio
from facemill.studio.paths import find_paths
from facemill.studio.photos import Photos
from facemill.studio.server import make_app


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studio")
    paths = find_paths(write_results(folder / "results"), out=folder / "edits", labelled=folder / "labelled")
    studio = Studio.load(paths)
    return Answers(studio, Photos(studio), Labels(paths.labelled, studio.labels, studio.classes))


@pytest.fixture
def visit(answers):
    """A function that lets a visitor do what it does to a server, after which an ordinary page still paints."""

    def run(visitor):
        async def main():
            async with TestServer(make_app(answers, TOKEN, HTML)) as server, aiohttp.ClientSession() as session:
                browser = Browser(session, server.port)
                async with asyncio.timeout(100):
                    await visitor(browser)
                    await browser.paints()

        asyncio.run(main())

    return run
