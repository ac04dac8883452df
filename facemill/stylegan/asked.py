"""What a command of StyleGAN is asked for: seeds, truncation, conditions, layers; with one line for mistakes."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from facemill.errors import UserError
from facemill.inference.sampler import Sampler
from facemill.log import log
from facemill.networks.stylegan2 import StyleGenerator

MOST_SEEDS = 100_000
"""Portraits of one command."""
MOST_SEED = 2**32 - 1
"""The largest seed; PyTorch's generator on the CPU (MT19937) reads 32 bits, so that larger ones would repeat others."""
MOST_TRUNCATION, USUAL_TRUNCATION = 2.0, 1.5
"""The largest that is accepted, and the largest without a warning."""
NONE = "none"
"""What stands for no name of a group."""


def numbers(option: str, words: Sequence[str], most: int, count: int = MOST_SEEDS) -> list[int]:
    """Distinct whole numbers in the order given, from words such as `0-63` and `1,5,9`.

    Args:
        option: names the words in messages.
        words: of the command line.
        most: the largest number that is accepted.
        count: how many are accepted.

    Raises:
        UserError: A word of another form, a range that falls, or a number above `most`.
    """
    found: dict[int, None] = {}
    for word in ",".join(words).split(","):
        match = re.fullmatch(r"(\d{1,19})(?:-(\d{1,19}))?", word.strip(), re.ASCII)
        first = int(match[1]) if match else 0
        last = int(match[2] or match[1]) if match else -1
        if last < first or last > most:
            raise UserError(f"{option} {' '.join(words)}: found {word!r}; accepted: 0 to {most}, as 1,5,9 or 0-7")
        if last - first >= count or len(found) + last - first >= count + len(found.keys() & {first}):
            raise UserError(f"{option} {' '.join(words)}: more than {count} numbers; accepted: {count} at once")
        found |= dict.fromkeys(range(first, last + 1))
    return list(found)


def check_truncation(truncation: float) -> float:
    """A truncation that is accepted, with a warning for a large one. Raises `UserError` for others."""
    if not 0 <= truncation <= MOST_TRUNCATION:
        raise UserError(
            f"--truncation {truncation:g}; accepted: 0 (the mean portrait) to {MOST_TRUNCATION:g}; 1 is none"
        )
    if truncation > USUAL_TRUNCATION:
        log.warning("--truncation %g: styles beyond all that the network has seen", truncation)
    return truncation


def condition_slots(option: str, words: Sequence[str], generator: StyleGenerator) -> dict[int, int]:
    """The slots that are asked for, by the index of their group, from words such as `hair_color=blue_hair`.

    A name without its group will do; `hair_color=none` is a portrait without a name in the group.

    Raises:
        UserError: The model knows no conditions, or none of that name.
    """
    accepted = [f"{group}={'|'.join((*names, NONE))}" for group, names in generator.conditions.items()]
    asked: dict[int, int] = {}
    for word in words:
        group, _, name = word.rpartition("=")
        fits = [
            (index, [*names, NONE].index(name))
            for index, (key, names) in enumerate(generator.conditions.items())
            if name in (*names, *([NONE] if group else [])) and group in ("", key)
        ]
        if len(fits) != 1:
            what = ", ".join(accepted) if accepted else "a model that was trained with stylegan.conditions"
            raise UserError(f"{option} {word}; accepted: {what}")
        [(index, slot)] = fits
        if index in asked:
            raise UserError(f"{option} {' '.join(words)}: two names of one group; accepted: one of each group")
        asked[index] = slot
    return asked


class Asked(NamedTuple):
    """Styles that were asked for."""

    name: str
    """Of the file."""
    styles: Tensor
    """float32 (w_dim,), or of each layer (layers, w_dim)."""
    made: dict[str, Any]
    """How they came about."""


def styles_of_seeds(
    sampler: Sampler,
    seeds: Sequence[int],
    truncation: float,
    condition: Sequence[str],
    center: str | None,
    mean: Tensor | None = None,
) -> Iterator[Asked]:
    """Yields the truncated styles of each seed.

    Groups of conditions that are not named are drawn for each seed, in the shares of the training.

    Args:
        sampler: the generator.
        seeds: distinct seeds.
        truncation: share of the way from the center that is left; see `check_truncation`.
        condition: names that are asked for.
        center: a name whose portraits' mean is the center; without it, it is that of the portraits with the same
            names.
        mean: of the styles of these portraits, (w_dim,), for a model that was not trained with conditions.

    Raises:
        UserError: A name that the model does not know.
    """
    generator = sampler.generator
    asked = condition_slots("--condition", condition, generator)
    if drawn := [group for index, group in enumerate(generator.conditions) if index not in asked]:
        log.info("%s: drawn for each seed, in the shares of the training", ", ".join(drawn))
    slots = sampler.slots(seeds)
    for index, slot in asked.items():
        slots[:, index] = slot
    around = slots.clone()
    for index, slot in condition_slots("--center", [center] if center and mean is None else [], generator).items():
        around[:, index] = slot
    means = sampler.centers(around).cpu() if mean is None else mean.expand(len(seeds), -1)
    for seed, slot, middle in zip(seeds, slots.split(1), means, strict=True):
        w = sampler.styles(sampler.codes([seed]), slot)[0].cpu()
        made: dict[str, Any] = {"seed": seed, "truncation": truncation} | _names(generator, slot)
        yield Asked(
            f"seed-{seed:06d}",
            generator.truncated(w, truncation, middle),
            made | ({"center": center} if center else {}),
        )


def _names(generator: StyleGenerator, slots: Tensor) -> dict[str, dict[str, str]]:
    """The names of slots (1, groups), for a recipe; nothing without conditions."""
    groups = zip(generator.conditions.items(), slots[0].tolist(), strict=True)
    names = {group: [*listed, NONE][slot] for (group, listed), slot in groups}
    return {"condition": names} if names else {}


def mix(row: Tensor, column: Tensor, layers: Sequence[int], count: int) -> Tensor:
    """Styles of each layer (count, w_dim): those of the column in `layers`, and those of the row in all others.

    Args:
        row: styles (w_dim,), or of each layer (count, w_dim).
        column: the same.
        layers: indices of layers.
        count: number of the generator's layers.
    """
    takes = torch.zeros(count, dtype=torch.bool)
    takes[list(layers)] = True
    return torch.where(takes[:, None], column.expand(count, -1), row.expand(count, -1))
