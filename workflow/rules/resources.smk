# The resources of jobs: priority, GPUs, time limits and memory
def training_priority(wildcards):
    """Approximate cost of a training, in steps of a method without a penalty."""
    chosen = specification(config, wildcards.dataset, wildcards.method)
    return chosen["hyperparameters"]["steps"] * (2 if has_penalty(chosen["builder"]) else 1)


def gpu(wildcards):
    return int(wants_gpu(config["device"]))


def evaluation_gpu(wildcards):
    return int(wants_gpu(config["evaluation_device"]))


def training_minutes(wildcards, seeds, times=1):
    """Time limit of a training in minutes: 30, plus 0.2 s per step and seed, several times what MNIST takes on one core.

    On a GPU more seeds cost almost nothing. The limit is at most a day: a training that reaches it resumes in the next try.
    """
    steps = specification(config, wildcards.dataset, wildcards.method)["hyperparameters"]["steps"]
    return min(24 * 60, 30 + times * steps * (1 if gpu(wildcards) else seeds) // 300)


def data_mb(wildcards):
    """Memory in MB for a user's own data files, read and converted to tensors."""
    stamp = plan.file_stamp(config, wildcards.dataset)
    return 4 * sum(stamp[::2]) // 2**20 if stamp else 0


def evaluation_mb(wildcards, attempt):
    """Memory of an evaluation in MB, with CUDA's share on a GPU; each further try gets more."""
    return attempt * (6000 + data_mb(wildcards) + 4000 * evaluation_gpu(wildcards))


def evaluation_minutes(wildcards, attempt):
    """Time limit of a model's evaluations: 15 minutes per seed, 3 times the slowest measured; each further try gets more."""
    return attempt * 15 * seeds(config, wildcards.dataset)


def training_mb(wildcards, seeds, attempt=1):
    """Memory of a training in MB: several times the largest measured (0.8 GB, convolutions, one seed), plus CUDA's on a GPU."""
    chosen = specification(config, wildcards.dataset, wildcards.method)["hyperparameters"]
    return attempt * (
        3000 + data_mb(wildcards) + (500 if chosen.get("channels") else 200) * seeds + 4000 * gpu(wildcards)
    )
