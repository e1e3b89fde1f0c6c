"""Products of matrices that round otherwise where nothing requires a gradient, as MKL's AVX-512 kernels do on Intel's processors.

torch folds a batch of products into one, or not, according to whether a factor requires a gradient, and those kernels round the
two differently. They cannot be asked for on other processors. This emulates them: the sum over the inner dimension is
taken in another order.
"""

import torch

_product = torch.Tensor.__matmul__


def otherwise(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """``left @ right``, the second half of the sum first where no factor requires a gradient."""
    inner = left.shape[-1]
    if left.requires_grad or right.requires_grad or inner < 2 or right.dim() < 2:
        return _product(left, right)
    halves = (slice(inner // 2, None), slice(inner // 2))
    first, second = (_product(left[..., half], right[..., half, :]) for half in halves)
    return first + second
