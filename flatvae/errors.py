"""The one error that is the user's to mend."""


class InputError(ValueError):
    """Bad input: one sentence that names the culprit and the mend.

    The workflow prints it without a traceback; everything else is a defect of the suite and keeps its traceback.
    """


class ContractError(InputError):
    """A method's file does not keep its contract: one sentence that names the file, the clause and the mend."""
