"""schemathesis reads the published schema and looks for answers that it does not allow.

Its requests are drawn here and not by its own pytest plugin, which does not fit this pytest.
"""

import pytest
import schemathesis
from door_places import make_place
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode

from pipelines.intake.door import build_app

# Its own list lacks 413, with which the door answers more events than it takes at once.
REFUSALS = schemathesis.Config.from_dict(
    {"checks": {"negative_data_rejection": {"expected-statuses": [401, 403, 409, 413, 415, 422]}}}
)
SETTINGS = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    place = make_place(tmp_path_factory.mktemp("schemathesis"))
    app = build_app(place.folder)
    forms = app.openapi()["components"]["schemas"]
    for name in (
        "Event",
        "EnvelopedEvent",
    ):  # a project that nobody placed is 403 and gets no further
        forms[name]["properties"]["project_id"] = {"enum": ["campaign-7"]}
    found = schemathesis.openapi.from_asgi("/openapi.json", app, config=REFUSALS)
    found.key = place.key
    return found


@pytest.mark.parametrize("mode", list(GenerationMode), ids=str)
def test_no_request_that_a_machine_thinks_of_breaks_the_contract(schema, mode):
    answered = set()

    @SETTINGS
    @given(case=schema["/v1/events"]["POST"].as_strategy(generation_mode=mode))
    def breaks_nothing(case):
        response = case.call(headers={"Authorization": f"Bearer {schema.key}"})
        case.validate_response(response)
        answered.add(response.status_code)

    breaks_nothing()
    assert not {status for status in answered if status >= 500}
    assert (202 if mode is GenerationMode.POSITIVE else 422) in answered
