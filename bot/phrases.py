"""What our own words are in the languages of the people who take calls. Pure.

The summary is the model's, which is told in which language to write it; these are the words around it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phrases:
    """The words for one language."""

    name: str
    """The language's English name, for the model."""

    voice: str
    """How `<Say language>` calls it (Twilio: TwiML `<Say>`)."""

    caller: str
    """`{number}` is who calls."""

    reason: str
    keys: str
    thanks: str
    """Said to the person who has taken the call."""

    gone: str
    """Said to the person when there is no caller to talk with any more."""

    together: str
    """Said to both, where the bot has no words of its own for that."""


LANGUAGES = {
    "en": Phrases(
        "English",
        "en-US",
        "A caller from {number} would like to speak to you.",
        "Reason:",
        "Press 1 to take the call, 2 to decline.",
        "Thank you.",
        "Sorry, the caller is not waiting any more. Goodbye.",
        "You are connected now.",
    ),
    "de": Phrases(
        "German",
        "de-DE",
        "Ein Anrufer mit der Nummer {number} möchte Sie sprechen.",
        "Grund:",
        "Drücken Sie die 1, um das Gespräch anzunehmen, die 2, um es abzulehnen.",
        "Danke.",
        "Der Anrufer wartet leider nicht mehr. Auf Wiederhören.",
        "Sie sind jetzt verbunden.",
    ),
    "fr": Phrases(
        "French",
        "fr-FR",
        "Un appelant du {number} souhaite vous parler.",
        "Motif :",
        "Appuyez sur 1 pour prendre l'appel, sur 2 pour refuser.",
        "Merci.",
        "Désolé, l'appelant n'attend plus. Au revoir.",
        "Vous êtes maintenant en relation.",
    ),
    "es": Phrases(
        "Spanish",
        "es-ES",
        "Una persona desde el número {number} quiere hablar con usted.",
        "Motivo:",
        "Pulse 1 para atender la llamada, 2 para rechazarla.",
        "Gracias.",
        "Lo sentimos, ya no espera nadie. Adiós.",
        "Ya están conectados.",
    ),
    "it": Phrases(
        "Italian",
        "it-IT",
        "Una persona dal numero {number} desidera parlare con lei.",
        "Motivo:",
        "Prema 1 per prendere la chiamata, 2 per rifiutarla.",
        "Grazie.",
        "Spiacenti, non c'è più nessuno in attesa. Arrivederci.",
        "Ora siete in linea.",
    ),
    "nl": Phrases(
        "Dutch",
        "nl-NL",
        "Een beller met nummer {number} wil u graag spreken.",
        "Reden:",
        "Druk op 1 om het gesprek aan te nemen, op 2 om te weigeren.",
        "Dank u.",
        "Sorry, de beller wacht niet meer. Tot ziens.",
        "U bent nu verbonden.",
    ),
    "pt": Phrases(
        "Portuguese",
        "pt-BR",
        "Uma pessoa do número {number} quer falar com você.",
        "Motivo:",
        "Pressione 1 para atender, 2 para recusar.",
        "Obrigado.",
        "Desculpe, não há mais ninguém esperando. Até logo.",
        "Vocês já estão conectados.",
    ),
}
"""By the code that an operator writes (ISO 639-1)."""
