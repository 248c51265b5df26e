#!/usr/bin/env python3
"""ResNet-8 and DS-CNN as a PyTorch user would train them, timed: 2 threads on the CPU, fused AdamW, data in memory.

Needs: pip install torch numpy.
usage: torch_networks.py DATASETS_DIR --work resnet8|dscnn [--images N] [--epochs N] [--threads N]
Prints one JSON line: seconds to train, seconds to evaluate the test images once (median of 5), test accuracy.
"""
import argparse, gzip, json, os, statistics, tarfile, time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

parser = argparse.ArgumentParser()
parser.add_argument("datasets")
parser.add_argument("--work", choices=["resnet8", "dscnn"], required=True)
parser.add_argument("--images", type=int, default=0)
parser.add_argument("--epochs", type=int, default=1)
parser.add_argument("--threads", type=int, default=2)
args = parser.parse_args()
torch.set_num_threads(args.threads)
torch.manual_seed(0)


def idx(name, header):
    with gzip.open(os.path.join(args.datasets, "mnist", name)) as file:
        return np.frombuffer(file.read()[header:], np.uint8).copy()


def mnist():
    images = lambda name: torch.from_numpy(idx(name, 16).reshape(-1, 1, 28, 28)).float() / 255
    labels = lambda name: torch.from_numpy(idx(name, 8)).long()
    names = ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz"]
    return images(names[0]), labels(names[1]), images(names[2]), labels("t10k-labels-idx1-ubyte.gz")


def cifar():
    archive = tarfile.open(os.path.join(args.datasets, "cifar10", "cifar-10-binary.tar.gz"))

    def read(names):
        files = [archive.extractfile("cifar-10-batches-bin/" + name).read() for name in names]
        rows = np.concatenate([np.frombuffer(file, np.uint8).reshape(-1, 3073) for file in files])
        images = torch.from_numpy(rows[:, 1:].reshape(-1, 3, 32, 32).copy()).float() / 255
        return images, torch.from_numpy(rows[:, 0].copy()).long()

    return *read([f"data_batch_{i}.bin" for i in range(1, 6)]), *read(["test_batch.bin"])


class Same(nn.Module):
    """Pads as TensorFlow's `same` does: the odd pixel behind."""

    def __init__(self, size, kernel, stride):
        super().__init__()
        total = [max((-(-s // stride) - 1) * stride + k - s, 0) for s, k in zip(size, kernel)]
        self.edges = [total[1] // 2, total[1] - total[1] // 2, total[0] // 2, total[0] - total[0] // 2]

    def forward(self, x):
        return F.pad(x, self.edges) if any(self.edges) else x


def conv(inputs, out, size, kernel, stride, groups=1):
    """A convolution with `same` padding; PyTorch pads by itself where both edges are equal."""
    same = Same(size, kernel, stride)
    left, right, top, bottom = same.edges
    if (left, top) == (right, bottom):
        return [nn.Conv2d(inputs, out, kernel, stride, (top, left), groups=groups)]
    return [same, nn.Conv2d(inputs, out, kernel, stride, groups=groups)]


def normalized(*layers, channels):
    return [*layers, nn.BatchNorm2d(channels), nn.ReLU()]


class Residual(nn.Module):
    def __init__(self, inputs, out, size, stride):
        super().__init__()
        inside = [-(-s // stride) for s in size]
        first = normalized(*conv(inputs, out, size, (3, 3), stride), channels=out)
        self.body = nn.Sequential(*first, *conv(out, out, inside, (3, 3), 1), nn.BatchNorm2d(out))
        self.shortcut = nn.Sequential(*([] if stride == 1 else conv(inputs, out, size, (1, 1), stride)))

    def forward(self, x):
        return F.relu(self.body(x) + self.shortcut(x))


def resnet8():
    layers = normalized(*conv(3, 16, (32, 32), (3, 3), 1), channels=16)
    layers += [Residual(16, 16, (32, 32), 1), Residual(16, 32, (32, 32), 2), Residual(32, 64, (16, 16), 2)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def dscnn():
    layers = [*normalized(*conv(1, 64, (28, 28), (10, 4), 2), channels=64), nn.Dropout(0.2)]
    for _ in range(4):
        layers += normalized(*conv(64, 64, (14, 14), (3, 3), 1, groups=64), channels=64)
        layers += normalized(*conv(64, 64, (14, 14), (1, 1), 1), channels=64)
    return nn.Sequential(*layers, nn.Dropout(0.4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


net = {"resnet8": resnet8, "dscnn": dscnn}[args.work]()
x_train, y_train, x_test, y_test = cifar() if args.work == "resnet8" else mnist()
if args.images:
    x_train, y_train = x_train[: args.images], y_train[: args.images]
optimizer = torch.optim.AdamW(net.parameters(), 1e-3, fused=True)
for _ in range(2):  # warm up, gradients thrown away
    F.cross_entropy(net(x_train[:128]), y_train[:128]).backward()
start = time.perf_counter()
for _ in range(args.epochs):
    net.train()
    order = torch.randperm(len(x_train))
    for first in range(0, len(x_train) - 127, 128):
        batch = order[first : first + 128]
        loss = F.cross_entropy(net(x_train[batch]), y_train[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
line = {"work": args.work, "torch": torch.__version__, "images": len(x_train), "train_s": time.perf_counter() - start}
net.eval()
times = []
with torch.no_grad():
    for _ in range(5):
        start = time.perf_counter()
        right = sum(
            (net(x_test[first : first + 128]).argmax(1) == y_test[first : first + 128]).sum().item()
            for first in range(0, len(x_test), 128)
        )
        times.append(time.perf_counter() - start)
print(json.dumps(line | {"evaluate_s": statistics.median(times), "accuracy": right / len(x_test)}))
