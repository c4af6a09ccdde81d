"""Records: the frames of one public set as prompts, generations and annotations."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from data_contracts.aspects import ASPECT_TABLE
from data_contracts.errors import ContractError
from data_contracts.ids import Digest
from data_contracts.schemas import ANNOTATION, GENERATION, PROMPT
from pipelines.intake.importers.imported import TENANT, opaque_id
from pipelines.stores.digests import bytes_digest

PEOPLE: Final = "people"
MACHINE: Final = "machine"  # the last word of the origin of a machine's answer
GOLD: Final = "gold"  # and of a right answer that is held back to measure others
_MODALITIES: Final = {each.name: each.modalities for each in ASPECT_TABLE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """Makes the records of one set; *question* names what was asked where a set asks several."""

    project: str
    modality: str

    def ids(self, prefix: str, *columns: pd.Series) -> list[str]:
        """Name each row by its *columns*; equal rows have equal names."""
        rows = zip(*(column.tolist() for column in columns), strict=True)
        known: dict[tuple[Any, ...], str] = {}
        return [
            known.get(row) or known.setdefault(row, opaque_id(prefix, self.project, *row))
            for row in rows
        ]

    def origin(self, *details: str) -> str:
        """Say how an answer came about: "import:SET", then what else is known."""
        return ":".join(("import", self.project, *(each for each in details if each)))

    def prompts(self, rows: pd.DataFrame) -> pa.Table:
        """Make prompts of prompt_id, text; each once."""
        return frame_table(rows.drop_duplicates("prompt_id"), PROMPT)

    def generations(self, rows: pd.DataFrame) -> pa.Table:
        """Make generations of generation_id, prompt_id, model_release, what else; each once."""
        rows = rows.drop_duplicates("generation_id").assign(
            tenant_id=TENANT, project_id=self.project, modality=self.modality
        )
        return frame_table(rows, GENERATION)

    def ratings(
        self, rows: pd.DataFrame, *, aspect: str, value: pd.Series, scale: str, question: str = ""
    ) -> pd.DataFrame:
        """Make ratings of generation_id and, where known, annotator_id and lead_time_s."""
        self._require(aspect)
        return _columns(rows, "generation_id", "annotator_id", "lead_time_s").assign(
            kind="rating",
            aspect=aspect,
            value=value.astype(np.float64),
            scale=scale,
            question=question,
            task_id=self.ids(f"t{question}", rows["generation_id"]),
            origin=self.origin(question),
        )

    def comparisons(
        self, rows: pd.DataFrame, *, aspect: str, question: str = "", by: str = ""
    ) -> pd.DataFrame:
        """Make comparisons of first_id, second_id, value (for the first, -2 .. 2), annotator_id.

        Which of the two becomes *generation_id* is decided by a hash of the pair, so that the
        place says nothing about who won. *shown_left*, *is_gold* are taken over where given.
        """
        self._require(aspect)
        pairs = [sorted(pair) for pair in zip(rows["first_id"], rows["second_id"], strict=True)]
        tasks = [opaque_id(f"t{question}", self.project, *pair) for pair in pairs]
        # The coin must not know which was chosen: it is tossed for the unordered pair.
        heads = np.array(
            [int(hashlib.sha256(task.encode()).hexdigest(), 16) % 2 for task in tasks], dtype=bool
        )
        small, large = (np.array([p[n] for p in pairs], dtype=object) for n in (0, 1))
        generation = np.where(heads, large, small)
        turned = generation != rows["first_id"].to_numpy()
        value = rows["value"].to_numpy(np.float64)
        return _columns(rows, "annotator_id", "shown_left", "is_gold").assign(
            kind="comparison",
            aspect=aspect,
            generation_id=generation,
            other_generation_id=np.where(heads, small, large),
            value=np.where(turned, -value, value) + 0.0,  # no negative zero
            scale="-2..2",
            question=question,
            task_id=tasks,
            origin=self.origin(question, by),
        )

    def annotations(self, *parts: pd.DataFrame) -> pa.Table:
        """Name the answers and make their table, in the order given.

        A second answer by one annotator to one question stays: it is evidence of how steady
        they are.
        """
        rows = pd.concat(parts, ignore_index=True)
        who = rows.get("annotator_id", pd.Series(None, index=rows.index, dtype=object))
        asked = rows["task_id"] + "\x1f" + who.fillna("").astype(str)
        nth = asked.groupby([asked, rows["kind"]], sort=False).cumcount()
        names = self.ids("an", rows["task_id"], who.fillna("").astype(str), rows["kind"], nth)
        return frame_table(rows.assign(annotation_id=names), ANNOTATION)

    def _require(self, aspect: str) -> None:
        if self.modality not in _MODALITIES.get(aspect, ()):
            raise ContractError(
                f"{self.project}: the table of aspects has no {aspect} of {self.modality}; "
                "map the question to another aspect"
            )


def asked(origin: str) -> tuple[str, str]:
    """Read an origin back: the question (empty where a set has one), and who answered.

    Who is "people", MACHINE or GOLD.
    """
    details = origin.split(":")[2:]
    who = details.pop() if details and details[-1] in (MACHINE, GOLD) else PEOPLE
    return ":".join(details), who


def text_blobs(texts: pd.Series) -> tuple[list[Digest], Mapping[Digest, bytes]]:
    """Return the digest of each text, and the content by digest."""
    content = {text: text.encode() for text in texts}
    digests = {text: bytes_digest(each) for text, each in content.items()}
    return [digests[text] for text in texts], {digests[t]: c for t, c in content.items()}


def machine_id(*names: str) -> str:
    """Name a machine judge so that people can read which it is; a machine has no privacy."""
    return "machine:" + "/".join(names).replace(" ", "_")


def frame_table(rows: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """Make a table of *schema*; a column that *rows* lacks is null."""
    columns = [
        pa.array(rows[field.name], field.type, from_pandas=True)
        if field.name in rows
        else pa.nulls(len(rows), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _columns(rows: pd.DataFrame, *names: str) -> pd.DataFrame:
    return rows[[name for name in names if name in rows]].copy()
