"""Provisioning: organisation, annotators and labelling projects, made where they are absent."""

import http.cookiejar
import re
import secrets
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from annotation.client import LabelStudioClient, ServerRefused
from annotation.interfaces import Interface
from data_contracts.errors import FlywheelError

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,30}")
_DOMAIN: Final = "annotators.flywheel.local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotator:
    """A person who answers, and the account they answer with."""

    annotator_id: str
    user_id: int  # Label Studio's number: what an answer's `completed_by` must be
    address: str
    password: str | None = field(repr=False)  # None: the account stood before, on another server


@dataclass(frozen=True, slots=True, kw_only=True)
class LabellingProject:
    """One annotator's project for one interface."""

    annotator_id: str
    interface: str
    project_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioned:
    """What stands on the server."""

    annotators: tuple[Annotator, ...]
    projects: tuple[LabellingProject, ...]


def provision(
    client: LabelStudioClient,
    seats: Mapping[str, Sequence[Interface]],
    *,
    password_of: Callable[[str], str],
    recorded: Mapping[tuple[str, str], int] | None = None,
    advance: Callable[[int, int], None] | None = None,
) -> Provisioned:
    """Make accounts and labelling projects where they are absent; what stands is kept.

    The free edition assigns nothing, so each annotator has a project of their own per interface.
    A project whose interface changed gets the new one; tasks and answers stay.

    Args:
        client: the lead's.
        seats: what each annotator is to answer with, by their id: lower-case letters, digits,
            dot, dash, underscore.
        password_of: the password for an address, kept where only we can read it.
        recorded: annotator and interface -> the project that they had, whatever its title is now.
        advance: told how many of how many pieces stand.

    Raises:
        FlywheelError: an id is not usable, or the server refuses.
    """
    check_names(list(seats))
    done, total = 0, sum(1 + len(interfaces) for interfaces in seats.values())
    tell = advance or (lambda _done, _total: None)
    tell(done, total)
    client.whoami()
    users = accounts(client)
    projects = labelling_projects(client)
    people: list[Annotator] = []
    made: list[LabellingProject] = []
    for name, interfaces in seats.items():
        address = f"{name}@{_DOMAIN}"
        password = password_of(address)
        if address not in users:
            sign_up(client, address, password)
            users = accounts(client)
        people.append(
            Annotator(annotator_id=name, user_id=users[address], address=address, password=password)
        )
        tell(done := done + 1, total)
        for interface in interfaces:
            before = (recorded or {}).get((name, interface.name))
            project = _project(client, projects, name, interface, before)
            made.append(
                LabellingProject(annotator_id=name, interface=interface.name, project_id=project)
            )
            tell(done := done + 1, total)
    return Provisioned(annotators=tuple(people), projects=tuple(made))


def sign_up(client: LabelStudioClient, address: str, password: str) -> None:
    """Make an account through the sign-up form, with the organisation's invitation.

    Raises:
        FlywheelError: the form was refused.
    """
    invitation = client.request("GET", "api/invite")["invite_url"]
    url = urllib.parse.urljoin(f"{client.url}/", invitation)
    cookies = http.cookiejar.CookieJar()
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(cookies)
    )
    try:
        opener.open(url, timeout=60).close()
        csrf = next((c.value or "" for c in cookies if c.name == "csrftoken"), "")
        form = urllib.parse.urlencode(
            {"csrfmiddlewaretoken": csrf, "email": address, "password": password}
        )
        sent = urllib.request.Request(url, data=form.encode(), headers={"Referer": url})
        with opener.open(sent, timeout=60) as response:
            accepted = "/user/signup" not in response.url
    except (urllib.error.URLError, OSError) as error:
        raise FlywheelError(
            f"Label Studio did not make an account for an annotator ({type(error).__name__}); "
            "look at its log and run again"
        ) from None
    if not accepted:
        raise FlywheelError(
            "Label Studio refused an annotator's sign-up form; remove the half-made account "
            "on its organisation page and run again"
        )


def project_title(annotator_id: str, interface: str) -> str:
    """Return the title that a labelling project is known by."""
    return f"{interface} for {annotator_id}"


def check_names(annotators: Sequence[str]) -> None:
    """Return if these can be annotators' ids.

    Raises:
        FlywheelError: one cannot, is named twice, or there are none.
    """
    wrong = [name for name in annotators if not _NAME.fullmatch(name)]
    twice = sorted({name for name in annotators if annotators.count(name) > 1})
    if wrong or twice or not annotators:
        raise FlywheelError(
            f"annotators: {', '.join([*wrong, *twice]) or 'nobody'} cannot be used; name each "
            "once, 1 to 31 lower-case letters, digits, '.', '-' or '_'"
        )


def accounts(client: LabelStudioClient) -> dict[str, int]:
    """Return the number of every account by its address, in lower case."""
    found: Sequence[Mapping[str, Any]] = client.request("GET", "api/users/")
    return {str(user["email"]).lower(): int(user["id"]) for user in found}


def labelling_projects(client: LabelStudioClient) -> dict[str, Mapping[str, Any]]:
    """Return every project of the server by its title."""
    found: dict[str, Mapping[str, Any]] = {}
    for page in client.pages("api/projects/", {"fields": "all"}):
        found |= {str(each["title"]): each for each in page["results"]}
    return found


def _project(
    client: LabelStudioClient,
    projects: Mapping[str, Mapping[str, Any]],
    annotator: str,
    interface: Interface,
    before: int | None,
) -> int:
    title = project_title(annotator, interface.name)
    wanted: dict[str, Any] = {
        "title": title,
        "label_config": interface.config,
        "expert_instruction": interface.guidelines,
        "show_instruction": True,
        "show_skip_button": False,  # declining is an answer with a reason, skipping is silence
        "enable_empty_annotation": False,
        "show_collab_predictions": False,  # a shown prediction anchors whoever sees it
        "evaluate_predictions_automatically": False,
        "maximum_annotations": 1,
        "sampling": "Sequential sampling",
        "color": interface.colour,
    }
    found = _standing(client, projects, before) or projects.get(title)
    if found is None:
        # The title is how it is found again, so a crash after this line makes no second one.
        return int(client.request("POST", "api/projects/", json=wanted)["id"])
    # A lead may have given it another title.
    kept = {"title"} if found["id"] == before else set()
    changed = {
        name: value
        for name, value in wanted.items()
        if name not in kept and found.get(name) != value
    }
    if changed:
        client.request("PATCH", f"api/projects/{found['id']}/", json=changed)
    return int(found["id"])


def _standing(
    client: LabelStudioClient, projects: Mapping[str, Mapping[str, Any]], number: int | None
) -> Mapping[str, Any] | None:
    """Return the project of that number; None: there is none any more."""
    if number is None:
        return None
    listed = next((each for each in projects.values() if each["id"] == number), None)
    if listed is not None:
        return listed
    # A list that others change meanwhile may miss one; to make it anew would lose its answers.
    try:
        found: Mapping[str, Any] = client.request("GET", f"api/projects/{number}/")
    except ServerRefused as refused:
        if refused.status != HTTPStatus.NOT_FOUND:
            raise
        return None
    return found


def fresh_password() -> str:
    """Return a password that nobody guesses."""
    return secrets.token_urlsafe(12)
