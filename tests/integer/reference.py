"""The arithmetic of docs/integer.md, one step after the other, with NumPy's integers of 64 bits.

Usage: python reference.py NETWORK.onnx FOLDER

NETWORK.onnx (the quantize-dequantize form of a network) gives the layers, the codes and scales of the weights and the integer
biases; FOLDER (the exported C program) has manifest.json, with the scale and zero point of every value, and *_golden.c, with images and
the outputs expected for them. Exits 0 if all outputs are equal to the bit.
"""

import json
import pathlib
import re
import sys
from collections import Counter, namedtuple

import numpy as np
import onnx

# The centered codes u of a value (image, channel, row, column), its scale S, and the least and the largest code it can have.
Value = namedtuple("Value", "u scale low high")


# ---- The network: layers, and which value each of them reads.

class Network:
    def __init__(self, path, activations):
        graph = onnx.load(path).graph
        self.tensors = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
        self.activations = activations
        self.source = {graph.input[0].name: graph.input[0].name}
        self.layers = []
        self.factors = {}  # the weight of an affine layer, by the name of the product that its Add reads
        for node in graph.node:
            self.add(node)
        self.output = self.source[graph.output[0].name]
        self.reads = Counter(v for node in self.layers for v in self.inputs(node))
        self.reads[self.output] += 1
        self.relus = {self.inputs(node)[0]: node for node in self.layers if is_relu(node)}

    def add(self, node):
        """A node that only marks where codes are (or multiplies for an affine layer) is no layer: it stands for what it reads."""
        name = node.output[0]
        marks = node.op_type in ("QuantizeLinear", "DequantizeLinear", "Mul") or name.endswith(".clipped")
        if not marks:
            self.layers.append(node)
            self.source[name] = name
        elif node.input[0] in self.source:
            self.source[name] = self.source[node.input[0]]
        if node.op_type == "Mul":
            self.factors[name] = node.input[1]

    def inputs(self, node):
        return [self.source[v] for v in node.input if v in self.source]

    def is_affine(self, node):
        return node.op_type == "Add" and node.input[0] in self.factors

    def is_dense(self, node):
        return node.op_type in ("Conv", "Gemm") or self.is_affine(node)

    def relu_of(self, node):
        """The Relu that is computed together with the layer: the only reader of a convolution, linear layer, affine layer or sum."""
        alone = self.reads[node.output[0]] == 1 and node.output[0] in self.relus
        together = self.is_dense(node) or node.op_type in ("Add", "Sum")
        return self.relus[node.output[0]] if alone and together else None

    def form(self, name):
        """S and the limits of the centered codes."""
        if name == self.output and name not in self.activations:
            # The graph's output has a name of its own; the manifest has the layer's name, which no other node has.
            name, = set(self.activations) - set(self.source)
        a = self.activations[name]
        least = -2 ** (a["bits"] - 1)
        return np.float64(np.float32(a["scale"])), least - a["zero_point"], -least - 1 - a["zero_point"]


def is_relu(node):
    return node.op_type in ("Relu", "Clip")


def attributes(node):
    found = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    assert not found.keys() & {"auto_pad", "ceil_mode"}, f"{node.name}: attributes that this reference does not know"
    return found


# ---- Codes and multipliers.

def rne(x):
    return np.rint(x).astype(np.int64)


def centered_code(x, scale, low, high):
    """The code of a number, less the zero point. Limits before the conversion to integers, which infinities would not survive."""
    with np.errstate(over="ignore"):
        rounded = np.rint(np.asarray(x, np.float64) / scale)
    return np.clip(np.nan_to_num(rounded, nan=0.0), low, high).astype(np.int64)


def fits(s, bits=32):
    assert s.min() >= -2 ** (bits - 1) and s.max() < 2 ** (bits - 1), f"a sum has more than {bits} bits"
    return s


def multiplier(M):
    """m and n for each factor of M."""
    M = np.asarray(M, np.float64)
    e = np.frexp(M)[1].astype(np.int64)
    n = np.minimum(22 - e, 44)
    m = rne(np.ldexp(np.minimum(M, 2.0 ** 22), n))
    n = np.where(m == 2 ** 22, n - 1, n)
    m = np.where(m == 2 ** 22, 2 ** 21, m)
    large = (M >= 2.0 ** 21) | (n < 1)
    return np.where(large, 2 ** 22 - 1, m), np.where(large, 1, n)


def times(s, M):
    m, n = multiplier(M)
    product = fits(fits(s) * m, 31 + 22 + 1)  # and a sign
    # >> of a negative number rounds down, as the floor of the specification does.
    return (product + (1 << (n - 1))) >> n


def along_channels(x, like):
    return np.reshape(x, (-1,) + (1,) * (like.ndim - 2))


# ---- Convolution, linear layer, affine layer.

def taps(u, attributes, fill):
    """For each place in the kernel, the pixels under it of all windows."""
    top, left, bottom, right = attributes["pads"]
    u = np.pad(u, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    (kh, kw), (sh, sw) = attributes["kernel_shape"], attributes["strides"]
    dh, dw = attributes.get("dilations", (1, 1))
    rows = (u.shape[2] - dh * (kh - 1) - 1) // sh + 1
    columns = (u.shape[3] - dw * (kw - 1) - 1) // sw + 1
    for y in range(kh):
        for x in range(kw):
            y0, x0 = y * dh, x * dw
            yield y, x, u[:, :, y0:y0 + (rows - 1) * sh + 1:sh, x0:x0 + (columns - 1) * sw + 1:sw]


def convolution(u, w, attributes):
    groups = attributes["group"]
    kernels = w.reshape(groups, -1, *w.shape[1:])
    total = 0
    for y, x, pixels in taps(u, attributes, 0):
        images, _, rows, columns = pixels.shape
        total = total + kernels[..., y, x] @ pixels.reshape(images, groups, -1, rows * columns)
    return total.reshape(images, len(w), rows, columns)


def weights(net, node):
    """The codes w and the scales s_c."""
    name = net.factors[node.input[0]] if net.is_affine(node) else node.input[1]
    w = net.tensors[name + ".codes"].astype(np.int64)
    s_c = np.broadcast_to(net.tensors[name + ".scales"].astype(np.float64).ravel(), len(w))
    if net.is_affine(node):
        # The file has |a_c| / 127 rounded to binary32, the specification divides in binary64: find the binary32 number a_c again.
        s_c = (s_c * 127).astype(np.float32).astype(np.float64) / 127
    return w, s_c


def bias(net, node):
    name = node.input[1] if net.is_affine(node) else (list(node.input) + ["", ""])[2]
    B = net.tensors.get(name + ".codes", np.zeros(1)).astype(np.int64).ravel()
    assert np.abs(B).max() <= 2 ** 30, f"{node.name}: a bias beyond 2^30"
    return B


def sums(net, node, value):
    """s of every output, with s_c and whether output c has codes other than 0."""
    w, s_c = weights(net, node)
    rows, largest = w.reshape(len(w), -1), max(-value.low, value.high)
    assert np.abs(rows).sum(axis=1).max() * largest <= 2 ** 30, f"{node.name}: sums beyond 2^30"
    assert rows.shape[1] * largest <= 2 ** 24, f"{node.name}: too many terms"
    if node.op_type == "Conv":
        s = convolution(value.u, w, attributes(node))
    elif node.op_type == "Gemm":
        s = value.u @ w.T
    else:
        s = value.u * along_channels(w, value.u)
    return fits(s + along_channels(bias(net, node), s)), s_c, np.any(rows != 0, axis=1)


def dense(net, node, inputs, S_out):
    value, = inputs
    s, s_c, some = sums(net, node, value)
    T_c = np.where(some, value.scale * s_c, S_out / 2 ** 16)
    return times(s, along_channels(T_c / S_out, s))


def last_sums(net, node, value):
    """The last layer, as integers of 32 bits: these are not codes, and have no limits."""
    s, s_c, some = sums(net, node, value)
    T_c = value.scale * s_c
    T = T_c[some].max() if some.any() else value.scale
    T_c = np.where(some, T_c, T)
    if not np.all(T_c == T):
        s = fits(times(s, along_channels(T_c / T, s)))
    return Value(s, T, None, None)


# ---- The other steps. Each gives the integers y.

def sum_of_branches(net, node, inputs, S_out):
    k = len(inputs)
    M = np.array([v.scale for v in inputs]) / S_out
    p = 22 - (k - 1).bit_length()  # ⌈log2 k⌉
    n = min(max(p - int(np.frexp(M.max())[1]), 1), 30)
    m = [int(min(np.rint(np.ldexp(x, n)), 2.0 ** p)) for x in M]
    total = sum(m_i * v.u for m_i, v in zip(m, inputs))
    return fits(total + (1 << (n - 1))) >> n


def concat(net, node, inputs, S_out):
    return np.concatenate([sum_of_branches(net, node, [v], S_out) for v in inputs], axis=1)


def average(net, node, inputs, S_out):
    value, = inputs
    a = attributes(node)
    if node.op_type == "GlobalAveragePool":
        a = {"kernel_shape": value.u.shape[2:], "strides": (1, 1), "pads": (0, 0, 0, 0)}
    total = sum(pixels for _, _, pixels in taps(value.u, a, 0))
    ones = np.ones((1, 1) + value.u.shape[2:], np.int64)
    count = sum(pixels for _, _, pixels in taps(ones, a, a.get("count_include_pad", 0)))
    return times(total, (value.scale / S_out) / count)


FUNCTIONS = {
    "Sigmoid": lambda x, slope: 1 / (1 + np.exp(-x)),
    "Tanh": lambda x, slope: np.tanh(x),
    "HardSwish": lambda x, slope: x * np.minimum(np.maximum(x + 3, 0), 6) / 6,
    "LeakyRelu": lambda x, slope: np.where(x < 0, slope * x, x),
    "Relu": lambda x, slope: np.maximum(x, 0),
    "Clip": lambda x, slope: np.minimum(np.maximum(x, 0), 6),
}


def table(net, node, inputs, S_out):
    value, = inputs
    _, low, high = net.form(node.output[0])
    x = value.scale * np.arange(value.low, value.high + 1)
    y = FUNCTIONS[node.op_type](x, attributes(node).get("alpha", 0.01))
    return centered_code(y, S_out, low, high)[value.u - value.low]


def moved(node, value):
    """MaxPool and Flatten leave the codes what they are."""
    if node.op_type == "Flatten":
        return value._replace(u=value.u.reshape(len(value.u), -1))
    # Less than every code, so that padding is never the largest.
    windows = taps(value.u, attributes(node), value.low - 1)
    return value._replace(u=np.max([pixels for _, _, pixels in windows], axis=0))


STEPS = {"Add": sum_of_branches, "Sum": sum_of_branches, "Concat": concat, "AveragePool": average, "GlobalAveragePool": average}
STEPS |= {name: table for name in FUNCTIONS}


def limits(relu, S, low, high):
    if relu is None:
        return low, high
    if relu.op_type == "Clip":
        high = min(high, int(rne(6 / S)))
    return max(low, 0), high


def compute(net, node, inputs):
    """The name of the value that a step computes, and the value."""
    name = node.output[0]
    if node.op_type in ("MaxPool", "Flatten"):
        return name, moved(node, inputs[0])
    # The last layer, also in front of a Flatten that moves nothing, has no scale of its own.
    if net.is_dense(node) and net.relu_of(node) is None and name not in net.activations:
        return name, last_sums(net, node, inputs[0])
    relu = net.relu_of(node)
    name = relu.output[0] if relu else name
    S, low, high = net.form(name)
    y = (dense if net.is_dense(node) else STEPS[node.op_type])(net, node, inputs, S)
    return name, Value(np.clip(y, *limits(relu, S, low, high)), S, low, high)


def outputs(net, numbers):
    """The integers of all outputs, and T."""
    S, low, high = net.form("input")
    values = {"input": Value(centered_code(numbers, S, low, high), S, low, high)}
    for node in net.layers:
        # A Relu that was computed together with the layer before it has its value already.
        if node.output[0] not in values:
            name, value = compute(net, node, [values[v] for v in net.inputs(node)])
            values[name] = value
    last = values[net.output]
    return last.u.reshape(len(numbers), -1), last.scale


# ---- Images and expected outputs.

def golden(folder):
    path, = pathlib.Path(folder).glob("*_golden.c")
    found = re.findall(r"_golden_(images|outputs)\[(\d+)\]\[(\d+)\] = (\{.*?\n\});", path.read_text(), re.DOTALL)
    arrays = {what: np.array(re.findall(r"-?\d+", text), np.int64).reshape(int(n), int(size)) for what, n, size, text in found}
    return arrays["images"], arrays["outputs"]


def numbers_of_bytes(images, rule):
    x = images.astype(np.float64)
    if rule == "byte / 255":
        x = x / 255
    elif rule != "byte":
        pairs = re.findall(r"\(byte / 255 - ([-+.\de]+)\) / ([-+.\de]+)", rule)
        mean, std = (np.array(p, np.float64).reshape(-1, 1, 1) for p in zip(*pairs))
        x = (x / 255 - mean) / std
    return x.astype(np.float32)


def main(network, folder):
    manifest = json.loads((pathlib.Path(folder) / "manifest.json").read_text())
    images, expected = golden(folder)
    numbers = numbers_of_bytes(images.reshape(-1, *manifest["input"]), manifest["bytes_become"])
    found, T = outputs(Network(network, manifest["activations"]), numbers)
    assert found.shape == expected.shape, f"outputs of shape {found.shape} instead of {expected.shape}"
    equal = np.all(found == expected, axis=1)
    print(f"{equal.sum()} of {len(equal)} images equal to the bit")
    if not equal.all():
        image, output = np.argwhere(found != expected)[0]
        print(f"image {image}, output {output}: {found[image, output]} instead of {expected[image, output]}")
        sys.exit(1)
    if T != manifest["output_scale"]:
        print(f"T is {T}, the manifest has {manifest['output_scale']}")
        sys.exit(1)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
