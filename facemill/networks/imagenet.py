"""ImageNet: the normalization of images, and the pretrained weights of a MobileNetV2 encoder."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from facemill.errors import Damaged, UserError
from facemill.files import sha256

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Mean and standard deviation of R, G and B in [0, 1], by which inputs of ImageNet's networks are normalized."""


def load_encoder(encoder: nn.Module, weights: str | Path | None) -> None:
    """Loads pretrained weights into the MobileNetV2 encoder of a U-Net.

    Args:
        encoder: `Unet.encoder`.
        weights: `imagenet` (downloaded), a safetensors file of torchvision's `features.*` keys, or None for random
            initialization.

    Raises:
        UserError: The file is not safetensors, or does not fit.
    """
    if weights is None:
        return
    if weights == "imagenet":
        tensors = load_file(download_imagenet_weights())
        encoder.load_state_dict({name: tensor for name, tensor in tensors.items() if name.startswith("features.")})
        return
    try:
        tensors = load_file(weights)
    except SafetensorError as error:
        raise UserError(
            f"unet.encoder_weights: {weights} is not a safetensors file ({error}); accepted: torchvision's MobileNetV2"
        ) from error
    state = {name: tensor.float() for name, tensor in tensors.items() if name.startswith("features.")}
    expected = encoder.state_dict()
    missing = [name for name in expected if name not in state and not name.endswith("num_batches_tracked")]
    if missing or any(state[name].shape != expected[name].shape for name in state if name in expected):
        raise UserError(f"unet.encoder_weights: {weights} does not fit MobileNetV2 (e.g. {(missing or ['shapes'])[0]})")
    encoder.load_state_dict(state, strict=False)


def download_imagenet_weights(encoder: str = "mobilenet_v2") -> Path:
    """The safetensors file of an encoder's ImageNet weights, downloaded at the first call (`download_weights`)."""
    from segmentation_models_pytorch.encoders import encoders  # takes seconds to import

    pretrained = encoders[encoder]["pretrained_settings"]["imagenet"]
    return download_weights(pretrained["repo_id"], pretrained["revision"])


def download_weights(repository: str, revision: str | None = None) -> Path:
    """The file `model.safetensors` of a repository of Hugging Face's hub, downloaded at the first call.

    Hugging Face stores a file under the SHA-256 that the server named; raises `Damaged` when the contents have another.
    """
    from huggingface_hub import hf_hub_download  # takes seconds to import

    blob = Path(hf_hub_download(repository, "model.safetensors", revision=revision)).resolve()
    if sha256(blob) != blob.name:
        raise Damaged(blob, "its SHA-256 is not the one it was downloaded under; remove it to download it again")
    return blob
