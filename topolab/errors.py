"""Errors that the lab shows to a person. Importable by all, imports nothing."""


class LabError(Exception):
    """Something could not be done: where, what, and what to type. The command line exits with 2.

    `str(error)` is the one line shown; `details` are further lines (a server's last output, say).
    """

    def __init__(self, message: str, *, details: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.details = details


class NotRunnable(LabError):
    """This topology can't run in this runtime on this machine; a comparison goes on without it.

    `remedy` is what to type so that it can.
    """

    def __init__(self, message: str, *, remedy: str, details: tuple[str, ...] = ()) -> None:
        super().__init__(message, details=details)
        self.remedy = remedy
