"""A pipeline's settings, as OpenAI's Realtime API wants to hear them."""

from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.services.openai.realtime import events

from pipelines.realtime_config import RealtimeConfig


def session_properties(config: RealtimeConfig, tools: ToolsSchema) -> events.SessionProperties:
    """What a session of OpenAI's Realtime API is asked to be, but for its instructions.

    Args:
        config: The pipeline's settings.
        tools: What the model may call.
    """
    turns = config.turn_detection
    detection = (
        events.SemanticTurnDetection(eagerness=turns.eagerness)
        if turns.type == "semantic_vad"
        else events.TurnDetection(
            threshold=turns.threshold,
            prefix_padding_ms=turns.prefix_padding_ms,
            silence_duration_ms=turns.silence_duration_ms,
        )
    )
    noise = config.noise_reduction
    audio_format = events.PCMUAudioFormat() if config.audio == "pcmu" else events.PCMAudioFormat()
    return events.SessionProperties(
        output_modalities=["audio"],
        audio=events.AudioConfiguration(
            input=events.AudioInput(
                format=audio_format,
                transcription=events.InputAudioTranscription(
                    model=config.transcription.model, language=config.language
                ),
                noise_reduction=events.InputAudioNoiseReduction(type=noise) if noise else None,
                turn_detection=detection,
            ),
            output=events.AudioOutput(format=audio_format, voice=config.voice, speed=config.speed),
        ),
        tools=tools,
    )
