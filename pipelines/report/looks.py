"""How each arm looks and is called, in order of telling; one palette for plots and page."""

from dataclasses import dataclass
from typing import Final

from pipelines.report.model import ArmName, AspectName


@dataclass(frozen=True, slots=True, kw_only=True)
class Ink:
    """One colour on paper and the same one at night, as lower-case hex."""

    light: str
    dark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmLook:
    """An arm's fixed words, colour and marker (colour is never the only cue)."""

    title: str
    explains: str
    ink: Ink
    marker: str  # of matplotlib
    glyph: str  # the same shape in text


# Hues after Okabe & Ito (2008), shifted until each has contrast 3 : 1 on its paper.
ARMS: Final[dict[ArmName, ArmLook]] = {
    "base": ArmLook(
        title="Base",
        explains=(
            "The pre-trained model before any turn of the wheel: it has seen good and flawed "
            "scenes alike and does not tell them apart."
        ),
        ink=Ink(light="#6f7680", dark="#9ba4af"),
        marker="o",
        glyph="●",
    ),
    "naive": ArmLook(
        title="Naive",
        explains=(
            "Every like and every download counts as praise. This is what many feedback loops do."
        ),
        ink=Ink(light="#c9540a", dark="#ff8f52"),
        marker="v",
        glyph="▼",
    ),
    "sft_only": ArmLook(
        title="SFT only",
        explains=(
            "Imitates the generations that ours prefers, at equal compute, but never learns "
            "from the contrast between a better and a worse one."
        ),
        ink=Ink(light="#00886a", dark="#3fc8a4"),
        marker="s",
        glyph="■",
    ),
    "explicit_only": ArmLook(
        title="Explicit only",
        explains="Learns from annotators' answers alone; what users did is ignored.",
        ink=Ink(light="#b5578f", dark="#e59cc6"),
        marker="D",
        glyph="◆",
    ),
    "shuffled": ArmLook(
        title="Shuffled",
        explains=(
            "Ours, with chosen and rejected swapped at random. It must gain nothing: if it "
            "does, the gain is not from preferences."
        ),
        ink=Ink(light="#a67a00", dark="#e8b93c"),
        marker="X",
        glyph="✖",
    ),
    "oracle": ArmLook(
        title="Oracle",
        explains=(
            "Ours, with labels read from the simulation's truth: the most that better "
            "de-noising could bring."
        ),
        ink=Ink(light="#23272c", dark="#f4f1ea"),
        marker="^",
        glyph="▲",
    ),
    "ours": ArmLook(
        title="Ours",
        explains=(
            "Infers what each action meant (praise, mockery or neither), fuses that with "
            "annotators' answers, and trains on each pair as much as it is sure of it."
        ),
        ink=Ink(light="#0a6cb4", dark="#58b1f0"),
        marker="P",
        glyph="✚",
    ),
}

# The arm that a page is about: the first of these that is present.
FEATURED: Final[tuple[ArmName, ...]] = (
    "ours",
    "oracle",
    "explicit_only",
    "sft_only",
    "naive",
    "shuffled",
    "base",
)

ASPECTS: Final[dict[AspectName, tuple[str, str]]] = {
    "overall": ("Overall quality", "The mean of the aspects below."),
    "prompt_alignment": ("Prompt alignment", "Does it show what was asked for?"),
    "physical_plausibility": ("Physical plausibility", "Could it exist?"),
    "aesthetics": ("Aesthetics", "Is it well made?"),
    "temporal_consistency": ("Temporal consistency", "Does it stay itself over time?"),
    "safety": ("Safety", "Is it harmless?"),
}

# What the codes under which rows are counted mean; an unknown one stands for itself.
REASONS: Final[dict[str, str]] = {
    "bot": "acts on all it sees, like a program",
    "heldout_user": "kept apart, so that what was learned can be tried on other people",
    "no_evidence": "nobody's actions or answers say anything of the two",
    "undecided": "the evidence is too near a coin toss",
    "two_tenants": "its two generations are of two tenants",
    "other_skill": "its two generations were made under different skills",
    "prompt_cap": "its prompt has enough pairs that are surer",
}

TEXT: Final = Ink(light="#3f454c", dark="#c3c6c8")
FAINT: Final = Ink(light="#8a8f94", dark="#7d848b")
LINE: Final = Ink(light="#e1dcd2", dark="#33393f")
BAND: Final = Ink(light="#edf2ea", dark="#21302a")
MOCKER: Final = Ink(light="#8d3a70", dark="#d383b8")
HONEST: Final = Ink(light="#4f8577", dark="#7fbcaa")
PAPER: Final = Ink(light="#fffefb", dark="#1b1f23")

STAGES: Final = (
    Ink(light="#0d5f8f", dark="#4a9fce"),
    Ink(light="#6aa5b8", dark="#2f7186"),
    Ink(light="#3d7f6b", dark="#63b39b"),
    Ink(light="#b3c59a", dark="#5c7a4a"),
    Ink(light="#d9a441", dark="#d9a94f"),
    Ink(light="#bd6a3c", dark="#c8794e"),
    Ink(light="#8a5a83", dark="#b487ad"),
    Ink(light="#b9b4aa", dark="#646b70"),
)
