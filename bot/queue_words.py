"""What callers hear in a queue, and the people who take them, in their languages. Pure."""

from dataclasses import dataclass

from bot.queue_rules import Leave


@dataclass(frozen=True, slots=True)
class QueueWords:
    """The words for one language."""

    first: str
    """For whoever is next."""

    position: str
    """`{position}` is where they are, from 2."""

    minute: str
    minutes: str
    """`{minutes}` of them, from 2."""

    waited: str
    """`{time}` is how long they have waited."""

    average: str
    """`{time}` is how long all who wait have waited, on average."""

    star: str
    hash: str
    """What these keys are called."""

    message: str
    callback: str
    bot: str
    """What a caller gets for `{key}`."""

    connecting: str
    """Said to the caller whom somebody has taken."""

    one_waits: str
    some_wait: str
    """Said to a person who is called to take one; `{count}` of them, from 2."""

    nobody: str
    """Said to a person for whom nobody waits."""


_WORDS = {
    "en": QueueWords(
        "You are next.",
        "You are number {position} in the queue.",
        "one minute",
        "{minutes} minutes",
        "You have been waiting for {time}.",
        "On average, callers have been waiting for {time}.",
        "star",
        "hash",
        "Press {key} to leave a message.",
        "Press {key} to be called back.",
        "Press {key} to go back to the assistant.",
        "You are being connected.",
        "A caller is waiting.",
        "{count} callers are waiting.",
        "Nobody is waiting. Goodbye.",
    ),
    "de": QueueWords(
        "Sie sind als Nächstes an der Reihe.",
        "Sie sind auf Platz {position} der Warteschlange.",
        "eine Minute",
        "{minutes} Minuten",
        "Sie warten seit {time}.",
        "Im Durchschnitt warten Anrufer seit {time}.",
        "die Sterntaste",
        "die Rautetaste",
        "Drücken Sie {key}, um eine Nachricht zu hinterlassen.",
        "Drücken Sie {key}, um zurückgerufen zu werden.",
        "Drücken Sie {key}, um zum Assistenten zurückzukehren.",
        "Sie werden verbunden.",
        "Ein Anrufer wartet.",
        "{count} Anrufer warten.",
        "Niemand wartet. Auf Wiederhören.",
    ),
    "fr": QueueWords(
        "Vous êtes le prochain.",
        "Vous êtes en position {position} dans la file d'attente.",
        "une minute",
        "{minutes} minutes",
        "Vous attendez depuis {time}.",
        "En moyenne, les appelants attendent depuis {time}.",
        "étoile",
        "dièse",
        "Appuyez sur {key} pour laisser un message.",
        "Appuyez sur {key} pour être rappelé.",
        "Appuyez sur {key} pour revenir à l'assistant.",
        "Nous vous mettons en relation.",
        "Un appelant attend.",
        "{count} appelants attendent.",
        "Personne n'attend. Au revoir.",
    ),
    "es": QueueWords(
        "Es usted la próxima persona.",
        "Está en la posición {position} de la cola.",
        "un minuto",
        "{minutes} minutos",
        "Lleva esperando {time}.",
        "De media, las personas llevan esperando {time}.",
        "asterisco",
        "almohadilla",
        "Pulse {key} para dejar un mensaje.",
        "Pulse {key} para que le llamemos.",
        "Pulse {key} para volver al asistente.",
        "Le estamos conectando.",
        "Una persona está esperando.",
        "{count} personas están esperando.",
        "No espera nadie. Adiós.",
    ),
    "it": QueueWords(
        "Lei è il prossimo.",
        "Lei è in posizione {position} nella coda.",
        "un minuto",
        "{minutes} minuti",
        "È in attesa da {time}.",
        "In media si attende da {time}.",
        "asterisco",
        "cancelletto",
        "Prema {key} per lasciare un messaggio.",
        "Prema {key} per essere richiamato.",
        "Prema {key} per tornare all'assistente.",
        "La stiamo collegando.",
        "Una persona è in attesa.",
        "{count} persone sono in attesa.",
        "Non c'è nessuno in attesa. Arrivederci.",
    ),
    "nl": QueueWords(
        "U bent aan de beurt.",
        "U bent nummer {position} in de wachtrij.",
        "één minuut",
        "{minutes} minuten",
        "U wacht sinds {time}.",
        "Gemiddeld wachten bellers sinds {time}.",
        "sterretje",
        "hekje",
        "Druk op {key} om een bericht achter te laten.",
        "Druk op {key} om teruggebeld te worden.",
        "Druk op {key} om terug te gaan naar de assistent.",
        "U wordt verbonden.",
        "Er wacht een beller.",
        "Er wachten {count} bellers.",
        "Er wacht niemand. Tot ziens.",
    ),
    "pt": QueueWords(
        "Você é o próximo.",
        "Você é o número {position} da fila.",
        "um minuto",
        "{minutes} minutos",
        "Você está esperando há {time}.",
        "Em média, as pessoas estão esperando há {time}.",
        "asterisco",
        "jogo da velha",
        "Pressione {key} para deixar uma mensagem.",
        "Pressione {key} para que liguemos de volta.",
        "Pressione {key} para voltar ao assistente.",
        "Estamos conectando você.",
        "Uma pessoa está esperando.",
        "{count} pessoas estão esperando.",
        "Não há ninguém esperando. Até logo.",
    ),
}
"""By the code of `bot.phrases.LANGUAGES`."""


def queue_words(language: str) -> QueueWords:
    """The words of a language, one of `bot.phrases.LANGUAGES`."""
    return _WORDS[language]


def announcement(language: str, *, position: int, waited: int, average: int, key: str, leave: Leave) -> str:
    """What a caller is told who waits.

    Args:
        language: One of `bot.phrases.LANGUAGES`.
        position: Theirs in the queue, from 1; 0 where Twilio does not say.
        waited: How long they have waited. Seconds.
        average: How long those who wait have waited, on average. Seconds.
        key: The key with which they leave; empty for none.
        leave: What that leads to.
    """
    words = _WORDS[language]
    told: list[str] = []
    if position:
        told.append(words.first if position == 1 else words.position.format(position=position))
    if waited >= 60:
        told.append(words.waited.format(time=_time(words, waited)))
    elif average >= 60:
        told.append(words.average.format(time=_time(words, average)))
    if key:
        lead = {Leave.VOICEMAIL: words.message, Leave.CALLBACK: words.callback, Leave.BOT: words.bot}[leave]
        told.append(lead.format(key={"*": words.star, "#": words.hash}.get(key, key)))
    return " ".join(told)


def waiting(language: str, count: int) -> str:
    """What a person is told who is called to take the next caller."""
    words = _WORDS[language]
    return words.one_waits if count == 1 else words.some_wait.format(count=count)


def _time(words: QueueWords, seconds: int) -> str:
    minutes = seconds // 60
    return words.minute if minutes == 1 else words.minutes.format(minutes=minutes)
