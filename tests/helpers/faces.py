"""A face detector for tests, and images with faces that it finds."""

from pathlib import Path

import numpy as np

CASCADE = """<?xml version="1.0"?>
<opencv_storage><cascade type_id="opencv-cascade-classifier">
<stageType>BOOST</stageType><featureType>HAAR</featureType><height>24</height><width>24</width>
<stageParams><maxWeakCount>1</maxWeakCount></stageParams>
<featureParams><maxCatCount>0</maxCatCount></featureParams>
<stageNum>1</stageNum>
<stages><_><maxWeakCount>1</maxWeakCount><stageThreshold>0.5</stageThreshold>
<weakClassifiers><_>
<internalNodes>0 -1 0 0.9</internalNodes><leafValues>-1. 1.</leafValues></_>
</weakClassifiers></_></stages>
<features><_><rects><_>0 0 24 24 -1.</_><_>0 12 24 12 2.</_></rects><tilted>0</tilted></_></features>
</cascade></opencv_storage>"""
"""A cascade of one stage and one feature: the upper half of a window is much darker than the lower."""


def write_cascade(folder: Path) -> Path:
    path = folder / "cascade.xml"
    path.write_text(CASCADE)
    return path


def faces_at(*heads: tuple[int, int, int], width: int = 400, height: int = 300) -> np.ndarray:
    """Gray, with squares that are black above and white below: x, y, size."""
    pixels = np.full((height, width, 3), 128, np.uint8)
    for x, y, size in heads:
        pixels[y : y + size // 2, x : x + size] = 0
        pixels[y + size // 2 : y + size, x : x + size] = 255
    return pixels
