"""Exceptions for user mistakes and damaged files: shown as one line, never as a traceback."""

from pathlib import Path


class UserError(Exception):
    """A file, key or value that cannot be used; the message names it, its value and what is accepted."""


class TrainingDiverged(UserError):
    """A loss that is no longer finite, or far above all before; the message names it."""


class Damaged(UserError):
    """A file that is not as it was written: truncated, or with changed bytes."""

    def __init__(self, path: Path, reason: object) -> None:
        super().__init__(f"{path}: damaged ({str(reason).splitlines()[0]})")
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
