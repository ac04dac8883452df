"""A pool of earlier translations, so that discriminators do not forget them.

Source: Shrivastava et al. 2017 (https://arxiv.org/abs/1612.07828), section 2.3, as Zhu et al. 2017
(https://arxiv.org/abs/1703.10593), section 4, use it.
"""

import torch
from torch import Tensor, nn


class Pool(nn.Module):
    """Up to `size` earlier images: state of a training, so a part of its checkpoints.

    Attributes:
        images: float32 (size, 3, H, W).
        filled: number of images that are in it.

    Args:
        size: most images; 0 for none, so that new images pass through.
        shape: of an image, (3, H, W).
    """

    images: Tensor
    filled: Tensor

    def __init__(self, size: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.register_buffer("images", torch.zeros(size, *shape))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    def exchange(self, images: Tensor, random: torch.Generator) -> Tensor:
        """Images for the discriminator in place of new ones (B, 3, H, W).

        While the pool is not full it keeps a copy of each. Later each one is, half of the time, given back as it is,
        else exchanged for a random one of the pool.

        Args:
            images: new translations.
            random: from which two numbers are drawn for each image, on the CPU.
        """
        size = len(self.images)
        if not size:
            return images
        filled, given = int(self.filled), []
        for image in images:
            swaps, index = bool(torch.rand((), generator=random) < 0.5), int(torch.randint(size, (), generator=random))
            if filled < size:
                self.images[filled] = image
                filled += 1
            elif swaps:
                image, self.images[index] = self.images[index].clone(), image
            given.append(image)
        self.filled.fill_(filled)
        return torch.stack(given)
