"""Interfaces: what annotators see, as Label Studio markup from the aspects and one taxonomy."""

from annotation.interfaces.controls import Form
from annotation.interfaces.interface import (
    FORMS,
    INTERFACES,
    Interface,
    build_interface,
    interface_named,
)
from annotation.interfaces.taxonomy import (
    Reason,
    aspects_named,
    default_taxonomy,
    read_taxonomy,
)

__all__ = [
    "FORMS", "INTERFACES", "Form", "Interface", "Reason", "aspects_named", "build_interface",
    "default_taxonomy", "interface_named", "read_taxonomy",
]  # fmt: skip
