"""Memory of the device that networks run on."""

import subprocess
import sys

import pytest


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc returns freed memory")
def test_freed_memory_is_reused():
    code = """
import resource, torch
from facemill.networks.device import keep_freed_memory
keep_freed_memory()
for _ in range(30):
    torch.ones(20_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""
    faults = int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
    assert faults < 15 * 19_532, "each of 30 tensors has 19,532 pages of 4 kB"
