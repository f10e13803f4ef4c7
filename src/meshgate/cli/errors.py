"""What a command says when it cannot do what was asked."""

from __future__ import annotations


class CliError(Exception):
    """Ends the command with exit code 1; `remedy` is printed below the message."""

    def __init__(self, message: str, remedy: str = "", code: int = 1) -> None:
        super().__init__(message)
        self.message, self.remedy, self.code = message, remedy, code
