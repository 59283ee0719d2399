"""OpenAI over HTTP: chat completions, speech and transcriptions, on loopback and as strict as the real service.

Nothing in these requests names a call, and only what is transcribed carries its line's hum. So a reply is thought by
the brain of the only line that is open, and one call at a time is all that this part of the sandbox serves.
"""

import asyncio
import hmac
import io
import time
import wave
from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
from aiohttp import web
from openai.types.audio.speech_create_params import SpeechCreateParams
from openai.types.audio.transcription_create_params import TranscriptionCreateParamsBase

from sandbox.brain import Brain, FaultKind
from sandbox.chat import Completion, read_request, turn_of
from sandbox.codec import Pcm
from sandbox.hearing import HumSearch
from sandbox.hum import Hum
from sandbox.outlet import STALL_SECONDS
from sandbox.scene import Journal
from sandbox.session import Timing
from sandbox.view import Json, SessionView
from sandbox.voice import speak
from sandbox.wire import Refused

RATE = 24_000
"""Samples per second of speech in `pcm` (OpenAI: Create speech)."""

CHUNK_SECONDS = 0.15

LONGEST_INPUT = 4096
"""Characters that are spoken at once (OpenAI: Create speech, `input`)."""

SHORTEST_FILE_SECONDS = 0.1
LARGEST_FILE = 25 * 1024 * 1024

VOICES = (
    *("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable"),
    *("marin", "nova", "onyx", "sage", "shimmer", "verse"),
)

Refusal = Literal[401, 429, 500, 503, "abort", "hang"]
"""What happens to requests instead of an answer."""


class OpenAIHttp:
    """The service.

    Attributes:
        requests: The conversation of every chat completion there was, in order.
        refuse: By the end of a path (`completions`, `speech`, `transcriptions`): what happens to its requests.
    """

    def __init__(
        self,
        *,
        lines: Mapping[Hum, Brain],
        default_brain: Brain,
        journal: Journal,
        api_key: str,
        timing: Timing | None = None,
    ) -> None:
        """Prepare the service; `async with` runs it.

        Args:
            lines: The brain of each line that is open.
            default_brain: Answers where no line is open.
            journal: Where notes go.
            api_key: The only key that is let in.
            timing: How fast the models are.
        """
        self.requests: list[SessionView] = []
        self.refuse: dict[str, Refusal] = {}
        self._lines = lines
        self._default_brain = default_brain
        self._journal = journal
        self._api_key = api_key
        self._timing = timing or Timing()

    @property
    def url(self) -> str:
        """As in `http://127.0.0.1:1234/v1`."""
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=LARGEST_FILE)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/audio/speech", self._speech)
        app.router.add_post("/v1/audio/transcriptions", self._transcription)
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._runner.cleanup()

    # --- every request -----------------------------------------------------------------------------

    def _brain(self, hum: Hum | None = None) -> Brain:
        if hum is not None and hum in self._lines:
            return self._lines[hum]
        if len(self._lines) > 1:
            raise Refused("not_simulated", "Nothing in the request says which of several open lines it belongs to.")
        return next(iter(self._lines.values()), self._default_brain)

    def _note(self, what: str, **data: Any) -> None:
        sids = {brain.call_sid for brain in self._lines.values()}
        self._journal.note("model", what, sids.pop() if len(sids) == 1 else None, **data)

    async def _admitted(self, request: web.Request) -> web.Response | None:
        """None for a request that is let in."""
        kind = self.refuse.get(request.path.rpartition("/")[2])
        if kind == "abort":
            _abort(request)
        if kind == "hang":
            await asyncio.Event().wait()
        if isinstance(kind, int):
            self._note("refuses", status=kind)
            return _error(kind, "invalid_api_key" if kind == 401 else "server_error", "Refused.")
        bearer = request.headers.get("Authorization", "")
        if not hmac.compare_digest(bearer, f"Bearer {self._api_key}"):
            self._note("refuses", status=401)
            return _error(401, "invalid_api_key", "Incorrect API key provided.")
        return None

    def _refused(self, refused: Refused, view: SessionView | None = None) -> web.Response:
        error = {"code": refused.code, "message": str(refused), "param": refused.param}
        if view is None:
            view = SessionView("refused", self._journal.now(), {"instructions": None, "tools": []})
            self.requests.append(view)
        view.errors.append(error)
        self._note("error", **error)
        return _error(400, refused.code, str(refused), refused.param)

    # --- chat --------------------------------------------------------------------------------------

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        if (refusal := await self._admitted(request)) is not None:
            return refusal
        try:
            body = await _json(request)
            view = read_request(body, self._journal.now())
            brain = self._brain()
        except Refused as refused:
            return self._refused(refused)
        self.requests.append(view)
        turn = turn_of(view)
        self._note("response started", why=turn.why)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})

        async def send(piece: bytes) -> None:
            if not response.prepared:
                await response.prepare(request)
            await response.write(piece)

        async def fault(kind: FaultKind) -> None:
            await self._break(kind, request, response)

        try:
            await asyncio.sleep(self._timing.thinking)
            reply = await brain.reply(turn)
            completion = Completion(
                view,
                send=send,
                fault=fault,
                note=self._note,
                created=int(time.time()),
                with_usage=bool((body.get("stream_options") or {}).get("include_usage")),
            )
            await completion.perform(reply)
        except web.HTTPException as answer:
            return _error(answer.status, "server_error", "The server had an error while processing your request.")
        except (asyncio.CancelledError, ConnectionError):
            self._note("response done", status="cancelled", reason="client_gone", text="")
            raise
        return response

    async def _break(self, kind: FaultKind, request: web.Request, response: web.StreamResponse) -> None:
        """A fault, as HTTP has it: an error in place of an answer, or a connection that breaks or stands still."""
        self._note("breaks", kind=kind)
        match kind:
            case "stall":
                await asyncio.sleep(STALL_SECONDS)
            case "hang":
                await asyncio.Event().wait()
            case "unparsable":
                if response.prepared:
                    await response.write(b": a comment, which an event stream may have\n\n")
            case "error_event" | "fatal_error" if not response.prepared:
                raise web.HTTPInternalServerError
            case _:
                await asyncio.sleep(0.05)  # what was sent before it arrives
                _abort(request)

    # --- sound -------------------------------------------------------------------------------------

    async def _speech(self, request: web.Request) -> web.StreamResponse:
        if (refusal := await self._admitted(request)) is not None:
            return refusal
        try:
            text, voice = _spoken_text(await _json(request))
        except Refused as refused:
            return self._refused(refused)
        response = web.StreamResponse(headers={"Content-Type": "audio/pcm"})
        await response.prepare(request)
        self._note("speaks", voice=voice)
        pcm = speak(text, voice="bot", rate=RATE)
        step = round(RATE * CHUNK_SECONDS)
        for at in range(0, len(pcm), step):
            await response.write(pcm[at : at + step].astype("<i2").tobytes())
            await asyncio.sleep(CHUNK_SECONDS / self._timing.pace)
        return response

    async def _transcription(self, request: web.Request) -> web.StreamResponse:
        if (refusal := await self._admitted(request)) is not None:
            return refusal
        try:
            pcm, rate, language = await _recording(request)
            brain = self._brain(_hum(pcm, rate))
        except Refused as refused:
            return self._refused(refused)
        await asyncio.sleep(self._timing.transcription)
        transcript = brain.transcript()
        self._note("hears", text=transcript, language=language)
        if transcript is None:
            return _error(500, "server_error", "The audio could not be transcribed.")
        usage = {"type": "duration", "seconds": round(len(pcm) / rate)}
        return web.json_response({"text": transcript, "usage": usage})


def _abort(request: web.Request) -> None:
    """Reset the connection."""
    if request.transport is not None:
        request.transport.abort()
    raise asyncio.CancelledError("broken on purpose")


def _error(status: int, code: str, message: str, param: str | None = None) -> web.Response:
    kind = "invalid_request_error" if status < 429 else "server_error"
    error = {"message": message, "type": kind, "param": param, "code": code}
    return web.json_response({"error": error}, status=status)


async def _json(request: web.Request) -> Json:
    try:
        return await request.json()
    except ValueError:
        raise Refused("invalid_json", "We could not parse the JSON body of your request.") from None


def _spoken_text(body: Any) -> tuple[str, str]:
    """What a request wants to be spoken, and in which voice.

    Raises:
        Refused: The service would not take it.
    """
    if not isinstance(body, dict):
        raise Refused("invalid_json", "The body is not a JSON object.")
    for name in body:
        if name not in SpeechCreateParams.__annotations__:
            raise Refused("unknown_parameter", f"Unknown parameter: '{name}'.", param=name)
    text = body.get("input")
    if not isinstance(text, str) or not text.strip() or len(text) > LONGEST_INPUT:
        raise Refused("invalid_value", f"'input' has to have 1 to {LONGEST_INPUT} characters.", param="input")
    if not body.get("model"):
        raise Refused("missing_model", "You must provide a model parameter.", param="model")
    if body.get("voice") not in VOICES:
        raise Refused("invalid_value", f"Invalid voice: '{body.get('voice')}'.", param="voice")
    if body.get("response_format", "mp3") != "pcm":
        raise Refused("not_simulated", "The sandbox speaks PCM alone.", param="response_format")
    if not 0.25 <= body.get("speed", 1.0) <= 4.0:
        raise Refused("invalid_value", "'speed' has to lie from 0.25 to 4.0.", param="speed")
    return text, body["voice"]


async def _recording(request: web.Request) -> tuple[Pcm, int, str | None]:
    """The samples of an uploaded WAV file, how many of them make a second, and the language that they are said to be.

    Raises:
        Refused: The service would not take it.
    """
    form = await request.post()
    for name in form:
        if name.removesuffix("[]") not in {*TranscriptionCreateParamsBase.__annotations__, "stream"}:
            raise Refused("unknown_parameter", f"Unknown parameter: '{name}'.", param=name)
    if not form.get("model"):
        raise Refused("missing_model", "You must provide a model parameter.", param="model")
    file = form.get("file")
    if not isinstance(file, web.FileField):
        raise Refused("missing_required_parameter", "Missing required parameter: 'file'.", param="file")
    try:
        with wave.open(io.BytesIO(file.file.read())) as recording:
            rate = recording.getframerate()
            pcm = np.frombuffer(recording.readframes(recording.getnframes()), dtype="<i2").astype(np.int16)
    except (wave.Error, EOFError, ValueError):
        raise Refused("invalid_value", "Invalid file format; the sandbox reads WAV alone.", param="file") from None
    if len(pcm) < rate * SHORTEST_FILE_SECONDS:
        what = f"Audio file is too short. Minimum audio length is {SHORTEST_FILE_SECONDS} seconds."
        raise Refused("audio_too_short", what, param="file")
    language = form.get("language")
    return pcm, rate, language if isinstance(language, str) else None


def _hum(pcm: Pcm, rate: int) -> Hum | None:
    """Whose line that is, where the speech leaves room to hear it."""
    search = HumSearch()
    step = rate // 10
    for at in range(0, len(pcm), step):
        search.hear(pcm[at : at + step], rate)
        if search.over:
            break
    return search.hum
