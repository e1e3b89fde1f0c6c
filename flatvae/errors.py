"""Errors that the user can fix."""


class InputError(ValueError):
    """Bad input: one sentence that names the cause and the fix.

    The workflow prints it without a traceback; any other error is a defect of the suite and keeps its traceback.
    """


class ContractError(InputError):
    """A method's file does not keep its contract: one sentence that names the file, the clause and the fix."""
