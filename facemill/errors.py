"""The exceptions for mistakes of the user's and faults of files: shown as one line, never as a traceback."""

from pathlib import Path


class UserError(Exception):
    """A file, key or value that cannot be used; the message names it, what was found and what is accepted."""


class TrainingDiverged(UserError):
    """A loss that is no longer finite, or far above all before; the message names it."""


class Damaged(UserError):
    """A file that is not as it was written: truncated, or with other bytes in it."""

    def __init__(self, path: Path, found: object) -> None:
        super().__init__(f"{path}: damaged ({str(found).splitlines()[0]})")
        self.path = path

    def quarantine(self) -> str:
        """Renames the file when the workflow made it, so that the next run makes it again; says what was done."""
        if self.path.parts[:1] != ("results",):
            return "bring back a sound copy of it"
        aside = self.path.with_name(f"{self.path.name}.damaged")
        try:
            self.path.replace(aside)
        except OSError as error:
            return f"remove it, and the next run makes it again (not quarantined: {error.strerror})"
        return f"it is quarantined as {aside.name}, and the next run makes it again"
