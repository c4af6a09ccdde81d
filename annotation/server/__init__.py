"""A Label Studio server of our own: installed once, started on loopback with safe settings."""

from annotation.server.installation import environment_folder, install
from annotation.server.process import (
    ServerStatus,
    check_port,
    launch,
    outlive_us,
    server_status,
    start,
    stop,
)
from annotation.server.provisioning import Annotator, LabellingProject, Provisioned, provision
from annotation.server.secrets import ServerSecrets, read_or_make_secrets
from annotation.server.signing_in import personal_token

__all__ = [
    "Annotator", "LabellingProject", "Provisioned", "ServerSecrets", "ServerStatus",
    "check_port", "environment_folder", "install", "launch", "outlive_us", "personal_token",
    "provision", "read_or_make_secrets", "server_status", "start", "stop",
]  # fmt: skip
