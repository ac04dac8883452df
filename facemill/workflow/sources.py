"""The files that a config names, collections and labels above all: listed, shared with results, and put back."""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from facemill.config.root import Config
from facemill.data.contents import Everything, summarized
from facemill.data.names import printable
from facemill.data.walk import File
from facemill.errors import UserError
from facemill.files import atomic_folder
from facemill.log import log


class Sources:
    """The files and folders that a config names; their copies lie in a folder, one of its folders a key.

    Args:
        settings: the config, a YAML file that holds every setting.
        copies: the folder of copies.

    Raises:
        UserError: The settings are not those of this version.
    """

    def __init__(self, settings: Path, copies: Path) -> None:
        try:
            config = Config.model_validate(yaml.safe_load(settings.read_text()))
        except ValidationError as error:
            raise UserError(f"{settings}: not settings of this version; {error.errors()[0]['msg']}") from error
        self.paths = config.paths()
        self.copies = copies
        self._follows_links = config.source.follows_links

    def listing(self) -> dict[str, dict[str, Any]]:
        """By key the path, the number of files, their bytes, and a digest of their names and sizes."""
        return {key: {"path": str(path)} | dict(summarized(self._files(key, path))) for key, path in self.paths.items()}

    def copy(self) -> None:
        """Copies all of them, without hidden files, in place of earlier copies; the log names what cannot be copied."""
        with atomic_folder(self.copies) as folder:  # what is copied may itself be a link to an earlier copy
            for key, path in self.paths.items():
                for file in self._files(key, path, say=True):
                    target = folder / key / path.name / file.name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(file.path, target)

    def put_back(self) -> None:
        """Links what is missing in this clone to its copy; nothing outside the clone is written."""
        for key, path in sorted(self.paths.items(), key=lambda item: len(item[1].parts)):
            copy = self._copy(key)
            if copy.exists() and not path.exists() and not path.is_symlink() and _is_inside(path):
                with suppress(FileExistsError):  # a link that leads nowhere is in the way: it stays missing
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.symlink_to(os.path.relpath(copy.resolve(), path.parent.resolve()))

    def missing(self) -> list[str]:
        """A line for each that is not there, with what to do."""
        return [
            f"{key}: {path} is not there; {self._advice(key, path)}"
            for key, path in self.paths.items()
            if not path.exists()
        ]

    def changed(self, shared: dict[str, dict[str, Any]]) -> list[str]:
        """A line for each that differs from an earlier `listing`."""
        now = self.listing()
        return [
            f"{key}: {_counts(now.get(key))}; the results are those of {_counts(shared.get(key))}"
            for key in sorted(now.keys() | shared.keys())
            if now.get(key) != shared.get(key)
        ]

    def _advice(self, key: str, path: Path) -> str:
        copy = self._copy(key)
        if copy.exists():
            return f"its copy is, outside this clone a link is yours to make: ln -s {copy.absolute()} {path}"
        return "accepted: what was there when the results were shared, or results shared with --with-sources"

    def _copy(self, key: str) -> Path:
        return self.copies / key / self.paths[key].name

    def _files(self, key: str, path: Path, say: bool = False) -> list[File]:
        """The files of a folder; that of a file, by the name `.`."""
        if path.is_file():
            info = path.stat()
            return [File(str(path), ".", info.st_size, info.st_mtime_ns)]
        walk = Everything(self._follows_links(key))
        files = list(walk.files(path))
        if say and walk.faults:
            first = "".join(f"\n  {printable(fault)}: {reason}" for fault, reason in walk.faults[:10])
            log.warning("%s %s: %d left out%s", key, path, len(walk.faults), first)
        return files


def _counts(summary: dict[str, Any] | None) -> str:
    """`12 files, 3400 bytes at PORTRAITS (9f86d081884c7d65)`."""
    if summary is None:
        return "nothing"
    return "{files} files, {bytes} bytes at {path} ({listing_sha256:.16})".format_map(summary)


def _is_inside(path: Path) -> bool:
    """Whether a path leads into the working directory, before links are followed."""
    return Path(os.path.abspath(path)).is_relative_to(Path.cwd()) and not path.is_absolute()  # noqa: PTH100
