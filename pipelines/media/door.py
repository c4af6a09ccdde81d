"""The door: the one address annotators use. Media are given to who was assigned them.

Label Studio fetches media without cookies from any other origin, so that no other server could
ask who is there. The door therefore stands in front: it passes Label Studio's pages on, and
answers for media itself, on the same origin, where the session is sent along. It hears every
answer pass, and it signs in who holds a link of ours.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

import httpx
import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route

from data_contracts.ids import Digest
from pipelines.labelling.feedback import feedback_of
from pipelines.labelling.ledger import ANNOTATORS, ASSIGNMENTS
from pipelines.media.bodies import read_body
from pipelines.media.entering import BEGIN, SIGN_IN, PasswordOf, entering
from pipelines.media.keys import PATH as KEYS
from pipelines.media.keys import SCRIPT, with_keys
from pipelines.media.progress import (
    PROGRESS,
    Stream,
    next_place,
    progress_page,
    projects_of_account,
)
from pipelines.media.refusals import REFUSALS
from pipelines.media.signing import MediaRefused, check_signature, signed_path
from pipelines.stores.blobs import Blobs
from pipelines.stores.catalogue_tables import transaction

_TICKET_S: Final = 60.0  # how long a session is believed without asking again
_TICKETS: Final = 10_000
# What a browser may be handed, told by its first bytes: never HTML, SVG or anything that runs.
_KINDS: Final[tuple[tuple[int, bytes, str], ...]] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (8, b"WEBP", "image/webp"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
)
_HOP: Final = frozenset(
    {"connection", "keep-alive", "te", "trailers", "transfer-encoding", "upgrade", "host",
     "proxy-authorization", "proxy-authenticate", "content-length"}
)  # fmt: skip
_ANSWERS: Final = re.compile(r"/api/(tasks/\d+/annotations|annotations/\d+)/?")
_METHODS: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def build_door(
    blobs: Blobs,
    ledger: sa.Engine,
    key: bytes,
    *,
    upstream: str,
    password_of: PasswordOf = lambda _address: None,
    answered: Callable[[], None] = lambda: None,
    transport: httpx.AsyncBaseTransport | None = None,
    clock: Callable[[], float] = time.time,
) -> Starlette:
    """Return the door of one zone.

    Args:
        blobs: the zone's; no other zone's media can be named here.
        ledger: who was given what.
        key: the zone's, for signed addresses.
        upstream: address of the zone's Label Studio.
        password_of: an annotator's address, to sign in who holds their link; None: not kept.
        answered: called when Label Studio took an answer, a change of one or its removal.
        transport: for tests; None is the network.
        clock: seconds since 1970.
    """
    # A client that kept cookies would sign the next visitor in as the last one.
    forgetful = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    client = httpx.AsyncClient(
        base_url=upstream, transport=transport, timeout=120.0, trust_env=False, cookies=forgetful
    )
    tickets: dict[str, tuple[float, int]] = {}

    async def who(request: Request) -> int:
        """Return the signed-in annotator's number, asking Label Studio once a minute."""
        cookie = request.headers.get("cookie", "")
        name = sha256(cookie.encode()).hexdigest()
        found = tickets.get(name)
        if found is not None and clock() < found[0]:
            return found[1]
        if "sessionid=" not in cookie:
            raise MediaRefused("nobody is signed in; sign in to Label Studio first")
        asked = await client.get("/api/current-user/whoami", headers={"cookie": cookie})
        if asked.status_code != 200:
            raise MediaRefused("the session has ended; sign in to Label Studio again")
        user = int(asked.json()["id"])
        if len(tickets) >= _TICKETS:
            tickets.clear()
        tickets[name] = (clock() + _TICKET_S, user)
        return user

    async def media(request: Request) -> Response:
        """Redirect who was given the task to an address that works for some minutes."""
        user = await who(request)
        digest = await run_in_threadpool(
            _assigned, ledger, request.path_params["assignment"], request.path_params["side"], user
        )
        address = signed_path(key, digest, now=clock())
        return RedirectResponse(address, 302, headers={"Cache-Control": "no-store"})

    async def blob(request: Request) -> Response:
        """Give out one blob, or a range of it, to whoever holds a signed address."""
        digest = request.path_params["digest"]
        asked = request.query_params
        check_signature(
            key, digest, asked.get("expires", ""), asked.get("signature", ""), now=clock()
        )
        if not blobs.has(Digest(digest)):
            return PlainTextResponse("this medium is not in this zone\n", 404)
        file = blobs.file(Digest(digest))
        with file.open("rb") as opened:
            kind = _kind(opened.read(16))
        if kind is None:
            return PlainTextResponse("this is no picture or film that may be shown\n", 415)
        guards = {
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "private, max-age=300",
        }
        return FileResponse(file, media_type=kind, headers=guards)

    async def stream(request: Request, interface: str, project: int) -> Stream:
        """Ask Label Studio, as the visitor, how far they are; it knows at once, we after a sync."""
        cookie = {"cookie": request.headers.get("cookie", "")}
        answer = await client.get(f"/api/projects/{project}/", headers=cookie)
        told = answer.json() if answer.status_code == 200 else {}
        return Stream(
            interface=interface,
            project_id=project,
            given=int(told.get("task_number") or 0),
            answered=int(told.get("num_tasks_with_annotations") or 0),
        )

    async def streams_of(user: int, request: Request) -> list[Stream]:
        projects = await run_in_threadpool(projects_of_account, ledger, user)
        return await asyncio.gather(
            *(stream(request, interface, project) for interface, project in projects)
        )

    async def begin(request: Request) -> Response:
        """Lead to the next task, or to the page that says that none waits."""
        try:
            user = await who(request)
        except MediaRefused:
            return RedirectResponse(SIGN_IN, 302)
        return RedirectResponse(
            next_place(await streams_of(user, request)), 302, headers={"Cache-Control": "no-store"}
        )

    async def progress(request: Request) -> Response:
        """Show who is signed in what waits for them; ask anybody else to sign in first."""
        try:
            user = await who(request)
        except MediaRefused:
            return RedirectResponse(f"/user/login/?next={PROGRESS}", 302)
        streams = await streams_of(user, request)
        told = await run_in_threadpool(feedback_of, ledger, user)
        guards = {
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
            "img-src 'self'",
            "Cache-Control": "no-store",
        }
        return HTMLResponse(progress_page(streams, told), headers=guards)

    async def keys(_request: Request) -> Response:
        """Give out the script that our pages ask for; it says nothing about anybody."""
        return Response(SCRIPT, media_type="text/javascript", headers={"Cache-Control": "no-cache"})

    async def onward(request: Request) -> Response:
        """Pass everything else on to Label Studio; pages come back with our keys."""
        page = "text/html" in request.headers.get("accept", "")
        dropped = _HOP | {"accept-encoding"} if page else _HOP
        headers = [(n, v) for n, v in request.headers.items() if n not in dropped]
        if page:  # a script is added to it, so that it must be readable
            headers.append(("accept-encoding", "identity"))
        headers.append(("host", request.headers.get("host", "")))
        passed = client.build_request(
            request.method,
            httpx.URL(path=request.url.path, query=request.url.query.encode()),
            headers=headers,
            content=await read_body(request, who),
        )
        answer = await client.send(passed, stream=True)
        changes = request.method in ("POST", "PUT", "PATCH", "DELETE")
        if changes and answer.is_success and _ANSWERS.fullmatch(request.url.path):
            await run_in_threadpool(answered)
        kept = [
            (name.lower(), value)
            for name, value in answer.headers.raw
            if name.lower().decode() not in _HOP
        ]
        response: Response
        if page and _readable_page(answer.headers):
            try:
                content = with_keys(await answer.aread())
            finally:
                await answer.aclose()
            response = Response(content, answer.status_code)
            length = str(len(content)).encode()
        else:
            response = StreamingResponse(
                answer.aiter_raw(), answer.status_code, background=BackgroundTask(answer.aclose)
            )
            length = answer.headers.get("content-length", "").encode()
        response.raw_headers = [*kept, *([(b"content-length", length)] if length else [])]
        return response

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await client.aclose()

    enter = entering(client, ledger, key, password_of=password_of, clock=clock)
    return Starlette(
        routes=[
            Route("/media/{assignment}/{side}", media, methods=["GET"]),
            Route("/blob/{digest}", blob, methods=["GET"]),
            Route(KEYS, keys, methods=["GET"]),
            Route("/enter/{annotator}", enter, methods=["GET"]),
            Route(BEGIN, begin, methods=["GET"]),
            Route(PROGRESS, progress, methods=["GET"]),
            Route("/{rest:path}", onward, methods=_METHODS),
        ],
        exception_handlers=dict(REFUSALS),
        lifespan=lifespan,
    )


def _readable_page(headers: Mapping[str, str]) -> bool:
    """Say whether an answer is HTML that nobody packed on the way."""
    is_page = headers.get("content-type", "").startswith("text/html")
    return is_page and "content-encoding" not in headers


def _assigned(ledger: sa.Engine, assignment: str, side: str, user: int) -> str:
    """Return the digest on *side* of what *user* was given.

    Raises:
        MediaRefused: it was given to somebody else, or to nobody.
    """
    query = (
        sa.select(ASSIGNMENTS.c.left_blob, ASSIGNMENTS.c.right_blob)
        .join(ANNOTATORS, ANNOTATORS.c.annotator_id == ASSIGNMENTS.c.annotator_id)
        .where(ASSIGNMENTS.c.assignment_id == assignment, ANNOTATORS.c.user_id == user)
    )
    with transaction(ledger, writes=False) as connection:
        row = connection.execute(query).first()
    sides = {} if row is None else {"left": row[0], "only": row[0], "right": row[1]}
    digest = sides.get(side)
    if digest is None:
        raise MediaRefused("this medium was not given to you; open your own tasks")
    return str(digest)


def _kind(begin: bytes) -> str | None:
    return next((kind for at, mark, kind in _KINDS if begin[at : at + len(mark)] == mark), None)
