"""Near-duplicates of 100,000 perceptual hashes, against comparing every pair, in one run.

    python benchmarks/duplicates.py [--hashes 100000]

Hashes are random, one in twenty a near copy of another. The last line is JSON: `seconds_per_100k`, at the largest
distance of the table.
"""

import json
import time

import cyclopts
import numpy as np

from facemill.ingest.find_duplicates import match_duplicates

DISTANCES = (0, 2, 4, 6, 8)


def main(hashes: int = 100_000) -> None:
    """Times the search at each distance, and the comparison of every pair."""
    random = np.random.default_rng(1)
    values = random.integers(0, 2**64, hashes, np.uint64)
    copies = random.choice(hashes, hashes // 20, replace=False)
    flips = np.uint64(1) << random.integers(0, 64, (3, len(copies))).astype(np.uint64)
    values[copies] = values[random.integers(0, hashes, len(copies))] ^ flips[0] ^ flips[1] ^ flips[2]
    ids, quality = [str(i) for i in range(hashes)], random.random(hashes)

    sample = values[: min(hashes, 5_000)]
    start = time.perf_counter()
    np.count_nonzero(np.bitwise_count(sample[:, None] ^ sample[None]) <= DISTANCES[-1])
    all_pairs_seconds = (time.perf_counter() - start) * (hashes / len(sample)) ** 2
    print(f"{hashes} hashes; every pair would take {all_pairs_seconds:.1f} s")
    for distance in DISTANCES:
        start, cpu_start = time.perf_counter(), time.process_time()
        repeats = match_duplicates(ids, values, quality, distance)
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
        speed = f"{all_pairs_seconds / seconds:5.0f} times as fast, {len(repeats):6} repeat another"
        print(f"within {distance} bits {seconds:6.2f} s ({cpu_seconds:.2f} s of one core) {speed}")
    print(json.dumps({"seconds_per_100k": round(seconds * 100_000 / hashes, 2)}))


if __name__ == "__main__":
    cyclopts.run(main)
