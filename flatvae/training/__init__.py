"""Training, vectorised over seeds: one process trains every seed of a (data set, method).

The parameters of all seeds are stacked, and the loss of one model is mapped over them (``torch.func``: ``stack_module_state``,
``functional_call``, ``vmap``). No seed's loss depends on another's parameters, so the gradient of the summed losses holds every
seed's own gradient. All noise is drawn outside, from one generator per seed: a seed trained among others equals the same seed
trained alone, to rounding. Within a block of steps nothing waits for the device. Between blocks the history is read and the
initial phase may end.

Two promises hold bit by bit. The same command on the same machine (processor, packages, threads, device) gives the same files,
no matter whether Snakemake or Slurm starts the jobs. An interrupted training gives the same files as an uninterrupted one.
Everything else agrees to rounding: matrix products round differently from one kernel to another, and the kernel depends on the
processor, the number of seeds or rows, the memory layout, and whether a factor requires a gradient. The tests' tolerances:

- a seed among others and alone, float64: 1e-8 after fifty steps of small networks, 1e-7 for every baseline;
- one float32 call by two routes (trained or loaded, in a batch or alone): 1e-5, row by row 1e-4;
- seventy float32 steps with and without a CUDA graph: 1e-4 relative, 1e-5 absolute;
- a hundred float32 steps, compiled and uncompiled: 1e-4;
- evaluations on another device: 1e-6 if they compute in float64 (flatness, interpolation), else 1e-3.
"""

from flatvae.training.compiled import keep_cache
from flatvae.training.devices import choose_device, device_record
from flatvae.training.loop import BLOCK, Trained, train
from flatvae.training.results import fit, hand_over, method_module, train_and_save
from flatvae.training.resume import EXIT_STATUS, Interrupted, Snapshots, snapshots_at
from flatvae.training.settings import Settings, accepted_hyperparameters, split_hyperparameters
from flatvae.training.step import Trainer, build_seeded
from flatvae.training.timing import check_build, estimated_seconds, step_timer

__all__ = [
    "BLOCK",
    "EXIT_STATUS",
    "Interrupted",
    "Settings",
    "Snapshots",
    "Trained",
    "Trainer",
    "accepted_hyperparameters",
    "build_seeded",
    "check_build",
    "choose_device",
    "device_record",
    "estimated_seconds",
    "fit",
    "hand_over",
    "keep_cache",
    "method_module",
    "snapshots_at",
    "split_hyperparameters",
    "step_timer",
    "train",
    "train_and_save",
]
