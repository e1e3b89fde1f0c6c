"""Checks that the rules of baselines make the same files as a training, and no others."""

from fingerprint import ROOT
from resolution import builder, own_rule
from snakemake.exceptions import WorkflowError

FILES = {"model": "model.safetensors", "history": "history.csv", "metrics": "training.csv"}


def check(rules, run) -> None:
    """Checks every method of the run that has its own rule file.

    Raises:
        WorkflowError: a file's rules do not make the three files of its methods, make another method's, or lack a benchmark.
    """
    for method in run.methods:
        path = own_rule(run.config, method)
        if not path:
            continue
        own = [rule for rule in rules if str(rule.snakefile) == str(path)]
        for key, file in FILES.items():
            _check_file(path.relative_to(ROOT), own, key, file, method, run)


def _check_file(path, own: list, key: str, file: str, method: str, run) -> None:
    made = [rule for rule in own if _makes(rule, key, method, file, run)]
    if len(made) != 1:
        raise WorkflowError(
            f"{path}: {len(made)} rules have the output {key}: {run.out}/{{dataset}}/{method}/{file}; there must be one"
        )
    (rule,) = made
    if not rule.benchmark:
        raise WorkflowError(
            f"{path}: the rule {rule.name} has no benchmark; give it "
            f"{run.out}/{{dataset}}/{{method}}/logs/train.benchmark.jsonl"
        )
    module = builder(run.config, method)
    for other in run.methods:
        if builder(run.config, other) != module and _makes(rule, key, other, file, run):
            raise WorkflowError(
                f"{path}: the rule {rule.name} would also make {other}'s files; give "
                f'it wildcard_constraints: method=methods_of("{module}")'
            )


def _makes(rule, key: str, method: str, file: str, run) -> bool:
    """Whether a rule's output ``key`` is the method's file."""
    output = getattr(rule.output, key, None)
    return output is not None and bool(output.match(f"{run.out}/{run.datasets[0]}/{method}/{file}"))
