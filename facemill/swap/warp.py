"""Augmentation of a batch of faces at once: moved, mirrored, warped by a coarse grid, with shifted colors.

Places are those of `grid_sample`: x and y from -1 to 1, from edge to edge.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

TURN, ZOOM, SHIFT = 5.0, 0.05, 0.02
"""Most degrees of a rotation, most change of the size, as a share of it, and largest shift, as a share of the side."""

NODES, WARP = 5, 0.02
"""Nodes to a side of the grid that warps, and the standard deviation of their displacement, as a share of the side."""

LIGHTNESS, CHROMA = 0.3, 8.0
"""Largest change of L*, as a share of it, and of a* and b*."""

_TO_XYZ = torch.tensor([(0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505)])
_WHITE = _TO_XYZ.sum(1)
_TO_LAB = torch.tensor([(0.0, 116.0, 0.0), (500.0, -500.0, 0.0), (0.0, 200.0, -200.0)])  # of the cube roots


def random_moves(count: int, device: torch.device) -> Tensor:
    """Random rotations, zooms and shifts; half of them mirror: float32 (N, 2, 3), from places to places."""
    turn, zoom, x, y = (2 * torch.rand(4, count, device=device) - 1).unbind()
    angle, scale = torch.deg2rad(TURN * turn), 1 + ZOOM * zoom
    mirror = torch.where(torch.rand(count, device=device) < 0.5, -1.0, 1.0)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    rows = [cos * mirror, -sin, 2 * SHIFT * x], [sin * mirror, cos, 2 * SHIFT * y]
    return torch.stack([torch.stack(row, 1) for row in rows], 1)


def random_warps(count: int, size: int, device: torch.device) -> Tensor:
    """Random displacements of places, smooth between the nodes of a grid: float32 (N, size, size, 2)."""
    nodes = 2 * WARP * torch.randn(count, 2, NODES, NODES, device=device)
    smooth = F.interpolate(nodes, (size, size), mode="bicubic", align_corners=True)
    return smooth.permute(0, 2, 3, 1)


def places(moves: Tensor, size: int) -> Tensor:
    """Where each pixel of moved images comes from: float32 (N, size, size, 2).

    Args:
        moves: float32 (N, 2, 3).
        size: side of the images, in pixels.
    """
    return F.affine_grid(moves, [len(moves), 1, size, size], align_corners=False)


def sample(images: Tensor, grid: Tensor) -> Tensor:
    """Images (N, C, H, W) at the places of a grid (N, h, w, 2), bilinear; beyond its border an image is mirrored."""
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def shift_colors(images: Tensor) -> Tensor:
    """Images whose CIELAB colors are changed at random, each image by itself: L* scaled, a* and b* shifted.

    Args:
        images: sRGB in [0, 1], float32 (N, 3, H, W).

    Returns:
        The same shape; colors beyond sRGB are clipped.
    """
    lightness, a, b = (2 * torch.rand(3, len(images), 1, 1, device=images.device) - 1).unbind()
    lab = to_lab(images)
    changed = [lab[:, 0] * (1 + LIGHTNESS * lightness), lab[:, 1] + CHROMA * a, lab[:, 2] + CHROMA * b]
    return from_lab(torch.stack(changed, 1))


def to_lab(images: Tensor) -> Tensor:
    """CIELAB (D65) of sRGB in [0, 1], float32 (N, 3, H, W).

    Source: IEC 61966-2-1 and CIE 15.
    """
    linear = torch.where(images > 0.04045, ((images + 0.055) / 1.055).clamp(min=0) ** 2.4, images / 12.92)
    xyz = _mixed(linear, _TO_XYZ / _WHITE[:, None])
    roots = torch.where(xyz > (6 / 29) ** 3, xyz.clamp(min=1e-6) ** (1 / 3), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    lab = _mixed(roots, _TO_LAB)
    lab[:, 0] -= 16
    return lab


def from_lab(lab: Tensor) -> Tensor:
    """sRGB in [0, 1] of CIELAB, float32 (N, 3, H, W); what lies beyond it is clipped."""
    roots = _mixed(lab + lab.new_tensor([16.0, 0, 0])[:, None, None], _TO_LAB.inverse())
    xyz = torch.where(roots > 6 / 29, roots**3, (roots - 4 / 29) * 3 * (6 / 29) ** 2)
    linear = _mixed(xyz, (_TO_XYZ / _WHITE[:, None]).inverse()).clamp(0, 1)
    return torch.where(linear > 0.0031308, 1.055 * linear.clamp(min=1e-6) ** (1 / 2.4) - 0.055, linear * 12.92)


def _mixed(images: Tensor, matrix: Tensor) -> Tensor:
    """Each pixel's three values times a matrix."""
    return torch.einsum("ij,njhw->nihw", matrix.to(images.device), images)
