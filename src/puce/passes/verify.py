# SPDX-License-Identifier: Apache-2.0
"""What a legal graph is: checked after every pass, so that a wrong pass is named at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ..ir import Graph, Node, Tensor


class IllegalGraph(AssertionError):
    """A pass of ours broke the graph: never the user's fault."""


def verify(graph: Graph, after: str) -> None:
    """Raise IllegalGraph with every rule that the graph breaks; `after` names the pass that returned it."""
    found = list(problems(graph))
    if found:
        raise IllegalGraph(f"after {after}, {graph.name} is not legal:\n" + "\n".join(found))


def problems(graph: Graph) -> Iterator[str]:
    """The broken rules: names, order, shapes and types, limits, quantisation."""
    missing = [t for t in mentioned(graph) if t not in graph.tensors]
    if missing:
        yield f"names of no tensor: {missing}"
        return
    yield from names(graph)
    yield from order(graph)
    for node in graph.nodes:
        yield from shapes(graph, node)
    for tensor in graph.tensors.values():
        yield from quantised(tensor)


def mentioned(graph: Graph) -> Iterator[str]:
    yield from graph.inputs
    yield from graph.outputs
    for node in graph.nodes:
        yield from node.inputs
        yield from node.outputs


def names(graph: Graph) -> Iterator[str]:
    yield from (f"tensor {t.name} is filed under {key}" for key, t in graph.tensors.items() if t.name != key)
    yield from (f"{n} nodes are called {name}" for name, n in Counter(n.name for n in graph.nodes).items() if n > 1)
    made = Counter([*graph.inputs, *(t for n in graph.nodes for t in n.outputs)])
    yield from (f"{t} is computed {n} times" for t, n in made.items() if n > 1)
    yield from (f"constant {t} is computed" for t in made if graph.tensors[t].data is not None)
    yield from (f"{t} is mentioned by nobody" for t in graph.tensors if t not in set(mentioned(graph)))


def order(graph: Graph) -> Iterator[str]:
    known = {*graph.inputs, *(t.name for t in graph.constants())}
    for node in graph.nodes:
        yield from (f"{node.name} reads {t} before it is computed" for t in node.inputs if t not in known)
        known.update(node.outputs)
    yield from (f"output {t} is never computed" for t in graph.outputs if t not in known)


def shapes(graph: Graph, node: Node) -> Iterator[str]:
    call = graph.call(node)
    for limit in node.op.limits:
        if not limit(node.attrs, call.inputs):
            yield f"{node.name} breaks a limit of {node.op.name}: {limit.__doc__}"
            return
    wanted = [(t.shape, t.dtype) for t in node.op.infer(node.attrs, call.inputs)]
    got = [(t.shape, t.dtype) for t in call.outputs]
    if wanted != got:
        yield f"{node.name} should give {wanted}, its outputs are {got}"


def quantised(t: Tensor) -> Iterator[str]:
    if t.dtype in ("int8", "uint8") and t.quantization is None:
        yield f"{t.name} is {t.dtype}, but has no quantisation"
    if t.dtype == "float32" and t.quantization is not None:
        yield f"{t.name} is float32, but quantised"
    q = t.quantization
    if q is None:
        return
    if q.axis is not None and not (0 <= q.axis < len(t.shape) and len(q.scale) == t.shape[q.axis]):
        yield f"{t.name} has {len(q.scale)} scales along axis {q.axis} of {t.shape}"
    if q.axis is not None and t.data is None:
        yield f"{t.name} is computed, but quantised by channel"
    if not all(s > 0 for s in q.scale):
        yield f"{t.name} has a scale that is not positive"
