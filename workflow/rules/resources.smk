# What jobs ask for: memory, time limits, GPUs, and which goes first
def training_priority(wildcards):
    """About how long a training takes, in steps of a method without a penalty."""
    chosen = specification(config, wildcards.dataset, wildcards.method)
    return chosen["hyperparameters"]["steps"] * (2 if has_penalty(chosen["builder"]) else 1)


def gpu(wildcards):
    return int(wants_gpu(config["device"]))


def evaluation_gpu(wildcards):
    return int(wants_gpu(config["evaluation_device"]))


def training_minutes(wildcards, seeds, times=1):
    """Time limit of a training: half an hour, and 0.2 s a step and seed, several times what MNIST takes on one core.

    On a GPU seeds cost next to nothing. A day at most: a training that its limit ends goes on in the next try.
    """
    steps = specification(config, wildcards.dataset, wildcards.method)["hyperparameters"]["steps"]
    return min(24 * 60, 30 + times * steps * (1 if gpu(wildcards) else seeds) // 300)


def data_mb(wildcards):
    """Memory that a user's own data files may take, read and turned into tensors."""
    stamp = plan.file_stamp(config, wildcards.dataset)
    return 4 * sum(stamp[::2]) // 2**20 if stamp else 0


def evaluation_mb(wildcards, attempt):
    """Memory of an evaluation, CUDA's on a GPU, and more in every further try."""
    return attempt * (6000 + data_mb(wildcards) + 4000 * evaluation_gpu(wildcards))


def evaluation_minutes(wildcards, attempt):
    """Time limit of all evaluations of a model: 15 minutes a seed, 3 times what the slowest took, and more in every further try."""
    return attempt * 15 * config["seeds"]


def training_mb(wildcards, seeds, attempt=1):
    """Memory of a training: several times what any took (0.8 GB, convolutions with one seed), and CUDA's on a GPU."""
    chosen = specification(config, wildcards.dataset, wildcards.method)["hyperparameters"]
    return attempt * (
        3000 + data_mb(wildcards) + (500 if chosen.get("channels") else 200) * seeds + 4000 * gpu(wildcards)
    )
