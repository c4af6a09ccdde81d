"""Media: artifacts go out to who was given them, through one door per zone."""

from pipelines.media.door import build_door
from pipelines.media.signing import MediaRefused, check_signature, signed_path

__all__ = ["MediaRefused", "build_door", "check_signature", "signed_path"]
