"""Memory and precision of the device that networks run on."""

import subprocess
import sys

import pytest
import torch

from facemill.networks.device import bf16


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


def test_what_is_float32_on_a_gpu_is_no_tf32():
    assert not torch.backends.cudnn.allow_tf32 and not torch.backends.cuda.matmul.allow_tf32


def test_bfloat16_that_a_gpu_emulates_does_not_count(monkeypatch):
    for name, value in {"is_available": True, "current_device": 0, "_check_bf16_tensor_supported": True}.items():
        monkeypatch.setattr(f"torch.cuda.{name}", lambda *_, value=value: value)
    for major, fast in ((7, False), (8, True), (9, True)):  # Volta and Turing, Ampere, Hopper
        capability = type("Properties", (), {"major": major})
        monkeypatch.setattr("torch.cuda.get_device_properties", lambda _, capability=capability: capability)
        assert bf16() == fast
