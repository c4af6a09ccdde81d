"""What `reports/demo.json` may say; every part but the arms may be absent.

Scales: *overall* and its differences run 0 .. 100; every other aspect 0 .. 1 (the page shows
them times 100). Shares, AUC and mockery run 0 .. 1. Turns count turns of the wheel; turn 0 is
before any training. A row without a seed stands for all seeds together.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    model_validator,
)

from data_contracts.errors import ContractError

ArmName = Literal["base", "naive", "sft_only", "explicit_only", "shuffled", "oracle", "ours"]
AspectName = Literal[
    "overall",
    "prompt_alignment",
    "physical_plausibility",
    "aesthetics",
    "temporal_consistency",
    "safety",
]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]

# What two runs with one seed need not share; everything else is a report figure.
RUN_METADATA: Final = ("environment", "time", "memory_peak_mb", "wall_seconds")

_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"


def _png(text: str) -> str:
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("is not base64") from error
    if not content.startswith(_PNG_SIGNATURE):
        raise ValueError("is not a PNG picture")
    return text


class Part(BaseModel):
    """Frozen, finite numbers only, and an unknown field is refused rather than left unshown."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _Between(Part):
    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


class Interval(_Between):
    """A mean with its 95 % bootstrap interval."""

    mean: float


class Validity(_Between):
    """Share of unconstrained samples whose scene parses."""

    share: Share
    samples: Count | None = None


class Diversity(_Between):
    """How different the samples of one prompt are, in any unit that stays the same across arms."""

    value: float


class GateRule(Part):
    """One rule of the release gate and what it saw."""

    rule: str
    passed: bool
    detail: str = ""
    asked: bool = True  # False: there was nothing to hold it against


class Turn(Part):
    """One arm after one turn of the wheel; *released* is None where no gate decides (base)."""

    turn: Count
    seed: int | None = None
    released: bool | None = None
    checkpoint: str | None = None
    gate: tuple[GateRule, ...] = ()
    quality: dict[AspectName, Interval] = {}
    validity: Validity | None = None
    diversity: Diversity | None = None

    @model_validator(mode="after")
    def _on_their_scales(self) -> Self:
        for aspect, value in self.quality.items():
            top = 100 if aspect == "overall" else 1
            if not 0 <= value.mean <= top:
                raise ValueError(f"{aspect} runs from 0 to {top}")
        return self


class Arm(Part):
    """One way to turn the wheel; *title* and *explains* default to the page's own words."""

    name: ArmName
    title: str | None = None
    explains: str | None = None
    turns: tuple[Turn, ...] = ()


class Comparison(_Between):
    """*arm* minus *against*, paired over prompts and seeds; without *turn*: after the last one."""

    arm: ArmName
    against: ArmName
    aspect: AspectName = "overall"
    turn: Count | None = None
    difference: float
    prompts: Count | None = None
    seeds: tuple[int, ...] = ()


class ArmPictures(Part):
    """What one arm drew for a prompt: PNG as base64, with true overall quality, one each."""

    name: ArmName
    images: tuple[Annotated[str, AfterValidator(_png)], ...]
    overall: tuple[Annotated[float, Field(ge=0, le=100)] | None, ...] = ()


class Pictures(Part):
    """One held-out prompt as every arm draws it after its last turn."""

    prompt: str
    arms: tuple[ArmPictures, ...]


class Confusion(Part):
    """Counts of users: rows are the intent found to prevail, columns the true one."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    counts: tuple[tuple[Count, ...], ...]

    @model_validator(mode="after")
    def _rectangular(self) -> Self:
        if len(self.counts) != len(self.rows) or any(
            len(row) != len(self.columns) for row in self.counts
        ):
            raise ValueError("counts must be rows x columns")
        return self


class MockShare(Part):
    """Share of downloads that were mockery, in truth and by the shares found for their users."""

    true: Share
    found: Share


class UserShare(Part):
    """The inferred share of a user's signals that mock, beside the truth."""

    mock_share: Share
    is_mocker: bool


class ExampleUser(UserShare):
    """One simulated user to look at: a pseudonymous id, actions counted by kind, a remark."""

    user: str
    actions: dict[str, Count] = {}
    remark: str = ""


class Intents(Part):
    """What the de-noiser took signals to mean; *mocker_auc* is None where only one kind exists."""

    arm: ArmName
    turn: Count
    seed: int | None = None
    found_against_truth: Confusion | None = None
    mocker_auc: Share | None = None
    mock_share_of_downloads: MockShare | None = None
    users: tuple[UserShare, ...] = ()
    example_users: tuple[ExampleUser, ...] = ()


class Drop(Part):
    """Rows that were left out at one stage for one reason."""

    arm: ArmName
    turn: Count
    seed: int | None = None
    stage: str
    reason: str
    rows: Count


class Agreement(Part):
    """Krippendorff's alpha of the annotators; None where it is undefined."""

    arm: ArmName
    turn: Count
    seed: int | None = None
    aspect: AspectName
    alpha: float | None = None
    low: float | None = None
    high: float | None = None
    answers: Count | None = None


class UnderSkill(Part):
    """What an arm draws for held-out prompts under one skill; *skill_id* is None without any."""

    arm: ArmName
    turn: Count
    seed: int | None = None
    skill_id: str | None = None
    prompts: Count
    quality: Interval  # overall; the guidance counts as much as the prompt
    followed: dict[str, Interval]  # share of pictures that follow each skill, by id


class Curve(Part):
    """One training metric over steps; a value is None where it was not finite."""

    arm: ArmName
    turn: Count
    seed: int | None = None
    stage: str
    metric: str
    steps: tuple[int, ...]
    values: tuple[float | None, ...]

    @model_validator(mode="after")
    def _paired(self) -> Self:
        if len(self.steps) != len(self.values):
            raise ValueError("steps and values differ in length")
        return self


class StageTime(Part):
    """Seconds of wall time that one stage of one turn took."""

    arm: ArmName
    turn: Count
    seed: int | None = None
    stage: str
    seconds: Annotated[float, Field(ge=0)]


class Surroundings(Part):
    """The machine and library versions of a run."""

    cores: Count | None = None
    device: str | None = None
    versions: dict[str, str] = {}


class Demo(Part):
    """Everything the report shows."""

    format: Literal[1] = 1
    simulated: Literal[True] = True
    command: str | None = None  # what to type to repeat the run
    seeds: tuple[int, ...] = ()
    mockery: Share | None = None
    settings: dict[str, JsonValue] = {}
    environment: Surroundings = Surroundings()
    arms: Annotated[tuple[Arm, ...], Field(min_length=1)]
    comparisons: tuple[Comparison, ...] = ()
    pictures: tuple[Pictures, ...] = ()
    intents: tuple[Intents, ...] = ()
    drops: tuple[Drop, ...] = ()
    agreement: tuple[Agreement, ...] = ()
    skills: tuple[UnderSkill, ...] = ()
    curves: tuple[Curve, ...] = ()
    time: tuple[StageTime, ...] = ()
    memory_peak_mb: float | None = None
    wall_seconds: float | None = None

    @model_validator(mode="after")
    def _one_row_an_arm(self) -> Self:
        names = [arm.name for arm in self.arms]
        if len(set(names)) < len(names):
            raise ValueError("an arm appears twice; put all its turns and seeds in one")
        return self


def parse_demo(demo: Mapping[str, Any]) -> Demo:
    """Read the content of `demo.json`.

    Raises:
        ContractError: names every refused field; never shows its value.
    """
    try:
        return Demo.model_validate(demo)
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False)
        lines = [f"  {_where(problem['loc'])}: {problem['msg']}" for problem in problems]
        raise ContractError(
            "\n".join([f"report: {len(lines)} fields of demo.json refused", *lines])
        ) from None


def _where(location: tuple[int | str, ...]) -> str:
    return ".".join(str(step) for step in location) or "demo"
