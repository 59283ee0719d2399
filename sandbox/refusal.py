"""What REST answers when it does not do what it was asked."""


class Refusal(Exception):
    """An answer that is an error of Twilio's.

    Attributes:
        status: The HTTP status.
        code: Twilio's code.
    """

    def __init__(self, status: int, code: int, message: str) -> None:
        """Say why; see the class."""
        super().__init__(message)
        self.status = status
        self.code = code
