"""Outliers by column of a table of numbers."""

import warnings

import numpy as np


def robust_z(values: np.ndarray, min_mad: float) -> np.ndarray:
    """Modified z-scores by column (Iglewicz and Hoaglin 1993), with their sign: float64 (N, columns).

    Args:
        values: float (N, columns); NaN where there is no value, whose score is 0.
        min_mad: added to the median absolute deviation, which is scaled to a normal distribution's standard deviation,
            so that columns of nearly equal values make no outliers of small differences.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column without any value: its median is NaN
        differences = values - np.nanmedian(values, 0)
        mad = np.nanmedian(np.abs(differences), 0)
    return np.nan_to_num(differences / (1.4826 * mad + min_mad))
