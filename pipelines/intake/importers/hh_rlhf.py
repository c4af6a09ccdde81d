"""HH-RLHF, harmless-base: which of two continuations of a dialogue a person found harmless.

Source: Bai et al., Training a Helpful and Harmless Assistant with RLHF, arXiv:2204.05862.
"""

import gzip
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from data_contracts.errors import FlywheelError
from data_contracts.ids import Digest
from data_contracts.schemas import ANNOTATION, GENERATION, PROMPT
from pipelines.intake.importers.imported import (
    IMPORT_QUARANTINE,
    TENANT,
    Imported,
    PublicSet,
    opaque_id,
    rows_table,
)
from pipelines.intake.limits import DEFAULT_LIMITS
from pipelines.stores.digests import bytes_digest, file_digest

PROJECT: Final = "hh_rlhf"
_CUE: Final = "\n\nAssistant:"


def read_hh_rlhf(path: Path) -> Imported:
    """Read the pairs in *path*: a .jsonl.gz or .jsonl file, or a folder with one such file.

    The prompt is what both dialogues share, up to and with the last "Assistant:" of it; the
    answers are what follows, without surrounding blanks. Where the two part before the last
    turn, the later turns were written by the model and belong to its answer. An empty answer is
    an answer. Which of the two answers is *generation_id* is decided by a hash, so that the
    position says nothing; the value says which was chosen.

    Notes: pairs, prompts, generations, empty_answers, pairs_of_several_turns.

    Raises:
        FlywheelError: no such file, or it is cut off.
    """
    file = _one_file(path)
    source = file_digest(file)
    prompts: dict[str, dict[str, Any]] = {}
    generations: dict[str, dict[str, Any]] = {}
    blobs: dict[Digest, bytes] = {}
    annotations: list[dict[str, Any]] = []
    quarantined: list[dict[str, Any]] = []
    empty = several = received = 0
    for number, line in enumerate(_lines(file)):
        received += 1
        dialogues = _dialogues(line)
        parts = None if dialogues is None else _part(*dialogues)
        reason = "unparsable" if dialogues is None else "no_shared_prompt"
        if parts is not None and parts[1] == parts[2]:
            parts, reason = None, "same_answer"
        if parts is None:
            quarantined.append({"row": number, "reason": reason, "source": source})
            continue
        text, *answers = parts
        prompt_id = opaque_id("p", PROJECT, text)
        prompts[prompt_id] = {"prompt_id": prompt_id, "text": text}
        ids = []
        for answer in answers:
            content = answer.encode()
            digest = bytes_digest(content)
            blobs[digest] = content
            ids.append(opaque_id("g", PROJECT, prompt_id, digest))
            generations[ids[-1]] = {
                "generation_id": ids[-1],
                "tenant_id": TENANT,
                "project_id": PROJECT,
                "prompt_id": prompt_id,
                "model_release": "unrecorded",
                "modality": "text",
                "blob": digest,
            }
        annotations.append(_comparison(*ids, number=number))
        empty += sum(not answer for answer in answers)
        several += any(_CUE in answer for answer in answers)
    return Imported(
        prompts=rows_table(list(prompts.values()), PROMPT),
        generations=rows_table(list(generations.values()), GENERATION),
        annotations=rows_table(annotations, ANNOTATION),
        blobs=blobs,
        quarantined=rows_table(quarantined, IMPORT_QUARANTINE),
        received=received,
        accepted=len(annotations),
        notes={
            "pairs": len(annotations),
            "prompts": len(prompts),
            "generations": len(generations),
            "empty_answers": empty,
            "pairs_of_several_turns": several,
        },
    )


def _comparison(chosen_id: str, rejected_id: str, *, number: int) -> dict[str, Any]:
    task_id = opaque_id("t", PROJECT, *sorted((chosen_id, rejected_id)))
    # The coin must not know which was chosen: it is tossed for the unordered pair.
    smaller_first = int(hashlib.sha256(task_id.encode()).hexdigest(), 16) % 2 == 0
    first = min(chosen_id, rejected_id) if smaller_first else max(chosen_id, rejected_id)
    return {
        "annotation_id": opaque_id("an", PROJECT, task_id, number),
        "task_id": task_id,
        "kind": "comparison",
        "generation_id": first,
        "other_generation_id": rejected_id if first == chosen_id else chosen_id,
        "aspect": "safety",
        "value": 2.0 if first == chosen_id else -2.0,
        "scale": "-2..2",
        "origin": f"import:{PROJECT}",
    }


def _part(chosen: str, rejected: str) -> tuple[str, str, str] | None:
    """Part two dialogues into their shared prompt and their answers; None if none is shared."""
    shared = os.path.commonprefix([chosen, rejected])  # noqa: RUF071 - characters are meant
    cue = shared.rfind(_CUE)
    if cue < 0:
        return None
    start = cue + len(_CUE)
    return chosen[:start].lstrip("\n"), chosen[start:].strip(), rejected[start:].strip()


def _dialogues(line: str) -> tuple[str, str] | None:
    try:
        pair = json.loads(line)
        chosen, rejected = pair["chosen"], pair["rejected"]
        (chosen + rejected).encode()  # lone surrogates cannot be stored
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return chosen, rejected


def _one_file(path: Path) -> Path:
    if path.is_file():
        return path
    found = sorted([*path.glob("*.jsonl.gz"), *path.glob("*.jsonl")])
    if len(found) != 1:
        raise FlywheelError(f"{path}: holds {len(found)} .jsonl or .jsonl.gz files; give one")
    return found[0]


def _lines(file: Path) -> Iterator[str]:
    """Yield the lines that are not blank, unpacking at most as much as one delivery may hold."""
    left = DEFAULT_LIMITS.file_bytes
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
            while line := stream.readline(left + 1):
                left -= len(line)
                if left < 0:
                    raise FlywheelError(f"{file}: unpacks to more than is allowed at once")
                if not line.isspace():
                    yield line.decode("utf-8", errors="surrogateescape")
    except (OSError, EOFError) as error:
        raise FlywheelError(f"{file}: cannot be read to its end; send it again") from error


HH_RLHF: Final = PublicSet(
    name="hh_rlhf",
    read=read_hh_rlhf,
    says="People were shown two continuations of a dialogue and chose the more harmless one. "
    "The texts can be offensive: they are trained on, and never shown or logged.",
    source="Bai et al., Training a Helpful and Harmless Assistant with RLHF, arXiv:2204.05862",
    licence="MIT",
)
