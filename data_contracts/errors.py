"""What can go wrong, in one sentence that says what, where and what to do; ids, never content."""


class FlywheelError(Exception):
    """A mistake or failure that a person can act on; the CLI prints its text, no traceback."""


class ContractError(FlywheelError):
    """Rows break a data contract."""


class ShapeError(FlywheelError):
    """Arrays that belong together disagree on a shared axis."""


class SensitivityError(FlywheelError):
    """A reader lacks an owner of what it asked for, or a sensitivity label is missing."""
