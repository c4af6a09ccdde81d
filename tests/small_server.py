"""A Label Studio of one file: it takes tasks, and says what a sync asks of the real one."""

import json
import operator
from datetime import UTC, datetime, timedelta

from annotation.client import ServerRefused

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
OPERATORS = {"greater": operator.gt, "less_or_equal": operator.le}


class SmallServer:
    """Tasks and answers by number; every change moves the clock by a second."""

    url = "http://127.0.0.1:1"

    def __init__(self):
        self.tasks, self.gone = {}, set()  # gone: labelling projects that somebody deleted
        self._clock = self._numbers = 0

    def request(self, method, path, *, params=None, json=None):
        """Answer as the real server would, as far as push and sync ask."""
        return self._answered(method, path.strip("/").split("/"), params or {}, json)

    def _answered(self, method, parts, params, sent):
        if method == "POST":  # api/projects/N/import
            numbers = [self._new(int(parts[2]), each["data"]) for each in sent]
            return {"task_ids": numbers}
        if parts[1] == "tasks" and int(params["project"]) in self.gone:
            raise ServerRefused("it was deleted there", status=404)
        if parts[1] == "tasks":
            return {"tasks": self._chosen(params)}
        named = {int(each) for each in params["ids"].split(",")} - self.gone
        return {"results": [{"id": n, "task_number": len(self._of(n))} for n in named]}

    def answer(self, task, user, result):
        """Store what the account *user* answers; return its number."""
        self._numbers += 1
        answers = self.tasks[task]["annotations"]
        answers.append({"id": self._numbers, "completed_by": user, "lead_time": 4.0})
        self.change(task, self._numbers, result)
        return self._numbers

    def change(self, task, number, result):
        """Let an answer hold another result."""
        moment = self._touch(task)
        for each in self.tasks[task]["annotations"]:
            if each["id"] == number:
                each.update(result=result, updated_at=moment, updated_by=each["completed_by"])

    def delete(self, task, number):
        """Delete an answer."""
        self._touch(task)
        own = self.tasks[task]
        own["annotations"] = [each for each in own["annotations"] if each["id"] != number]

    def _new(self, project, data):
        number = 100 + self._clock
        self.tasks[number] = {"id": number, "project": project, "data": data, "annotations": []}
        self._touch(number)
        return number

    def _touch(self, task):
        self._clock += 1
        moment = (BEGIN + timedelta(seconds=self._clock)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        self.tasks[task]["updated_at"] = moment
        return moment

    def _of(self, project):
        return [task for task in self.tasks.values() if task["project"] == project]

    def _chosen(self, params):
        query = json.loads(params["query"])
        found = self._of(int(params["project"]))
        for rule in query.get("filters", {}).get("items", []):
            column = rule["filter"].rsplit(":", 1)[1]
            keeps = OPERATORS[rule["operator"]]
            found = [task for task in found if keeps(task[column], rule["value"])]
        if "selectedItems" in query:
            found = [t for t in found if t["id"] in query["selectedItems"]["included"]]
        [order] = query["ordering"]
        column = order.rsplit(":", 1)[1]
        found = sorted(found, key=lambda task: task[column], reverse=order.startswith("-"))
        return found[: params["page_size"]]


def edited(text, *codes):
    """Return what the browser stores of an edit."""
    parts = [("edited", "textarea", {"text": [text]})]
    if codes:
        parts.append(("why", "choices", {"choices": list(codes)}))
    return [
        {"id": name, "from_name": name, "to_name": "only", "type": kind, "origin": "manual",
         "value": value}
        for name, kind, value in parts
    ]  # fmt: skip
