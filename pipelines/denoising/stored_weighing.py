"""Stored weighing: what each exposure on disk counts, and the click table that follows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import feather
from scipy.sparse import csr_array, load_npz, save_npz

from pipelines.denoising.activity import ACTIVITY
from pipelines.denoising.bins import MemoryPlan
from pipelines.denoising.stored_clicks import StoredClicks, write_run
from pipelines.denoising.stored_exposures import (
    SLOT_CODES,
    StoredExposures,
    StoredPart,
    read_run,
    runs_of,
)
from pipelines.preferences import firmness
from pipelines.preferences.click_table import ClickTable, number_keys
from pipelines.preferences.kernel import IntArray
from pipelines.signals.coordination import binary, group_users
from pipelines.signals.indiscriminate import EAGER, PLACES, PULLS, praise_anything, pulled
from pipelines.signals.one_sided import praise_one_side
from pipelines.signals.repeats import fresh_share
from pipelines.signals.signal_patterns import PRAISE
from pipelines.signals.signal_table import SIGNAL_NAMES, BoolArray, FloatArray
from pipelines.signals.tenant_users import User
from pipelines.signals.weighing import RowWeights, WeighingSettings, weigh_rows

_PRAISED = sum(1 << SIGNAL_NAMES.index(name) for name in PRAISE)
_EAGER = sum(1 << SIGNAL_NAMES.index(name) for name in EAGER)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredWeights:
    """Weights by user."""

    rows: RowWeights  # of users with exposures, in their order
    weight: FloatArray  # (u,) of an exposure that is no repetition; 0 for users without exposures
    repeats: int | None  # exposures of one generation that one user may give; None: any number
    activity: pa.Table  # ACTIVITY rows of users with exposures

    def of(self, read: Mapping[str, IntArray]) -> FloatArray:
        """Return (e,) the weight of each exposure; whole generations were *read*."""
        return self.weight[read["user"]] * _fresh(read, self.repeats)


def weigh_stored(
    stored: StoredExposures, *, folder: Path, plan: MemoryPlan, settings: WeighingSettings
) -> StoredWeights:
    """Weigh exposures on disk; the same result as `weigh`.

    Args:
        stored: the exposures.
        folder: does not exist yet; who saw what is kept there for the comparison of users.
        plan: how much is held at once.
        settings: as `weigh`.
    """
    parting = stored.parting
    user = np.flatnonzero(stored.shown > 0)
    names, tenants = parting.users.table().take(pa.array(user)).columns
    sided: list[User] = []
    if "one_sided" not in settings.keep and stored.given.size:
        found = np.zeros(len(stored.believed), dtype=bool)
        found[stored.believed] = praise_one_side(
            stored.given[stored.believed], stored.seen[stored.believed]
        )
        sided = parting.users.named(found)
    anything: list[User] = []
    if "indiscriminate" not in settings.keep and stored.parts:
        anything = parting.users.named(praise_anything(*_pulled(stored, plan)))
    groups: dict[User, int] = {}
    if "coordinated" not in settings.keep and stored.parts:
        sights = _write_sights(stored, folder, plan)
        groups = group_users(
            parting.users, _acts(stored), partial(_read_sights, sights), alike=settings.alike
        )
    repeats = None if "repeated" in settings.keep else settings.repeats
    fresh = _fresh_users(stored, repeats)
    rows = weigh_rows(
        names, tenants, np.where(stored.bots[user], 0.0, 1.0), heldout=stored.heldout[user],
        sided=sided, groups=groups, settings=settings, anything=anything,
        times=stored.shown[user], fresh=fresh[user],
    )  # fmt: skip
    weight = np.zeros(len(stored.shown))
    weight[user] = rows.weight / fresh[user]
    shown, acted = (counted[user].astype(np.int64) for counted in (stored.shown, stored.acted))
    activity = pa.table(
        [names, tenants, shown, acted, rows.weight.round(12), stored.heldout[user]],
        names=ACTIVITY.names,
    )
    return StoredWeights(
        rows=rows, weight=weight, repeats=repeats, activity=activity.cast(ACTIVITY)
    )


def stored_clicks(
    stored: StoredExposures,
    weights: StoredWeights,
    *,
    folder: Path,
    plan: MemoryPlan,
    first_examined: float,
) -> ClickTable | None:
    """Write the click table of exposures on disk into *folder*; None where there are none.

    The same exposures in the same order as in `click_table`, in runs of whole generations.
    """
    if not stored.shown.any():
        return None
    folder.mkdir()
    place = np.cumsum(stored.shown > 0) - 1  # users without exposures have no row
    combined, counted = _patterns(stored)
    pattern, slot = np.divmod(combined, _slots(stored))
    keys, key_of = number_keys(pattern, slot)
    believed = np.zeros(len(stored.parting.ids))
    trusted = np.zeros(int((stored.shown > 0).sum()))
    paths = []
    exposures = int(stored.shown.sum())
    # So few that firmness is tried on them: they fit, and the trial needs them together.
    few = exposures < firmness.PLENTY
    for number, run in enumerate(
        runs_of(stored.parts, firmness.PLENTY if few else plan.kernel_rows)
    ):
        read = read_run(run)
        weight = np.where(stored.heldout[read["user"]], 0.0, weights.of(read))
        key = key_of[np.searchsorted(combined, read["pattern"] * _slots(stored) + read["slot"])]
        user = place[read["user"]]
        items = np.sort(np.concatenate([part.items for part in run]))
        paths.append(folder / f"{number:04d}.npz")
        write_run(paths[-1], items, read["item"], user, key, weight)
        believed += np.bincount(read["item"], weights=weight, minlength=len(believed))
        trusted += np.bincount(user, weights=weight, minlength=len(trusted))
    none = np.zeros(0, dtype=np.int64)
    named = stored.parting.users.table().filter(pa.array(stored.shown > 0))
    table = StoredClicks(
        shown=keys.shown(none, none, none, np.zeros(0)),
        users=tuple(named["user_id"].to_pylist()),
        tenants=tuple(named["tenant_id"].to_pylist()),
        trusted=(trusted > 0).astype(np.float64),
        runs=tuple(paths),
        keys=keys,
        exposures=exposures,
        counted_keys=np.bincount(key_of, weights=counted, minlength=len(keys.bits)).astype(
            np.int64
        ),
        believed=believed,
        **keys.columns(stored.parting.surfaces.to_pylist(), first_examined=first_examined),
    )
    return table.in_memory() if few else table


def believed_items(stored: StoredExposures) -> BoolArray:
    """Say of each generation whether somebody who is neither a bot nor held out saw it."""
    seen = np.zeros(len(stored.parting.ids), dtype=bool)
    for part in stored.parts:
        read = part.read()
        seen[read["item"][stored.believed[read["user"]]]] = True
    return seen


def stored_evidence(stored: StoredExposures, weights: StoredWeights, part: StoredPart) -> pa.Table:
    """Return generation_id, event_ids, weight and heldout of the exposures of one part."""
    assert part.events is not None
    read = part.read()
    rows = feather.read_table(str(part.events), memory_map=False)
    rows = rows.append_column("weight", pa.array(weights.of(read)))
    return rows.append_column("heldout", pa.array(stored.heldout[read["user"]]))


def _fresh(read: Mapping[str, IntArray], repeats: int | None) -> FloatArray:
    if repeats is None:
        return np.ones(len(read["user"]))
    return fresh_share(read["user"], read["item"], most=repeats)


def _fresh_users(stored: StoredExposures, repeats: int | None) -> FloatArray:
    """Return (u,) how much of each user's exposures is no repetition."""
    fresh = np.zeros(len(stored.shown))
    for part in stored.parts:
        read = part.read()
        fresh += np.bincount(read["user"], weights=_fresh(read, repeats), minlength=len(fresh))
    return np.where(stored.shown > 0, fresh / np.maximum(stored.shown, 1.0), 1.0)


def _patterns(stored: StoredExposures) -> tuple[IntArray, IntArray]:
    """Return the distinct pairs of pattern and slot as one number, and how often each comes."""
    codes: IntArray = np.zeros(0, dtype=np.int64)
    times: IntArray = np.zeros(0, dtype=np.int64)
    for part in stored.parts:
        read = part.read()
        new, count = np.unique(read["pattern"] * _slots(stored) + read["slot"], return_counts=True)
        codes, where = np.unique(np.concatenate([codes, new]), return_inverse=True)
        both = np.concatenate([times, count])
        times = np.bincount(where, weights=both, minlength=len(codes)).astype(np.int64)
    return codes, times


def _slots(stored: StoredExposures) -> int:
    return max(len(stored.parting.surfaces), 1) * SLOT_CODES


def _acts(stored: StoredExposures) -> csr_array:
    """Return (u, i) 1 where a believed user praised a generation."""
    found: list[IntArray] = []
    for part in stored.parts:
        read = part.read()
        mine = (read["pattern"] & _PRAISED > 0) & stored.believed[read["user"]]
        found.append(np.stack([read["user"][mine], read["item"][mine]]).astype(np.int32))
    user, item = np.concatenate(found, axis=1)
    return binary(user, item, (len(stored.shown), len(stored.parting.ids)))


def _pulled(stored: StoredExposures, plan: MemoryPlan) -> tuple[FloatArray, FloatArray]:
    """Return what believed users saw and praised, by how much spoke for praise, both (u, b)."""
    slots = np.zeros((2, PLACES))
    for part in stored.parts:
        read = part.read()
        mine = stored.believed[read["user"]]
        place = read["slot"][mine] % SLOT_CODES
        gave = read["pattern"][mine] & _EAGER > 0
        slots[0] += np.bincount(place, minlength=PLACES)
        slots[1] += np.bincount(place, weights=gave, minlength=PLACES)
    users = len(stored.shown)
    seen, given = np.zeros((2, users, len(PULLS)))
    for run in runs_of(stored.parts, plan.kernel_rows):
        read = read_run(run)
        mine = stored.believed[read["user"]]
        item = np.unique(read["item"][mine], return_inverse=True)[1]
        more_seen, more_given = pulled(
            read["user"][mine], item, read["slot"][mine] % SLOT_CODES,
            read["pattern"][mine] & _EAGER > 0, slots=slots, users=users,
        )  # fmt: skip
        seen, given = seen + more_seen, given + more_given
    return seen, given


def _write_sights(
    stored: StoredExposures, folder: Path, plan: MemoryPlan
) -> list[tuple[Path, Path]]:
    """Write run by run who praised and who saw its generations: they are asked for often."""
    folder.mkdir()
    written = []
    for number, run in enumerate(runs_of(stored.parts, plan.kernel_rows)):
        read = read_run(run)
        mine = stored.believed[read["user"]]
        items, item = np.unique(read["item"], return_inverse=True)
        shape = (len(stored.shown), len(items))
        acted = mine & (read["pattern"] & _PRAISED > 0)
        paths = (folder / f"{number:04d}-praise.npz", folder / f"{number:04d}-sight.npz")
        for path, rows in zip(paths, (acted, mine), strict=True):
            save_npz(path, binary(read["user"][rows], item[rows], shape), compressed=False)
        written.append(paths)
    return written


def _read_sights(written: list[tuple[Path, Path]]) -> Iterator[tuple[csr_array, csr_array]]:
    """Give what `_write_sights` wrote."""
    for praise, sight in written:
        yield load_npz(praise), load_npz(sight)
