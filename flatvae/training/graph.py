"""A function of tensors as one flat list of tensor operations, traced once.

A training step goes through ``vmap``, ``jvp``, ``functional_call`` and autograd. Their bookkeeping repeats in every step, though
it always yields the same operations. Tracing keeps only the operations, including those of the derivatives, and drops unused
results, such as a decoder's primal pass where only its Jacobian is needed.

On one core of an Intel Xeon the passes below save a fifth of a step of the default run's flat VAE. The step's time without
dropping identities / without dropping zeros / without sharing results / without all three, relative to its time with all three
(five seeds, medians of nine rounds): pendulum 1.08 / 1.14 / 1.05 / 1.22, digits (scale-free) 1.12 / 1.08 / 1.12 / 1.23, crowd
1.07 / 1.08 / 1.07 / 1.17.

A function can be captured if it depends only on its tensor arguments: shapes, and anything else it reads, stay those of the
first call.
"""

from collections.abc import Callable

import torch
from torch import FunctionSchema, Tensor
from torch._ops import OpOverload
from torch.fx import Graph, GraphModule, Node, map_arg
from torch.utils._pytree import tree_leaves

from flatvae.geometry.metric import FORWARD_MODE

aten = torch.ops.aten

_SAME = (aten.detach.default, aten.view.default, aten._unsafe_view.default, aten.expand.default, aten.alias.default)
_COPIES = (aten._to_copy.default, aten.clone.default)
_UNDECLARED_VIEWS = (aten._unsafe_view.default, aten._reshape_alias.default)  # views that their schema does not declare
_ZERO = (aten.zeros.default, aten.zeros_like.default, aten.new_zeros.default, aten._efficientzerotensor.default)
_PRODUCTS = (aten.mm.default, aten.bmm.default, aten.mul.Tensor)
_LINEAR = (  # zeros become zeros
    *_SAME,
    *(aten.transpose.int, aten.permute.default, aten.unsqueeze.default, aten.squeeze.dims, aten.t.default),
    *(aten.sum.dim_IntList, aten.neg.default, aten.clone.default),
)


def captured(function: Callable, *examples) -> Callable:
    """The same function for arguments of the same shapes (tensors, dictionaries and lists of tensors), without gradients."""
    return torch.no_grad()(traced(function, *examples))


def traced(function: Callable, *examples) -> GraphModule:
    """The list of operations of ``captured``; call it only where gradients are not recorded."""
    from torch.fx.experimental.proxy_tensor import make_fx  # a slow import, needed only in training

    with FORWARD_MODE:  # the function may use forward-mode differentiation
        made = make_fx(function)(*examples)
    _drop_identities(made.graph)
    _drop_zeros(made.graph)
    _share_results(made.graph)
    made.graph.eliminate_dead_code()
    _own_results(made.graph)
    made.recompile()
    return made


def _drop_identities(graph: Graph) -> None:
    """Removes operations that do not change a tensor: views, copies, transposes of transposes, first powers."""
    written = _written(graph)
    for node in _operations(graph):
        source = node.args[0] if node.target in _SAME else None
        same = node.target in _COPIES or (node.target == aten.pow.Tensor_Scalar and node.args[1] == 1)
        if same and not written & {node, node.args[0]}:
            source = node.args[0]
        if node.target == aten.transpose.int and node.args[0].target == aten.transpose.int:
            source = node.args[0].args[0] if node.args[0].args[1:] == node.args[1:] else None
        if isinstance(source, Node) and isinstance(source.meta.get("val"), Tensor) and _alike(source, node):
            node.replace_all_uses_with(source)


def _alike(one: Node, other: Node) -> bool:
    """Whether two tensors have the same shape, strides, type and device."""
    a, b = one.meta["val"], other.meta["val"]
    return (a.shape, a.stride(), a.dtype, a.device) == (b.shape, b.stride(), b.dtype, b.device)


def _operations(graph: Graph) -> list[Node]:
    return [node for node in graph.nodes if node.op == "call_function" and isinstance(node.target, OpOverload)]


def _schema(node: Node) -> FunctionSchema | None:
    """The schema of an operation; None for a node that takes an element of a list."""
    return node.target._schema if isinstance(node.target, OpOverload) else None


def _bases(graph: Graph) -> dict[Node, Node]:
    """For every node, the node whose memory it views; itself if it is not a view."""
    base: dict[Node, Node] = {}
    for node in graph.nodes:
        view = False
        if node.op == "call_function":
            schema = _schema(node)
            view = schema is None or node.target in _UNDECLARED_VIEWS or any(r.alias_info for r in schema.returns)
        base[node] = base[node.args[0]] if view and node.args and isinstance(node.args[0], Node) else node
    return base


def _written(graph: Graph) -> set[Node]:
    """The nodes whose memory an operation overwrites, directly or through a view."""
    base, written = _bases(graph), set()
    for node in _operations(graph):
        for number, formal in enumerate(_schema(node).arguments):
            if formal.alias_info is not None and formal.alias_info.is_write:
                argument = node.args[number] if number < len(node.args) else node.kwargs.get(formal.name)
                written |= {base[one] for one in tree_leaves(argument) if isinstance(one, Node)}
    return {node for node in graph.nodes if base[node] in written}


def _drop_zeros(graph: Graph) -> None:
    """Removes products and sums with zeros, such as the tangents of a decoder's constant weights in jvp.

    Zero times a non-finite number is then zero.
    """
    written, zero = _written(graph), set()
    for node in _operations(graph):
        if node in written:
            continue
        operands = [argument for argument in node.args if isinstance(argument, Node)]
        zeros = zero.intersection(operands)
        if node.target in _ZERO or (node.target in _LINEAR and operands[0] in zero):
            zero.add(node)
        elif node.target in _PRODUCTS and zeros:
            zero |= {node, _replaced_by_zeros(graph, node)}
        elif node.target == aten.add.Tensor and len(operands) == 2 and zeros:
            _replace_by_summand(node, operands, zero, written)


def _replaced_by_zeros(graph: Graph, node: Node) -> Node:
    """Replaces a node by zeros and returns them."""
    value = node.meta["val"]
    with graph.inserting_before(node):
        made = graph.call_function(
            aten.zeros.default, (list(value.shape),), {"dtype": value.dtype, "device": value.device}
        )
    made.meta["val"] = value
    node.replace_all_uses_with(made)
    return made


def _replace_by_summand(node: Node, operands: list[Node], zero: set[Node], written: set[Node]) -> None:
    """Replaces a + b by its summand that is not zero, if shape, strides, type and device agree."""
    first, second = operands
    other = first if second in zero else second
    unscaled = not node.kwargs or second in zero  # a + alpha b
    if unscaled and other not in written and _alike(other, node):
        node.replace_all_uses_with(other)


def _share_results(graph: Graph) -> None:
    """Computes repeated operations once, such as a decoder's pass that both jvp and vjp need."""
    written = _written(graph)  # their values depend on when they are read, so they are not shared
    first: dict[tuple, Node] = {}
    for node in _operations(graph):
        if node in written or written.intersection(node.all_input_nodes):
            continue
        known = first.setdefault((node.target, repr(node.args), repr(node.kwargs)), node)
        if known is not node:
            node.replace_all_uses_with(known)


def _own_results(graph: Graph) -> None:
    """Copies results that share memory with arguments, constants or other results: a caller may overwrite its results."""
    (output,) = graph.find_nodes(op="output")
    base, taken = _bases(graph), set()

    def own(node: Node) -> Node:
        if base[node].op not in ("placeholder", "get_attr") and base[node] not in taken:
            taken.add(base[node])
            return node
        with graph.inserting_before(output):
            return graph.call_function(aten.clone.default, (node,))

    output.args = map_arg(output.args, own)
