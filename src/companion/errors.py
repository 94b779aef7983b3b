"""What is raised when somebody's input will not do. Floor 0; everything stands on it."""


class InputError(ValueError):
    """Bad input from a user: one sentence that names the value and what would be right."""
