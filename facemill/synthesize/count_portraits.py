"""The portraits that later steps learn from and are evaluated on, counted before anything long runs."""

from collections.abc import Sequence
from pathlib import Path

from facemill.data.names import image_of
from facemill.data.shards import read_rows
from facemill.data.splits import held_out, in_choice, trained_on
from facemill.errors import UserError, list_faults
from facemill.files import write_json
from facemill.log import log

MIN_PORTRAITS = 4
"""What the t-SNE map needs."""


def count_portraits(
    *,
    portraits: list[Path],
    rejects: list[Path],
    labelled: list[Path] | None = None,
    holdout: float,
    min_images: int,
    counts: Path,
) -> None:
    """Counts the portraits, and stops where a later step would have too few of them.

    Args:
        portraits: shards of the collection.
        rejects: tables of the images that became no portrait, with the reason.
        labelled: shards of all labelled portraits, where a U-Net is trained on the unlabelled ones.
        holdout: share of the portraits that is held out.
        min_images: least number of latents behind an attribute vector, on each of its two sides.
        counts: JSON of the numbers: `portraits`, `trained_on`, `held_out` and, with labelled ones, `unlabelled`.

    Raises:
        UserError: Too few portraits are left, held out, trained on or unlabelled.
    """
    ids = [row["id"] for row in read_rows(portraits, ["id"])]
    if len(ids) < MIN_PORTRAITS:
        reasons = list_faults((row["id"], row["reason"]) for row in read_rows(rejects, ["id", "reason"]))
        fault = f"portraits: {len(ids)} are left; accepted: {MIN_PORTRAITS} or more"
        raise UserError("\n  ".join([fault, *reasons]))
    if faults := shortages(ids, holdout, min_images):
        raise UserError("\n".join(faults))
    learned = trained_on(portraits, holdout)
    numbers = {
        "portraits": len(ids),
        "trained_on": sum(map(learned, ids)),
        "held_out": sum(held_out(row_id, holdout) for row_id in ids),
    }
    if not numbers["trained_on"]:
        raise UserError("portraits: all are held out, or of the collection's own test split; accepted: others, too")
    if labelled:
        labelled_images = {image_of(row["id"]) for row in read_rows(labelled, ["id"])}
        numbers["unlabelled"] = sum(image_of(row_id) not in labelled_images for row_id in ids)
        if not numbers["unlabelled"]:
            raise UserError(
                f"self_training, distillation: all {len(ids)} portraits are of labelled images, and v4 and v6 learn "
                "from unlabelled ones; accepted: null, or more images"
            )
    write_json(counts, numbers)
    log.info("%s", ", ".join(f"{number} {name}" for name, number in numbers.items()))


def shortages(ids: Sequence[str], holdout: float, min_images: int) -> list[str]:
    """What is too few among portraits of which a share is held out, and what is accepted.

    Of the held-out portraits one half is for the choice of settings of attribute vectors and one for their evaluation;
    the vectors are fitted to the others, `min_images` with each of two names.
    """
    lines = []
    chosen = sum(held_out(row_id, holdout) for row_id in ids)
    if not _has_halves(ids, holdout):
        shares = (percent / 100 for percent in range(1, 51))
        enough = next((f"{share:g}" for share in shares if share > holdout and _has_halves(ids, share)), "a larger one")
        lines.append(
            f"holdout: found {holdout:g}, which holds out {chosen} of {len(ids)} portraits; accepted: a share with 2 "
            f"or more, to choose settings by and to evaluate on, such as {enough}"
        )
    if (others := len(ids) - chosen) < 2 * min_images:
        lines.append(
            f"attributes.min_images: found {min_images}, which no two names reach among the {others} portraits that "
            f"are not held out; accepted: up to {others // 2}, or more portraits"
        )
    return lines


def _has_halves(ids: Sequence[str], holdout: float) -> bool:
    """Whether there are held-out portraits to choose settings by, and others to report the scores of."""
    return len({in_choice(row_id) for row_id in ids if held_out(row_id, holdout)}) == 2
