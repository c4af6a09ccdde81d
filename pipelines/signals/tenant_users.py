"""Users: somebody of one tenant. The same user_id under two tenants is two users."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipelines.signals.signal_table import BoolArray

IntArray = NDArray[np.int64]


class User(NamedTuple):
    """Who acted; in order of user_id, then of tenant_id."""

    user_id: str
    tenant_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """Users in their order, numbered from 0; u of them."""

    names: pa.Array  # distinct user ids, sorted
    tenants: pa.Array  # distinct tenant ids, sorted
    code: IntArray  # (u,) place in *names* times the number of tenants, plus place in *tenants*

    def __len__(self) -> int:
        """How many there are."""
        return len(self.code)

    def __getitem__(self, place: int) -> User:
        """Return one of them."""
        name, tenant = divmod(int(self.code[place]), len(self.tenants))
        return User(self.names[name].as_py(), self.tenants[tenant].as_py())

    def table(self) -> pa.Table:
        """Return user_id and tenant_id of all, in their order."""
        name, tenant = np.divmod(self.code, max(len(self.tenants), 1))
        return pa.table(
            {
                "user_id": self.names.take(pa.array(name)),
                "tenant_id": self.tenants.take(pa.array(tenant)),
            }
        )

    def places(self, user_id: pa.ChunkedArray, tenant_id: pa.ChunkedArray) -> IntArray:
        """Return (n,) the number of each row's user; -1 where there is no such user."""
        name, tenant = (
            pc.fill_null(pc.index_in(column, value_set=known), -1).to_numpy().astype(np.int64)
            for column, known in ((user_id, self.names), (tenant_id, self.tenants))
        )
        if len(self) == 0:
            return np.full(len(name), -1, dtype=np.int64)
        code = name * len(self.tenants) + tenant
        at = np.minimum(np.searchsorted(self.code, code), len(self) - 1)
        found: IntArray = np.where((name >= 0) & (tenant >= 0) & (self.code[at] == code), at, -1)
        return found

    def named(self, which: BoolArray) -> list[User]:
        """Return those that *which* (u,) says, in their order."""
        return [self[place] for place in np.flatnonzero(which).tolist()]

    def find(self, who: Sequence[User]) -> IntArray:
        """Return the number of each of *who*, who must be among them."""
        user_id, tenant_id = (
            pa.chunked_array([pa.array([user[n] for user in who], pa.string())]) for n in (0, 1)
        )
        return self.places(user_id, tenant_id)

    def marked(self, who: Sequence[User]) -> BoolArray:
        """Say of each, (u,), whether it is one of *who*, who must be among them."""
        marked: BoolArray = np.zeros(len(self), dtype=bool)
        marked[self.find(who)] = True
        return marked


def number_users(user_id: pa.ChunkedArray, tenant_id: pa.ChunkedArray) -> tuple[Users, IntArray]:
    """Return the users of some rows, and (n,) the number of each row's; linear in rows."""
    names, name = _coded(user_id)
    tenants, tenant = _coded(tenant_id)
    if len(tenants) <= 1:
        every = np.arange(len(names), dtype=np.int64)
        return Users(names=names, tenants=tenants, code=every), name
    coded = pa.array(name * len(tenants) + tenant).dictionary_encode()
    code = coded.dictionary.to_numpy()
    order = np.argsort(code)
    users = Users(names=names, tenants=tenants, code=code[order])
    return users, _ranks(order)[coded.indices.to_numpy()]


def _coded(column: pa.ChunkedArray) -> tuple[pa.Array, IntArray]:
    """Return the distinct values, sorted, and (n,) the place of each row's among them."""
    coded = column.combine_chunks().cast(pa.string()).dictionary_encode()
    order = pc.sort_indices(coded.dictionary).to_numpy().astype(np.int64)
    return coded.dictionary.take(pa.array(order)), _ranks(order)[coded.indices.to_numpy()]


def _ranks(order: IntArray) -> IntArray:
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(len(order))
    return ranks
