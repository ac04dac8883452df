"""Photos with other faces."""

from collections import Counter
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from facemill.data.batching import map_ahead
from facemill.data.film import FOLDER_RATE, Frame
from facemill.data.image_files import read_rgb
from facemill.data.shards import write_shard
from facemill.data.synthetic import write_marked
from facemill.data.walk import IMAGE_SUFFIXES, check_out
from facemill.errors import UserError, first_line, list_faults
from facemill.log import log
from facemill.swap.conversion import TABLE_SCHEMA, FilmConversion
from facemill.swap.converted_film import Swap, check_has_face
from facemill.swap.film_pieces import ahead
from facemill.swap.frame_faces import reasons, shots
from facemill.swap.pictures import image_files, read_pictures


class Photos:
    """A photo, or those of a folder, each with the PNG that is written.

    Attributes:
        names: the PNG of each photo, in natural order of the photos.
        unread: photos that cannot be read, and why.
        unwritten: photos whose PNG cannot be written, and why.
    """

    def __init__(self, source: Path, out: Path) -> None:
        """Raises `UserError` where a photo of a folder would be replaced, or `out` is of another kind than `source`."""
        self.source, self.out = source, out
        self.unread, self.unwritten = list[tuple[Path, str]](), list[tuple[Path, str]]()
        self._read = list[Path]()
        if source.is_dir():
            if out.suffix.lower() in (*IMAGE_SUFFIXES, ".mp4"):
                raise UserError(f"--out {out}: --input {source} is a folder; accepted: a folder")
            files = image_files(source)
            pngs = png_names([file.name for file in files])
            self.names = {Path(file.path): out / pngs[file.name] for file in files}
            check_out("--input", source, out, self.names.values(), self.names)
        else:
            if out.suffix.lower() != ".png":
                raise UserError(f"--out {out}: --input {source} is a photo; accepted: a .png")
            self.names = {source: out}

    def frames(self) -> Iterator[Frame]:
        """Yields the photos that can be read, numbered as `extract_faces` does; notes the others."""
        for pts, path in enumerate(self.names):
            try:
                pixels = np.asarray(read_rgb(path))
            except ValueError as error:
                self.unread.append((path, str(error)))
                continue
            self._read.append(path)
            yield Frame(len(self._read) - 1, pts, 1 / FOLDER_RATE, pixels)

    def write(self, frame: Frame, pixels: np.ndarray, swap: Swap) -> None:
        """Writes what was made of a photo; notes where that cannot be done."""
        path = self._read[frame.number]
        try:
            write_marked(self.names[path], pixels, swap.mark(path))
        except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
            self.unwritten.append((path, f"its result cannot be written ({first_line(error)})"))


def png_names(names: Collection[str]) -> dict[str, str]:
    """The PNG for each image of a folder: the suffix is replaced, or kept too, where several would have one name."""
    pngs = {name: str(Path(name).with_suffix(".png")) for name in names}
    while repeated := {png for png, count in Counter(pngs.values()).items() if count > 1}:
        pngs |= {name: f"{name}.png" for name in names if pngs[name] in repeated}
    return pngs


def convert_photos(swap: Swap, photos: Photos, faces: Path, *, table: Path | None) -> None:
    """Writes photos with other faces; those without a face as they are.

    Nothing is written before all photos were compared with the table; those that cannot be read are named in the log.

    Args:
        swap: what draws the faces.
        photos: the photos.
        faces: the table of their faces.
        table: Parquet to write, of `TABLE_SCHEMA`.

    Raises:
        UserError: The table is that of others, no photo can be read or has a usable face, or some results cannot be
            written: the others are done before that is raised.
    """
    check_has_face(faces, photos.source)
    for _ in shots(read_pictures(photos.source, quiet=True), faces, photos.source, to_end=True):
        pass
    conversion = FilmConversion(swap.converter(), reasons(faces), marks=swap.marks)
    shown = shots(ahead(photos.frames(), conversion.converter.batch), faces, photos.source, to_end=True)
    with ThreadPoolExecutor(2) as pool:
        for _ in map_ahead(pool, lambda made: photos.write(*made, swap), conversion.convert(shown)):
            pass
    if table:
        write_shard(table, conversion.rows, TABLE_SCHEMA)
    log.info("convert_faces: %s, in %s", conversion.counts("photos"), photos.out)
    if photos.unread:
        log.warning("convert_faces: %s", _told(photos.unread, photos, "cannot be read, and are left out"))
    if photos.unwritten:
        raise UserError(_told(photos.unwritten, photos, "are not converted"))


def _told(faults: list[tuple[Path, str]], photos: Photos, what: str) -> str:
    count = f"{len(faults)} of {len(photos.names)} photos {what}:"
    return "\n  ".join([count, *list_faults(sorted(faults))])
