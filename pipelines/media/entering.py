"""Entering: an annotator's link signs them in and leads to their next task, without a form.

Label Studio knows no such link. So whoever holds one of ours is signed in by the door, with the
password that it keeps for them, through the same form that people fill in.
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

import httpx
import sqlalchemy as sa
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from pipelines.labelling.ledger import ANNOTATORS
from pipelines.media.signing import check_entry
from pipelines.stores.catalogue_tables import transaction

BEGIN = "/start"  # leads to the next task of whoever is signed in
_LOGIN = "/user/login/"
SIGN_IN = f"{_LOGIN}?next={BEGIN}"
PasswordOf = Callable[[str], str | None]  # of an address


def entering(
    client: httpx.AsyncClient,
    ledger: sa.Engine,
    key: bytes,
    *,
    password_of: PasswordOf,
    clock: Callable[[], float],
) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers an annotator's link.

    Args:
        client: of the zone's Label Studio; it keeps no cookies.
        ledger: knows annotators' addresses.
        key: the zone's.
        password_of: an address; None: it is not kept here.
        clock: seconds since 1970.
    """

    async def enter(request: Request) -> Response:
        """Sign in who holds a link of ours; the session is theirs as if they had typed."""
        who, asked = request.path_params["annotator"], request.query_params
        check_entry(key, who, asked.get("expires", ""), asked.get("signature", ""), now=clock())
        address = await run_in_threadpool(_address, ledger, who)
        password = None if address is None else password_of(address)
        cookies = (
            [] if address is None or password is None else await _session(client, address, password)
        )
        # Who changed their password signs in by hand.
        answer = RedirectResponse(BEGIN if cookies else SIGN_IN, HTTPStatus.SEE_OTHER)
        answer.raw_headers += [(b"set-cookie", each.encode("latin-1")) for each in cookies]
        answer.headers["Cache-Control"] = "no-store"
        answer.headers["Referrer-Policy"] = "no-referrer"
        return answer

    return enter


async def _session(client: httpx.AsyncClient, address: str, password: str) -> list[str]:
    """Fill in Label Studio's form; return the cookies that it sets, none if it was refused."""
    page = await client.get(_LOGIN)
    token = page.cookies.get("csrftoken") or ""
    answer = await client.post(
        _LOGIN,
        data={"csrfmiddlewaretoken": token, "email": address, "password": password},
        headers={"cookie": f"csrftoken={token}"},
    )
    set_cookies = answer.headers.get_list("set-cookie")
    signed_in = answer.status_code == HTTPStatus.FOUND and any(
        each.startswith("sessionid=") for each in set_cookies
    )
    return set_cookies if signed_in else []


def _address(ledger: sa.Engine, annotator_id: str) -> str | None:
    query = sa.select(ANNOTATORS.c.address).where(ANNOTATORS.c.annotator_id == annotator_id)
    with transaction(ledger, writes=False) as connection:
        found: str | None = connection.execute(query).scalar()
    return found
