"""Dataset card: what a snapshot of pairs is made of, for people who must answer for it."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.preferences.intent import IntentFit
from pipelines.signals.drops import drop_counts

KNOWN_BIASES = (
    "Only generations that were shown or annotated have evidence; what users never saw is absent.",
    "Signals speak for the users who act; held-out users are left out on purpose.",
    "A taste shared by most users cannot be told from quality.",
    "Intent is inferred under priors; where few answers cover the prompts, wrong priors stay.",
)

Card = dict[str, object]
NO_SKILL = "no skill"


def dataset_card(
    pairs: pa.Table,
    drops: pa.Table,
    fit: IntentFit | None,
    *,
    origin: str,
    agreement: Mapping[str, float | None] | None = None,
    gaps: Sequence[str] = (),
    generations: pa.Table | None = None,
) -> Card:
    """Describe the pairs: counts, drops, intents, agreement, biases and gaps; no content.

    Args:
        pairs: preference_pair rows.
        drops: drops of every stage, joined.
        fit: where the probabilities come from; None for pairs made otherwise.
        origin: one sentence: where signals and answers come from, simulated or not.
        agreement: Krippendorff's alpha by aspect, as measured before aggregation.
        gaps: what is known to be missing here, beside KNOWN_BIASES.
        generations: generation contract; where some were made under skills, pairs are counted by
            skill, by id and never by text. None: there are no skills.
    """
    probability = pairs["probability"].to_numpy()
    card: Card = {
        "origin": origin,
        "pairs": pairs.num_rows,
        "prompts": pc.count_distinct(pairs["prompt_id"]).as_py(),
        "by_split": _counts(pairs["split"]),
        "by_aspect": _counts(pairs["aspect"]),
        "by_source": _counts(pc.list_flatten(pairs["sources"])),
        "confidence_quartiles": np.quantile(probability, (0.25, 0.5, 0.75)).round(4).tolist()
        if len(probability)
        else [],
        "drops": drop_counts(drops),
        "agreement": dict(agreement or {}),
        "known_biases": list(KNOWN_BIASES),
        "gaps": [*gaps, *_gaps(pairs, fit)],
    }
    by_skill = pairs_by_skill(pairs, generations) if generations is not None else {}
    if set(by_skill) - {NO_SKILL}:
        card["by_skill"] = by_skill
    if fit is not None:
        card["intents"] = {name: round(share, 4) for name, share in fit.intent_shares.items()}
        card["users"] = len(fit.users)
        card["users_who_mostly_mock"] = int((fit.user_mock_share > 0.5).sum())
        card["annotators"] = pc.count_distinct(fit.annotators["annotator_id"]).as_py()
        card["fit"] = {
            "iterations": fit.iterations,
            "converged": fit.converged,
            "prior": fit.prior,
        }
    return card


def pairs_by_skill(pairs: pa.Table, generations: pa.Table) -> dict[str, int]:
    """Count *pairs* by the skill that both of each were made under, ids in order."""
    place = pc.index_in(
        pairs["chosen_id"], value_set=generations["generation_id"].combine_chunks()
    ).combine_chunks()
    under = generations["skill_id"].combine_chunks().take(place)
    return _counts(pa.chunked_array([pc.fill_null(under, NO_SKILL)]))


def card_markdown(card: Card) -> str:
    """Render the card as Markdown, sections in a fixed order."""
    lines = ["# Preference pairs: dataset card", "", str(card["origin"]), ""]
    for name, value in card.items():
        if name == "origin":
            continue
        title = name.replace("_", " ").capitalize()
        if isinstance(value, Mapping):
            lines += [f"## {title}", "", *_rows(value, ids=name == "by_skill"), ""]
        elif isinstance(value, list) and value and isinstance(value[0], str):
            lines += [f"## {title}", "", *[f"- {line}" for line in value], ""]
        else:
            lines += [f"**{title}**: {_text(value)}", ""]
    return "\n".join(lines).rstrip() + "\n"


def _rows(values: Mapping[str, object], *, ids: bool) -> list[str]:
    if not values:
        return ["none"]
    names = values if ids else [name.replace("_", " ") for name in values]
    body = [f"| {name} | {_text(v)} |" for name, v in zip(names, values.values(), strict=True)]
    return ["| | |", "|---|---|", *body]


def _text(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, list):
        return ", ".join(_text(part) for part in value) or "none"
    return "not measured" if value is None else str(value)


def _counts(values: pa.ChunkedArray) -> dict[str, int]:
    counted = pc.value_counts(values).to_pylist()
    return {row["values"]: row["counts"] for row in sorted(counted, key=lambda r: r["values"])}


def _gaps(pairs: pa.Table, fit: IntentFit | None) -> list[str]:
    found = []
    if pairs.num_rows == 0:
        found.append("No pair was kept; see the drops.")
    if fit is None:
        return found
    if not fit.converged:
        found.append("The fit stopped at its step limit before it converged.")
    if not fit.annotators.num_rows:
        found.append("No annotator answered: what signals mean rests on the designed priors.")
    if not fit.users:
        found.append("No exposures: the pairs rest on annotators alone.")
    silent = int(len(fit.has_evidence) - fit.has_evidence.sum())
    if silent:
        found.append(f"{silent:,} generations have no evidence at all.")
    return found
