"""The `flywheel` command: it prepares the surroundings, runs one command, and answers its errors.

Exit codes: 0 done; 1 failed inside; 2 the caller's mistake; 3 refused by a gate or a rule of
access; 130 interrupted.
"""

import errno
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from data_contracts.errors import FlywheelError, SensitivityError

if TYPE_CHECKING:
    import typer

DONE, FAILED, MISTAKE, REFUSED, INTERRUPTED = 0, 1, 2, 3, 130

# Read by libraries when they are imported, so they are set before anything is. Dagster's
# is for what it would upload; whether it counts at all is in the launcher's dagster.yaml.
SURROUNDINGS: Final[Mapping[str, str]] = {
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "GX_ANALYTICS_ENABLED": "false",
    "TOKENIZERS_PARALLELISM": "false",
    "DAGSTER_DISABLE_TELEMETRY": "1",
}
# A person's own choice stands.
DEFAULTS: Final[Mapping[str, str]] = {"OMP_NUM_THREADS": "1"}
TRACEBACK: Final = "FLYWHEEL_TRACEBACK"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `flywheel` as a process and leave with its exit code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run one command; whatever goes wrong becomes one sentence on stderr and an exit code."""
    os.environ.update(SURROUNDINGS)
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    if not os.environ.get(TRACEBACK):
        # Advice from one library to another helps nobody here.
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
    try:
        code = build_app()(args=list(arguments), prog_name="flywheel", standalone_mode=False)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        sentence, code = explain(error)
        sys.stderr.write(f"flywheel: {sentence}\n")
    return code if isinstance(code, int) else DONE


def explain(error: Exception) -> tuple[str, int]:
    """Return what to tell the caller of *error*, and the exit code it means."""
    import typer
    from typer._click.exceptions import UsageError  # typer carries its own copy of click

    match error:
        case UsageError():
            command = error.ctx.command_path if error.ctx else "flywheel"
            said = error.format_message().rstrip(".")
            told = f"{said[:1].lower()}{said[1:]} (see `{command} --help`)", MISTAKE
        case typer.Abort():
            told = "stopped", INTERRUPTED
        case FlywheelError():
            told = str(error), _code_of(error)
        case ModuleNotFoundError():
            told = f"the package {error.name} is missing here; run `make setup`", FAILED
        case OSError() if error.errno in (errno.ENOSPC, errno.EDQUOT):
            told = "the disk is full; free some space and run again", FAILED
        case OSError() if error.filename is not None:
            told = f"{error.filename}: {(error.strerror or '').lower()}; check the path", MISTAKE
        case _:
            told = (
                f"something failed that should not ({type(error).__name__}); "
                f"set {TRACEBACK}=1 and run again to see where",
                FAILED,
            )
    return told


def _code_of(error: FlywheelError) -> int:
    from pipelines.releasing import GateRefused
    from pipelines.stores.catalogue import RoleDenied
    from pipelines.stores.pointers import PointerMoved

    if isinstance(error, SensitivityError | RoleDenied | GateRefused):
        return REFUSED
    # A disk's refusal (`pipelines.stores.atomic`) and a lost race are no mistake of the caller's.
    inside = isinstance(error, PointerMoved) or "was not stored: " in str(error)
    return FAILED if inside else MISTAKE


def build_app() -> "typer.Typer":
    """Put the commands together; what a command needs is imported when it runs."""
    import typer

    from pipelines.commands.annotate import annotate_app
    from pipelines.commands.audit import audit
    from pipelines.commands.demo import demo
    from pipelines.commands.denoise import denoise
    from pipelines.commands.doctor import doctor
    from pipelines.commands.evaluate import evaluate
    from pipelines.commands.import_set import import_set
    from pipelines.commands.ingest import ingest
    from pipelines.commands.key import key
    from pipelines.commands.land import land
    from pipelines.commands.promote import promote
    from pipelines.commands.rollback import rollback
    from pipelines.commands.serve import serve
    from pipelines.commands.skills import skills
    from pipelines.commands.train import train
    from pipelines.commands.up import up

    app = typer.Typer(
        name="flywheel",
        help="Turns what people do with generated media into a better model, again and again.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    commands: dict[str, Any] = {
        "demo": demo,
        "up": up,
        "ingest": ingest,
        "key": key,
        "serve": serve,
        "land": land,
        "import": import_set,
        "train": train,
        "denoise": denoise,
        "annotate": annotate_app(),
        "evaluate": evaluate,
        "promote": promote,
        "rollback": rollback,
        "skills": skills,
        "audit": audit,
        "doctor": doctor,
    }
    for name, command in commands.items():
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    return app


if __name__ == "__main__":
    main()
