"""The public sets that can be imported, by name."""

from collections.abc import Mapping
from typing import Final

from data_contracts.errors import FlywheelError
from pipelines.intake.importers.agiqa3k import AGIQA3K
from pipelines.intake.importers.copilot_cups import COPILOT_CUPS
from pipelines.intake.importers.dsg_tifa160 import DSG_TIFA160
from pipelines.intake.importers.fetv import FETV
from pipelines.intake.importers.geneval_human import GENEVAL_HUMAN
from pipelines.intake.importers.hh_rlhf import HH_RLHF
from pipelines.intake.importers.iiw_sxs import IIW_SXS
from pipelines.intake.importers.imagenhub import IMAGENHUB
from pipelines.intake.importers.imagereward_test import IMAGEREWARD_TEST
from pipelines.intake.importers.imported import Importer, PublicSet
from pipelines.intake.importers.lamp_writing import LAMP_WRITING
from pipelines.intake.importers.llmbar import LLMBAR
from pipelines.intake.importers.llmfao import LLMFAO
from pipelines.intake.importers.obd_small import OBD_SMALL
from pipelines.intake.importers.pandalm_test import PANDALM_TEST

_SETS: Final = (
    DSG_TIFA160, GENEVAL_HUMAN, IMAGENHUB, AGIQA3K, IMAGEREWARD_TEST, FETV, HH_RLHF, PANDALM_TEST,
    LLMFAO, LLMBAR, IIW_SXS, LAMP_WRITING, COPILOT_CUPS, OBD_SMALL,
)  # fmt: skip
PUBLIC_SETS: Final[Mapping[str, PublicSet]] = {each.name: each for each in _SETS}


def importer(name: str) -> Importer:
    """Return the importer of the public set *name*.

    Raises:
        FlywheelError: there is none.
    """
    if name not in PUBLIC_SETS:
        raise FlywheelError(f"no importer named {name!r}; there are {', '.join(PUBLIC_SETS)}")
    return PUBLIC_SETS[name].read
