"""The public sets that can be imported, by name."""

from collections.abc import Mapping
from typing import Final

from data_contracts.errors import FlywheelError
from pipelines.intake.importers.dsg_tifa160 import read_dsg_tifa160
from pipelines.intake.importers.hh_rlhf import read_hh_rlhf
from pipelines.intake.importers.imported import Importer

IMPORTERS: Final[Mapping[str, Importer]] = {
    "dsg_tifa160": read_dsg_tifa160,
    "hh_rlhf": read_hh_rlhf,
}


def importer(name: str) -> Importer:
    """Return the importer of the public set *name*.

    Raises:
        FlywheelError: there is none.
    """
    if name not in IMPORTERS:
        raise FlywheelError(f"no importer named {name!r}; there are {', '.join(IMPORTERS)}")
    return IMPORTERS[name]
