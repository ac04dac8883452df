"""Files by folder and stem, to pair label files and masks with their images."""

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from facemill.data.names import as_key
from facemill.data.walk import File


class Names:
    """The files of a folder and of those below it by folder and stem, as `File.stem` spells it.

    The case of letters counts where stems differ in nothing else.
    """

    def __init__(self, root: Path, files: Iterable[File]) -> None:
        self.root = root
        self._in_folder: dict[tuple[str, str], list[File]] = defaultdict(list)
        self._anywhere: dict[str, list[File]] = defaultdict(list)
        self.folders: set[str] = set()
        for file in files:
            folder, stem = as_key(file.folder), file.stem.casefold()
            self._in_folder[folder, stem].append(file)
            self._anywhere[stem].append(file)
            self.folders.add(folder)

    def beside(self, folder: str, stem: str) -> list[File]:
        """The files of a folder with a stem."""
        return _of_case(stem, self._in_folder.get((as_key(folder), stem.casefold()), []))

    def named(self, name: str) -> list[File]:
        """The files at a path within the root, in any spelling and case."""
        folder, _, file = name.rpartition("/")
        stem, suffix = os.path.splitext(file)  # noqa: PTH122
        return [file for file in self.beside(folder, as_key(stem)) if file.name.lower().endswith(suffix.lower())]

    def anywhere(self, stem: str) -> list[File]:
        """The files of all folders with a stem."""
        return _of_case(stem, self._anywhere.get(stem.casefold(), []))


def _of_case(stem: str, files: list[File]) -> list[File]:
    return [file for file in files if file.stem == stem] or files
