"""The studio's command: what it prints, what the browser is given, how it ends, and one line for what is wrong."""

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from helpers.running import ROOT, wait_for
from helpers.studio_models import write_results

from facemill.errors import UserError
from facemill.studio.studio import TOKEN, has_display, listen, read_token, redirect_file, studio

ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)/#t=([\w-]+)")


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    return write_results(tmp_path_factory.mktemp("command") / "results")


class Started:
    """A studio in a process of its own, up to the line that says where it is."""

    def __init__(self, *options: object, **environment: str) -> None:
        command = [sys.executable, str(ROOT / "scripts/studio.py"), *map(str, options)]
        self.process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, env=os.environ | environment, start_new_session=True
        )
        self.line = self.process.stderr.readline()
        address = ADDRESS.search(self.line)
        assert address, self.line + self.end(signal.SIGKILL)[1]
        self.port, self.token = address.groups()

    def end(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """Sends a signal to it and its children, as a terminal does: its exit code, and the lines after the first."""
        os.killpg(self.process.pid, number)
        code = self.process.wait(timeout=30)
        return code, self.process.stderr.read()  # with what came with the first line, which `communicate` passes over


@pytest.fixture
def start():
    """A function that starts a studio, which ends with the test at the latest."""
    started = []

    def run(*options: object, **environment: str) -> Started:
        started.append(Started(*options, **environment))
        return started[-1]

    yield run
    for running in started:
        if running.process.poll() is None:
            running.end(signal.SIGKILL)


def test_from_the_first_line_to_ctrl_c(start, results, tmp_path):
    """It opens the browser without its token where other users see it, takes the next port, and ends without a word."""
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked.part\nmv {tmp_path}/asked.part {tmp_path}/asked\n')
    browser.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        options = (results, "--out", tmp_path / "edits", "--port", port, "--precision", "float32")
        started = start(*options, BROWSER=str(browser), DISPLAY=":0")
        assert int(started.port) > port
    with urllib.request.urlopen(f"http://127.0.0.1:{started.port}/") as page:
        assert page.read().startswith(b"<!doctype html>")
    wait_for(lambda: (tmp_path / "asked").exists())
    asked = (tmp_path / "asked").read_text().strip()
    assert started.token not in asked
    [file] = (tmp_path / "edits").iterdir()
    assert asked == file.as_uri() and stat.S_IMODE(file.stat().st_mode) == 0o600
    assert ADDRESS.search(file.read_text()).groups() == (started.port, started.token)
    assert started.end() == (0, "")
    assert not list((tmp_path / "edits").iterdir())


def test_no_browser_is_opened_where_the_disk_refuses(start, results):
    """The studio paints all the same."""
    options = ("--out", "/proc/edits", "--port", 0, "--precision", "float32")
    started = start(results, *options, BROWSER="true", DISPLAY=":0")
    with urllib.request.urlopen(f"http://127.0.0.1:{started.port}/") as page:
        assert page.read().startswith(b"<!doctype html>")
    code, lines = started.end()
    assert code == 0 and re.fullmatch(r"studio: no browser is opened \(.*/proc/edits'?\)\n", lines)


def test_the_same_address_again(start, results, tmp_path):
    """After a kill, on the same port at once, where the environment names a token."""
    options = (results, "--out", tmp_path, "--no-browser", "--precision", "float32")
    token = "the-same-token-0123456789"
    first = start(*options, "--port", 0, **{TOKEN: token})
    first.end(signal.SIGKILL)
    second = start(*options, "--port", first.port, **{TOKEN: token})
    assert second.line == first.line and second.token == token
    assert second.end(signal.SIGTERM) == (0, "")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"results": "results", "model": "results/unet/v3"}, "holds a Unet; accepted: a Generator"),
        ({"results": "results", "unet": "results/gaugan"}, "holds a Generator; accepted: a Unet"),
        ({"results": "results", "vectors": "results/config.yaml"}, "not a readable file of vectors"),
        ({"results": "results", "config": "results/unet/v3/model.safetensors"}, "model.safetensors: "),
        (
            {"results": "results", "config": "other.yaml"},
            "labels.merge: found 'crown'; accepted: GauGAN's classes",
        ),
        ({"results": "results", "port": 70000}, "--port 70000: no port"),
        ({"results": "results", "port": -1}, "--port -1: no port"),
        ({"results": "results", "threads": 0}, "--threads 0; accepted: 1 or more"),
        ({}, "no model is named"),
    ],
)
def test_one_line_for_what_is_wrong(results, tmp_path, monkeypatch, options, words):
    monkeypatch.setattr("facemill.studio.studio.serve", None)  # which would not end
    settings = (results / "config.yaml").read_text().replace("merge:\n", "merge:\n    crown: [tiara]\n")
    (results.parent / "other.yaml").write_text(settings)
    paths = {key: results.parent / value for key, value in options.items() if isinstance(value, str)}
    with pytest.raises(UserError, match=words) as error:
        studio(**options | paths, out=tmp_path, no_browser=True)
    assert "\n" not in str(error.value)


def test_it_exits_with_one_line(tmp_path):
    command = [sys.executable, ROOT / "scripts/studio.py", tmp_path / "nothing"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"studio.py: {tmp_path}/nothing: no such folder")


@pytest.mark.parametrize("token", ["short", "with spaces and more than 24 letters", "ü" * 30])
def test_a_token_of_the_environment_must_be_long_and_plain(monkeypatch, token):
    monkeypatch.setenv(TOKEN, token)
    with pytest.raises(UserError, match="24 or more"):
        read_token()


def test_tokens_are_long_and_never_the_same(monkeypatch):
    monkeypatch.delenv(TOKEN, raising=False)
    tokens = {read_token() for _ in range(100)}
    assert len(tokens) == 100 and min(map(len, tokens)) == 32


def test_only_this_machine_is_listened_to():
    with listen(0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


def test_no_port_is_free(monkeypatch):
    with listen(0) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr("facemill.studio.studio.PORTS", 1)
        with pytest.raises(UserError, match=f"--port {port}: no port from there on is free"):
            listen(port)


def test_a_browser_needs_a_display(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert not has_display()
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert has_display()


def test_the_redirecting_file_is_gone_afterwards(tmp_path):
    with redirect_file("http://127.0.0.1:1/#t=x", tmp_path / "edits") as file:
        assert 'url=http://127.0.0.1:1/#t=x"' in file.read_text()
    assert not file.exists()
