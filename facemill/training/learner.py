"""A network in training, with its optimizer, learning-rate schedule and EMA: what each trainer needs."""

from collections.abc import Callable
from typing import Generic, TypeVar

from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer

from facemill.training.optimization import average_gradients, ema_decay, make_ema, set_lr, update_ema, wrap

Network = TypeVar("Network", bound=nn.Module)


class Learner(Generic[Network]):
    """One network with its optimizer and learning-rate schedule.

    Attributes:
        net: the network to call in the training loop: on this process's device and in its precision.
        raw: the network as it was built, without what Accelerate puts around it; checkpoints hold its state.
        optimizer: the optimizer as Accelerate prepared it.

    Args:
        accelerator: from `make_accelerator`.
        network: a network on the CPU.
        optimizer: an optimizer of its parameters.
        schedule: the learning rate as a function of the step's number.
    """

    def __init__(
        self, accelerator: Accelerator, network: Network, optimizer: Optimizer, schedule: Callable[[int], float]
    ) -> None:
        self.accelerator, self.schedule = accelerator, schedule
        self.raw, self.net = network, wrap(accelerator, network)
        self.optimizer = accelerator.prepare(optimizer)

    @property
    def modules(self) -> dict[str, nn.Module]:
        """The modules whose state a checkpoint holds."""
        return {"raw": self.raw}

    def step(self, loss: Tensor, step: int) -> None:
        """One training step: the gradients of `loss`, then `update`."""
        self.accelerator.backward(loss)
        self.update(step)

    def update(self, step: int) -> None:
        """Moves the weights by the accumulated gradients, averaged over all processes, and clears the gradients."""
        set_lr(self.optimizer, self.schedule(step))
        average_gradients(self.raw, self.accelerator)
        self.optimizer.step()
        self.optimizer.zero_grad()


class EmaLearner(Learner[Network]):
    """A learner whose finished model is the exponential moving average (EMA) of its network's weights.

    Attributes:
        ema: a copy of the network that holds the EMA, in evaluation mode.

    Args:
        decay: of the EMA at each step, once the training has gone on for some.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        network: Network,
        optimizer: Optimizer,
        schedule: Callable[[int], float],
        decay: float = 0.998,
    ) -> None:
        self.decay = decay
        self.ema = make_ema(network).to(accelerator.device)  # before Accelerate patches the network's `forward`
        super().__init__(accelerator, network, optimizer, schedule)

    @property
    def modules(self) -> dict[str, nn.Module]:
        """The modules whose state a checkpoint holds."""
        return {"raw": self.raw, "ema": self.ema}

    def update(self, step: int) -> None:
        """Moves the weights, then their EMA."""
        super().update(step)
        update_ema(self.ema, self.raw, ema_decay(step, self.decay))
