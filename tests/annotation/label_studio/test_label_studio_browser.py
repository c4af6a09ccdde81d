"""Each interface as an annotator meets it: labelled by keyboard in Chromium, read back exactly.

Screenshots are kept under reports/interfaces.
"""

import io
import shutil
from pathlib import Path

import pytest
from answering import assignments, questions, rows_in
from PIL import Image, ImageDraw
from real_server import INTERFACES

from annotation.server import read_or_make_secrets
from pipelines.labelling.ledger import open_ledger
from pipelines.labelling.planning import Question, Shown, plan_assignments
from pipelines.labelling.push import push_assignments
from pipelines.labelling.service import server_folder, service_status
from pipelines.labelling.sync import sync_answers
from pipelines.stores import open_stores

pytestmark = pytest.mark.browser
SHOTS = Path(__file__).resolve().parents[3] / "reports" / "interfaces"
SUBMIT = ["Control+Enter"]  # two keys
KEYS = {
    "pair_image": ["1", "a", "x", "l"],
    "pair_video": ["5", "d", "x", "j", "o"],
    "pair_text": ["3", "a", "z"],
    "blind_image": ["7"],
    "critique_image": ["1", "1", "1", "2", "3", "3", "5"],
}
# Left against right by aspect, and stars by aspect, that these keys must end as.
SAID = {
    "pair_image": {"overall": 2, "prompt_alignment": 1, "physical_plausibility": 0,
                   "aesthetics": -1},
    "pair_video": {"overall": -1, "prompt_alignment": -1, "physical_plausibility": 0,
                   "aesthetics": 1, "temporal_consistency": 0},
    "pair_text": {"overall": 0, "prompt_alignment": 1, "aesthetics": 1},
    "blind_image": {"overall": None},
    "critique_image": {"prompt_alignment": 3, "physical_plausibility": 1, "aesthetics": 2,
                       "overall": 1},
}  # fmt: skip


def picture(shift):
    image = Image.new("RGB", (512, 512), (235, 238, 240))
    drawing = ImageDraw.Draw(image)
    drawing.rectangle([0, 400, 512, 512], fill=(190, 180, 160))
    drawing.ellipse([60 + shift, 300, 160 + shift, 400], fill=(200, 40, 40))
    return image


def png(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def film():
    """Three seconds of real H.264."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=12)
        stream.width = stream.height = 256
        stream.pix_fmt = "yuv420p"
        for frame in range(36):
            image = av.VideoFrame.from_image(picture(frame * 8).resize((256, 256)))
            container.mux(stream.encode(image))
        container.mux(stream.encode())
    return buffer.getvalue()


@pytest.fixture(scope="session")
def browser():
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        pytest.fail("Playwright is missing: run `make setup`", pytrace=False)
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("no Chromium: run `apt-get install chromium`", pytrace=False)
    with sync_playwright() as driver:
        # The proxy leads nowhere: what would leave loopback fails, and is counted below.
        launched = driver.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--proxy-server=http://127.0.0.1:9",
                  "--proxy-bypass-list=<-loopback>;127.0.0.1"],
        )  # fmt: skip
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def tasks(studio_root):
    """One question for each interface, with real media in the zone's store."""
    blobs, ledger = open_stores(studio_root).blobs, open_ledger(studio_root)
    images = blobs.put_many([png(picture(0)), png(picture(90))])
    films = [blobs.put(film())] * 2

    def pair(modality, digests, *, name, blind=False, critique=False):
        sides = [Shown(generation_id=f"gb_{name}_{n}", modality=modality, blob=digest,
                       frames=36, fps=12) for n, digest in enumerate(digests)]  # fmt: skip
        return Question(task_id=f"tb_{name}", prompt="a red disc on the floor", first=sides[0],
                        other=None if critique else sides[1], blind=blind)  # fmt: skip

    asked = [
        pair("image", images, name="pair"),
        pair("video", films, name="film"),
        pair("image", images, name="blind", blind=True),
        pair("image", images, name="critique", critique=True),
        *questions("text", 1, start=77),
    ]
    plan_assignments(ledger, "browser", asked, overlap=1)
    from pipelines.labelling.service import client_of

    push_assignments(studio_root, client_of(studio_root))
    return {row.interface: row for row in assignments(ledger, "browser")}


@pytest.mark.parametrize("interface", INTERFACES)
def test_an_interface_is_labelled_by_keyboard_and_read_back(
    browser, studio_root, lead, tasks, interface
):
    """No script error, nothing asked of any other machine, media shown, keys counted."""
    task, url = tasks[interface], service_status(studio_root)["url"]
    password = read_or_make_secrets(server_folder(studio_root)).passwords[task.address]
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    errors, hosts, media = [], set(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]
                                                 if "://" in request.url else ""))  # fmt: skip
    page.on("response", lambda r: media.append(r.status) if "/blob/" in r.url else None)
    page.goto(f"{url}/user/login/")
    page.fill("input[name=email]", task.address)
    page.fill("input[name=password]", password)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda address: "login" not in address)
    page.goto(f"{url}/projects/{task.project_id}/data?task={task.server_task}")
    page.wait_for_selector(".fw", timeout=60_000)
    page.wait_for_timeout(3000)
    page.keyboard.press("Escape")  # the guidelines, which open first
    page.wait_for_timeout(500)
    for key in KEYS[interface]:
        page.keyboard.press(key)
        page.wait_for_timeout(100)
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{interface}.png")
    with page.expect_response(lambda r: "/annotations" in r.url and r.request.method == "POST"):
        page.keyboard.press(SUBMIT[0])
    page.context.close()
    sync_answers(studio_root, lead)
    rows = [r for r in rows_in(open_ledger(studio_root)) if r["task_id"] == task.task_id]
    sign = 1 if task.right_id is None or task.left_id < task.right_id else -1
    said = {r["aspect"]: None if r["value"] is None else r["value"] * sign for r in rows}
    assert said == SAID[interface]
    assert errors == []
    assert {host.split(":")[0] for host in hosts} - {""} == {"127.0.0.1"}
    assert set(media) <= {200, 206}
    assert bool(media) == (not interface.endswith("text"))


def test_a_picture_pair_takes_at_most_six_keys():
    """Choice, three ratings, and the two keys that submit."""
    assert len(KEYS["pair_image"]) + len(["Control", "Enter"]) <= 6
    assert set(KEYS) == set(INTERFACES)
