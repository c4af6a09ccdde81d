"""An annotator's own page tells how they did on gold: theirs alone, late, and no model's name."""

from datetime import timedelta

import pytest
from seated import NOON, PEOPLE, answer_everything, questions

from pipelines.labelling.feedback import BATCH, Feedback, feedback_of
from pipelines.labelling.gold import Known, mix_gold, record_gold
from pipelines.labelling.planning import plan_assignments
from pipelines.media.progress import Stream, progress_page


@pytest.fixture
def answered(ledger):
    """Everybody answers real questions and gold; ann-0 always prefers the worse one."""
    every = questions(60)
    record_gold(ledger, [Known(question=q, answers={"overall": -1.0}, source="file")
                         for q in every[40:]])  # fmt: skip
    plan_assignments(ledger, "one", every[:40], overlap=6)
    mix_gold(ledger, "one", rate=0.22)
    answer_everything(ledger, lambda _task, who: -1 if who == "ann-0" else 1)
    return ledger


def test_it_counts_whole_batches_of_ones_own_gold(answered):
    wrong, good = feedback_of(answered, 0), feedback_of(answered, 1)
    assert wrong.answers == good.answers == 10 == 2 * BATCH
    assert (wrong.right, good.right) == (0, 10)
    assert good.aspects == (("overall", 10, 10),)
    assert good.misses == ()


def test_a_miss_is_told_as_it_stood_on_the_screen(answered):
    """The second, named b, is known to be better; ann-0 said the first wherever it stood."""
    misses = feedback_of(answered, 0).misses
    assert len(misses) == 6
    assert {frozenset((m.said, m.expected)) for m in misses} == {frozenset("AB")}
    assert {m.said for m in misses} == {"A", "B"}, "both sides occur"


def test_before_a_batch_is_whole_nothing_is_told(ledger):
    every = questions(30)
    record_gold(ledger, [Known(question=q, answers={"overall": -1.0}, source="file")
                         for q in every[8:]])  # fmt: skip
    plan_assignments(ledger, "one", every[:8], overlap=6)
    mix_gold(ledger, "one", rate=0.3)  # 3 or 4 each
    answer_everything(ledger, lambda *_: 1)
    assert feedback_of(ledger, 0) == Feedback()
    plan_assignments(ledger, "two", every[:8], overlap=6)
    mix_gold(ledger, "two", rate=0.3)
    answer_everything(ledger, lambda *_: 1, moment=NOON + timedelta(hours=1))
    assert feedback_of(ledger, 0).answers == BATCH


def test_the_page_shows_nobody_elses_answers_and_no_generation(answered):
    stream = Stream(interface="pair_text", project_id=1, given=50, answered=50)
    page = progress_page([stream], feedback_of(answered, 0))
    assert "0 of 10 as expected" in page
    assert page.count('class="miss"') == 6
    assert not [name for name in PEOPLE if name in page]
    generations = [f"g{n}{side}" for n in range(60) for side in "ab"]
    assert not [name for name in generations if name in page]
    assert "file" not in page.split("<h2>")[1]
    assert "known" not in progress_page([stream], Feedback())


def test_what_annotators_see_of_a_prompt_is_text_and_never_markup():
    from pipelines.labelling.feedback import Miss

    miss = Miss(assignment_id="asg_1", interface="pair_image", prompt="<script>alert(1)</script>",
                aspect="overall", said="A", expected="B")  # fmt: skip
    told = Feedback(answers=5, right=4, aspects=(("overall", 4, 5),), misses=(miss,))
    page = progress_page([], told)
    assert "<script>" not in page
    assert 'src="/media/asg_1/left"' in page
