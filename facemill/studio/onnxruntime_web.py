"""ONNX Runtime Web, which runs ONNX files in browsers: from npm's registry when it is needed, never from this project.

https://www.npmjs.com/package/onnxruntime-web, MIT license.
"""

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import urllib.request
from pathlib import Path

from facemill.errors import UserError, first_line
from facemill.files import atomic_write

NAME, VERSION = "onnxruntime-web", "1.30.0"
TARBALL = f"{NAME}-{VERSION}.tgz"
SHA256 = "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"
"""Of the tarball."""

REGISTRY = "https://registry.npmjs.org"
"""Where npm is not installed, and so not configured."""

NOTICE = f"""{NAME} {VERSION}, Copyright (c) Microsoft Corporation. MIT License:

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE."""
"""What a copy of it must hold."""

MODULE, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
"""The JavaScript module, with all that it needs but the WebAssembly."""


def onnxruntime_web() -> tuple[bytes, bytes]:
    """`MODULE` as a script that defines `ort`, and `WASM`.

    The tarball is cached; npm fetches it where it is installed, as the user configured it.

    Raises:
        UserError: The registry cannot be reached, or gives another file.
    """
    path = cache() / TARBALL
    if not path.exists():
        with tempfile.TemporaryDirectory() as folder:
            content = _download(Path(folder), path)
        if (digest := hashlib.sha256(content).hexdigest()) != SHA256:
            raise UserError(f"{NAME} {VERSION}: has SHA-256 {digest}; accepted: {SHA256}")
        with atomic_write(path) as tmp:
            tmp.write_bytes(content)
    elif hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise UserError(f"{path}: is not {NAME} {VERSION}, its SHA-256 is another; accepted: to remove it")
    with tarfile.open(path) as tar:
        module, wasm = (tar.extractfile(f"package/dist/{name}") for name in (MODULE, WASM))
        assert module and wasm
        return _as_script(module.read().decode()).encode(), wasm.read()


def _as_script(module: str) -> str:
    """A JavaScript module as a script, whose exports are members of `ort`.

    In a page that is opened as a file, workers can be made of scripts only: modules are fetched, which is refused.
    """
    text, exports, _ = re.split(r"export\{(.*?)\};", module.replace("import.meta.url", "self.location.href"))
    members = ", ".join(f"{name}: {local}" for local, name in re.findall(r"([\w$]+) as (\w+)", exports))
    return f'self.ort = (() => {{ "use strict";\n{text}\nreturn {{ {members} }}; }})();\n'


def cache() -> Path:
    """The user's folder of files that can be fetched again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "facemill"


def _download(folder: Path, cached: Path) -> bytes:
    """The tarball's content; `cached` is named as where it may be put by hand."""
    try:
        if npm := shutil.which("npm"):
            command = [npm, "pack", f"{NAME}@{VERSION}", "--pack-destination", str(folder), "--fetch-retries=0"]
            subprocess.run(command, check=True, capture_output=True, text=True)
            return (folder / TARBALL).read_bytes()
        with urllib.request.urlopen(f"{REGISTRY}/{NAME}/-/{TARBALL}", timeout=60) as response:
            return bytes(response.read())
    except (OSError, subprocess.CalledProcessError) as error:
        reason = first_line(getattr(error, "stderr", None) or error)
        raise UserError(
            f"{NAME} {VERSION}: cannot be fetched from npm's registry ({reason}); accepted: a connection, "
            f"or {TARBALL} of another machine as {cached}"
        ) from error
