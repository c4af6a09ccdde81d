"""Questions to push, and answers as an annotator's browser would store them."""

import sqlalchemy as sa

from annotation.client import LabelStudioClient
from annotation.server import personal_token
from pipelines.labelling.ledger import ANNOTATORS, ANSWERS, ASSIGNMENTS, PROJECTS
from pipelines.labelling.planning import Question, Shown
from pipelines.labelling.sync import annotations_of
from pipelines.stores.catalogue_tables import transaction


def questions(modality, count, *, start=0, critique=False):
    """*count* questions; texts hold an astral character, so that offsets must be code points."""

    def shown(n, side):
        text = f"answer {n} 💡 by {side}" if modality == "text" else None
        return Shown(generation_id=f"g_{modality}_{n}_{side}", modality=modality, text=text,
                     frames=36 if modality == "video" else None, fps=12)  # fmt: skip

    return [
        Question(
            task_id=f"task_{modality}_{'c' if critique else 'p'}_{n}",
            prompt=f"prompt 💡 number {n}",
            first=shown(n, "x"),
            other=None if critique else shown(n, "y"),
        )
        for n in range(start, start + count)
    ]


def assignments(ledger, turn):
    query = (
        sa.select(ASSIGNMENTS, ANNOTATORS.c.address, ANNOTATORS.c.user_id, PROJECTS.c.interface)
        .join(ANNOTATORS, ANNOTATORS.c.annotator_id == ASSIGNMENTS.c.annotator_id)
        .join(PROJECTS, PROJECTS.c.project_id == ASSIGNMENTS.c.project_id)
        .where(ASSIGNMENTS.c.turn == turn)
        .order_by(ASSIGNMENTS.c.assignment_id)
    )
    with transaction(ledger, writes=False) as connection:
        return connection.execute(query).all()


def answers_in(ledger):
    with transaction(ledger, writes=False) as connection:
        return {r.server_annotation: r for r in connection.execute(sa.select(ANSWERS))}


def rows_in(ledger, turn=None):
    return annotations_of(ledger, turn).to_pylist()


def choice(name, value, to="left"):
    return {"id": f"c-{name}", "from_name": name, "to_name": to, "type": "choices",
            "origin": "manual", "value": {"choices": [value]}}  # fmt: skip


def labels(name, codes, to, region, **value):
    return {"id": region, "from_name": name, "to_name": to, "type": "labels", "origin": "manual",
            "value": {**value, "labels": codes}}  # fmt: skip


def box(side, code, *, x, y, width, height, region="r1", size=512):
    common = {"original_width": size, "original_height": size, "image_rotation": 0}
    value = {"x": x, "y": y, "width": width, "height": height, "rotation": 0}
    return [
        {**common, "id": region, "from_name": f"{side}_box", "to_name": side,
         "type": "rectangle", "origin": "manual", "value": value},
        {**common, **labels(f"{side}_reason", [code], side, region, **value)},
    ]  # fmt: skip


def verdict(value="left_much"):
    return [choice("overall", value)]


def signed_in(url, address, password):
    """The client of one annotator, with a token of their own."""
    return LabelStudioClient(url, personal_token(url, address, password))


def answer(client, task, result, **more):
    body = {"result": result, "lead_time": 4.5, **more}
    return client.request("POST", f"api/tasks/{task}/annotations/", json=body)["id"]
