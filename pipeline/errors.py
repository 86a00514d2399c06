"""The two ways in which input is turned away: one case is set aside, or a run is refused before it starts."""


class CaseError(Exception):
    """One case cannot be used: it is quarantined and the run goes on.

    Args:
        code: Upper-case reason that a program can count, such as `MASK_SHAPE_MISMATCH`.
        message: One sentence for a person. It quotes both sides of the disagreement and holds no patient name,
            id, date, report text or folder.
        step: The step that rejected the case, such as `read` or `construct_couinaud`.
    """

    def __init__(self, code: str, message: str, step: str = "read") -> None:
        super().__init__(code, message, step)
        self.code = code
        self.message = message
        self.step = step

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class RefusedInputError(ValueError):
    """The run as a whole cannot start: arguments or input contradict each other. Jobs exit with code 2."""
