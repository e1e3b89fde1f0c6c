"""The one error that is the user's to mend."""


class InputError(ValueError):
    """Bad input: one sentence that names the culprit and the mend.

    The workflow prints it without a traceback; everything else is a defect of the suite and keeps its traceback.
    """
