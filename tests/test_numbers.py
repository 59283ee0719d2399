"""One server answers several numbers, each with a pipeline and a policy of its own."""

from pathlib import Path

import aiohttp
import pytest
from serving import serving
from test_settings import NEEDED
from twilio.request_validator import RequestValidator

from bot.reception import Receptions
from bot.settings import load_all
from pipelines.problems import ConfigurationError
from sandbox.stage import AUTH_TOKEN, PUBLIC_URL, Stage

SALES, SUPPORT = "+12025550111", "+12025550112"

POLICY = "targets: {{{key}: {{description: x, numbers: ['{number}']}}}}\ndefault: {key}\n"


def files(folder: Path, numbers: str) -> dict[str, str]:
    (folder / "sales.yaml").write_text(POLICY.format(key="sales", number="+12025550121"))
    (folder / "shop.yaml").write_text("extends: openai_realtime_mini\nvoice: sage\n")
    (folder / "numbers.yaml").write_text(numbers)
    return {"NUMBERS": str(folder / "numbers.yaml"), "HANDOFF_POLICY": "handoff.yaml"}


def test_a_number_has_what_is_said_of_it_and_otherwise_what_all_have(tmp_path):
    own = f"{{policy: {tmp_path}/sales.yaml, pipeline: {tmp_path}/shop.yaml}}"
    text = f'numbers:\n  "{SALES}": {own}\n  "{SUPPORT}": {{}}\n'
    receptions = Receptions(load_all(NEEDED | files(tmp_path, text), None))
    sales, support = receptions.of(SALES), receptions.of(SUPPORT)
    assert (sales.policy.default, sales.pipelines[0].voice) == ("sales", "sage")  # pyright: ignore
    assert support.policy == receptions.of("+12025550199").policy == receptions.default.policy
    assert receptions.targets.keys() >= {"sales", "front_desk"}


@pytest.mark.parametrize(
    ("numbers", "what"),
    [
        ("numbers: {'12': {}}\n", "`12`"),
        (f"numbers: {{'{SALES}': {{polcy: x}}}}\n", "is not a setting"),
        (f"numbers: {{'{SALES}': {{policy: gone.yaml}}}}\n", "there is no such file"),
        (f"numbers: {{'{SALES}': {{pipeline: cascad}}}}\n", "there is no pipeline `cascad`"),
    ],
)
def test_a_mistake_is_told_before_the_server_starts(tmp_path, numbers, what):
    with pytest.raises(ConfigurationError) as caught:
        load_all(NEEDED | files(tmp_path, numbers), None)
    assert [problem for problem in caught.value.problems if what in problem.what]


async def test_the_person_whom_twilio_holds_is_the_one_of_the_number_that_was_called(tmp_path):
    numbers = f"numbers:\n  '{SALES}': {{policy: {tmp_path}/sales.yaml}}\n"
    settings = files(tmp_path, numbers)
    async with Stage() as stage, serving(stage, tmp_path, **settings) as url, aiohttp.ClientSession() as http:
        for called, expected in ((SALES, "+12025550121"), (SUPPORT, "+12025550143")):
            form = {"CallSid": "CA" + called[-2:] * 16, "From": "+442079460123", "To": called, "CallStatus": "ringing"}
            signature = RequestValidator(AUTH_TOKEN).compute_signature(f"{PUBLIC_URL}/twilio/voice", form)
            headers = {"X-Twilio-Signature": signature}
            async with http.post(f"{url}/twilio/voice", data=form, headers=headers) as answer:
                assert expected in await answer.text()
