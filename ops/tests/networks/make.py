#!/usr/bin/env python3
"""Makes the networks beside this script with PyTorch, each with the outputs that PyTorch computes.

Needs: pip install torch onnx onnxscript safetensors

usage: make.py        (writes NAME.onnx and NAME.golden.npz into the script's folder, residual.safetensors and joints.onnx)
"""
import os

import numpy as np
import onnx
import torch
from onnx import helper
from safetensors.torch import save_file
from torch import nn

FOLDER = os.path.dirname(os.path.abspath(__file__))


def without_origins(path):
    """Removes what the exporter writes about the machine: the stack of each node."""
    model = onnx.load(path)
    for part in [model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer]:
        del part.metadata_props[:]
    onnx.save(model, path)


def norm(channels):
    """A batch normalization with statistics other than 0 and 1."""
    layer = nn.BatchNorm2d(channels)
    layer.running_mean.uniform_(-0.5, 0.5)
    layer.running_var.uniform_(0.5, 2)
    with torch.no_grad():
        layer.weight.uniform_(0.5, 1.5)
        layer.bias.uniform_(-0.5, 0.5)
    return layer


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), norm(outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), norm(outputs),
        )
        self.shortcut = nn.Identity()
        if inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), norm(outputs))

    def forward(self, x):
        return torch.relu(self.body(x) + self.shortcut(x))


class Inverted(nn.Module):
    """An inverted bottleneck of MobileNet."""

    def __init__(self, channels, activation):
        super().__init__()
        wide = 3 * channels
        self.layers = nn.Sequential(
            nn.Conv2d(channels, wide, 1, bias=False), norm(wide), activation,
            nn.Conv2d(wide, wide, 3, 1, 1, groups=wide, bias=False), norm(wide), activation,
            nn.Conv2d(wide, channels, 1, bias=False), norm(channels),
        )

    def forward(self, x):
        return x + self.layers(x)


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(2, 3, 1)
        self.three = nn.Conv2d(2, 4, (3, 1), padding=(1, 0))
        self.pool = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
        self.last = nn.Linear(9 * 4 * 3, 5)

    def forward(self, x):
        joined = torch.cat([self.one(x), torch.tanh(self.three(x)), self.pool(x)], 1)
        reduced = nn.functional.avg_pool2d(joined, 2, 2, ceil_mode=True, count_include_pad=False)
        return torch.log_softmax(self.last(reduced.flatten(1)), 1)


class Pools(nn.Module):
    """Pools of every kind, padding by itself, and a convolution that a batch normalization and a sum read."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, 2)
        self.norm = norm(4)
        self.pools = nn.Sequential(
            nn.AvgPool2d(3, 1, 1), nn.MaxPool2d(3, 2, 1, ceil_mode=True), nn.AvgPool2d(2, 2, ceil_mode=True),
        )
        self.rows = nn.BatchNorm1d(4)
        self.rows.running_mean.uniform_(-0.5, 0.5)
        self.last = nn.Linear(4, 3)

    def forward(self, x):
        x = self.conv(nn.functional.pad(x, (1, 2, 0, 1)))
        x = self.pools(self.norm(x) + x)
        return self.last(nn.functional.leaky_relu(self.rows(x.mean((2, 3))), 0.2))


class ChannelsLast(nn.Module):
    """A graph as exporters of TensorFlow make it: images and everything but convolutions have the channels last."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, 2, bias=False)
        self.bias = nn.Parameter(torch.rand(4) - 0.5)
        self.second = nn.Conv2d(4, 6, 3, 1, 1)
        self.last = nn.Parameter(torch.rand(6 * 4 * 3, 7) - 0.5)

    def forward(self, x):
        x = (x - 127.5) / 64.0
        x = self.first(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        x = torch.relu(x + self.bias)
        x = torch.sigmoid(self.second(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))
        return torch.softmax(x.reshape(-1, 6 * 4 * 3) @ self.last, 1)


class OneChannel(nn.Module):
    """Images whose only channel has no side (`[9, 8]`) or is last (`[9, 8, 1]`), as exporters of TensorFlow reshape them."""

    def __init__(self, has_side):
        super().__init__()
        self.has_side = has_side
        self.body = nn.Sequential(nn.Conv2d(1, 3, 3, 2), norm(3), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 4 * 3, 4))

    def forward(self, x):
        return self.body(x.reshape(-1, 1, 9, 8) if self.has_side else x.unsqueeze(1))


class AlongTime(nn.Module):
    """A one-dimensional convolution as exporters of TensorFlow write it: the channels are last, and the height is added."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 5, (1, 5))
        self.last = nn.Linear(5, 4)

    def forward(self, x):
        x = self.conv(x.unsqueeze(1).permute(0, 3, 1, 2)).squeeze(2)
        return self.last(torch.relu(x).mean(2))


NETWORKS = {
    "residual": (lambda: nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), norm(4), nn.ReLU(), Block(4, 4, 1), Block(4, 6, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(6, 4)), (3, 9, 8), True),
    "inverted": (lambda: nn.Sequential(
        nn.Conv2d(1, 4, 3, 2, 1, bias=False), norm(4), nn.ReLU6(), Inverted(4, nn.ReLU6()), Inverted(4, nn.Hardswish()),
        nn.MaxPool2d(3, 2, 1), nn.Flatten(), nn.Linear(4 * 3 * 2, 3)), (1, 10, 8), False),
    "branches": (Branches, (2, 7, 6), True),
    "channels_last": (ChannelsLast, (9, 8, 3), True),
    "pools": (Pools, (2, 13, 12), True),
    "one_channel": (lambda: OneChannel(False), (9, 8), True),
    "one_channel_last": (lambda: OneChannel(True), (9, 8, 1), True),
    "along_time": (AlongTime, (16, 3), True),
    "single": (lambda: nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 1), nn.Sigmoid()), (4,), True),
}

for name, (make, shape, any_batch) in NETWORKS.items():
    torch.manual_seed(1)
    network = make().eval()
    images = torch.rand(1 if not any_batch else 5, *shape) * (255 if name == "channels_last" else 1)
    with torch.no_grad():
        output = network(images)
    torch.onnx.export(
        network, (images,), os.path.join(FOLDER, f"{name}.onnx"), input_names=["input"], output_names=["output"],
        dynamic_axes={"input": {0: "N"}, "output": {0: "N"}} if any_batch else None, dynamo=False,
        do_constant_folding=False, training=torch.onnx.TrainingMode.PRESERVE,
    )
    if name == "residual":
        # The newer exporter, with the newest operators that it knows.
        program = torch.onnx.export(
            network, (images,), input_names=["input"], dynamic_shapes=({0: torch.export.Dim("N")},), dynamo=True,
        )
        program.save(os.path.join(FOLDER, "newest.onnx"), external_data=False)
        without_origins(os.path.join(FOLDER, "newest.onnx"))
        save_file(network.state_dict(), os.path.join(FOLDER, "residual.safetensors"))
    np.savez(os.path.join(FOLDER, f"{name}.golden.npz"), input=images.numpy(), output=output.numpy())

# A shape of shapes of shapes: with each of the sixty nodes its length doubles.
joints = [helper.make_node("Concat", ["one", f"s{at}", f"s{at}"], [f"s{at + 1}"], axis=0) for at in range(60)]
value = lambda name: helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 4])
one = [helper.make_tensor(name, onnx.TensorProto.INT64, [1], [1]) for name in ("one", "s0")]
graph = helper.make_graph(
    joints + [helper.make_node("Reshape", ["input", "s60"], ["output"])], "joints", [value("input")], [value("output")], one)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]), os.path.join(FOLDER, "joints.onnx"))
