"""The simulated annotators before a real Label Studio: the demo's people, the server's way."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import dagster as dg
import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from annotation.client import LabelStudioClient
from annotation.interfaces import interface_named
from annotation.server import personal_token, read_or_make_secrets, server_status
from data_contracts.errors import FlywheelError
from pipelines.labelling.desk import LabelStudioDesk, tasks_of
from pipelines.labelling.ledger import ANNOTATORS, ANSWERS, ASSIGNMENTS, PROJECTS, open_ledger
from pipelines.labelling.service import bring_up, client_of, free_port, server_folder
from pipelines.labelling.sync import annotations_of, sync_answers
from pipelines.settings import read_resolved
from pipelines.stores import open_stores
from pipelines.stores.catalogue_tables import transaction
from pipelines.world.desk import shown_in, turn_number
from pipelines.world.seated_crew import Seated, answer_at_desk, crew_name
from pipelines.world.studio import studio_of

FORMS: Final = ("pair", "critique")  # of the wheel's modality


class SeatedDesk(dg.ConfigurableResource):
    """Implements `pipelines.resources.AnnotationDesk`: pushed, answered and pulled for real.

    Only who answers is simulated. Tasks go through plan and push, each simulated annotator signs
    in with an account of their own and submits through the server, and answers come back through
    the sync, which believes them no more than a person's.
    """

    root: str

    def push(self, turn: str, tasks: pa.Table) -> None:
        """Start the server unless it runs, and hand over the tasks of *turn*."""
        self._seat()
        self._desk().push(turn, tasks)

    def pull(self, turn: str) -> pa.Table:
        """Let everybody answer what they are given, round after round; return all answers."""
        root = Path(self.root)
        if server_status(server_folder(root)).state == "down":
            self._seat()
        lead, ledger, desk = client_of(root), open_ledger(root), self._desk()
        sync_answers(root, lead)
        clients: dict[int, LabelStudioClient] = {}
        asked = tasks_of(open_stores(root), turn)
        while True:
            waiting = _waiting(ledger, turn)
            clients |= _signed_in(root, {task.who for task in waiting} - set(clients))
            self._answer(turn, waiting, clients)
            sync_answers(root, lead, thorough=True)
            if not desk.ask_more(turn, asked):
                return annotations_of(ledger, turn)

    def _seat(self) -> None:
        """Bring up the server with everybody on it; it ends with this process, as they do."""
        settings = read_resolved(Path(self.root)).studio
        crew = [crew_name(place) for place in range(settings.annotators)]
        interfaces = [f"{form}_{settings.modality}" for form in FORMS]
        bring_up(
            Path(self.root), crew, interfaces,
            port=free_port(), url=None, bars=_silent, outlives=False,
        )  # fmt: skip

    def _desk(self) -> LabelStudioDesk:
        overlap = read_resolved(Path(self.root)).studio.answers_per_task
        return LabelStudioDesk(root=self.root, overlap=overlap, gold=0.0)

    def _answer(
        self, turn: str, waiting: Sequence[Seated], clients: Mapping[int, LabelStudioClient]
    ) -> None:
        settings = read_resolved(Path(self.root))
        studio = studio_of(settings)
        named = {g for task in waiting for g in (task.left_id, task.right_id)}
        answer_at_desk(
            clients,
            waiting,
            studio.values(*shown_in(Path(self.root), turn, named)) if waiting else {},
            studio.crew,
            # A round that went on after a crash draws other noise than a whole one would have.
            rng=np.random.default_rng(
                [settings.seed, turn_number(turn), *(task.server_task for task in waiting[:1])]
            ),
            advance=lambda _done, _total: None,
        )


def _silent(_title: str):  # type: ignore[no-untyped-def]  # a bar that shows nothing
    return lambda _done, _total: None


def _waiting(ledger: sa.Engine, turn: str) -> list[Seated]:
    """Return what was given out for *turn* and has no answer yet, in one order."""
    answered = sa.select(ANSWERS.c.server_task).where(ANSWERS.c.state != "deleted")
    query = (
        sa.select(ASSIGNMENTS, PROJECTS.c.interface)
        .join(PROJECTS, PROJECTS.c.project_id == ASSIGNMENTS.c.project_id)
        .where(
            ASSIGNMENTS.c.turn == turn,
            ASSIGNMENTS.c.server_task.is_not(None),
            ~ASSIGNMENTS.c.deleted,
            ASSIGNMENTS.c.server_task.not_in(answered),
        )
        .order_by(ASSIGNMENTS.c.assignment_id)
    )
    with transaction(ledger, writes=False) as connection:
        rows = connection.execute(query).all()
    return [
        Seated(
            server_task=row.server_task,
            who=int(row.annotator_id[1:]),
            left_id=row.left_id,
            right_id=row.right_id,
            aspects=interface_named(row.interface).aspects,
        )
        for row in rows
    ]


def _signed_in(root: Path, who: set[int]) -> dict[int, LabelStudioClient]:
    url = server_status(server_folder(root)).url
    if url is None:
        raise FlywheelError("the wheel's Label Studio is down; run `flywheel annotate up` for it")
    passwords = read_or_make_secrets(server_folder(root)).passwords
    with transaction(open_ledger(root), writes=False) as connection:
        addresses = {
            row.annotator_id: row.address for row in connection.execute(sa.select(ANNOTATORS))
        }
    clients = {}
    for place in sorted(who):
        address = addresses[crew_name(place)]
        token = personal_token(url, address, passwords[address])
        clients[place] = LabelStudioClient(url, token)
    return clients
