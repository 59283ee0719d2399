"""What an operator sets: environment, hand-off policy, pipeline. Every mistake is told at once."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, TypeVar
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from bot.database import is_postgresql
from bot.environment import Environment, read_environment
from bot.logs import LogFormat
from bot.numbers_file import read_numbers
from bot.policy_file import load_policy
from bot.prices import Prices, read_prices
from bot.routing import Policy
from bot.tools import CALL_TOOLS
from pipelines.config import PipelineConfig
from pipelines.load import load_chain
from pipelines.problems import (
    ConfigurationError,
    Problem,
    explain,
    guess,
    listed,
    nearest,
    refusal,
)

LOG_LEVELS = ("TRACE", "DEBUG", "INFO", "SUCCESS", "WARNING", "ERROR", "CRITICAL")

_T = TypeVar("_T")


def _split(url: str, schemes: tuple[str, ...], example: str) -> SplitResult:
    remedy = f"write a whole address, e.g. {example}"
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for a port that is no number
    except ValueError as error:
        raise refusal("is not an address", remedy) from error
    if parts.scheme not in schemes or not parts.hostname:
        raise refusal(f"does not begin with {listed(f'{scheme}://' for scheme in schemes)}", remedy)
    if re.search(r"[\s?#@]", url):
        raise refusal("holds more than an address: a space, a user, `?` or `#`", remedy)
    return parts


def _origin(url: str) -> str:
    example = "https://bot.example.com"
    parts = _split(url, ("https", "http"), example)
    if parts.path not in ("", "/"):
        remedy = f"write the scheme and the host alone, e.g. {example}"
        raise refusal(f"has the path `{parts.path}`", remedy)
    return url.rstrip("/")


def _websocket(url: str) -> str:
    _split(url, ("wss", "ws"), "wss://api.openai.com/v1/realtime")
    return url.rstrip("/")


def _receiver(url: str) -> str:
    _split(url, ("https", "http"), "https://crm.example.com/putthrough")
    return url


def _sid(prefix: str, sid: str) -> str:
    if not re.fullmatch(prefix + "[0-9a-fA-F]{32}", sid):
        remedy = "copy it from the Twilio console; the SID is not the secret"
        raise refusal(f"is not {prefix} and 32 hexadecimal digits", remedy)
    return sid


def _log_level(level: str) -> str:
    if level.upper() not in LOG_LEVELS:
        remedy = f"{guess(level.upper(), LOG_LEVELS)} choose from {listed(LOG_LEVELS)}"
        raise refusal(f"is `{level}`, which is no level", remedy.strip())
    return level.upper()


def _database(address: str) -> str:
    """Checked without quoting it: it can hold a password."""
    example = "sqlite+aiosqlite:///putthrough.db"
    if is_postgresql(address):
        _postgresql(address)
        return address
    try:
        url = make_url(address)
        dialect = url.get_dialect()
        if url.get_backend_name() != "sqlite":
            raise refusal(f"is a {url.get_backend_name()} database", f"use {example} or {_POSTGRESQL_EXAMPLE}")
        dialect.import_dbapi()
    except (ArgumentError, NoSuchModuleError) as error:
        remedy = f"write it as SQLAlchemy does, e.g. {example} or {_POSTGRESQL_EXAMPLE}"
        raise refusal("is not a database that SQLAlchemy knows", remedy) from error
    except ImportError as error:
        raise refusal(f"needs `{error.name}`", f"install it, or use {example}") from error
    if not dialect.is_async:
        remedy = f"name an async driver, e.g. {example} or {_POSTGRESQL_EXAMPLE}"
        raise refusal(f"uses `{url.drivername}`, which is not async", remedy)
    if url.database:
        folder = Path(url.database).parent
        if not folder.is_dir():
            raise refusal(f"is in the folder `{folder}`, which does not exist", "create the folder")
    return address


_POSTGRESQL_EXAMPLE = "postgresql://user:password@host:5432/calls"


def _postgresql(address: str) -> None:
    remedy = (
        f"write it whole, e.g. {_POSTGRESQL_EXAMPLE}; in user and password, `@`, `/`, `?` and `#` as %40, %2F, %3F, %23"
    )
    try:
        parts = urlsplit(address)
        if "," not in parts.netloc:  # several hosts, of which the driver takes the first that will do
            _ = parts.port  # raises for a port that is no number
    except ValueError as error:
        raise refusal("is not an address", remedy) from error
    if parts.fragment or parts.netloc.count("@") > 1:
        raise refusal("is not an address: a `@` or `#` too many", remedy)
    if parts.netloc.rpartition("@")[2] == "" and "host=" not in parts.query:
        raise refusal("names no host", remedy)
    if len(parts.path) < 2:
        raise refusal("names no database", remedy)


def _spool(folder: Path | None) -> Path | None:
    if folder is not None and folder.exists() and not folder.is_dir():
        raise refusal("is a file", "name a folder; it is created where there is none")
    return folder


Origin = Annotated[str, AfterValidator(_origin)]


class Settings(BaseModel):
    """What the environment says. Each field is the variable of the same name in capitals."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=str.upper,
        populate_by_name=True,
        use_attribute_docstrings=True,
        validate_default=True,
    )

    public_url: Origin
    """Where Twilio reaches this server, scheme and host alone, e.g. `https://bot.example.com`."""

    host: str = "127.0.0.1"
    """The address to listen on; 0.0.0.0 for all of this machine's."""

    port: int = Field(default=8000, ge=1, le=65_535)
    """The port to listen on."""

    twilio_account_sid: Annotated[str, AfterValidator(lambda sid: _sid("AC", sid))]
    """The Account SID from the Twilio console: AC and 32 hexadecimal digits."""

    twilio_auth_token: SecretStr
    """The Auth Token from the Twilio console; Twilio signs its requests with it."""

    twilio_api_key_sid: Annotated[str, AfterValidator(lambda sid: _sid("SK", sid))] | None = None
    """An API key for orders to Twilio instead of the Auth Token: SK and 32 hexadecimal digits."""

    twilio_api_key_secret: SecretStr | None = None
    """The secret of that API key."""

    twilio_api_url: Origin = "https://api.twilio.com"
    """Twilio's REST API."""

    openai_api_key: SecretStr | None = None
    """The key of an OpenAI project, from platform.openai.com, for pipelines on OpenAI's models."""

    openai_realtime_url: Annotated[str, AfterValidator(_websocket)] = "wss://api.openai.com/v1/realtime"
    """OpenAI's Realtime API, without a query."""

    pipeline: str = "openai_realtime"
    """The name of a file in `pipelines/` without `.yaml`, or a path."""

    handoff_policy: Path = Path("handoff.yaml")
    """The file that says who takes the calls."""

    numbers: Path | None = None
    """A file that gives some of our numbers another pipeline or another policy. Without it, all have the same."""

    database_url: Annotated[str, AfterValidator(_database)] = "sqlite+aiosqlite:///putthrough.db"
    """The record of the calls, as SQLAlchemy writes a database: SQLite's file, or PostgreSQL for several processes."""

    prices: Path | None = None
    """A file that says what tokens cost, so that a call's page can. Without it, it shows tokens alone."""

    spool: Annotated[Path | None, AfterValidator(_spool)] = None
    """The folder where the record waits while the database is away: by default beside the file of SQLite, else
    `./spool`. It has to outlive a restart."""

    max_calls: int = Field(default=60, ge=1)
    """How many calls the bot takes at once in this process. Further callers are put through to the failsafe target."""

    max_calls_together: int | None = Field(default=None, ge=1)
    """How many calls the bots of all processes on one database take at once. Without it, each process's own cap."""

    max_calls_per_caller: int | None = Field(default=None, ge=1)
    """How many calls from one number the bot takes within an hour. Without it, any number."""

    outage: bool = False
    """Whether every new call goes straight to a person. `PUT /api/outage` does it without a restart."""

    evals: bool = False
    """Whether an eval harness may talk with the bot of Pipecat's runner. `python server.py` never lets one in."""

    drain_seconds: int = Field(default=600, ge=0)
    """How long live calls may go on after the process was told to end. Seconds."""

    console_password: SecretStr | None = None
    """Opens the console and the calls API."""

    console_viewer_password: SecretStr | None = None
    """Opens the console to those who only look, with personal data masked."""

    retention_days: int | None = Field(default=None, ge=1)
    """How many days after a call's end its transcript, its recording and all else that was said are deleted. Without
    it, they are kept."""

    webhook_url: Annotated[str, AfterValidator(_receiver)] | None = None
    """Where what happens to calls is told, e.g. `https://crm.example.com/putthrough`. It needs WEBHOOK_SECRET."""

    webhook_secret: SecretStr | None = None
    """With what those requests are signed: any long text that the receiver knows too."""

    log_level: Annotated[str, AfterValidator(_log_level)] = "INFO"
    """The least that is logged."""

    log_format: LogFormat = "text"
    """`text` for people, `json` for programs: one object a line, with `call_sid` where it belongs to a call."""

    @property
    def twilio_api_key(self) -> tuple[str, str] | None:
        """SID and secret of the API key; None where the Auth Token is used for orders as well."""
        if self.twilio_api_key_sid is None or self.twilio_api_key_secret is None:
            return None
        return self.twilio_api_key_sid, self.twilio_api_key_secret.get_secret_value()

    @field_validator("twilio_api_key_secret")
    @classmethod
    def _with_its_sid(cls, secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if "twilio_api_key_sid" in info.data:  # absent when it is wrong itself
            if secret is None and info.data["twilio_api_key_sid"] is not None:
                remedy = "set it too, or remove TWILIO_API_KEY_SID to use the Auth Token"
                raise refusal("is missing, but TWILIO_API_KEY_SID is set", remedy)
            if secret is not None and info.data["twilio_api_key_sid"] is None:
                remedy = "set TWILIO_API_KEY_SID too, or remove it to use the Auth Token"
                raise refusal("is set without TWILIO_API_KEY_SID", remedy)
        return secret

    @field_validator("webhook_secret")
    @classmethod
    def _with_its_url(cls, secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if "webhook_url" in info.data:  # absent when it is wrong itself
            if secret is None and info.data["webhook_url"] is not None:
                remedy = "set it too, to a long text that the receiver knows: it proves that a request is ours"
                raise refusal("is missing, but WEBHOOK_URL is set", remedy)
            if secret is not None and len(secret.get_secret_value()) < 16:
                raise refusal("is shorter than 16 characters", "make a longer one: openssl rand -hex 32")
        return secret


@dataclass(frozen=True, slots=True)
class Answering:
    """What answers on a number of ours."""

    policy: Policy
    pipelines: tuple[PipelineConfig, ...]
    """The pipeline, and those that take over from it when its model is gone."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything that an operator can set, checked."""

    settings: Settings
    answering: Answering
    """What answers on every number that is not among `numbers`."""

    numbers: Mapping[str, Answering]
    """By called number, E.164: what answers there instead."""

    environ: Mapping[str, str] = field(repr=False)
    """Every variable, for the services of pipelines, whose keys have names of their own."""

    prices: Prices | None = None
    """What tokens cost; None where nobody has said."""

    @property
    def policy(self) -> Policy:
        """The rules for every number that has none of its own."""
        return self.answering.policy

    @property
    def pipeline(self) -> PipelineConfig:
        """The pipeline with which a call to such a number begins."""
        return self.answering.pipelines[0]


def load_settings(environ: Mapping[str, str] | None = None, env_file: str | Path | None = ".env") -> Settings:
    """Read the environment alone.

    Args:
        environ: The variables; by default the process's. They win over the file.
        env_file: A file with more of them; one that does not exist is an empty one.

    Raises:
        ConfigurationError: Everything that is missing or wrong.
    """
    return _settings(read_environment(environ, env_file))


def load_all(environ: Mapping[str, str] | None = None, env_file: str | Path | None = ".env") -> Configuration:
    """Read the environment, and the policy and the pipeline that it names.

    Args:
        environ: The variables; by default the process's. They win over the file.
        env_file: A file with more of them; one that does not exist is an empty one.

    Raises:
        ConfigurationError: Everything that is missing or wrong in any of the three.
    """
    environment = read_environment(environ, env_file)
    values, fields = environment.values, Settings.model_fields
    policy_path = Path(values.get("HANDOFF_POLICY") or fields["handoff_policy"].default)
    pipeline_name = values.get("PIPELINE") or fields["pipeline"].default
    problems: list[Problem] = []
    settings = _gather(problems, lambda: _settings(environment))
    several = is_postgresql(values.get("DATABASE_URL", ""))  # processes: any of them can take a caller back

    def answering(policy_file: Path, pipeline: str) -> Answering | None:
        policy = _gather(problems, lambda: load_policy(policy_file, values, rescue=several))
        pipelines = _gather(problems, lambda: load_chain(pipeline, values, taken=CALL_TOOLS))
        if policy is None or pipelines is None:
            return None
        problems.extend(_unknown_targets(policy, pipelines))
        if any(target.finder for target in policy.targets.values()) and not values.get("WEBHOOK_SECRET"):
            remedy = "set it to a long text that the system asked by `resolve` knows: it proves that a request is ours"
            problems.append(Problem("environment", "`WEBHOOK_SECRET` is missing, but a target has `resolve`", remedy))
        if policy.voicemail.transcriber is not None and not values.get("OPENAI_API_KEY"):
            remedy = "set it to a key from platform.openai.com, or remove `transcribe`"
            problems.append(
                Problem("environment", "`OPENAI_API_KEY` is missing, but `voicemail` has `transcribe`", remedy)
            )
        return Answering(replace(policy, other_models=len(pipelines) - 1), pipelines)

    first = answering(policy_path, pipeline_name)
    numbers: dict[str, Answering | None] = {}
    if path := values.get("NUMBERS"):
        for number, choice in (_gather(problems, lambda: read_numbers(Path(path), values)) or {}).items():
            numbers[number] = answering(choice.policy or policy_path, choice.pipeline or pipeline_name)
    prices_path = values.get("PRICES")
    prices = _gather(problems, lambda: read_prices(Path(prices_path), values)) if prices_path else None
    others = {number: found for number, found in numbers.items() if found is not None}
    if settings is None or first is None or problems:
        told = dict.fromkeys(problems)  # a file that several numbers name is read for each of them
        raise ConfigurationError(sorted(told, key=lambda problem: problem.where != "environment"))
    return Configuration(settings, first, others, values, prices)


def _unknown_targets(policy: Policy, pipelines: Sequence[PipelineConfig]) -> Iterator[Problem]:
    """Changes of a pipeline that lead callers to targets which the policy does not have."""
    for name, change in ((name, change) for config in pipelines for name, change in config.named_changes.items()):
        for key in (key for pair in change.targets.items() for key in pair if key not in policy.targets):
            what = f"`changes.{name}.targets` of the pipeline names `{key}`, but there is no such target"
            remedy = f"{guess(key, policy.targets)} there is: {listed(policy.targets)}".strip()
            yield Problem("environment", what, remedy)


def _gather(problems: list[Problem], read: Callable[[], _T]) -> _T | None:
    try:
        return read()
    except ConfigurationError as error:
        problems.extend(error.problems)
        return None


def _settings(environment: Environment) -> Settings:
    problems = [*environment.problems]
    try:
        settings = Settings.model_validate(environment.values)
    except ValidationError as error:
        schema = Settings.model_json_schema()
        for details in error.errors(include_url=False):
            name = str(details["loc"][0]).upper()  # pydantic names a default by its field
            path = () if details["type"] == "missing" else (name,)
            what, remedy = explain(details, schema, path)
            if details["type"] == "missing" and (slip := _slip(name, environment.values)):
                remedy += f"; `{slip}` is set, is it meant?"
            problems.append(Problem(environment.places.get(name, "environment"), what, remedy))
    else:
        if not problems:
            return settings
    raise ConfigurationError(problems)


def _slip(name: str, values: Mapping[str, str]) -> str | None:
    """A variable that is set and has almost this name, but is none of ours."""
    ours = {field.upper() for field in Settings.model_fields}
    return nearest(name, values.keys() - ours)
