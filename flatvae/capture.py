"""A function of tensors as one flat list of tensor operations, traced once.

A training step goes through ``vmap``, ``jvp``, ``functional_call`` and autograd, whose bookkeeping is done anew each time though
it comes to the same operations. Traced, the operations alone are left, those of the derivatives among them; what nobody reads
is dropped, such as the primal pass of a decoder of which the Jacobian alone is asked for.

A function can be captured if it is one of its tensors alone: shapes, and whatever else it reads, stay those of the first call.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.fx import Graph, Node

aten = torch.ops.aten

_SAME = (aten.detach.default, aten.view.default, aten._unsafe_view.default, aten.expand.default, aten.alias.default)


def captured(function: Callable, *examples) -> Callable:
    """The same function, of arguments of the same shapes (tensors, and dictionaries and lists of them); no gradient flows."""
    from torch.fx.experimental.proxy_tensor import make_fx  # takes a while, and evaluations import the training

    traced = make_fx(function)(*examples)
    _drop_identities(traced.graph)
    _share_results(traced.graph)
    traced.graph.eliminate_dead_code()
    if all(leaf.device.type == "cpu" for leaf in torch.utils._pytree.tree_leaves(examples)):
        _logistic_tanh(traced.graph)
    _own_results(traced.graph)
    traced.recompile()
    return torch.no_grad()(traced)


def _drop_identities(graph: Graph) -> None:
    """Takes out the views that leave a tensor's shape as it is."""
    for node in graph.nodes:
        source = node.args[0] if node.op == "call_function" and node.target in _SAME else None
        if isinstance(source, Node) and isinstance(source.meta.get("val"), Tensor):
            before, after = source.meta["val"], node.meta["val"]
            if before.shape == after.shape and before.stride() == after.stride():
                node.replace_all_uses_with(source)


def _share_results(graph: Graph) -> None:
    """Does once what is done twice, such as a decoder's pass that both jvp and vjp go through."""
    operations = [node for node in graph.nodes if node.op == "call_function"]
    if any(isinstance(node.target, OpOverload) and node.target._schema.is_mutable for node in operations):
        return  # what is written over is not the same
    first: dict[tuple, Node] = {}
    for node in operations:
        known = first.setdefault((node.target, repr(node.args), repr(node.kwargs)), node)
        if known is not node:
            node.replace_all_uses_with(known)


def _own_results(graph: Graph) -> None:
    """Copies results that are arguments or constants themselves: whoever gets a result may write over it."""
    (output,) = graph.find_nodes(op="output")
    for node in list(output.all_input_nodes):
        if node.op in ("placeholder", "get_attr"):
            with graph.inserting_before(output):
                output.replace_input_with(node, graph.call_function(aten.clone.default, (node,)))


def _logistic_tanh(graph: Graph) -> None:
    """tanh a = 2 σ(2a) − 1 where a CPU computes it: torch's logistic function takes a fifth of the time of its tanh.

    The error is one of rounding, relative to 1 and not to tanh a: 6e-8 in float32.
    """
    for node in graph.find_nodes(op="call_function", target=aten.tanh.default):
        with graph.inserting_before(node):
            value = graph.call_function(aten.mul.Tensor, (node.args[0], 2.0))
            value = graph.call_function(aten.sigmoid_.default, (value,))
            value = graph.call_function(aten.mul_.Tensor, (value, 2.0))
            value = graph.call_function(aten.sub_.Tensor, (value, 1.0))
        node.replace_all_uses_with(value)
        graph.erase_node(node)
