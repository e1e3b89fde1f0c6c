"""A function that changes tensors, as one CUDA graph.

A training step is some hundred small kernels, which a GPU runs faster than a host can name them. Recorded as a graph they are
named once: a step costs the host one call, and the GPU what its kernels take.

What a graph reads and writes are places in memory. So tensors that the function puts in place of others are copied back to
where they were recorded, and whoever sets them to others in between is followed.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

_WARM = 2  # calls before the recording, and one more: libraries set up their work spaces, and traces are made


class Replayed:
    """``function`` recorded as a CUDA graph; a call replays it. Recording calls the function a few times.

    Args:
        function: without arguments, of tensors on the current device alone; may not wait for the device. Its shapes, and
            whatever else it reads, stay those of the recording.
        tensors: (owner, name) of the attributes that the function sets to new tensors of the same shape; at least one. An owner
            that holds this object is given as a weak proxy, so that its memory on the device goes when it does.
        generators: those that the function draws from; a replay moves them on as a call does.
    """

    def __init__(
        self, function: Callable[[], object], tensors: list[tuple[object, str]], generators: Iterable[torch.Generator]
    ):
        self.tensors = tensors
        self.device = getattr(*tensors[0]).device
        with torch.cuda.device(self.device):
            self._warm_up(function)
            self.places: list[Tensor] = [getattr(owner, name) for owner, name in tensors]
            self.graph = torch.cuda.CUDAGraph()
            for generator in generators:
                self.graph.register_generator_state(generator)
            with torch.cuda.stream(torch.cuda.current_stream()), torch.cuda.graph(self.graph):
                self.results = function()
                for place, (owner, name) in zip(self.places, tensors, strict=True):
                    place.copy_(getattr(owner, name))
        self._return()

    @staticmethod
    def _warm_up(function: Callable[[], object]) -> None:
        """A few calls on a stream of their own; in the last, what waits for the device raises, before it spoils a recording."""
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(_WARM):
                function()
            before = torch.cuda.get_sync_debug_mode()
            torch.cuda.set_sync_debug_mode("error")
            try:
                function()
            finally:
                torch.cuda.set_sync_debug_mode(before)
        torch.cuda.current_stream().wait_stream(aside)

    def _return(self) -> None:
        for place, (owner, name) in zip(self.places, self.tensors, strict=True):
            setattr(owner, name, place)

    def __call__(self):
        """What the function returns, in tensors that the next call overwrites."""
        for place, (owner, name) in zip(self.places, self.tensors, strict=True):
            if getattr(owner, name) is not place:
                place.copy_(getattr(owner, name))
        self._return()
        with torch.cuda.device(self.device):
            self.graph.replay()
        return self.results
