#!/usr/bin/env python3
"""Times fewbits beside what people run instead, in turns, and prints medians and ratios.

Needs: a release build (`cargo build --release` and the example train_speed of fewbits-ops), MNIST and CIFAR-10 in
DATASETS_DIR, `pip install torch numpy qtorch setuptools ninja`, and ninja for `noop`.

usage: compare.py WORK DATASETS_DIR [--rounds 5] [--images N] [--peer torch_speed.py]

WORK is mlp, lenet, cnn, resnet8 or dscnn (one epoch of training, and the test images evaluated; PEER is a script that takes
`DATASETS_DIR --work WORK --images N` and prints JSON with train_s, evaluate_s and accuracy), sweep (sweep.ron against
torch_sweep.py, whole processes), noop (a run with nothing to do against ninja's, whole processes), edit (from
starting the program to its first task, after a value was added to an axis of an experiment that had run), save (from
saving the file of `run --watch` to the first task of the edit), or type (from an edit in an editor to the faults of a text of
300 lines).
"""
import argparse, json, os, statistics, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
RELEASE = os.path.join(ROOT, "target", "release")
FEWBITS = os.path.join(RELEASE, "fewbits")

parser = argparse.ArgumentParser()
parser.add_argument("work", choices=["mlp", "lenet", "cnn", "resnet8", "dscnn", "sweep", "noop", "edit", "save", "type"])
parser.add_argument("datasets")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--images", type=int, default=0, help="training images; 0 for all")
parser.add_argument("--peer", help="torch_networks.py for resnet8 and dscnn, else torch_speed.py beside the repository")
args = parser.parse_args()
if not args.peer:
    beside = os.path.join(ROOT, "..", "shared", "peers", "torch_speed.py")
    args.peer = os.path.join(HERE, "torch_networks.py") if args.work in ("resnet8", "dscnn") else beside


def seconds(command, **options):
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    return time.perf_counter() - start


def last_line(command):
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(told.strip().splitlines()[-1])


def report(what, ours, theirs):
    ours, theirs = statistics.median(ours), statistics.median(theirs)
    print(f"{what}: fewbits {ours:.3f} s, the other {theirs:.3f} s, ratio {ours / theirs:.2f}")


def train():
    ours, theirs = [], []
    own = [os.path.join(RELEASE, "examples", "train_speed"), args.datasets, args.work, "1", "2", str(args.images)]
    peer = [sys.executable, args.peer, args.datasets, "--work", args.work, "--images", str(args.images)]
    for _ in range(args.rounds):
        theirs.append(last_line(peer))
        ours.append(last_line(own))
    for key in ("train_s", "evaluate_s"):
        report(f"{args.work} {key}", [line[key] for line in ours], [line[key] for line in theirs])
    print(f"accuracy: {ours[0]['accuracy']:.4f} and {theirs[0]['accuracy']:.4f}")


def sweep():
    ours, theirs = [], []
    for _ in range(args.rounds):
        theirs.append(seconds([sys.executable, os.path.join(HERE, "torch_sweep.py"), args.datasets]))
        with tempfile.TemporaryDirectory() as store:
            command = [FEWBITS, "run", os.path.join(HERE, "sweep.ron"), "--store", store]
            ours.append(seconds([*command, "--data-dir", args.datasets]))
    report("sweep, whole processes", ours, theirs)


EXPERIMENT = """Experiment(
    name: "noop",
    axes: {{ "e": Range(1, 5), "m": Range(1, 5), "draw": Range(1, {draws}) }},
    nodes: {{
        "data": Dataset(source: Mnist10k, train: 128, test: 16),
        "net": Train(data: "data", model: Mlp(hidden: []), epochs: 1),
        "small": Quantize(
            model: "net", format: Float(e: Axis("e"), m: Axis("m")), rounding: Stochastic, seed: Axis("draw"),
        ),
        "score": Evaluate(model: "small", data: "data"),
    }},
)
"""


def noop():
    for tasks in (10_000, 100_000):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "x.ron"), "w") as file:
                file.write(EXPERIMENT.format(draws=tasks // 50))
            with open(os.path.join(folder, "build.ninja"), "w") as file:
                file.write("rule copy\n  command = cp $in $out\n")
                file.writelines(f"build out/{n}: copy in\n" for n in range(tasks))
            open(os.path.join(folder, "in"), "w").close()
            command = [FEWBITS, "run", "x.ron", "--store", "store", "--max-tasks", str(2 * tasks)]
            seconds(command, cwd=folder), seconds(["ninja"], cwd=folder)
            ours, theirs = [], []
            for _ in range(4 * args.rounds + 1):
                theirs.append(seconds(["ninja"], cwd=folder))
                ours.append(seconds(command, cwd=folder))
            report(f"nothing to do, {tasks} tasks", ours, theirs)


def edit():
    for tasks in (1_000, 10_000, 100_000):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "x.ron")
            command = [FEWBITS, "run", "x.ron", "--store", "store", "--max-tasks", str(2 * tasks), "--ui", "json"]
            ours = []
            for edit in range(args.rounds + 1):
                with open(path, "w") as file:
                    file.write(EXPERIMENT.format(draws=tasks // 50 + edit))
                start = time.perf_counter()
                run = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
                next(line for line in run.stdout if b'"started"' in line)
                seconds = time.perf_counter() - start
                run.communicate()
                if edit > 0:
                    ours.append(seconds)
            print(f"first task after an edit, {tasks} tasks: {statistics.median(ours):.3f} s")


def save():
    text = """Experiment(name: "save",
  axes: {"seed": Range(0, 9), "e": Range(1, 5), "m": Range(0, 9), "draw": Range(1, %d)},
  nodes: {
    "mnist": Dataset(source: Mnist10k, train: 200, test: 100),
    "net": Train(data: "mnist", model: Mlp(hidden: [8]), epochs: %d, seed: Axis("seed")),
    "small": Quantize(model: "net", format: Float(e: Axis("e"), m: Axis("m")), rounding: Stochastic, seed: Axis("draw")),
    "accuracy": Evaluate(model: "small", data: "mnist"),
  })"""
    for draws in (1, 10):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "x.ron")
            with open(path, "w") as file:
                file.write(text % (draws, 1))
            command = [FEWBITS, "--store", os.path.join(folder, "store"), "run", path, "--watch", "--ui", "json"]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

            def until(kind):
                for line in process.stdout:
                    event = json.loads(line)
                    if event["event"] == kind:
                        return event

            tasks, seconds = until("finished")["tasks"], []
            for epochs in range(2, 13):
                time.sleep(0.5)
                with open(path + ".new", "w") as file:
                    file.write(text % (draws, epochs))
                start = time.perf_counter()
                os.rename(path + ".new", path)
                until("started")
                seconds.append(time.perf_counter() - start)
                until("finished")
            process.kill()
            print(f"{tasks} tasks: {statistics.median(seconds):.3f} s from the save to the first task")


def typing():
    nodes = [f'"s{at}": Quantize(model: "net", format: Float(e: Axis("e"), m: {at % 8}), seed: {at}),' for at in range(290)]
    text = """Experiment(name: "type", axes: {"e": Range(1, 5)}, nodes: {
    "mnist": Dataset(source: Mnist10k),
    "net": Train(data: "mnist", model: Mlp(hidden: [8]), epochs: %d),
    """ + "\n    ".join(nodes) + "})\n"
    server = subprocess.Popen([FEWBITS, "lsp"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def send(message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        server.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        server.stdin.flush()

    def receive():
        while header := server.stdout.readline().strip():
            length = int(header.split()[-1])
        return json.loads(server.stdout.read(length))

    send({"id": 1, "method": "initialize", "params": {"capabilities": {}}})
    receive()
    send({"method": "initialized", "params": {}})
    document = {"uri": "file:///x.ron", "languageId": "ron", "version": 1, "text": text % 1}
    send({"method": "textDocument/didOpen", "params": {"textDocument": document}})
    receive()
    seconds = []
    at = (text % 1).split("\n")[2].index("epochs: ") + 8
    for epochs in range(2, 104):
        start = time.perf_counter()
        # A wrong value at every second edit.
        new = str(epochs if epochs % 2 else -epochs)
        old = len(str(1 if epochs == 2 else epochs - 1 if epochs % 2 == 0 else -(epochs - 1)))
        change = {"range": {"start": {"line": 2, "character": at}, "end": {"line": 2, "character": at + old}}, "text": new}
        document = {"uri": "file:///x.ron", "version": epochs}
        send({"method": "textDocument/didChange", "params": {"textDocument": document, "contentChanges": [change]}})
        faults = receive()["params"]["diagnostics"]
        seconds.append(time.perf_counter() - start)
        assert len(faults) == (epochs % 2 == 0), faults
    server.kill()
    seconds.sort()
    print(f"{text.count(chr(10))} lines: faults after {statistics.median(seconds):.4f} s, at most {seconds[-1]:.4f} s")


{"type": typing, "sweep": sweep, "noop": noop, "edit": edit, "save": save}.get(args.work, train)()
