"""What the studio needs of a run's settings."""

from pathlib import Path
from typing import Self

import yaml
from pydantic import BaseModel, ValidationError

from facemill.config.fields import Share
from facemill.config.ingest import PortraitsConfig
from facemill.config.label import LabelsConfig
from facemill.config.latent import AttributesConfig, TagsConfig
from facemill.errors import UserError, first_line


class Settings(BaseModel):
    """Sections of the config; None where there are no settings."""

    holdout: Share | None = None
    portraits: PortraitsConfig | None = None
    labels: LabelsConfig | None = None
    tags: TagsConfig | None = None
    attributes: AttributesConfig | None = None

    @classmethod
    def load(cls, path: Path | None) -> Self:
        """The sections of a file, empty ones without a file. Raises `UserError` where it cannot be read."""
        try:
            return cls.model_validate(yaml.safe_load(path.read_text()) if path else {})
        except ValidationError as error:
            first = error.errors()[0]
            fault = f"{'.'.join(map(str, first['loc'])) or 'its content'}: {first['msg']}"
        except (OSError, ValueError, yaml.YAMLError) as error:
            fault = first_line(error)
        raise UserError(f"{path}: {fault}; accepted: all settings of a run, as in results/<dataset>/config.yaml")
