"""The environment, and everything together: what is needed, and how what is wrong is told."""

import re
from pathlib import Path

import pytest

from bot.settings import Settings, load_all, load_settings
from pipelines.problems import ConfigurationError, Problem

ROOT = Path(__file__).parent.parent

NEEDED = {
    "PUBLIC_URL": "https://bot.example.com",
    "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
    "TWILIO_AUTH_TOKEN": "token",
    "OPENAI_API_KEY": "key",
}

VARIABLES = {
    *NEEDED,
    "HOST",
    "CONSOLE_VIEWER_PASSWORD",
    "LOG_FORMAT",
    "RETENTION_DAYS",
    "PORT",
    "TWILIO_API_KEY_SID",
    "TWILIO_API_KEY_SECRET",
    "TWILIO_API_URL",
    "OPENAI_REALTIME_URL",
    "PIPELINE",
    "HANDOFF_POLICY",
    "NUMBERS",
    "PRICES",
    "DATABASE_URL",
    "SPOOL",
    "CONSOLE_PASSWORD",
    "DRAIN_SECONDS",
    "MAX_CALLS",
    "MAX_CALLS_TOGETHER",
    "MAX_CALLS_PER_CALLER",
    "OUTAGE",
    "EVALS",
    "WEBHOOK_URL",
    "WEBHOOK_SECRET",
    "LOG_LEVEL",
}


def problems(environ: dict[str, str], env_file: Path | None = None) -> tuple[Problem, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environ, env_file)
    return caught.value.problems


def test_four_variables_are_enough():
    settings = load_settings(NEEDED, None)
    assert settings.public_url == "https://bot.example.com"
    assert (settings.host, settings.port, settings.log_level) == ("127.0.0.1", 8000, "INFO")
    assert settings.twilio_api_url == "https://api.twilio.com"
    assert settings.openai_realtime_url == "wss://api.openai.com/v1/realtime"
    assert settings.database_url == "sqlite+aiosqlite:///putthrough.db"
    assert settings.twilio_api_key_sid is None


def test_the_variables_are_these():
    assert {name.upper() for name in Settings.model_fields} == VARIABLES


def test_the_example_environment_names_every_variable():
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert set(re.findall(r"^#? ?([A-Z][A-Z_]+)=", text, re.MULTILINE)) == VARIABLES


def test_a_number_below_its_only_bound_is_told():
    [problem] = problems({**NEEDED, "MAX_CALLS": "0"})
    assert (problem.what, problem.remedy) == ("`MAX_CALLS` is 0", "use 1 or more")


def test_prices_are_read_with_everything_else(tmp_path):
    path = tmp_path / "prices.yaml"
    path.write_text("currency: EUR\nmodels: {speech: {audio_output: 3}}\n")
    found = load_all({**NEEDED, "PRICES": str(path)}, None).prices
    assert found is not None
    assert (found.currency, found.cost({"speech": {"audio_output": 500_000}})[0]) == ("EUR", 1.5)
    assert load_all(NEEDED, None).prices is None
    with pytest.raises(ConfigurationError, match="PRICES"):
        load_all({**NEEDED, "PRICES": str(tmp_path / "none.yaml")}, None)


def test_all_that_is_missing_is_told_at_once():
    found = problems({})
    assert [p.where for p in found] == ["environment"] * 3
    assert [re.findall("`(.*?)`", p.what)[0] for p in found] == [name for name in NEEDED if name != "OPENAI_API_KEY"]


def test_secrets_are_not_shown():
    secrets = {
        "TWILIO_AUTH_TOKEN": "hush-token",
        "TWILIO_API_KEY_SID": "SK" + "1" * 32,
        "TWILIO_API_KEY_SECRET": "hush-secret",
        "OPENAI_API_KEY": "hush-key",
        "CONSOLE_PASSWORD": "hush-password",
    }
    assert "hush" not in repr(load_settings(NEEDED | secrets, None))


def test_a_slash_at_the_end_of_an_address_is_trimmed():
    settings = load_settings(NEEDED | {"PUBLIC_URL": "http://localhost:8000/"}, None)
    assert settings.public_url == "http://localhost:8000"


def test_an_empty_variable_is_one_that_is_not_set():
    assert load_settings(NEEDED | {"TWILIO_API_KEY_SID": "", "PORT": ""}, None).port == 8000


def test_a_log_level_can_be_written_in_small_letters():
    assert load_settings(NEEDED | {"LOG_LEVEL": "debug"}, None).log_level == "DEBUG"


def test_the_environment_wins_over_the_file(tmp_path):
    (tmp_path / ".env").write_text("# a comment\nPORT=9000\nexport LOG_LEVEL='DEBUG'\n")
    settings = load_settings(NEEDED | {"PORT": "9001"}, tmp_path / ".env")
    assert (settings.port, settings.log_level) == (9001, "DEBUG")


def test_a_file_that_is_not_there_is_an_empty_one(tmp_path):
    assert load_settings(NEEDED, tmp_path / ".env") == load_settings(NEEDED, None)


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        load_settings(NEEDED, None).port = 1  # pyright: ignore[reportAttributeAccessIssue]


BROKEN = {
    "an address without a scheme": (
        "PUBLIC_URL",
        "bot.example.com",
        "does not begin with",
        "https://",
    ),
    "an address of a socket": (
        "PUBLIC_URL",
        "wss://bot.example.com",
        "does not begin with",
        "https://",
    ),
    "an address with a path": ("PUBLIC_URL", "https://a.example/b", "has the path `/b`", "alone"),
    "an address with a query": (
        "PUBLIC_URL",
        "https://a.example?b=1",
        "more than an address",
        "whole",
    ),
    "an empty query": ("PUBLIC_URL", "https://a.example?", "more than an address", "whole"),
    "an address with a fragment": (
        "PUBLIC_URL",
        "https://a.example#b",
        "more than an address",
        "whole",
    ),
    "an address with a user": (
        "PUBLIC_URL",
        "https://u:pw@a.example",
        "more than an address",
        "whole",
    ),
    "an address with a space": (
        "PUBLIC_URL",
        "https://a.example b",
        "more than an address",
        "whole",
    ),
    "an address with a port of letters": (
        "PUBLIC_URL",
        "https://a.example:b",
        "is not an address",
        "e.g.",
    ),
    "an address with half a bracket": (
        "PUBLIC_URL",
        "https://[a.example",
        "is not an address",
        "e.g.",
    ),
    "a SID of another kind": ("TWILIO_ACCOUNT_SID", "SK" + "0" * 32, "is not AC and 32", "console"),
    "a SID that is too short": ("TWILIO_ACCOUNT_SID", "AC123", "is not AC and 32", "console"),
    "a key SID that is none": (
        "TWILIO_API_KEY_SID",
        "AC" + "0" * 32,
        "is not SK and 32",
        "console",
    ),
    "a key without its secret": (
        "TWILIO_API_KEY_SID",
        "SK" + "0" * 32,
        "`TWILIO_API_KEY_SECRET` is missing, but TWILIO_API_KEY_SID is set",
        "set it too",
    ),
    "a secret without its key": (
        "TWILIO_API_KEY_SECRET",
        "secret",
        "is set without TWILIO_API_KEY_SID",
        "or remove it",
    ),
    "a port of letters": ("PORT", "http", "`PORT` is `http`", "write a whole number"),
    "a port that is none": ("PORT", "70000", "`PORT` is 70000", "from 1 to 65535"),
    "a level that is none": ("LOG_LEVEL", "VERBOSE", "which is no level", "`TRACE`"),
    "a slip in a level": ("LOG_LEVEL", "warn", "which is no level", "did you mean `WARNING`?"),
    "a model behind http": (
        "OPENAI_REALTIME_URL",
        "https://api.example",
        "does not begin",
        "wss://",
    ),
    "a model with a query": (
        "OPENAI_REALTIME_URL",
        "wss://a.example/v1?model=x",
        "more than",
        "whole",
    ),
    "a REST address with a path": (
        "TWILIO_API_URL",
        "https://a.example/2010",
        "has the path",
        "alone",
    ),
    "a database that is a file name": ("DATABASE_URL", "calls.db", "not a database that", "e.g."),
    "a database of no kind": ("DATABASE_URL", "mongo://a/b", "not a database that", "e.g."),
    "a database that blocks": ("DATABASE_URL", "sqlite:///a.db", "is not async", "async driver"),
    "a database of another kind": ("DATABASE_URL", "mysql://a/b", "is a mysql database", "postgresql://"),
    "a database on no host": ("DATABASE_URL", "postgresql:///calls", "names no host", "postgresql://user"),
    "a database without a name": ("DATABASE_URL", "postgresql+asyncpg://h", "names no database", "postgresql://user"),
    "a database's port in words": ("DATABASE_URL", "postgresql+psycopg://h:five/calls", "is not an address", "e.g."),
    "a password that splits the address": ("DATABASE_URL", "postgresql://a:b@c@h/calls", "a `@` or `#`", "%40"),
    "a spool that is a file": ("SPOOL", "README.md", "is a file", "name a folder"),
    "a database in no folder": (
        "DATABASE_URL",
        "sqlite+aiosqlite:////no/such/folder/a.db",
        "which does not exist",
        "create the folder",
    ),
}


@pytest.mark.parametrize(("name", "value", "what", "remedy"), BROKEN.values(), ids=BROKEN)
def test_a_mistake_is_told_once_with_its_remedy(name, value, what, remedy):
    (problem,) = problems(NEEDED | {name: value})
    assert problem.where == "environment"
    assert what in problem.what
    assert remedy in problem.remedy


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://user:p%40ss@db.example:5432/calls?sslmode=require",
        "postgres://db.example/calls",
        "postgresql+asyncpg://user@db.example/calls",
        "postgresql+psycopg://user@db.example/calls",
        "postgresql://user@one:5432,other:5432/calls?target_session_attrs=primary",
        "postgresql:///calls?host=/run/postgresql",
    ],
)
def test_postgresql_is_named_as_its_users_name_it(address: str):
    assert load_settings(NEEDED | {"DATABASE_URL": address}, None).database_url == address


def test_a_database_that_cannot_be_used_does_not_show_its_password():
    (problem,) = problems(NEEDED | {"DATABASE_URL": "nosuch+driver://user:hunter2@host/calls"})
    assert "hunter2" not in str(problem)


def test_a_mistake_in_the_file_is_told_with_its_line(tmp_path):
    env_file = tmp_path / ".env"
    env_file.write_text("# settings\n\nHOST=0.0.0.0\n\n\nPORT=many\n")
    (problem,) = problems(NEEDED, env_file)
    assert problem.where == f"{env_file}:6"


def test_a_line_of_the_file_that_sets_nothing_is_told(tmp_path):
    env_file = tmp_path / ".env"
    env_file.write_text("HOST=0.0.0.0\n=8000\n")
    (problem,) = problems(NEEDED, env_file)
    assert (problem.where, problem.what) == (f"{env_file}:2", "is not NAME=value")


def test_a_variable_that_is_almost_the_missing_one_is_pointed_out():
    environ = {**NEEDED, "TWILIO_AUTHTOKEN": "token"}
    del environ["TWILIO_AUTH_TOKEN"]
    (problem,) = problems(environ)
    assert "`TWILIO_AUTHTOKEN` is set, is it meant?" in problem.remedy


def test_everything_that_is_right_comes_together():
    environ = NEEDED | {"HANDOFF_POLICY": str(ROOT / "handoff.yaml")}
    configuration = load_all(environ, None)
    assert configuration.settings.pipeline == "openai_realtime"
    assert configuration.policy.default == "front_desk"
    assert configuration.pipeline.voice == "marin"


def test_mistakes_in_the_environment_the_policy_and_the_pipeline_are_told_together(tmp_path):
    policy, pipeline = tmp_path / "who.yaml", tmp_path / "shop.yaml"
    policy.write_text("targets: {}\ndefault: desk\nfailsafe_target: ${DESK}\n")
    pipeline.write_text("instructions: x\nvoice: marine\n")
    environ = {**NEEDED, "HANDOFF_POLICY": str(policy), "PIPELINE": str(pipeline), "PORT": "x"}
    del environ["OPENAI_API_KEY"]
    with pytest.raises(ConfigurationError) as caught:
        load_all(environ, None)
    assert [p.where for p in caught.value.problems] == [
        "environment",
        "environment",
        f"{policy}:1",
        f"{policy}:3",
        f"{pipeline}:2",
    ]


def test_a_file_can_use_what_stands_in_the_environment_file(tmp_path):
    (tmp_path / ".env").write_text("DESK=+442079460101\n")
    (tmp_path / "handoff.yaml").write_text(
        "targets: {desk: {description: x, numbers: ['${DESK}']}}\ndefault: desk\nfailsafe_target: desk\n"
    )
    environ = NEEDED | {"HANDOFF_POLICY": str(tmp_path / "handoff.yaml")}
    policy = load_all(environ, tmp_path / ".env").policy
    assert policy.targets["desk"].endpoints[0].address == "+442079460101"


def test_a_policy_that_is_not_there_is_told_with_the_setting_that_names_it(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        load_all(NEEDED | {"HANDOFF_POLICY": str(tmp_path / "gone.yaml")}, None)
    (problem,) = caught.value.problems
    assert "HANDOFF_POLICY" in problem.remedy


def test_a_business_tool_cannot_be_called_like_one_of_the_calls_own(tmp_path, monkeypatch):
    (tmp_path / "own_tools.py").write_text('async def end_call(params):\n    "Ends it."')
    (tmp_path / "shop.yaml").write_text("instructions: x\ntools: [own_tools.end_call]")
    monkeypatch.syspath_prepend(tmp_path)
    environ = NEEDED | {
        "HANDOFF_POLICY": str(ROOT / "handoff.yaml"),
        "PIPELINE": str(tmp_path / "shop.yaml"),
    }
    with pytest.raises(ConfigurationError) as caught:
        load_all(environ, None)
    (problem,) = caught.value.problems
    assert "every call has a tool `end_call` already" in problem.what


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"WEBHOOK_URL": "https://crm.example/events"}, "`WEBHOOK_SECRET` is missing, but WEBHOOK_URL is set"),
        (
            {"WEBHOOK_URL": "https://crm.example/events", "WEBHOOK_SECRET": "short"},
            "`WEBHOOK_SECRET` is shorter than 16 characters",
        ),
        ({"WEBHOOK_URL": "crm.example", "WEBHOOK_SECRET": "x" * 32}, "`WEBHOOK_URL` does not begin with"),
    ],
)
def test_a_receiver_and_its_secret_go_together(given: dict[str, str], what: str):
    with pytest.raises(ConfigurationError) as caught:
        load_settings({**NEEDED, **given}, None)
    assert what in caught.value.problems[0].what
