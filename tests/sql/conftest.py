import pathlib
import shutil

import pytest

from lake import Lake

MODELS = pathlib.Path(__file__).resolve().parent.parent.parent / "models"


@pytest.fixture
def lake(run, data_dir):
    """A lake made by hand, and the commands on it."""
    return Lake(run, data_dir)


@pytest.fixture
def models(tmp_path):
    """A copy of the models, to be changed; for --models."""
    return pathlib.Path(shutil.copytree(MODELS, tmp_path / "models"))
