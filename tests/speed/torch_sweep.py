#!/usr/bin/env python3
"""The sweep of sweep.ron as a PyTorch + QPyTorch script: what fewbits is timed against.

Two trainings of 784-512-256-10 on MNIST, without and with Dropout, five epochs each; every network evaluated as
binary32 and as 30 floating-point formats under two roundings: 122 evaluations. One process, images in memory.

Needs: pip install torch numpy qtorch setuptools ninja
usage: torch_sweep.py DATASETS_DIR [--threads N]
Prints one JSON line: seconds to train, to quantize and evaluate, in all without imports, and the accuracies.
"""
import argparse, copy, gzip, json, os, time
import numpy as np, torch, torch.nn as nn, torch.nn.functional as F
from qtorch.quant import float_quantize

parser = argparse.ArgumentParser()
parser.add_argument("datasets")
parser.add_argument("--threads", type=int, default=2)
args = parser.parse_args()
torch.set_num_threads(args.threads)
torch.manual_seed(0)

start = time.perf_counter()


def read(name, header):
    path = os.path.join(args.datasets, "mnist", name)
    return np.frombuffer(gzip.open(path).read()[header:], np.uint8).copy()


def images(name):
    return torch.from_numpy(read(name, 16).reshape(-1, 784)).float() / 255


def labels(name):
    return torch.from_numpy(read(name, 8)).long()


train_x, train_y = images("train-images-idx3-ubyte.gz"), labels("train-labels-idx1-ubyte.gz")
test_x, test_y = images("t10k-images-idx3-ubyte.gz"), labels("t10k-labels-idx1-ubyte.gz")


def network(dropout):
    layers, sizes = [], [784, 512, 256]
    for inputs, outputs in zip(sizes, sizes[1:]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()] + ([nn.Dropout(dropout)] if dropout else [])
    return nn.Sequential(*layers, nn.Linear(256, 10))


def train(net, epochs=5, batch=128):
    optimizer = torch.optim.AdamW(net.parameters(), 1e-3, fused=True)
    net.train()
    for _ in range(epochs):
        order = torch.randperm(len(train_x))
        for first in range(0, len(train_x), batch):
            chosen = order[first : first + batch]
            loss = F.cross_entropy(net(train_x[chosen]), train_y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net.eval()


@torch.no_grad()
def evaluate(net):
    batches = range(0, len(test_x), 1000)
    right = sum((net(test_x[i : i + 1000]).argmax(1) == test_y[i : i + 1000]).sum().item() for i in batches)
    return right / len(test_x)


@torch.no_grad()
def quantized(net, exponent, mantissa, rounding):
    copied = copy.deepcopy(net)
    for parameter in copied.parameters():
        if parameter.dim() > 1:
            parameter.copy_(float_quantize(parameter, exp=exponent, man=mantissa, rounding=rounding))
    return copied


formats = [(e, m) for e in range(2, 8) for m in range(5)]
networks = {dropout: train(network(dropout)) for dropout in (0.0, 0.5)}
trained = time.perf_counter()
accuracy, evaluations = {}, 0
for dropout, net in networks.items():
    accuracy[f"float32, dropout {dropout}"] = evaluate(net)
    evaluations += 1
    for exponent, mantissa in formats:
        for rounding in ("nearest", "stochastic"):
            reached = evaluate(quantized(net, exponent, mantissa, rounding))
            accuracy[f"e{exponent}m{mantissa} {rounding}, dropout {dropout}"] = reached
            evaluations += 1
end = time.perf_counter()
chosen = [name for name in accuracy if name.startswith(("float32", "e4m2"))]
print(json.dumps({
    "work": "sweep",
    "torch": torch.__version__,
    "evaluations": evaluations,
    "train_s": trained - start,
    "evaluate_s": end - trained,
    "all_s": end - start,
    "accuracy": {name: accuracy[name] for name in chosen},
}))
