"""The settings of a finished run, as `results/<dataset>/config.yaml` holds them."""

from pathlib import Path

import yaml
from pydantic import BaseModel, ValidationError

from facemill.config.ingest import PortraitsConfig
from facemill.errors import UserError, first_line


class RunSettings(BaseModel):
    """What other runs ask of a run's settings."""

    portraits: PortraitsConfig
    holdout: float


def settings_of(run: Path) -> RunSettings | None:
    """The settings of a run, the folder `results/<dataset>`; None where it holds none.

    Raises:
        UserError: They are not those of a run.
    """
    config = run / "config.yaml"
    if not config.exists():
        return None
    try:
        return RunSettings.model_validate(yaml.safe_load(config.read_text()))
    except (ValidationError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{config}: {first_line(error)}; accepted: settings of a run") from error
