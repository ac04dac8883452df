"""The values of GAN losses."""

import torch

from facemill.networks.gan_losses import feature_matching_loss, hinge_loss_discriminator, hinge_loss_generator


def test_hinge_losses():
    real, fake = [[torch.tensor([2.0, 0.5])]], [[torch.tensor([-3.0, 0.0])]]
    assert hinge_loss_discriminator(real, fake) == (0.25 + 0.5) / 2
    assert hinge_loss_generator(fake) == 1.5


def test_feature_matching_leaves_the_logits_out():
    real = [[torch.zeros(4), torch.ones(4), torch.full((4,), 9.0)]]
    fake = [[torch.ones(4), torch.ones(4), torch.zeros(4)]]
    assert feature_matching_loss(real, fake) == 1
