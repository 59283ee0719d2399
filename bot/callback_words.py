"""What a person of ours hears who is to call somebody back, in their language. Pure."""

from dataclasses import dataclass

from bot.callback import Callback, Try, TryOutcome
from bot.phrases import LANGUAGES


@dataclass(frozen=True, slots=True)
class Words:
    """The words for one language."""

    asked: str
    """`{number}` is who is to be called back."""

    missed: str
    """Said to the person when the caller does not answer."""


WORDS = {
    "en": Words(
        "A caller from {number} has asked to be called back. If you take the call, we call them now.",
        "They do not answer. Thank you, goodbye.",
    ),
    "de": Words(
        "Ein Anrufer mit der Nummer {number} bittet um Rückruf. Wenn Sie annehmen, rufen wir ihn jetzt an.",
        "Dort antwortet niemand. Danke, auf Wiederhören.",
    ),
    "fr": Words(
        "Un appelant du {number} a demandé à être rappelé. Si vous acceptez, nous l'appelons maintenant.",
        "Personne ne répond. Merci, au revoir.",
    ),
    "es": Words(
        "Una persona del número {number} ha pedido que la llamen. Si atiende, la llamamos ahora.",
        "No contestan. Gracias, adiós.",
    ),
    "it": Words(
        "Una persona dal numero {number} ha chiesto di essere richiamata. Se accetta, la chiamiamo ora.",
        "Non risponde nessuno. Grazie, arrivederci.",
    ),
    "nl": Words(
        "Een beller met nummer {number} wil worden teruggebeld. Als u aanneemt, bellen we nu.",
        "Er wordt niet opgenomen. Dank u, tot ziens.",
    ),
    "pt": Words(
        "Uma pessoa do número {number} pediu uma chamada de retorno. Se atender, ligamos agora.",
        "Ninguém atende. Obrigado, até logo.",
    ),
}


def for_person(callback: Callback, language: str) -> str:
    """What the person hears before they take it: who is to be called back, and why."""
    parts = [WORDS[language].asked.format(number=callback.number)]
    if callback.reason:
        parts.append(f"{LANGUAGES[language].reason} {callback.reason}.")
    if callback.summary:
        parts.append(callback.summary)
    return " ".join(parts)


def last_words(tried: Try | None, language: str) -> str:
    """What a person hears whose call is over: the caller did not answer, or is not to be called any more."""
    missed = (TryOutcome.CALLER_BUSY, TryOutcome.CALLER_NO_ANSWER, TryOutcome.CALLER_FAILED)
    if tried is not None and tried.outcome in missed:
        return WORDS[language].missed
    return LANGUAGES[language].gone
