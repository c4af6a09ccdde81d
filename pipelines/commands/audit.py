"""`flywheel audit`: which models learned from one person, or from one generation."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from pipelines.commands.options import AsJson, Root

if TYPE_CHECKING:
    from pipelines.auditing import ModelTrace, PersonTrace, SnapshotTrace

_MODELS: Final = (
    "model", "kind", "snapshot", "samples", "first step", "calibrating", "critiques", "built on",
    "stands at",
)  # fmt: skip
_SHOWN: Final = 5  # versions of a generation; --json has all


def audit(
    person: Annotated[
        str, typer.Argument(help="A user id or an annotator id; or what --generation says.")
    ],
    root: Root = Path(".flywheel/demo/ours-7"),
    tenant: Annotated[
        str | None,
        typer.Option(help="Whose user, and no annotator; by default all who have that id."),
    ] = None,
    generation: Annotated[
        bool,
        typer.Option("--generation", help="The id is a generation's: say also how it was made."),
    ] = False,
    html: Annotated[
        Path | None, typer.Option(help="Also write the answer as a page into this file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say which snapshots and checkpoints learned from a person, by the samples training saw.

    Validation pairs that calibrated a reward model and critiques behind its heat maps count too;
    what only moved a statistic (the de-noiser's parameters) does not. Of a generation it
    says also which policy made it, for which prompt, and under which skill: ids, never content.

    Example: flywheel audit u_00042 --root .flywheel/demo/ours-7 --html u_00042.html
    """
    from dataclasses import asdict
    from datetime import UTC, datetime

    from data_contracts.errors import FlywheelError
    from pipelines.audit.page import write_page
    from pipelines.auditing import trace_person
    from pipelines.commands.reply import reply, spaced
    from pipelines.releasing import opened_zone

    if generation:
        if tenant is not None:
            raise FlywheelError("a generation has one tenant, which is told; leave --tenant out")
        if html is not None:
            raise FlywheelError("a page is made of a person's audit alone; leave --html out")
        _audit_generation(person, root, as_json=as_json)
        return
    found = trace_person(opened_zone(root), person, tenant=tenant)
    if html is not None:
        write_page(html, found, person=person, zone=root.absolute().name, at=datetime.now(UTC))
    learned = [model for model in found.models if model.learned]
    lines = [
        f"{person}: {spaced(found.events)} events, {spaced(found.answers)} answers",
        *_several(found),
        *_gone(found.snapshots),
        "",
        *_learned(found.snapshots, found.models, what="this person"),
    ]
    if html is not None:
        lines += ["", f"page: {html}"]
    told = asdict(found) | {"learned": [model.checkpoint for model in learned]}
    reply({"person": person} | told, lines, as_json=as_json)


def _several(found: "PersonTrace") -> list[str]:
    whose = []
    if len(found.tenants) > 1:
        whose.append(f"users of {len(found.tenants)} tenants ({', '.join(found.tenants)})")
    if found.tenants and found.answers:
        whose.append("an annotator" if whose else "a user and an annotator")
    if not whose:
        return []
    return [f"look first: {' and '.join(whose)} have this id, all of whom are counted; "
            "--tenant names one"]  # fmt: skip


def _gone(snapshots: Sequence["SnapshotTrace"]) -> list[str]:
    gone = [f"{each.snapshot_id[:12]} ({each.gone})" for each in snapshots if each.gone]
    if not gone:
        return []
    return [f"look first: whose some evidence was is not kept, for other answers took its place: "
            f"{', '.join(gone)}"]  # fmt: skip


def _audit_generation(name: str, root: Path, *, as_json: bool) -> None:
    from dataclasses import asdict

    from pipelines.auditing_generation import trace_generation
    from pipelines.commands.reply import in_columns, reply
    from pipelines.releasing import opened_zone

    found = trace_generation(opened_zone(root), name)
    under = "none"
    if found.skill_id is not None:
        under = f"{found.skill_id} (text {(found.skill_digest or 'unknown')[:12]})"
    rows = [
        ["turn", found.turn],
        ["tenant, project", f"{found.tenant_id}, {found.project_id}"],
        ["prompt", found.prompt_id],
        ["made by", found.model_release[:12]],
        ["made from", found.parent_generation_id or "-"],
        ["skill", under],
        ["versions", _first(found.versions)],
    ]
    lines = [
        *in_columns(["generation", name], rows),
        "",
        *_learned(found.snapshots, found.models, what="this generation"),
    ]
    told = asdict(found) | {"learned": [m.checkpoint for m in found.models if m.learned]}
    reply(told, lines, as_json=as_json)


def _first(names: Sequence[str]) -> str:
    more = [f"and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
    return ", ".join([*names[:_SHOWN], *more]) or "-"


def _learned(
    traces: Sequence["SnapshotTrace"], models: Sequence["ModelTrace"], *, what: str
) -> list[str]:
    from pipelines.commands.reply import in_columns, spaced

    snapshots = [
        [each.snapshot_id[:12], spaced(each.pairs), spaced(each.training), spaced(each.of)]
        for each in traces
    ]
    learned = [
        [
            model.checkpoint[:12],
            model.kind,
            (model.snapshot_id or "-")[:12],
            f"{spaced(model.samples)} of {spaced(model.of)}",
            "-" if model.first_step is None else str(model.first_step),
            spaced(model.calibrating) if model.calibrating else "-",
            spaced(model.pointed) if model.pointed else "-",
            ", ".join(each[:12] for each in model.inherits) or "-",
            ", ".join(model.pointers) or "-",
        ]
        for model in models
        if model.learned
    ]
    return [
        *in_columns(["snapshot", "pairs", "for training", "of"], snapshots),
        "",
        *(
            in_columns(list(_MODELS), learned)
            if learned
            else [f"no model of {len(models)} learned from {what}"]
        ),
    ]
