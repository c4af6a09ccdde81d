"""Releases by hand: a person moves the policy that the next generations come from."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from data_contracts.errors import FlywheelError
from data_contracts.ids import CheckpointId
from finetune.gate import OVERRIDABLE, Finding, judge_standing
from pipelines.comparing.standing import standing_of
from pipelines.settings import RESOLVED, WheelSettings, read_resolved
from pipelines.stores import PointerMove, Stores, open_stores

POLICY: Final = "policy"
_POLICIES: Final = ("backbone", "sft", "dpo", "grpo")
_SCORERS: Final = ("reward", "aspects")
_SHORTEST: Final = 6  # characters of an id that are enough if they fit one checkpoint only


class GateRefused(FlywheelError):
    """The gate keeps a policy from its release."""


def opened_zone(root: Path) -> Stores:
    """Open the stores under *root*, which must be there already.

    Raises:
        FlywheelError: there are none; a mistyped folder must not become an empty zone.
    """
    if not (root / "checkpoints").is_dir():
        raise FlywheelError(
            f"{root}: no stores there; name the folder of a zone, such as .flywheel/demo/ours-7"
        )
    return open_stores(root)


def zone_settings(root: Path) -> WheelSettings:
    """Return the settings of the wheel under *root*; a zone without one has the defaults: real.

    Raises:
        FlywheelError: its settings are damaged.
    """
    return read_resolved(root) if (root / RESOLVED).is_file() else WheelSettings()


def named_policy(stores: Stores, name: str) -> CheckpointId:
    """Return the stored policy that *name* (an id or its start) means, checked file by file.

    Raises:
        FlywheelError: none or several fit, it is no policy, or it is damaged.
    """
    return _named(stores, name, _POLICIES, called="policy")


def named_champion(stores: Stores, name: str, *, besides: CheckpointId) -> CheckpointId:
    """Return the policy that *besides* is compared with: *name*, or "" for the released one.

    Raises:
        FlywheelError: as `named_policy`, nothing was released, or it is *besides* itself.
    """
    found = name or stores.catalogue.release(POLICY)
    if found is None:
        raise FlywheelError("no policy was released here yet; name a champion with --against")
    champion = named_policy(stores, found)
    if champion == besides:
        raise FlywheelError(
            f"{champion[:12]} would be compared with itself; name another champion with --against"
        )
    return champion


def champion_now(stores: Stores, candidate: str, *, started_from: str) -> str:
    """Return what a report on *candidate* measures against: the policy that is released now.

    Where that is *candidate* itself, or nothing was released, it is the policy that its turn
    started from.
    """
    released = stores.catalogue.release(POLICY)
    return started_from if released in (None, candidate) else str(released)


def named_scorer(stores: Stores, name: str) -> CheckpointId:
    """Return the stored reward model that *name* (an id or its start) means, checked likewise.

    Raises:
        FlywheelError: none or several fit, it is no reward model, or it is damaged.
    """
    return _named(stores, name, _SCORERS, called="reward model")


def _named(stores: Stores, name: str, kinds: Sequence[str], *, called: str) -> CheckpointId:
    fits = [each for each in stores.checkpoints.ids() if each.startswith(name)]
    if len(name) < _SHORTEST or not fits:
        raise FlywheelError(
            f"no checkpoint {name[:12]} in this zone; it holds {_listed(stores, kinds)}"
        )
    if len(fits) > 1:
        raise FlywheelError(f"{len(fits)} checkpoints start with {name[:12]}; give more of the id")
    manifest = stores.checkpoints.verify(fits[0])
    if manifest.kind not in kinds:
        raise FlywheelError(
            f"checkpoint {fits[0][:12]} is of kind {manifest.kind}, which is no {called}; "
            f"this zone holds {_listed(stores, kinds)}"
        )
    return fits[0]


def standing_findings(root: Path, stores: Stores, policy: CheckpointId) -> tuple[Finding, ...]:
    """Hold *policy* against what people and rules say now: blind answers, vetoes, labels.

    A zone without a wheel, or one that does not say that its evidence is simulated, is real. Blind
    answers count if they compare with the policy that is released now; the first release of a
    zone and the one that stands already have nothing to be compared with.
    """
    settings = zone_settings(root)
    champion = stores.catalogue.release(POLICY)
    alone = champion in (None, policy)
    standing = standing_of(
        stores, policy, champion=champion, real=settings.evidence == "real" and not alone
    )
    return judge_standing(standing, settings.gate)


def refused_rules(findings: Sequence[Finding], *, overridden: bool, by: str) -> list[str]:
    """Return the rules that a named person decides otherwise; none if all passed.

    Raises:
        GateRefused: a rule failed, and nobody may or did decide otherwise.
    """
    failed = [finding for finding in findings if not finding.passed]
    if not failed:
        return []
    said = "; ".join(f"{finding.rule}: {finding.detail}" for finding in failed)
    final = [finding.rule for finding in failed if finding.rule not in OVERRIDABLE]
    if final:
        raise GateRefused(f"not released ({said}); nobody may override {', '.join(final)}")
    if not overridden:
        raise GateRefused(
            f"not released ({said}); a person who answers for it may pass --override --by NAME"
        )
    if not by:
        raise GateRefused("an override is recorded with a name; pass --by NAME")
    return [finding.rule for finding in failed]


def release_before(stores: Stores) -> CheckpointId:
    """Return the policy that a rollback would return to.

    Raises:
        FlywheelError: there is no earlier release.
    """
    standing: list[str] = []
    for move in policy_history(stores):
        if move.action == "rollback":
            standing.pop()
        else:
            standing.append(move.value)
    if len(standing) < 2:
        raise FlywheelError(
            "the policy cannot be rolled back: "
            + ("it has no earlier release" if standing else "none was ever released")
        )
    return CheckpointId(standing[-2])


def policy_history(stores: Stores) -> list[PointerMove]:
    """Return every promotion and rollback, oldest first."""
    return stores.catalogue.release_history(POLICY)


def _listed(stores: Stores, wanted: Sequence[str]) -> str:
    kinds = [(each, stores.checkpoints.manifest(each).kind) for each in stores.checkpoints.ids()]
    found = [f"{each[:12]} ({kind})" for each, kind in kinds if kind in wanted]
    return ", ".join(found) or "none"
