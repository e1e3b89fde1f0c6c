"""A device that is not the CPU, on the CPU: what mixes the two, or reads it as NumPy, fails as with a GPU.

Tensors of the device ``far`` hold their numbers in a tensor of the CPU, and a mode carries out on those what is asked of them.
"""

import contextlib

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

aten = torch.ops.aten
_EITHER = {aten.copy_.default, aten._to_copy.default}  # may have arguments on both
_INDEXED = {aten.index.Tensor, aten.index_put_.default, aten.index_put.default}  # may have indices of the CPU


class Far(torch.Tensor):
    """A tensor of the device ``far``."""

    @staticmethod
    def __new__(cls, near: torch.Tensor):
        return torch.Tensor._make_wrapper_subclass(
            cls, near.shape, strides=near.stride(), dtype=near.dtype, device="far:0"
        )

    def __init__(self, near: torch.Tensor):
        self.near = near

    def numpy(self, *, force: bool = False):
        if not force:
            raise TypeError("a tensor of the far device cannot be read as NumPy")
        return self.near.detach().numpy()

    def __repr__(self) -> str:
        return f"Far({self.near!r})"

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        raise AssertionError("a tensor of the far device outside of its mode")


def _on_far(device) -> bool:
    return device is not None and torch.device(device).type == "far"


class _Mode(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.operations = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        leaves = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        far = [isinstance(leaf, Far) for leaf in leaves]
        target = any(far)
        if "device" in kwargs and kwargs["device"] is not None:
            target = _on_far(kwargs["device"])
            kwargs["device"] = torch.device("cpu")
        elif function is aten.copy_.default:
            target = far[0]
        if any(far) and not all(far) and function not in _EITHER:
            mixed = leaves[:1] if function in _INDEXED else leaves
            strangers = [leaf for leaf in mixed if not isinstance(leaf, Far) and leaf.dim() > 0]
            assert not strangers, (
                f"{function}: tensors of both devices, {[leaf.shape for leaf in strangers]} of the CPU"
            )
        self.operations += any(far)
        near_args, near_kwargs = tree_map_only(Far, lambda leaf: leaf.near, (args, kwargs))
        if function is aten._efficientzerotensor.default:  # has no memory
            function = aten.zeros.default
        result = function(*near_args, **near_kwargs)
        if not target:
            return result
        known = {id(leaf.near): leaf for leaf in leaves if isinstance(leaf, Far)}  # what was written over stays itself
        return tree_map_only(torch.Tensor, lambda leaf: known[id(leaf)] if id(leaf) in known else Far(leaf), result)


@contextlib.contextmanager
def far_device():
    """Within it the device ``far`` can be used; yields the mode, which counts operations there."""
    if torch._C._get_privateuse1_backend_name() != "far":
        torch.utils.backend_registration._setup_privateuseone_for_python_backend("far")
    overwritten = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # for Module.to and .double
    try:
        with torch.autograd.set_multithreading_enabled(False), _Mode() as mode:
            yield mode
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(overwritten)
