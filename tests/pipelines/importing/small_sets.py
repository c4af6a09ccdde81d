"""Two small sets in the layout of the real ones; their texts must never be seen outside."""

import csv
import json

import numpy as np

SECRET = "a word that nobody may print"


def dsg_set(folder, *, images=60, seed=3):
    """Five annotators of different care rate images whose truth is a level from 1 to 5."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    prompts = [f"source_{n // 5}" for n in range(images)]
    with (folder / "tifa160-dev-anns.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["item_id", "text", "tuple", "question", "dependency"])
        for source in sorted(set(prompts)):
            rows.writerow([source, f"{SECRET} {source}", "", "", ""])
    with (folder / "tifa160-likert-anns.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["dsg_prompt_split", "t2i_model", "item_id", "source_id", "worker_id",
                       "question", "answer"])  # fmt: skip
        for place, source in enumerate(prompts):
            truth = rng.integers(1, 6)
            for worker in range(5):
                answer = np.clip(truth + rng.integers(-1, 2) * (rng.random() < 0.2 * worker), 1, 5)
                rows.writerow(["s", f"model_{place % 5}", f"i_{place}", source, f"w{worker}", "?",
                               answer])  # fmt: skip
    return folder


def hh_set(folder, *, pairs=60, seed=3):
    """People choose the answer that says "yes"; a shared prompt comes before both."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    with (folder / "test.jsonl").open("w") as file:
        for number in range(pairs):
            words = " ".join(rng.choice(["sun", "rain", "wind", "snow", "fog"], 6))
            asked = f"\n\nHuman: {SECRET} {number} {words}?\n\nAssistant:"
            line = {"chosen": f"{asked} yes {words}", "rejected": f"{asked} no {words}"}
            file.write(json.dumps(line) + "\n")
    return folder
