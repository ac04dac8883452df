"""Hysteresis of the choices in a film: what is chosen stays until another is clearly nearer, for several frames."""

import numpy as np


class Hysteresis:
    """A choice, frame by frame.

    A candidate counts a frame in which it is clearly nearer than the chosen one: by the share `keep` of what it would
    be for a part that is its own very self. A share of the distances would not do: all of a face's are large and
    alike, since no drawing looks like it. A candidate is chosen once it has counted `hold` frames in a row; of several
    such the nearest is. So noise that lets two candidates take turns changes nothing, and neither does a single frame.
    """

    def __init__(self, apart: np.ndarray, *, keep: float, hold: int) -> None:
        """A choice that was not made yet; the first frame's is the nearest candidate.

        Args:
            apart: how much nearer each candidate is than each other one, for itself: float (candidates, candidates),
                in rows the other one, in columns the candidate.
            keep: share of that by which another candidate must be nearer.
            hold: for how many frames in a row.
        """
        self.apart, self.keep, self.hold = apart, keep, hold
        self.chosen: int | None = None
        self._counted = np.zeros(len(apart), np.int64)

    def choose(self, distances: np.ndarray) -> int:
        """The choice in the next frame in which the part is there; frames without it do not count.

        Args:
            distances: to each candidate, float (candidates,); infinite to those that must not be chosen.

        Returns:
            The chosen candidate's index.
        """
        if self.chosen is None:
            self.chosen = int(distances.argmin())
            return self.chosen
        nearer = distances < distances[self.chosen] - self.keep * self.apart[self.chosen]
        self._counted = np.where(nearer, self._counted + 1, 0)
        if (ready := self._counted >= self.hold).any():
            self.chosen = int(np.where(ready, distances, np.inf).argmin())
            self._counted[:] = 0
        return self.chosen
