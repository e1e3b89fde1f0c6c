"""A function that changes tensors, as one CUDA graph.

A training step is some hundred small kernels, which a GPU runs faster than the host can launch them. A graph records them once:
then a step costs the host one launch, and the GPU the time of its kernels.

A graph reads and writes fixed memory addresses. So tensors that the function replaces are copied back to their recorded
addresses, and if other code replaces one between calls, its values are copied there before the next replay.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

_WARM = 2  # warm-up calls, plus one, before the recording: libraries allocate workspaces, and functions are traced


class Replayed:
    """``function`` recorded as a CUDA graph; a call replays it. Recording calls the function a few times.

    Args:
        function: takes no arguments, uses only tensors on the current device, and must not wait for the device. Shapes, and
            everything else that it reads, stay as recorded.
        tensors: (owner, name) of the attributes that the function sets to new tensors of the same shape; at least one. Pass an
            owner that holds this object as a weak proxy, so that its device memory is freed with it.
        generators: the generators that the function draws from; a replay advances them as a call does.
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
        """Calls the function on a side stream; in the last call, waiting for the device raises, before any recording."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM):
                function()
            before = torch.cuda.get_sync_debug_mode()
            torch.cuda.set_sync_debug_mode("error")
            try:
                function()
            finally:
                torch.cuda.set_sync_debug_mode(before)
        torch.cuda.current_stream().wait_stream(stream)

    def _return(self) -> None:
        for place, (owner, name) in zip(self.places, self.tensors, strict=True):
            setattr(owner, name, place)

    def __call__(self):
        """The function's result, in tensors that the next call overwrites."""
        for place, (owner, name) in zip(self.places, self.tensors, strict=True):
            if getattr(owner, name) is not place:
                place.copy_(getattr(owner, name))
        self._return()
        with torch.cuda.device(self.device):
            self.graph.replay()
        return self.results
