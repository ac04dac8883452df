"""The colors in which ControlNet's preprocessor of anime faces paints its masks, by role.

They are what ControlNets of anime faces were trained on: https://github.com/Mikubill/sd-webui-controlnet/pull/2212,
`annotator/anime_face_segment/__init__.py`, after https://github.com/siyeong0/Anime-Face-Segmentation.
"""

from collections.abc import Mapping

from facemill.data.classes import ClassTable, Role
from facemill.errors import UserError

CONTROLNET_COLORS: Mapping[Role, tuple[int, int, int]] = {
    "background": (255, 255, 0),
    "skin": (0, 255, 255),
    "face": (0, 255, 0),
    "eye": (255, 0, 0),
    "mouth": (255, 255, 255),
    "hair": (0, 0, 255),
    "clothes": (255, 0, 255),
}
"""sRGB, of every role."""


def controlnet_colors(classes: ClassTable) -> tuple[tuple[int, int, int], ...]:
    """The preprocessor's colors (sRGB) by class id; classes of one role share theirs.

    Raises:
        UserError: A class has no role.
    """
    if without := [c.name for c in classes.root if c.role is None]:
        raise UserError(
            f"the colors of ControlNet: found no role of {', '.join(without)}; "
            f"accepted: classes of the roles {', '.join(CONTROLNET_COLORS)}"
        )
    return tuple(CONTROLNET_COLORS[c.role] for c in classes.root if c.role)
