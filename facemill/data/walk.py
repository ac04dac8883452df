"""One walk over folders for every command and for the rules: which files are read, and what is left out and why."""

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from facemill.data.names import as_key, printable
from facemill.errors import UserError
from facemill.log import log

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".pjpeg", ".pjp", ".jpg_large", ".mpo"),
    *(".jp2", ".j2k", ".jpf", ".jpx", ".png", ".apng", ".webp", ".avif", ".gif", ".bmp", ".dib", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pnm", ".tga", ".qoi"),
)
"""Suffixes of image names, in lower case; the format of an image is read from its content, later."""

SYSTEM_FOLDERS = frozenset(
    {"__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found"}
)
"""Folders that operating systems and network drives make, with thumbnails and deleted files; hidden ones besides."""


class File(NamedTuple):
    """A file of a folder, or an archive."""

    path: str
    name: str
    """The path within the folder that was walked, with slashes."""
    size: int
    """In bytes."""
    modified: int
    """Nanoseconds since 1970."""
    is_repeat: bool = False
    """Whether this is a link to a file that another of the files is."""

    @property
    def folder(self) -> str:
        """The folder within the one that was walked; empty for that one."""
        return self.name.rpartition("/")[0]

    @property
    def stem(self) -> str:
        """The name without folders and suffix, as a key: spelled alike on every system."""
        return as_key(os.path.splitext(self.name.rpartition("/")[2])[0])  # noqa: PTH122


class Walk:
    """A walk over one or several folders, which meets each real folder once, however many links lead to it.

    What a name within its folder hides from a user is left out: names that begin with a dot, and those of
    `SYSTEM_FOLDERS`. Links are followed after all else, so that a file is known by its plain name where it has one.

    Args:
        suffixes: of the files that are wanted, in lower case; names may have any case.
        follow_links: whether links that point outside their folder are followed.
    """

    def __init__(self, suffixes: Collection[str], follow_links: bool = True) -> None:
        self.suffixes, self.follow_links = frozenset(suffixes), follow_links
        self.counts: Counter[str] = Counter()
        """How many are left out by their names, or since they are read already, by kind: `hidden`, or the suffix."""
        self.faults: list[tuple[str, str]] = []
        """Path and reason of all else that is left out."""
        self._folders: set[str] = set()  # real paths
        self._linked: set[str] = set()  # real paths of files to which links lead

    def files(self, root: Path) -> Iterator[File]:
        """Yields the wanted files of a folder and of those below it.

        Raises:
            OSError: `root` is no folder, or may not be read.
        """
        start, real = str(root), os.path.realpath(root)
        os.scandir(start).close()
        links: list[tuple[str, str]] = []
        yield from self._folder(start, "", real, links)
        while links:
            met = sorted(links, key=lambda link: os.path.isdir(link[0]))  # links to files first  # noqa: PTH112
            links.clear()
            for path, name in met:
                yield from self._link(path, name, real, links)

    def once(self, files: Iterable[File]) -> Iterator[File]:
        """Yields each real file once, and counts the links to files that are read already."""
        for file in files:
            if file.is_repeat:
                self.counts["link to a file read already"] += 1
            else:
                yield file

    def takes(self, name: str) -> bool:
        """Whether the path of a file within a folder or an archive is one that is wanted; others are counted."""
        if any(map(is_hidden, PurePosixPath(name).parts)):
            self.counts["hidden"] += 1
        elif not self._is_wanted(name):
            self.counts[os.path.splitext(name)[1].lower() or "no suffix"] += 1  # noqa: PTH122
        else:
            return True
        return False

    def is_new(self, archive: Path) -> bool:
        """Whether an archive is met for the first time; a second time it is counted."""
        real = os.path.realpath(archive)
        if is_repeat := real in self._linked:
            self.counts["archive read already"] += 1
        self._linked.add(real)
        return not is_repeat

    def report(self, what: str) -> None:
        """Says in the log what was left out of the files that `what` names."""
        if self.counts:
            counted = ", ".join(f"{count} {kind}" for kind, count in self.counts.most_common())
            log.info("%s: left out: %s; accepted: %s", what, counted, ", ".join(sorted(self.suffixes)))
        if self.faults:
            first = [f"{printable(path)}: {reason}" for path, reason in self.faults[:10]]
            log.warning("%s: %d left out%s", what, len(self.faults), "".join(f"\n  {line}" for line in first))

    def _folder(self, path: str, name: str, real: str, links: list[tuple[str, str]]) -> Iterator[File]:
        """Yields the files of a folder and of those below it, and adds the links in them to `links`.

        Args:
            path: of the folder.
            name: of the folder within the root, with a slash behind it; empty for the root.
            real: the folder's path without links.
            links: path and name of each link.
        """
        folders = [(path, name, real)]
        while folders:
            path, name, real = folders.pop()
            if real in self._folders:
                self.counts["folder read already"] += 1
                continue
            self._folders.add(real)
            try:
                with os.scandir(path) as entries:
                    listed = sorted(entries, key=lambda entry: entry.name)
            except OSError as error:
                self.faults.append((path, error.strerror or str(error)))
                continue
            inner = []
            for entry in listed:
                place = os.path.join(real, entry.name)  # noqa: PTH118
                if is_hidden(entry.name):
                    self.counts["hidden"] += 1
                elif entry.is_symlink():
                    links.append((entry.path, name + entry.name))
                elif entry.is_dir():
                    inner.append((entry.path, f"{name}{entry.name}/", place))
                else:
                    yield from self._file(entry.path, name + entry.name, bool(self._linked) and place in self._linked)
            folders += reversed(inner)

    def _link(self, path: str, name: str, root: str, links: list[tuple[str, str]]) -> Iterator[File]:
        target = os.path.realpath(path)
        if not os.path.exists(path):  # noqa: PTH110
            self.faults.append((path, f"a link to {target}, which is not there"))
        elif not self.follow_links and not f"{target}/".startswith(f"{root.rstrip('/')}/"):
            self.faults.append((path, f"a link that points outside the root, to {target}"))
        elif os.path.isdir(path):  # noqa: PTH112
            yield from self._folder(path, f"{name}/", target, links)
        else:
            folder, file = os.path.split(target)
            listed = folder in self._folders and not is_hidden(file) and self._is_wanted(file)
            yield from self._file(path, name, listed or target in self._linked)
            self._linked.add(target)

    def _file(self, path: str, name: str, is_repeat: bool) -> Iterator[File]:
        if not self.takes(name):
            return
        try:
            info = os.stat(path)  # noqa: PTH116
        except OSError as error:
            self.faults.append((path, error.strerror or str(error)))
            return
        if stat.S_ISREG(info.st_mode):
            yield File(path, name, info.st_size, info.st_mtime_ns, is_repeat)
        else:
            self.faults.append((path, "not a plain file"))

    def _is_wanted(self, name: str) -> bool:
        return os.path.splitext(name)[1].lower() in self.suffixes  # noqa: PTH122


def is_hidden(name: str) -> bool:
    """Whether a part of a path within a folder or an archive is none of the user's: `._x.png`, `__MACOSX`."""
    return name.startswith(".") or name in SYSTEM_FOLDERS


def files_in(option: str, folder: Path, suffixes: Collection[str], what: str) -> list[File]:
    """The files of a folder and of those below it, each once, in the order of their paths; links are followed.

    What is left out is said in the log.

    Args:
        option: names the folder in messages.
        folder: the folder.
        suffixes: of the files, in lower case.
        what: the files' kind in messages, as in `no image`.

    Raises:
        UserError: The folder is not there, is a file, may not be read, or holds no such file.
    """
    check_folder(option, folder)
    walk = Walk(suffixes)
    files = sorted(walk.once(walk.files(folder)), key=lambda file: file.path)
    walk.report(f"{option} {folder}")
    if not files:
        others = sum(walk.counts.values())
        raise UserError(f"{option} {folder}: no {what} among {others} files; accepted: {', '.join(sorted(suffixes))}")
    return files


def check_folder(option: str, folder: Path) -> None:
    """Raises `UserError` when a folder is not there, is a file, or may not be read."""
    if not folder.exists():
        raise UserError(f"{option} {folder}: no such folder")
    if not folder.is_dir():
        raise UserError(f"{option} {folder}: a file; accepted: a folder")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise UserError(f"{option} {folder}: may not be read")


def check_out(option: str, folder: Path, out: Path, targets: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Raises `UserError` when what is written would replace what is read, or be read by the next run.

    Args:
        option: names the folder of inputs in messages.
        folder: the folder that is read, with those below it.
        out: the folder that is written.
        targets: the files that are written.
        inputs: the files that are read.
    """
    real, target = folder.resolve(), out.resolve()
    if target == real or real in target.parents:
        place = "is" if target == real else "lies in"
        raise UserError(f"--out {out}: {place} {option} {folder}; accepted: another, so that no file is replaced")
    check_replaced("--out", out, targets, inputs)
    check_new_folder("--out", out)


def check_new_folder(option: str, folder: Path) -> None:
    """Raises `UserError` when a folder cannot be made, since there is a file in its place or above it."""
    there = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    if there.exists() and not there.is_dir():
        what = "a file" if there == folder else f"{there} is a file"
        raise UserError(f"{option} {folder}: {what}; accepted: a folder")


def check_replaced(option: str, out: Path, targets: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Raises `UserError` when a file that is written would replace one that is read.

    Args:
        option: names what is written in messages.
        out: the folder, or file, that is written.
        targets: the files that are written.
        inputs: the files that are read.
    """
    read = {path.resolve() for path in inputs}
    if replaced := next((path for path in targets if path.resolve() in read), None):
        place = "name" if replaced == out else "folder"
        raise UserError(f"{option} {out}: {replaced} would be replaced, which is read; accepted: another {place}")


def listing(roots: Iterable[Path], suffixes: Collection[str], follow_links: bool = True) -> str:
    """How many files folders hold, and a digest of their names, sizes and dates: another one when any has changed.

    Args:
        roots: folders, and archives, which count as one file.
        suffixes: of the files, in lower case.
        follow_links: whether links that point outside their folder are followed.
    """
    total, count = hashlib.sha256(), 0
    walk = Walk(suffixes, follow_links)
    for root in roots:
        if root.is_dir():
            files = walk.files(root)
        else:
            info = root.stat()
            files = iter([File(str(root), root.name, info.st_size, info.st_mtime_ns)])
        for file in files:
            count += 1
            total.update(b"%b\0%d\0%d\n" % (os.fsencode(file.name), file.size, file.modified))
    return f"{count} files, {total.hexdigest()[:16]}"
