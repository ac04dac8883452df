"""Hysteresis of the choices in a film: what is chosen stays until another is clearly nearer, for several frames."""

import numpy as np


class Hysteresis:
    """A choice, frame by frame.

    A candidate counts a frame where its distance is below that of the chosen one by the share `keep`. It is chosen
    once it has counted `hold` frames in a row; of several such the nearest is. Noise that lets two candidates take
    turns therefore changes nothing while neither is clearly nearer than the chosen one, and no single frame does.
    """

    def __init__(self, *, keep: float, hold: int) -> None:
        """A choice that was not made yet; the first frame's is the nearest candidate.

        Args:
            keep: share by which another candidate must be nearer.
            hold: for how many frames in a row.
        """
        self.keep, self.hold = keep, hold
        self.chosen: int | None = None
        self._counted: np.ndarray = np.zeros(0, np.int64)

    def choose(self, distances: np.ndarray) -> int:
        """The choice in the next frame in which the part is there; frames without it do not count.

        Args:
            distances: to each candidate, float (candidates,), of one order in all frames; none is negative.

        Returns:
            The chosen candidate's index.
        """
        if self.chosen is None:
            self.chosen, self._counted = int(distances.argmin()), np.zeros(len(distances), np.int64)
            return self.chosen
        nearer = distances < (1 - self.keep) * distances[self.chosen]
        self._counted = np.where(nearer, self._counted + 1, 0)
        if (ready := self._counted >= self.hold).any():
            self.chosen = int(np.where(ready, distances, np.inf).argmin())
            self._counted[:] = 0
        return self.chosen
