"""CUDA against the processor in float32: every network and loss, and the fast SPADE against the plain one."""

from typing import Any, Literal
from unittest import mock

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import inception_v3

from facemill.data.classes import IGNORE
from facemill.data.dataset import ShardDataset
from facemill.data.shards import mask_classes
from facemill.inference.segmenter import flip_tta_logits
from facemill.networks.device import keep_freed_memory
from facemill.networks.diff_augment import DiffAugment
from facemill.networks.gan_losses import feature_matching_loss, hinge_loss_discriminator, hinge_loss_generator
from facemill.networks.imagenet import load_encoder
from facemill.networks.inception import inception, inception_features
from facemill.networks.patch_discriminator import Discriminator
from facemill.networks.perceptual import vgg_loss
from facemill.networks.segmentation_discriminator import SegmentationDiscriminator
from facemill.networks.segmentation_gan_losses import balancing_weights, class_loss, fake_loss, label_mix_loss
from facemill.networks.segmentation_losses import cross_entropy_dice
from facemill.networks.spade import PRESETS, Generator, Spade, add_spectral_norm, one_hot
from facemill.networks.spade_neighborhoods import neighborhoods
from facemill.networks.unet import WIDTHS, Unet
from facemill.networks.vae import Vae, kl_divergence, to_signed_range
from facemill.networks.vgg import LPIPS_TAPS, PLAN, Lpips, Vgg16
from facemill.segment.self_train_unet import consistency_loss
from facemill.synthesize.train_vae import region_weights
from gpu_checks import Context, Report, check, precision
from gpu_checks.comparison import (
    BAR,
    CPU,
    Kinks,
    called,
    compare,
    compare_gradients,
    cosine,
    dense,
    float32,
    on,
    relative,
    run_pass,
)
from gpu_checks.trainings import config, portrait_size

BATCH = (4, 2)
COSINE, BFLOAT16 = 0.999, 0.045
"""Least cosine of gradients in bfloat16, and the relative error that belongs to it."""

keep_freed_memory()  # of the networks on the processor, with which CUDA is compared


def portraits(context: Context, times: int = 1) -> tuple[Tensor, Tensor]:
    """Labelled portraits, some times the batch: uint8 (B, 3, H, W), and their masks, uint8 (B, H, W)."""
    rows = ShardDataset([context.data.train])
    pixels, masks = zip(*(rows[i] for i in range(times * context.pick(*BATCH))), strict=True)
    return torch.stack(pixels), torch.stack(masks)


def new_unet(context: Context, version: Literal["v1", "v2", "v3"]) -> Unet:
    """The U-Net of a version, always the same: random weights, but for the encoder's where these are given."""
    torch.manual_seed(0)
    preset, size = config().unet.versions[version], portrait_size(context)
    unet = Unet(
        classes=len(mask_classes([context.data.train])),
        size=size,
        decoder=preset.decoder,
        decoder_channels=WIDTHS[context.pick(config().unet.width, "tiny")],
        downscale=min(preset.downscale, size // 32),
    )
    load_encoder(unet.encoder, context.data.encoder_weights)
    return unet.to(memory_format=torch.channels_last)


@check("correctness")
def unets(context: Context, report: Report) -> None:
    """U-Nets v1 to v3 in training and in evaluation, and test-time augmentation."""
    for version in config().unet.versions:
        unet = new_unet(context, version)
        # batch norm of few pixels, as those of the small v1, would enlarge rounding errors
        images = portraits(context, unet.downscale)[0].float() / 255
        compare(context, report, version, unet, [images])
        compare(context, report, f"{version}_eval", unet.eval(), [images])
    compare(context, report, "tta", unet, [images], flip_tta_logits)


@check("correctness")
def vaes(context: Context, report: Report) -> None:
    """The VAE's encoder and decoder."""
    torch.manual_seed(0)
    settings = config().vae
    vae = Vae(size=settings.size, z_dim=settings.z_dim, width=settings.width).to(memory_format=torch.channels_last)
    images = to_signed_range(portraits(context)[0])
    compare(context, report, "encoder", vae, [images], Vae.encode)
    compare(context, report, "decoder", vae, [torch.randn(len(images), settings.z_dim)], Vae.decode)


def new_generator(
    context: Context, preset: str, z: Literal["encoder", "normal", "none"] = "encoder", ratio: Literal[1, 2] = 1
) -> tuple[Generator, list[Tensor]]:
    """A generator with spectral norm and random weights, always the same, and masks and style codes.

    In a dry run it has few channels, but modulations of the preset, which may be sparse ones.
    """
    torch.manual_seed(0)
    masks = portraits(context)[1][:2]
    height, width = masks.shape[1], masks.shape[2] // ratio
    ngf, nhidden = context.pick(PRESETS[preset].ngf, 4), PRESETS[preset].nhidden
    classes, z_dim = len(mask_classes([context.data.train])), 0 if z == "none" else 8
    generator = Generator(size=height, z_dim=z_dim, ngf=ngf, nhidden=nhidden, classes=classes, ratio=ratio, z=z)
    add_spectral_norm(generator)
    return generator.to(memory_format=torch.channels_last), [masks[:, :, :width], torch.randn(len(masks), z_dim)]


@check("correctness")
def generators(context: Context, report: Report) -> None:
    """Generators of all presets and kinds; from `large` on their modulations are sparse."""
    variants: list[dict[str, Any]] = [{"preset": preset} for preset in PRESETS]
    variants += [{"preset": "small", "z": z} for z in ("normal", "none")]
    variants += [{"preset": preset, "ratio": 2} for preset in ("small", "large")]
    for variant in variants:
        generator, inputs = new_generator(context, **variant)
        compare(context, report, "_".join(map(str, variant.values())), generator, inputs)
    generator, inputs = new_generator(context, "large")
    layout = neighborhoods(inputs[0], generator.classes)
    report.bar("neighborhoods_of_a_pixel", layout.one_hot.shape[0] / inputs[0].numel() if layout else 1, at_most=0.5)
    with dense():
        compare(context, report, "large_dense", generator, inputs)
    compare(context, report, "large_eval", generator.eval(), inputs)


@check("correctness")
def fast_spade(context: Context, report: Report) -> None:
    """The fast SPADE against the plain one, and sparse modulations against dense ones, on the device."""
    generator, inputs = new_generator(context, "large")
    for bfloat16, bar in ((False, BAR), (True, BFLOAT16)):
        # the modulations' own ReLUs see other tensors in a sparse pass
        kinks = Kinks(functions=[F.leaky_relu])
        with dense(), float32():
            with mock.patch.object(Spade, "folded", False):
                plain = run_pass(generator, inputs, called, context.device, kinks, bfloat16)
            folded = run_pass(generator, inputs, called, context.device, Kinks(kinks, [F.leaky_relu]), bfloat16)
        with float32():
            sparse = run_pass(generator, inputs, called, context.device, Kinks(kinks, [F.leaky_relu]), bfloat16)
        for name, fast in (("folded", folded), ("sparse", sparse)):
            name += "_bfloat16" * bfloat16
            report.bar(f"{name}_outputs", relative(fast.outputs, plain.outputs), at_most=bar)
            compare_gradients(report, name, fast.gradients, plain.gradients, bar)
            report.bar(f"{name}_cosine", cosine(fast.gradients.values(), plain.gradients.values()), at_least=COSINE)


@check("correctness")
def discriminators(context: Context, report: Report) -> None:
    """Discriminators with spectral norm, and the augmentation of what they are given."""
    pixels, masks = portraits(context)
    images, layout = to_signed_range(pixels), one_hot(masks, len(mask_classes([context.data.train])))
    for preset in ("small", "large"):
        torch.manual_seed(0)
        discriminator = Discriminator(ndf=PRESETS[preset].ndf, classes=layout.shape[1])
        add_spectral_norm(discriminator)
        compare(context, report, preset, discriminator.to(memory_format=torch.channels_last), [images, layout])
        segmentation = SegmentationDiscriminator(ndf=PRESETS[preset].segmentation_ndf, classes=layout.shape[1])
        add_spectral_norm(segmentation.down)
        add_spectral_norm(segmentation.up)
        segmentation.to(memory_format=torch.channels_last)
        compare(context, report, f"segmentation_{preset}", segmentation, [images])
    augment = DiffAugment(
        len(images), images.shape[2], images.shape[3], CPU
    )  # moved with its draws, which CUDA would make otherwise
    compare(context, report, "diff_augment", augment, [images, layout])


@check("correctness")
def vgg_distances(context: Context, report: Report) -> None:
    """VGG16, the perceptual loss and LPIPS, with random weights."""
    path, (a, b) = context.work / "random_vgg.safetensors", to_signed_range(portraits(context)[0]).chunk(2)
    torch.manual_seed(0)
    channels, index, weights = 3, 0, {}
    for step in PLAN:
        if step != "pool":
            weights[f"features.{index}.weight"] = torch.randn(step, channels, 3, 3) * (2 / 9 / channels) ** 0.5
            weights[f"features.{index}.bias"] = torch.randn(step) / 10
            channels = step
        index += 1 if step == "pool" else 2
    heads = [weights[f"features.{tap - 1}.weight"].shape[0] for tap in LPIPS_TAPS]
    weights |= {f"lpips.{i}.weight": torch.rand(1, width, 1, 1) for i, width in enumerate(heads)}
    save_file(weights, path)
    compare(context, report, "vgg", Vgg16(path, LPIPS_TAPS), [a])
    compare(context, report, "perceptual", vgg_loss(path), [a, b])
    compare(context, report, "lpips", Lpips(path), [a, b])


@check("correctness")
def inception_for_fid(context: Context, report: Report) -> None:
    """FID's Inception, with random weights."""
    torch.manual_seed(0)
    network, path = (
        inception_v3(weights=None, init_weights=False, aux_logits=False),
        context.work / "random.safetensors",
    )
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    save_file(network.state_dict(), path)
    images = portraits(context)[0].permute(0, 2, 3, 1).numpy()
    features = []
    for device in (context.device, CPU):
        with float32(), mock.patch("facemill.networks.inception.device", lambda device=device: device):
            features.append(torch.from_numpy(inception_features(inception(path).to(device), images)))
    report.bar("outputs", relative(features[:1], features[1:]), at_most=BAR)


@check("correctness")
def losses(context: Context, report: Report) -> None:
    """All losses, and the weights of pixels, of random logits and features."""
    torch.manual_seed(0)
    classes = mask_classes([context.data.train])
    masks = portraits(context)[1].long()
    logits, weights = torch.randn(len(masks), len(classes), *masks.shape[1:]), torch.rand(len(classes)) + 0.5
    masks[:, :8] = IGNORE

    def segmentation(_: None, logits: Tensor, masks: Tensor, weights: Tensor) -> Tensor:
        return cross_entropy_dice(logits, masks, IGNORE, weights.detach())

    compare(context, report, "cross_entropy_dice", None, [logits, masks, weights], segmentation)
    consistency = [(logits, masks), (logits, torch.full_like(masks, IGNORE))]
    for name, inputs in zip(("consistency", "consistency_unsure"), consistency, strict=True):
        compare(context, report, name, None, inputs, lambda _, *tensors: consistency_loss(*tensors)[0])
    features = [torch.randn(2, channels, 16, 16) for channels in (8, 16, 1) * 4]

    def scales(tensors: tuple[Tensor, ...]) -> list[list[list[Tensor]]]:
        """Features of two scales, of real and of generated images."""
        parts = [list(tensors[i : i + 3]) for i in range(0, 12, 3)]
        return [parts[:2], parts[2:]]

    gan_losses = {
        "hinge_discriminator": lambda _, *tensors: hinge_loss_discriminator(*scales(tensors)),
        "hinge_generator": lambda _, *tensors: hinge_loss_generator(scales(tensors)[1]),
        "feature_matching": lambda _, *tensors: feature_matching_loss(*scales(tensors)),
    }
    for name, loss in gan_losses.items():
        compare(context, report, name, None, features, loss)
    layout = one_hot(masks, len(classes))
    mix, shares = layout[:, :3].sum(1, keepdim=True), layout.mean((0, 2, 3))
    judged = [torch.randn(len(masks), len(classes) + 1, *masks.shape[1:]) for _ in range(3)]

    def segmenting(_: None, real: Tensor, fake: Tensor, mixed: Tensor, *fixed: Tensor) -> Tensor:
        """The losses of the discriminator that segments."""
        mix, layout, shares = (tensor.detach() for tensor in fixed)
        classes = class_loss(real, layout, balancing_weights(shares))
        return classes + fake_loss(fake, layout) + label_mix_loss(mixed, real, fake, mix, layout)

    compare(context, report, "segmentation_gan", None, [*judged, mix, layout, shares], segmenting)
    codes = [torch.randn(2, 64), torch.randn(2, 64)]
    compare(context, report, "kl", None, codes, lambda _, *tensors: kl_divergence(*tensors))
    shares = [region_weights(on(device, masks), 64, classes) for device in (context.device, CPU)]
    report.bar("region_weights", relative(shares[:1], shares[1:]), at_most=BAR)


check("correctness")(precision.steps)  # the longest comes last
