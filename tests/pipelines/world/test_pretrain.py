"""Whoever goes on from a checkpoint must name patches as it does."""

import numpy as np
import pytest
import torch

from backbone.emu3 import Emu3Backbone
from data_contracts.errors import FlywheelError
from pipelines.assets.backbone import shipped_checkpoint
from pipelines.world.pretrain import SceneSource, require_same_names


def named_by(backbone: Emu3Backbone, pictures: np.ndarray) -> torch.Tensor:
    """A teacher that names patches as the checkpoint's encoder does, where it uses the code."""
    side = backbone.model.model.vqmodel.spatial_scale_factor
    grid = backbone.grid
    cut = pictures.reshape(-1, grid.height, side, grid.width, side, 3).transpose(0, 1, 3, 5, 2, 4)
    teacher = np.full((256, 3 * side * side), 9.0, np.float32)
    teacher[np.stack(backbone.tokenise(pictures)).ravel()] = cut.reshape(-1, 3 * side * side)
    return torch.from_numpy(np.where(teacher == 9.0, teacher, teacher / 127.5 - 1.0))


def test_a_teacher_with_other_names_is_refused():
    backbone = Emu3Backbone.load(shipped_checkpoint(), device="cpu")
    pictures = SceneSource(3).pictures(16)
    teacher = named_by(backbone, pictures)
    require_same_names(backbone, pictures, teacher)
    with pytest.raises(FlywheelError, match=r"0% of the patches as --seed does; give the --seed"):
        require_same_names(backbone, pictures, teacher.roll(1, 0))
