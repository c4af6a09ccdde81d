"""The reference of the command line, written from the commands themselves.

python -m pipelines.commands.reference > docs/reference/command-line.md
"""

import inspect
from typing import Any, Final

import typer

from pipelines.cli import build_app

_HEAD: Final = """# Command line

Written by `python -m pipelines.commands.reference`; a test keeps it in step with the code.

Answers go to stdout, progress and complaints to stderr. `--json` answers with one JSON object,
`--dry-run` says what would be done and writes nothing. Whatever goes wrong is one sentence;
`FLYWHEEL_TRACEBACK=1` shows where a failure inside came from.

| exit code | means |
|---|---|
| 0 | done |
| 1 | failed inside: a full disk, a lost race, something damaged, a defect |
| 2 | the caller's mistake: input, options, names |
| 3 | refused by a gate or a rule of access |
| 130 | interrupted |
"""


def command_line_reference() -> str:
    """Return the reference as Markdown: every command with its words, options and example."""
    group: Any = typer.main.get_command(build_app())
    parts = [_HEAD]
    for name, command in group.commands.items():
        parts += [
            _section(f"flywheel {words}", each)
            for words, each in (
                [(f"{name} {under}", each) for under, each in command.commands.items()]
                if hasattr(command, "commands")
                else [(name, command)]
            )
        ]
    return "\n".join(parts)


def _section(title: str, command: Any) -> str:
    said = inspect.cleandoc(command.help or "").split("\n\n")
    prose = [each.replace("\n", " ") for each in said if not each.startswith("Example:")]
    example = next(each for each in said if each.startswith("Example:"))
    rows = [_row(each) for each in command.params if each.name != "help"]
    return "\n".join(
        [
            f"## {title}",
            "",
            "\n\n".join(prose),
            "",
            f"```\n{example.removeprefix('Example:').strip()}\n```",
            "",
            "| option | default | meaning |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def _row(parameter: Any) -> str:
    meaning, _, stated = (parameter.help or "").partition("  [default: ")
    default = stated.rstrip("]") or _written(parameter.default)
    if parameter.param_type_name == "argument":
        name, needed = f"`{parameter.name.upper()}`", parameter.required
    else:
        name, needed = ", ".join(f"`{each}`" for each in parameter.opts), parameter.required
    return f"| {name} | {'needed' if needed else default} | {meaning.strip()} |"


def _written(default: object) -> str:
    return "" if default in (None, "", False) or default == () else f"`{default}`"


if __name__ == "__main__":
    typer.echo(command_line_reference(), nl=False)
