"""What is raised when somebody's input will not do, or a run fails. Floor 0; all stands on it."""


class InputError(ValueError):
    """Bad input from a user: one sentence that names the value and what would be right."""


class RunError(RuntimeError):
    """Something that was asked for in good form has failed; says what, and where to look."""
