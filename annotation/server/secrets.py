"""The keys of one server: made once, readable by us alone, never printed."""

import json
import os
import secrets
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

from data_contracts.errors import FlywheelError

LEAD: Final = "lead@flywheel.local"
SECRETS: Final = "secrets.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSecrets:
    """What must stay between us and one server."""

    secret_key: str = field(repr=False)  # signs the server's sessions
    lead_password: str = field(repr=False)
    lead_token: str = field(repr=False)  # 40 hex digits, as Label Studio wants them
    passwords: dict[str, str] = field(default_factory=dict, repr=False)  # by annotator's address


def read_or_make_secrets(folder: Path) -> ServerSecrets:
    """Return the keys kept in *folder*, made on first use.

    Raises:
        FlywheelError: the file is damaged.
    """
    file = folder / SECRETS
    if not file.is_file():
        fresh = ServerSecrets(
            secret_key=secrets.token_urlsafe(48),
            lead_password=secrets.token_urlsafe(18),
            lead_token=secrets.token_hex(20),
        )
        write_secrets(folder, fresh)
        return fresh
    try:
        return ServerSecrets(**json.loads(file.read_text("utf-8")))
    except (ValueError, TypeError):
        raise FlywheelError(
            f"{folder.name}/{file.name} is damaged; restore it from a copy, for the server's "
            "accounts and the record of who answered belong together"
        ) from None


def with_password(folder: Path, address: str) -> tuple[ServerSecrets, str]:
    """Return the keys and the password of *address*, made and kept on first use."""
    known = read_or_make_secrets(folder)
    if address not in known.passwords:
        made = secrets.token_urlsafe(12)
        known = replace(known, passwords=known.passwords | {address: made})
        write_secrets(folder, known)
    return known, known.passwords[address]


def write_secrets(folder: Path, known: ServerSecrets) -> None:
    """Keep *known* in *folder*: whole or not at all, readable by us alone."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = folder / f".{SECRETS}.{os.getpid()}"
    descriptor = os.open(partial, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(known), file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(folder / SECRETS)
