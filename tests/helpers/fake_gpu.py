"""A GPU that is none: `cuda` is a device of fake tensors, which have a device, a type and a shape, but no numbers."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode


def fake_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets `FakeTensorMode` take `cuda` for a device that is there, and that computes in bfloat16."""
    torch._C._ensureCUDADeviceGuardSet()
    monkeypatch.setattr(FakeTensorMode, "avoid_device_init", True)
    monkeypatch.setattr("torch._subclasses.fake_tensor.init_gpu_context", lambda device: None)
    monkeypatch.setattr("torch.utils.weakref", SimpleNamespace(getweakrefs=lambda _: ()))  # `to` swaps fake parameters
    monkeypatch.setattr(FakeTensor, "__deepcopy__", copy_fake, raising=False)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda **_: True)


def copy_fake(tensor: Tensor, memo: dict[int, Tensor]) -> Tensor:
    copied = tensor.detach().clone()
    memo[id(tensor)] = nn.Parameter(copied) if isinstance(tensor, nn.Parameter) else copied
    return memo[id(tensor)]
