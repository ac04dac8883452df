"""The device that networks run on, with its precision and memory."""

import ctypes

import torch

# On GPUs cuDNN computes convolutions of float32 with 10 bits of mantissa (TF32) unless it is told not to. What is not
# under `autocast` shall be float32: the U-Net's first layers, FID's Inception, LPIPS. cuDNN's search for the fastest
# algorithm stays off: it would be made anew for each number of distinct neighborhoods (`spade_neighborhoods.py`), and
# its result depends on timing, so that a resumed training would end with other weights.
torch.backends.cudnn.allow_tf32 = False


def device() -> torch.device:
    """The first GPU that this process may use, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def bf16() -> bool:
    """Whether bfloat16 is fast: on GPUs and processors with instructions for it. GPUs before Ampere emulate it."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.ops.mkldnn._is_mkldnn_bf16_supported()


def autocast() -> torch.autocast:
    """The context in which networks run: bfloat16 where it is fast, float32 elsewhere."""
    return torch.autocast(device().type, torch.bfloat16, enabled=bf16())


def keep_freed_memory() -> None:
    """Makes glibc keep the memory of freed tensors for the next ones; other C libraries are left alone.

    By default glibc returns what is larger than 32 MB at once, and each training step on the CPU waits for the system
    to clear the same pages again: a U-Net at 256 px then takes 1.35 times as long. `mallopt(3)`: M_MMAP_MAX = 0,
    M_TRIM_THRESHOLD = -1.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(-4, 0)
        library.mallopt(-1, -1)
