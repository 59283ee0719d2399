"""`handoff.yaml`: what becomes of it, and how a mistake in it is told."""

from pathlib import Path

import phonenumbers
import pytest

from bot.policy_file import load_policy
from bot.routing import BargeIn, Endpoint, Fallback, Mode, Order, Phrase, Policy, Target, Triggers, Voicemail
from bot.tools import call_tools
from pipelines.problems import ConfigurationError

ROOT = Path(__file__).parent.parent

SMALLEST = """\
targets:
  desk:
    description: Everybody.
    numbers:
      - "+442079460101"
default: desk
failsafe_target: desk
"""


def policy(folder: Path, text: str, **environ: str) -> Policy:
    path = folder / "handoff.yaml"
    path.write_text(text, encoding="utf-8")
    return load_policy(path, environ)


def test_the_policy_in_the_repository_is_right():
    found = load_policy(ROOT / "handoff.yaml", {})
    assert list(found.targets) == ["front_desk", "billing"]
    assert len(found.targets["front_desk"].endpoints) == 2
    assert found.nobody == (Fallback.BOT, Fallback.VOICEMAIL)


def test_the_numbers_in_the_repository_are_set_aside_for_fiction():
    for target in load_policy(ROOT / "handoff.yaml", {}).targets.values():
        for number in target.endpoints:
            parsed = phonenumbers.parse(number.address)
            assert parsed.country_code == 1
            assert str(parsed.national_number)[3:8] == "55501"


def test_a_target_with_one_number_is_enough(tmp_path):
    found = policy(tmp_path, SMALLEST)
    assert found.targets == {"desk": Target("desk", "Everybody.", (Endpoint("+442079460101", 20),))}
    assert (found.default, found.failsafe) == ("desk", "desk")


def test_everything_can_be_said(tmp_path):
    text = """\
targets:
  sales:
    description: Buying something.
    numbers:
      - +44 20 7946 0101
      - {number: "+442079460102", ring_seconds: 45}
      - number: ${NIGHT_DESK}
    ring_seconds: 12
    mode: screened
    caller_id: "+442079460100"
default: sales
failsafe_target: sales
nobody: [bot, bot, voicemail]
voicemail: {greeting: Speak., max_seconds: 60}
goodbye: {line: Bye., seconds: 4, barge_in: stay}
max_hops: 3
dial_seconds: 600
"""
    found = policy(tmp_path, text, NIGHT_DESK="+442079460103")
    numbers = (
        Endpoint("+442079460101", 12),
        Endpoint("+442079460102", 45),
        Endpoint("+442079460103", 12),
    )
    assert found == Policy(
        targets={"sales": Target("sales", "Buying something.", numbers, Mode.SCREENED, caller_id="+442079460100")},
        default="sales",
        failsafe="sales",
        voicemail=Voicemail("Speak.", 60),
        goodbye_line="Bye.",
        nobody=(Fallback.BOT, Fallback.BOT, Fallback.VOICEMAIL),
        goodbye_seconds=4,
        goodbye_barge_in=BargeIn.STAY,
        max_hops=3,
        dial_seconds=600,
        triggers=Triggers(keys={"0": "sales"}),
        back_key=True,
    )


@pytest.mark.parametrize("number", ['"+19005550143"', "+1 (900) 555-0143", '"+4918012345678"', '"112"'])
def test_a_number_that_would_be_refused_can_be_allowed(tmp_path, number):
    text = SMALLEST.replace('"+442079460101"', number)
    with pytest.raises(ConfigurationError):
        policy(tmp_path, text)
    found = policy(tmp_path, f"{text}allow: [{number}]")
    assert found.targets["desk"].endpoints


def with_number(number: str) -> str:
    return SMALLEST.replace('"+442079460101"', number)


BROKEN = {
    "a number without quotes and plus": (
        with_number("442079460101"),
        5,
        "is 442079460101 without a +",
        '"+442079460101"',
    ),
    "a national number": (
        with_number('"020 7946 0101"'),
        5,
        "could be in any country",
        "country code",
    ),
    "a number that does not exist": (
        with_number('"+4420794601"'),
        5,
        "`targets.desk.numbers[1]` is `+4420794601`, which is not a number that exists",
        "check country code and length",
    ),
    "a country that does not exist": (
        with_number('"+9990000000"'),
        5,
        "not a number that",
        "country code",
    ),
    "a number with an extension": (
        with_number('"+442079460101 x 22"'),
        5,
        "no telephone number",
        "digits only",
    ),
    "text messages for a SIP telephone": (
        with_number('{sip: "sip:robin@pbx.example"}\n    sms: true'),
        2,
        "sends text messages and has no telephone number",
        "leave `sms` out",
    ),
    "an outbound part without numbers": (
        SMALLEST + 'outbound: {number: "+442079460100", allow: []}\n',
        8,
        "`outbound.allow` is empty",
        "how they begin",
    ),
    "a beginning that is none": (
        SMALLEST + 'outbound: {number: "+442079460100", allow: ["*"]}\n',
        8,
        "which does not say how numbers begin",
        '"+44*"',
    ),
    "an outbound number that may not be called": (
        SMALLEST + 'outbound: {number: "+442079460100", allow: ["+19005550143"]}\n',
        8,
        "a premium-rate number",
        "`allow`",
    ),
    "a message for mailboxes that nobody looks for": (
        SMALLEST + 'outbound: {number: "+442079460100", allow: ["+44*"], machine_detection: false, message: Hi}\n',
        8,
        "has a message for mailboxes and does not look for them",
        "leave `machine_detection: false` out",
    ),
    "letters": (with_number("reception"), 5, "`reception`, which is no telephone number", "digits"),
    "a premium number": (with_number('"+19005550143"'), 5, "a premium-rate number", "`allow`"),
    "a shared-cost number": (with_number('"+4918012345678"'), 5, "a shared-cost number", "`allow`"),
    "an emergency number": (with_number('"911"'), 5, "an emergency number", "`allow`"),
    "an emergency number with a plus": (with_number('"+112"'), 5, "an emergency number", "`allow`"),
    "a short number": (with_number('"60066"'), 5, "a short number", "`allow`"),
    "an empty number": (with_number(""), 5, "`targets.desk.numbers[1]` is empty", "write exactly one of"),
    "a SIP address that is none": (
        with_number("{sip: robin}"),
        5,
        "`targets.desk.numbers[1].sip` is `robin`, which is no SIP address",
        "write `sip:user@host`",
    ),
    "a SIP address with headers": (
        with_number('{sip: "sip:robin@pbx.example?X-Secret=1"}'),
        5,
        "which is no SIP address",
        "write `sip:user@host`",
    ),
    "two things in one": (
        with_number('{number: "+442079460101", client: robin}'),
        5,
        "`targets.desk.numbers[1]` says number and client",
        "write exactly one of",
    ),
    "keys that cannot be pressed": (
        with_number('{number: "+442079460101", digits: "call me"}'),
        5,
        "is `call me`, which cannot be pressed",
        "use digits",
    ),
    "a number behind a variable that is not set": (
        with_number("${DESK}"),
        5,
        "the variable DESK is not set",
        "in the environment or in .env",
    ),
    "a number that rings too long": (
        with_number('{number: "+442079460101", ring_seconds: 1000}'),
        5,
        "`targets.desk.numbers[1].ring_seconds` is 1000",
        "from 5 to 600",
    ),
    "a number that rings too shortly": (
        SMALLEST.replace("    numbers", "    ring_seconds: 4\n    numbers"),
        4,
        "`targets.desk.ring_seconds` is 4",
        "from 5 to 600",
    ),
    "a target without numbers": (
        SMALLEST.replace('    numbers:\n      - "+442079460101"\n', "    numbers: []\n"),
        4,
        "`targets.desk.numbers` is empty",
        "at least one telephone number",
    ),
    "a target without a description": (
        SMALLEST.replace("    description: Everybody.\n", ""),
        2,
        "`targets.desk.description` is missing",
        "when to choose this target",
    ),
    "a description that is a novel": (
        SMALLEST.replace("Everybody.", "x" * 501),
        3,
        "is 501 characters long",
        "shorten it to 500",
    ),
    "a target with a capital": (
        SMALLEST.replace("desk", "Front Desk"),
        2,
        "is called `Front Desk`",
        "e.g. `front_desk`",
    ),
    "no targets": (
        "targets: {}\ndefault: desk\nfailsafe_target: desk",
        1,
        "`targets` is empty",
        "at least one target",
    ),
    "a default that does not exist": (
        SMALLEST.replace("default: desk", "default: dsk"),
        6,
        "`default` is `dsk`, but there is no such target",
        "did you mean `desk`?",
    ),
    "a failsafe that does not exist": (
        SMALLEST.replace("failsafe_target: desk", "failsafe_target: nobody"),
        7,
        "`failsafe_target` is `nobody`",
        "there is: `desk`",
    ),
    "a target as the kind of failsafe": (
        SMALLEST + "failsafe: desk",
        8,
        "`failsafe` is `desk`, a target",
        "write `failsafe_target: desk`",
    ),
    "a kind of failsafe that there is not": (
        SMALLEST + "failsafe: robot",
        8,
        "`failsafe` cannot be `robot`",
        "rescue",
    ),
    "a road without an end": (
        SMALLEST + "nobody: [bot]",
        8,
        "`nobody` does not end with voicemail",
        "[bot, voicemail]",
    ),
    "an empty road": (SMALLEST + "nobody: []", 8, "`nobody` does not end", "[voicemail]"),
    "an unknown step": (
        SMALLEST + "nobody: [voice_mail]",
        8,
        "`nobody[1]` cannot be `voice_mail`",
        "did you mean `voicemail`?",
    ),
    "an unknown mode": (
        SMALLEST.replace("    numbers", "    mode: warm\n    numbers"),
        4,
        "`targets.desk.mode` cannot be `warm`",
        "choose from `dial`, `screened`",
    ),
    "a caller id that is no number": (
        SMALLEST.replace("    numbers", "    caller_id: Northwind\n    numbers"),
        4,
        "`targets.desk.caller_id` is `Northwind`",
        "country code",
    ),
    "a slip in a key": (
        SMALLEST + "voice_mail: {max_seconds: 60}",
        8,
        "`voice_mail` is not a setting",
        "did you mean `voicemail`?",
    ),
    "a goodbye for ever": (
        SMALLEST + "goodbye:\n  seconds: 600",
        9,
        "`goodbye.seconds` is 600",
        "from 1 to 60",
    ),
    "a conversation of two days": (
        SMALLEST + "dial_seconds: 172800",
        8,
        "`dial_seconds` is 172800",
        "from 60 to 86400",
    ),
    "a target twice": (
        SMALLEST.replace("default:", "  desk: {}\ndefault:"),
        6,
        "`desk` stands here a second time; the first is on line 2",
        "keep one",
    ),
}


@pytest.mark.parametrize(("text", "line", "what", "remedy"), BROKEN.values(), ids=BROKEN)
def test_a_mistake_is_told_with_its_line_and_its_remedy(tmp_path, text, line, what, remedy):
    with pytest.raises(ConfigurationError) as caught:
        policy(tmp_path, text)
    (problem,) = caught.value.problems
    assert problem.where == f"{tmp_path}/handoff.yaml:{line}"
    assert what in problem.what
    assert remedy in problem.remedy


def test_a_wrong_number_does_not_hide_that_the_default_does_not_exist(tmp_path):
    text = with_number('"+1"').replace("default: desk", "default: sales")
    with pytest.raises(ConfigurationError) as caught:
        policy(tmp_path, text)
    assert [p.where.rpartition(":")[2] for p in caught.value.problems] == ["5", "6"]


OPEN = """\
targets:
  desk:
    description: Everybody.
    numbers: ["+442079460101"]
    hours: {HOURS}
default: desk
"""

BROKEN_HOURS = {
    "{time_zone: London, open: {mon: 09:00-17:00}}": "`targets.desk.hours.time_zone` is `London`",
    "{time_zone: Europe/London, open: {mon: 9 to 5}}": "holds `9 to 5`, which is no span of time",
    "{time_zone: Europe/London, open: {mon: 25:00-26:00}}": "holds `25:00-26:00`, which is no span of time",
    "{time_zone: Europe/London, open: {monday: 09:00-17:00}}": "names the day `monday`",
    "{time_zone: Europe/London, open: {mon-fri: 09:00-17:00, wed: 10:00-11:00}}": "names wed twice",
    "{time_zone: Europe/London, open: {}}": "says no hours",
    "{time_zone: Europe/London, open: {mon: 09:00-17:00}, holidays: Atlantis}": "is `Atlantis`",
    "{time_zone: Europe/London, open: {mon: 09:00-17:00}, closed_on: [Christmas]}": "holds `Christmas`",
}


@pytest.mark.parametrize(("hours", "what"), BROKEN_HOURS.items())
def test_a_mistake_in_the_hours_is_told(tmp_path, hours: str, what: str):
    with pytest.raises(ConfigurationError) as caught:
        policy(tmp_path, OPEN.replace("{HOURS}", hours))
    assert what in caught.value.problems[0].what
    assert caught.value.problems[0].where.startswith(f"{tmp_path}/handoff.yaml:5")


def test_everything_about_people_can_be_said(tmp_path):
    text = """\
targets:
  desk:
    description: Everybody.
    numbers:
      - {number: "+442079460101", digits: ww42, languages: [en, es], skills: [refunds]}
      - {sip: "sip:robin@pbx.example.com;transport=tls"}
      - {client: robin, ring_seconds: 9}
    mode: attended
    order: all
    caller_id: ours
    language: de
    machine_detection: true
    hours: {time_zone: Europe/Berlin, open: {mon-fri: 09:00-18:00}, holidays: DE-BY, closed_on: [2026-12-24]}
    closed_line: Wir haben geschlossen.
    next: night
  night:
    description: At night.
    numbers: ["+442079460102"]
    order: round_robin
default: desk
triggers:
  keys: {0: night, "*": }
  phrases: [{words: ["A Person!", "un  ágente"], target: night}]
  anger: {}
  unclear_turns: {times: 3}
  tool_errors: {times: 2, target: night}
  silence: {seconds: 30}
"""
    found = policy(tmp_path, text)
    desk = found.targets["desk"]
    assert [endpoint.address for endpoint in desk.endpoints] == [
        "+442079460101",
        "sip:robin@pbx.example.com;transport=tls",
        "client:robin",
    ]
    assert desk.endpoints[0] == Endpoint("+442079460101", 20, "ww42", ("en", "es"), ("refunds",))
    assert (desk.mode, desk.order, desk.caller_id, desk.language) == (Mode.ATTENDED, Order.ALL, "ours", "de")
    assert (desk.machine_detection, desk.closed_line, desk.next) == (True, "Wir haben geschlossen.", "night")
    assert desk.hours is not None
    assert not desk.hours.open_at(0.0), "1 January 1970 was a holiday"
    assert found.triggers == Triggers(
        keys={"0": "night", "*": "desk"},
        phrases=(Phrase("a person", "night"), Phrase("un agente", "night")),
        anger="desk",
        unclear_turns=3,
        unclear_target="desk",
        tool_errors=2,
        tool_error_target="night",
        silence_seconds=30,
        silence_target="desk",
    )


def test_supervisors_may_be_given_a_phone_and_an_ear(tmp_path):
    text = SMALLEST.replace(
        "default:",
        """\
  supervisor:
    description: Whoever is at the console.
    numbers: ["+442079460102"]
    offered: false
take_over: supervisor
listen_in: {allowed: true, notice: This call may be listened to.}
default:""",
    )
    found = policy(tmp_path, text)
    assert (found.take_over, found.listen_in) == ("supervisor", True)
    assert found.listen_in_notice == "This call may be listened to."
    names = [tool.properties["target"]["enum"] for tool in call_tools(found) if "target" in tool.properties]
    assert names == [["desk"]]
    before = policy(tmp_path, SMALLEST)
    assert (before.take_over, before.listen_in, before.listen_in_notice) == (None, False, "")


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ("take_over: nobody", "is `nobody`, but there is no such target"),
        ("listen_in: {notice: We listen.}", "has a `notice` and is not allowed"),
        ("listen_in: {alowed: true}", "alowed"),
    ],
)
def test_a_mistake_in_what_supervisors_may_is_told(tmp_path, wrong: str, what: str):
    with pytest.raises(ConfigurationError) as caught:
        policy(tmp_path, f"{SMALLEST}{wrong}\n")
    assert what in caught.value.problems[0].what


def test_the_default_target_is_one_that_the_model_is_told_of(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        policy(tmp_path, SMALLEST.replace("    numbers:", "    offered: false\n    numbers:"))
    assert "is `desk`, which is not offered to the model" in caught.value.problems[0].what


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("machine_detection: true", "looks for machines and connects whoever answers"),
        ("closed_line: We are closed.", "has a `closed_line` and is never closed"),
        ("language: xx", "is `xx`, in which we have no words"),
        ("caller_id: theirs", "is `theirs`"),
        ("next: nowhere", "but there is no such target"),
    ],
)
def test_what_does_not_fit_together_is_told(tmp_path, line: str, what: str):
    with pytest.raises(ConfigurationError) as caught:
        policy(tmp_path, SMALLEST.replace("    numbers:", f"    {line}\n    numbers:"))
    assert what in caught.value.problems[0].what


@pytest.mark.parametrize(
    ("rule", "what"),
    [
        ("keys: {00: desk}", "which is no key of a telephone"),
        ("keys: {0: nobody}", "but there is no such target"),
        ('phrases: [{words: ["?!"]}]', "which nobody can say"),
        ("silence: {seconds: 1}", "is 1"),
    ],
)
def test_a_mistake_in_a_trigger_is_told(tmp_path, rule: str, what: str):
    with pytest.raises(ConfigurationError) as caught:
        policy(tmp_path, f"{SMALLEST}triggers:\n  {rule}\n")
    assert what in caught.value.problems[0].what
