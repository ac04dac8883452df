"""What the studio answers to each request and state: frames of headers and bytes, without the network between."""

from collections.abc import Callable

import cv2
import msgspec
import numpy as np

from facemill.data.shards import decode_mask, encode_jpeg
from facemill.errors import UserError
from facemill.log import log
from facemill.studio.labels import Labels
from facemill.studio.messages import (
    MOST_SIDE,
    LabelRequest,
    MaskMessage,
    Number,
    PortraitRequest,
    State,
    UnlabelRequest,
    check_mask,
    pack,
    unpack,
)
from facemill.studio.painting import Studio
from facemill.studio.photos import Photo, Photos, without_specks
from facemill.studio.saving import open_saved, save

Answer = Callable[[bytes, str], bytes]
"""Answers a request's body, and the name of the file in it, by a frame."""


class Numbered(msgspec.Struct):
    """What is read of a state that is refused."""

    n: Number = 0


class Answers:
    """The models, the photos that are edited, and the labels that are written. For one thread."""

    def __init__(self, studio: Studio, photos: Photos, labels: Labels | None = None) -> None:
        """Answers.

        Args:
            studio: the models.
            photos: the photos that are edited.
            labels: writes masks as labels; None where no folder takes them.
        """
        self.studio, self.photos, self.labels = studio, photos, labels

    def posts(self) -> dict[str, tuple[int, Answer]]:
        """The HTTP status of a fault, and the answer, by the request's path."""
        return {
            "/portraits": (404, self.portraits),
            "/portrait": (404, self.portrait),
            "/photo": (415, lambda body, name: photo_frame(self.photos.add(body, name))),
            "/review": (404, lambda body, _: photo_frame(self.photos.review(unpack(body, PortraitRequest)[0].number))),
            "/mask": (415, self.mask),
            "/specks": (422, self.specks),
            "/save": (422, self.save),
            "/open": (415, self.open),
            "/label": (422, self.label),
            "/unlabel": (404, self.unlabel),
        }

    def hello(self) -> bytes:
        """The greeting of a page, without a body."""
        return pack(self.studio.hello())

    def paint(self, frame: bytes) -> bytes:
        """The portrait of a state, or what is wrong with it."""
        try:
            state, mask = self._state(frame)
            portrait = self.studio.paint(state, mask)
            return pack(portrait.header | {"n": state.n}, portrait.body)
        except Exception as error:
            try:
                number = unpack(frame, Numbered)[0].n
            except UserError:
                number = 0
            return fault_frame(number, fault_of(error, 422)[1])

    def portraits(self, body: bytes, _: str) -> bytes:
        """The sheet of the collection's thumbnails."""
        sheet = self.studio.thumbnails()
        return pack(sheet.header, sheet.body)

    def portrait(self, body: bytes, _: str) -> bytes:
        """A portrait of the collection: its style, mask and picture."""
        portrait = self.studio.portrait(unpack(body, PortraitRequest)[0].number)
        header = {"size": portrait.mask.shape, "z": portrait.z, "name": portrait.name}
        return pack(header, portrait.mask.tobytes(), portrait.image)

    def mask(self, body: bytes, _: str) -> bytes:
        """The class ids in a mask's PNG, with at most `MOST_SIDE` pixels a side."""
        mask = decode_mask(body, self.studio.classes)
        scale = min(1, MOST_SIDE / max(mask.shape))
        size = [max(1, round(side * scale)) for side in mask.shape]
        fitted = np.asarray(cv2.resize(mask, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT))
        return pack({"size": size}, fitted.tobytes())

    def specks(self, body: bytes, _: str) -> bytes:
        """A mask without its specks."""
        request, ids = unpack(body, MaskMessage)
        mask = without_specks(check_mask(ids, request.size, self.studio.classes))
        return pack({"size": mask.shape}, mask.tobytes())

    def save(self, body: bytes, _: str) -> bytes:
        """Writes a portrait with its mask and state: the files' names, and the PNG."""
        files, png = save(self.studio, *self._state(body), self.studio.paths.out)
        return pack({"files": [file.name for file in files]}, png)

    def open(self, body: bytes, _: str) -> bytes:
        """The look and the mask in a PNG that was saved."""
        look, mask = open_saved(body, self.studio.classes)
        return pack({"state": look, "size": mask.shape}, mask.tobytes())

    def label(self, body: bytes, _: str) -> bytes:
        """Writes a photo's mask as its label: the file, the IoU of each class, and warnings."""
        request, ids = unpack(body, LabelRequest)
        mask = check_mask(ids, request.size, self.studio.classes)
        result = self._labels().save(self.photos.get(request.photo), mask)
        return pack({"file": result.file, "iou": result.iou, "warnings": result.warnings})

    def unlabel(self, body: bytes, _: str) -> bytes:
        """Takes a label back: its file's name now."""
        return pack({"file": self._labels().remove(unpack(body, UnlabelRequest)[0].file)})

    def _state(self, frame: bytes) -> tuple[State, np.ndarray]:
        state, ids = unpack(frame, State)
        return state, check_mask(ids, state.size, self.studio.classes)

    def _labels(self) -> Labels:
        if self.labels is None:
            raise UserError("no folder takes labels; accepted: studio.py --labelled FOLDER")
        return self.labels


def photo_frame(photo: Photo) -> bytes:
    """A photo with its mask, and where the U-Net is not sure of it."""
    header = {"photo": photo.id, "name": photo.name, "size": photo.mask.shape, "z": photo.z}
    unsure = b"" if photo.unsure is None else photo.unsure.tobytes()
    return pack(header, photo.mask.tobytes(), unsure, encode_jpeg(photo.picture))


def fault_frame(number: int, fault: str) -> bytes:
    """What is wrong with the state of this number."""
    return pack({"n": number, "fault": fault})


def fault_of(error: Exception, status: int) -> tuple[int, str]:
    """The HTTP status of an error, and its words: `status` for a mistake; 500 for a fault of the disk, and of ours."""
    match error:
        case UserError():
            return status, str(error).encode(errors="replace").decode()
        case OSError(strerror=str(reason)):
            path = error.filename or getattr(error, "output", "a file")
            return 500, f"{path}: {reason}".encode(errors="replace").decode()
    log.error("studio: a fault of its own", exc_info=error)
    return 500, f"{type(error).__name__} in the studio itself; the terminal shows where"
