"""An annotator before a browser: opens their link, signs in, presses keys, draws, submits."""

import io

from PIL import Image, ImageDraw

from annotation.server import read_or_make_secrets
from pipelines.labelling.service import server_folder, service_status

SUBMIT = "Control+Enter"  # two keys
FRAMES, RATE = 36, 12  # three seconds of film
_READY = """expected => {
    const pictures = [...document.querySelectorAll('.fw img')];
    const films = [...document.querySelectorAll('video')];
    return pictures.length + films.length >= expected
        && pictures.every(p => p.complete && p.naturalWidth > 0)
        && films.every(f => f.readyState >= 2);
}"""
_WORD = """([place, word]) => {
    const walk = document.createTreeWalker(
        document.querySelector(place), NodeFilter.SHOW_TEXT);
    for (let text; (text = walk.nextNode()); ) {
        const at = text.data.indexOf(word);
        if (at < 0) continue;
        const range = document.createRange();
        range.setStart(text, at);
        range.setEnd(text, at + word.length);
        const box = range.getBoundingClientRect();
        return [box.x, box.y, box.width, box.height];
    }
}"""


def picture(shift=0, *, size=512):
    """A disc on the floor, *shift* to the right, in *size* x *size* pixels."""
    image = Image.new("RGB", (512, 512), (235, 238, 240))
    drawing = ImageDraw.Draw(image)
    drawing.rectangle([0, 400, 512, 512], fill=(190, 180, 160))
    drawing.ellipse([60 + shift, 300, 160 + shift, 400], fill=(200, 40, 40))
    return image.resize((size, size), Image.Resampling.NEAREST)


def png(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def film():
    """Real H.264: the disc rolls to the right."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width = stream.height = 256
        stream.pix_fmt = "yuv420p"
        for frame in range(FRAMES):
            image = av.VideoFrame.from_image(picture(frame * 8, size=256))
            container.mux(stream.encode(image))
        container.mux(stream.encode())
    return buffer.getvalue()


class Seat:
    """One annotator's browser; it records script errors, hosts and media that were asked for."""

    def __init__(self, browser, studio_root, task):
        self.task = task
        self._url = service_status(studio_root)["url"]
        self._password = read_or_make_secrets(server_folder(studio_root)).passwords[task.address]
        self.page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        self.errors, self.hosts, self.media = [], set(), []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._asked)
        self.page.on("response", self._answered)

    def _asked(self, request):
        scheme, _, rest = request.url.partition("://")
        if scheme in ("http", "https", "ws", "wss"):
            self.hosts.add(rest.split("/")[0].split(":")[0])

    def _answered(self, response):
        if "/blob/" in response.url:
            self.media.append(response.status)

    def sign_in(self, where):
        """Follow a link of ours and sign in on the way."""
        self.page.goto(f"{self._url}/{where}")
        self.page.fill("input[name=email]", self.task.address)
        self.page.fill("input[name=password]", self._password)
        self.page.keyboard.press("Enter")

    def wait(self):
        """Wait until interface and media are there."""
        self.page.wait_for_selector(".fw .fw-verdict", timeout=60_000)
        form, _, modality = self.task.interface.partition("_")
        media = 0 if modality == "text" else 1 if form == "critique" else 2
        self.page.wait_for_function(_READY, arg=media, timeout=30_000)
        if modality == "video":
            self.page.wait_for_selector(f"text=of {FRAMES}", timeout=30_000)
        # The editor binds its keys a moment after it shows; nobody answers that soon.
        self.page.wait_for_timeout(1500)

    def open_task(self):
        """Open the one task rather than the stream, which opens no guidelines."""
        self.sign_in(f"projects/{self.task.project_id}/data?task={self.task.server_task}")
        self.wait()

    def close_guidelines(self):
        """Close what opens first, as it says itself."""
        self.page.wait_for_selector("text=Escape closes this", timeout=10_000)
        self.page.keyboard.press("Escape")
        self.page.wait_for_selector("text=Escape closes this", state="hidden", timeout=10_000)

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)
            self.page.wait_for_timeout(60)

    def drag(self, start, end):
        """Draw from one point of the page to another."""
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down()
        mouse.move(*end, steps=8)
        mouse.up()
        self.page.wait_for_timeout(200)

    def draw(self, place, start, end):
        """Draw on the picture at *place*, between two points in shares of its size."""
        box = self.page.locator(f"{place} img").first.bounding_box()
        self.drag(*((box["x"] + x * box["width"], box["y"] + y * box["height"])
                    for x, y in (start, end)))  # fmt: skip

    def mark(self, place, word):
        """Select *word* in the text at *place*."""
        x, y, width, height = self.page.evaluate(_WORD, [place, word])
        self.drag((x + 2, y + height / 2), (x + width - 2, y + height / 2))

    def mark_frames(self, place, first, last):
        """Drag over the timeline at *place*, from the middle of one frame to that of another."""
        frames = self.page.locator(f"{place} .lsf-timeline-frames__background").bounding_box()
        filler = self.page.locator(f"{place} .lsf-timeline-frames__filler").bounding_box()
        names = self.page.locator(f"{place} .lsf-timeline-frames__labels-bg").bounding_box()
        step = (filler["width"] - names["width"]) / FRAMES
        self.drag(*((frames["x"] + (frame - 0.5) * step, frames["y"] + frames["height"] / 2)
                    for frame in (first, last)))  # fmt: skip

    def submit(self):
        def sent(response):
            return "/annotations" in response.url and response.request.method == "POST"

        shown = self.page.locator(".lsf-current-task__task-id")
        self._number = shown.first.text_content()
        with self.page.expect_response(sent) as answer:
            self.page.keyboard.press(SUBMIT)
        assert answer.value.status == 201

    def submits_nothing(self):
        """Press what submits; say whether nothing was sent for two seconds."""
        sent = []
        self.page.on("request", lambda r: sent.append(r.url) if r.method == "POST" else None)
        self.page.keyboard.press(SUBMIT)
        self.page.wait_for_timeout(2000)
        return not [url for url in sent if "/annotations" in url]

    def next_task(self):
        """Wait until the stream shows another task than the one that was submitted."""
        number = "document.querySelector('.lsf-current-task__task-id')?.textContent"
        self.page.wait_for_function(
            f"before => ({number} ?? before) !== before", arg=self._number, timeout=20_000
        )
        self.page.wait_for_selector(".fw .fw-verdict")

    def close(self):
        self.page.context.close()
