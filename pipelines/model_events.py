"""What is known of a Realtime session's events: which Pipecat's service is shown, and which end it."""

PASSED_ON = frozenset(
    {
        "session.created",
        "session.updated",
        "response.created",
        "response.output_audio.delta",
        "conversation.item.added",
        "conversation.item.input_audio_transcription.completed",
        "conversation.item.retrieved",
        "response.done",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "response.output_text.delta",
        "response.function_call_arguments.done",
        "error",
    }
)
"""The events that Pipecat's service acts on, but for those that nobody reads and those that are handled on arrival."""

SESSION_OVER = frozenset({"session_expired", "invalid_api_key", "insufficient_quota", "billing_hard_limit_reached"})
"""Error codes after which the session gives no more answers."""
