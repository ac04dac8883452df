"""Exceptions for user mistakes and damaged files: shown as one line, never as a traceback; and faults in words."""

import re
from collections.abc import Iterable
from pathlib import Path

NAMED = 10
"""Faults of one kind that are named; the others are counted."""


class UserError(Exception):
    """A file, key or value that cannot be used; the message names it, its value and what is accepted."""


class TrainingDiverged(UserError):
    """A loss that is no longer finite, or far above all before; the message names it."""


class Damaged(UserError):
    """A file that is not as it was written: truncated, or with changed bytes."""

    def __init__(self, path: Path, reason: object) -> None:
        super().__init__(f"{path}: damaged ({first_line(reason)})")
        self.path = path

    def quarantine(self) -> str:
        """Renames a file of the results, so that the next run makes it again; returns advice for the user."""
        if self.path.parts[:1] != ("results",):
            return "bring back a sound copy of it"
        aside = self.path.with_name(f"{self.path.name}.damaged")
        try:
            self.path.replace(aside)
        except OSError as error:
            return f"remove it, and the next run makes it again (not quarantined: {error.strerror})"
        return f"it is quarantined as {aside.name}, and the next run makes it again"


def first_line(error: object) -> str:
    """The first line of an exception's message, or its name; the same for the same fault in every run.

    Objects in memory, which libraries put into messages (`<_io.BytesIO object at 0x7f...>`), are left out, and so is
    what Pillow cannot identify, which stands before the reason.
    """
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return re.sub(r"[ '\"]*<[^<>]* at 0x[0-9A-Fa-f]+>['\"]?|(?<=cannot identify image file) '.*'$", "", line)


def list_faults(faults: Iterable[tuple[object, str]]) -> list[str]:
    """Lines for faults, each given as its place and what is wrong there, in the order in which they first occur.

    What is wrong in several places has one line with their number and the first `NAMED`. Of faults that differ in
    numbers, paths or names of files alone, which are of one kind, `NAMED` have lines, and the others are counted.
    """
    places: dict[str, list[str]] = {}
    for place, fault in faults:
        places.setdefault(fault, []).append(str(place))
    kinds: dict[str, list[str]] = {}
    for fault in places:
        kinds.setdefault(kind_of(fault), []).append(fault)
    lines = []
    for alike in kinds.values():
        lines += [_fault_line(fault, places[fault]) for fault in alike[:NAMED]]
        if more := sum(len(places[fault]) for fault in alike[NAMED:]):
            lines.append(f"and {more} more of this kind")
    return lines


def kind_of(fault: str) -> str:
    """What faults that differ in numbers, paths or names of files alone have in common."""
    return re.sub(r"\S*[\d/]\S*|\S+\.\w\S*", "#", fault)


def _fault_line(fault: str, places: list[str]) -> str:
    if len(places) == 1:
        return f"{places[0]}: {fault}"
    wrong, accepted, what = fault.partition("; accepted")
    return f"{len(places)} times: {wrong}: {first_names(places)}{accepted}{what}"


def first_names(names: Iterable[object]) -> str:
    """The first `NAMED` of the distinct names, and the number of the others: `a, b, c and 7 more`."""
    distinct = list(dict.fromkeys(map(str, names)))
    more = f" and {len(distinct) - NAMED} more" if len(distinct) > NAMED else ""
    return ", ".join(distinct[:NAMED]) + more
