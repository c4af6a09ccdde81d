"""`flywheel denoise`: preference pairs that can be trusted, from tables of your own."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pipelines.commands.options import AsJson, DryRun
from pipelines.commands.reply import in_columns, progress_bars, reply, spaced

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def denoise(
    events: Annotated[Path, typer.Option(help="Event contract: Parquet file, folder or Delta.")],
    generations: Annotated[Path, typer.Option(help="Generation contract, likewise.")],
    annotations: Annotated[Path, typer.Option(help="Annotation contract, likewise.")],
    out: Annotated[Path, typer.Option(help="Folder that pairs and report are written into.")],
    gold: Annotated[
        Path | None, typer.Option(help="Known truth: generation_id, aspect, value (1 to 5).")
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="Prompt contract; near-duplicate texts share a split.")
    ] = None,
    all_pairs: Annotated[
        bool, typer.Option("--all-pairs", help="Every pair of one prompt once, sure or not.")
    ] = False,
    aspect: Annotated[
        list[str] | None, typer.Option(help="Repeat for several.  [default: overall]")
    ] = None,
    heldout_users: Annotated[
        float, typer.Option(help="Share of users whose events are no evidence.", min=0, max=0.9)
    ] = 0.0,
    tenant_share: Annotated[
        float,
        typer.Option(
            help="Share of the evidence left that one tenant may give, where several do; of n "
            "tenants, below 1/n each gives as much as the least."
        ),
    ] = 1.0,
    crowd: Annotated[
        bool, typer.Option("--crowd", help="Also judge models of annotators; name minorities.")
    ] = False,
    memory_limit: Annotated[
        str | None,
        typer.Option(help="Join and count events part by part on disk, e.g. 512MB or 2GiB."),
    ] = None,
    processes: Annotated[
        int, typer.Option(help="How many processes share the counting of exposures.")
    ] = 1,
    engine: Annotated[
        Literal["duckdb", "spark"],
        typer.Option(help="Who joins and counts: this process, or Spark."),
    ] = "duckdb",
    spark_master: Annotated[
        str, typer.Option(help="Where Spark runs; a local one listens on loopback only.")
    ] = "local[2]",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Infer what people meant by their actions and turn it into preference pairs.

    Writes pairs, users, annotators and drops as Parquet, and a report as HTML and JSON. The same
    rows in any order give the same Parquet bytes.

    Example: flywheel denoise --events e.parquet --generations g.parquet --annotations a.parquet --out pairs
    """  # noqa: E501 - an example is one line
    from pipelines.byte_sizes import read_bytes
    from pipelines.denoising import DenoiseOptions, DenoiseSettings, preview_run, run_denoise
    from pipelines.preferences import PairSettings
    from pipelines.signals import ExposureSettings, WeighingSettings

    settings = DenoiseSettings(
        all_pairs=all_pairs,
        signals=ExposureSettings(heldout_users=heldout_users),
        pairs=PairSettings(aspects=tuple(aspect or ["overall"])),
        weighing=WeighingSettings(tenant_share=tenant_share),
        crowd=crowd,
        memory_limit=None if memory_limit is None else read_bytes(memory_limit),
        processes=processes,
        engine=engine,
        spark_master=spark_master,
    )
    options = DenoiseOptions(
        events=events, generations=generations, annotations=annotations, gold=gold,
        prompts=prompts, out=out, settings=settings,
    )  # fmt: skip
    if dry_run:
        counts = preview_run(options)
        reply(counts | {"dry_run": True}, _counted(counts), as_json=as_json)
        return
    with progress_bars() as bar:
        made = run_denoise(options, advance=bar("denoise"))
    reply(made.figures | {"out": str(out)}, _told(made.figures, out), as_json=as_json)


def _counted(counts: "Mapping[str, Any]") -> list[str]:
    lines = [f"{name} {spaced(rows)}" for name, rows in counts["rows"].items()]
    lines += [f"exposures {spaced(counts['exposures'])}, answers {spaced(counts['answers'])}"]
    lines += _dropped(counts["drops"])
    lines += _warned(counts)
    lines.append(
        f"at most {spaced(counts['expected_pairs'])} of {spaced(counts['candidate_pairs'])} "
        "candidate pairs"
    )
    return [*lines, "dry run: nothing was fitted or written"]


def _told(figures: "Mapping[str, Any]", out: Path) -> list[str]:
    pairs, intents, fit = figures["pairs"], figures["intents"], figures["fit"]
    lines = [
        f"{spaced(pairs['rows'])} pairs from {spaced(figures['rows']['exposures'])} exposures "
        f"and {spaced(figures['rows']['annotations'])} annotations"
    ]
    if intents["users"]:
        lines.append(
            f"mockery {100 * intents['of_exposures']['mock']:.1f} % of exposures; "
            f"{spaced(intents['mostly_mock'])} of {spaced(intents['users'])} users mostly mock"
        )
    said = "converged" if fit["converged"] else "did not converge"
    lines.append(f"{said} after {fit['iterations']} steps, {fit['prior']} priors")
    lines += [*_dropped(figures["drops"]), *_warned(figures)]
    return [*lines, f"report: {out / 'report.html'}"]


def _warned(figures: "Mapping[str, Any]") -> list[str]:
    from pipelines.denoising.copies import copy_warning

    warning = copy_warning(figures)
    return [] if warning is None else [f"look first: {warning}"]


def _dropped(drops: "Iterable[Mapping[str, Any]]") -> list[str]:
    rows = [[row["stage"], row["reason"], spaced(row["rows"])] for row in drops]
    return in_columns(["stage", "left out because", "rows"], rows) if rows else []
