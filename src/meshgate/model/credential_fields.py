"""The fields of one credential Secret, and what is wrong with them; nothing secret is quoted."""

from __future__ import annotations

from collections.abc import Mapping

from meshgate.core.diagnostics import Diagnostic, ObjectRef, Severity
from meshgate.core.secret import Secret
from meshgate.model.declared import SecretObject

_WITHOUT_EFFECT = frozenset({"id", "tags", "kongCredType"})
"""Known to Kong, with no influence on who gets in."""


class CredentialFields:
    """One reading of one Secret; collects what is wrong with it (MG2105)."""

    def __init__(self, secret: SecretObject) -> None:
        self._secret = secret
        self.data: Mapping[str, Secret] = secret.data
        self.diagnostics: list[Diagnostic] = []

    def check_keys(self, known: frozenset[str]) -> None:
        """Reports every key that the credential's type does not have."""
        for name in sorted(self.data.keys() - known):
            if name in _WITHOUT_EFFECT:
                self.report(Severity.WARNING, "has no effect here", "", ("data", name))
            elif name == "ttl":
                self.error(
                    "keys that expire are not supported; the key is refused from the start",
                    "remove ttl, and delete the Secret when the key is to end",
                    ("data", name),
                )
            else:
                self.error(
                    "is not a key of this credential type",
                    f"allowed are {', '.join(sorted(known))}",
                    ("data", name),
                )

    def secret(self, name: str, missing: str) -> Secret | None:
        """The value that only both ends know; `missing` is reported where there is none."""
        secret = self.data.get(name)
        if secret is None or not secret.reveal():
            self.error(missing, f"set data.{name} or stringData.{name}", ("data", name))
            return None
        if secret.reveal().endswith(b"\n"):
            self.report(
                Severity.WARNING,
                f"ends with a line break, which counts as part of the {name}",
                "encode it without one (printf, not echo) unless that is meant",
                ("data", name),
            )
        return secret

    def text(self, name: str) -> str | None:
        """The value; None where it is no text."""
        try:
            return self.data[name].reveal_text()
        except UnicodeDecodeError:
            return None

    def line(self, name: str) -> str | None:
        """The value if a header or a token can hold it; reports it otherwise."""
        text = self.text(name)
        if text is None or not text.isprintable() or text != text.strip():
            self.error(
                "must be text without line breaks, control characters or spaces around it, "
                "because no request could match it otherwise",
                "encode it without a line break (printf, not echo)",
                ("data", name),
            )
            return None
        return text

    def needed_line(self, name: str, missing: str) -> str | None:
        """The value as `line` gives it; `missing` is reported where there is none."""
        value = self.line(name) if name in self.data else ""
        if value == "":
            self.error(missing, f"set data.{name} or stringData.{name}", ("data", name))
        return value or None

    def error(self, message: str, remedy: str, path: tuple[str, ...]) -> None:
        """Something for which the credential does not count."""
        self.report(Severity.ERROR, message, remedy, path)

    def report(self, severity: Severity, message: str, remedy: str, path: tuple[str, ...]) -> None:
        """Something to know about the field at `path`."""
        name = self._secret.name
        self.diagnostics.append(
            Diagnostic(
                severity=severity,
                code="MG2105",
                origin=self._secret.origin,
                message=message,
                object=ObjectRef("Secret", name.namespace, name.name),
                field=path,
                remedy=remedy,
            )
        )
