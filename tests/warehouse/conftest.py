"""What tests of the warehouse share: models written for one test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from warehouse import models
from warehouse.models import Models


@pytest.fixture
def shelf(tmp_path: Path) -> Callable[..., Models]:
    """Writes models by name and reads them as the library would."""

    def write(**texts: str) -> Models:
        for name, text in texts.items():
            path = tmp_path / "models" / "facts" / f"{name}.sql"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return models.library(tmp_path / "models")

    return write
