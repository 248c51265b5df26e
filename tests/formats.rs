//! Number formats on the command line (`values` and `round`), and each kind of format in a run.

use std::io::Write;
use std::process::Stdio;

use crate::fixture::{Bench, Ended, end};

/// Runs a command with this text on its standard input.
fn fed(arguments: &[&str], input: &str) -> Ended {
    let bench = Bench::new();
    let mut command = bench.command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("ended");
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn values_lists_every_code_and_draws_the_line() {
    let shown = end(&mut Bench::new().command(["values", "Float(e: 3, m: 0)"]));
    assert_eq!(shown.code, Some(0), "{shown:?}");
    let expected = "\
Float(e: 3, m: 0): 15 numbers from -16 to 16 in codes of 4 bits

code  bits  value
   0  0000  0
   1  0001  0.25
   2  0010  0.5
   3  0011  1
   4  0100  2
   5  0101  4
   6  0110  8
   7  0111  16
   8  1000  -0
   9  1001  -0.25
  10  1010  -0.5
  11  1011  -1
  12  1100  -2
  13  1101  -4
  14  1110  -8
  15  1111  -16

on a line; | is one number, a digit so many, # ten or more
|                 |        |    | |2|2|  |   |        |                 |
-------------------------------------------------------------------------
-16                                                                    16
";
    assert!(shown.stdout.starts_with(expected), "{}", shown.stdout);
    assert!(shown.stdout.contains("on a logarithmic line"), "{}", shown.stdout);
}

#[test]
fn values_tells_codes_that_are_never_written_and_those_without_a_number() {
    let of = |format: &str| end(&mut Bench::new().command(["values", format])).stdout;
    assert!(of("Int(3)").contains("100   -4  (never written)\n"), "{}", of("Int(3)"));
    assert!(of("Ternary").contains("11    no number\n"), "{}", of("Ternary"));
    assert!(of("float8_e4m3fn").contains("01111111  NaN\n"));
    assert!(of("E5M2").contains("01111100  inf\n"));
}

#[test]
fn formats_that_cannot_be_listed_or_read_say_why() {
    let check = |arguments: &[&str], words: &str| {
        let told = fed(arguments, "");
        assert_eq!((told.code, told.stdout.as_str()), (Some(2), ""), "{told:?}");
        assert!(told.stderr.contains(words), "{}", told.stderr);
    };
    check(&["values", "F32"], "too many to list");
    check(&["values", "KMeans(4)"], "fitted to each tensor");
    check(&["values", "Int(bitz: 4)"], "did you mean `bits`?");
    check(&["values", "Posit(n: 4, es: 4)"], "es must be less than n");
    check(&["values", ""], "FORMAT is empty");
    check(&["round", "E2M1", "--rounding", "Nearst"], "did you mean `Nearest`?");
    check(&["round", "E2M1", "--random-bits", "33"], "1 to 32 random bits");
}

#[test]
fn round_rounds_a_line_at_a_time() {
    let check = |arguments: &[&str], input: &str, expected: &str| {
        let told = fed(arguments, input);
        assert_eq!((told.code, told.stdout.as_str()), (Some(0), expected), "{told:?}");
    };
    check(&["round", "E2M1"], "0.3\n-5.1\n 2.5 \nnan\ninf\n-0.1\n", "0.5\n-6\n2\nNaN\n6\n-0\n");
    check(&["round", "Float(e: 3, m: 0)", "--rounding", "TowardZero"], "3.99\n", "2\n");
    // The share of the interval is 0.6, and 0.6·256 = 153.6 rounds to 154, so random numbers from 256 − 154 = 102 on
    // round away from zero.
    let stochastic = ["round", "E2M1", "--rounding", "Stochastic", "--random-bits", "8"];
    check(&stochastic, "0.3 101\n0.3 102\n-0.3 102\n", "0\n0.5\n-0.5\n");
    // These rows come from the reference vectors.
    check(
        &["round", "float8_e4m3fn", "--bits"],
        "43efae15\nff800000\n80000000\n",
        "7fc00000\nffc00000\n80000000\n",
    );
    check(&["round", "float4_e2m1fn", "--bits"], "7FC00000\n", "80000000\n");
    let seeded = ["round", "E2M1", "--rounding", "Stochastic", "--seed", "7"];
    let lines = "0.3\n".repeat(40);
    let first = fed(&seeded, &lines).stdout;
    assert_eq!(first, fed(&seeded, &lines).stdout);
    assert!(first.contains("0.5\n") && first.contains("0\n"));
}

#[test]
fn round_says_which_line_is_wrong() {
    let check = |arguments: &[&str], input: &str, words: &str| {
        let told = fed(arguments, input);
        assert_eq!(told.code, Some(2), "{told:?}");
        assert!(told.stderr.contains(words), "{}", told.stderr);
    };
    check(&["round", "E2M1"], "1\nx\n", "line 2: expected a number, found \"x\"");
    check(&["round", "E2M1"], "1 2 3\n", "line 1: expected a number and at most one random number");
    check(
        &["round", "E2M1", "--random-bits", "3"],
        "1 8\n",
        "line 1: random number 8 needs more than 3 bits",
    );
    check(&["round", "E2M1", "--bits"], "0.5\n", "line 1: expected 8 hex digits of a binary32");
}

const FORMATS: &str = r#"Experiment(
    name: "formats",
    axes: {
        "kind": {
            "float": (format: Float(e: 2, m: 1, subnormals: Flush), scale: PowerOfTwo(per: Channel)),
            "int": (format: Int(4), scale: Real(store: F16)),
            "same as int": (format: Float(e: 0, m: 3), scale: Real(store: F16)),
            "asymmetric": (format: Int(bits: 3, range: Asymmetric), scale: Own),
            "fixed": (format: Fixed(int: 0, frac: 5), scale: Own),
            "power": (format: PowerOfTwo(4), scale: None),
            "posit": (format: Posit(n: 6, es: 1), scale: Own),
            "ternary": (format: Ternary, scale: Own),
            "binary": (format: Binary, scale: Real(per: Channel, fit: Mean)),
            "nf4": (format: Nf4, scale: Own),
            "k-means": (format: KMeans(3), scale: Own),
            "values": (format: Values([-0.1, 0, 0.1]), scale: None),
            "mx": (format: Mx(E2M1), scale: Own),
            "block float": (format: BlockFloat(bits: 4, block: 16), scale: Own),
            "p3109": (format: P3109(bits: 8, precision: 4), scale: None),
            "bf16": (format: Bf16, scale: None),
        },
    },
    nodes: {
        "mnist": Dataset(source: Mnist10k, train: 200, test: 100),
        "net": Train(data: "mnist", model: Mlp(hidden: [8, 8]), batch: 50, epochs: 1),
        "small": Quantize(model: "net", format: Axis("kind.format"), scale: Axis("kind.scale"),
                          first: Int(8), layers: {"linear2": (rounding: TowardZero)}, last: (format: F32)),
        "accuracy": Evaluate(model: "small", data: "mnist"),
    },
    tables: {
        "bytes": Table(rows: ["kind"], columns: ["small.bytes", "small.code_bits"]),
    },
)
"#;

/// Two of the formats produce the same model, so they share one evaluation. The first and last layer are exceptions.
#[test]
fn every_kind_of_format_runs_with_exceptions_for_layers() {
    let bench = Bench::with(FORMATS);
    // One of the 16 evaluations is shared.
    assert_eq!(bench.run_well().counts(), [34, 33, 1, 0, 0]);
    let table = bench.stdout(["table", "x.ron", "bytes", "--format", "csv"]);
    // The sizes in bytes: 784 × 8 weights of 8 bits and a scale, 8 × 8 weights of 4 bits and a scale of 2 bytes, 8 × 10
    // weights of 32 bits, and 26 biases of 32 bits.
    let int = 784 * 8 + 4 + 32 + 2 + 4 * 80 + 4 * 26;
    let has = |kind: &str, bytes: i32, bits: &str| {
        let row = format!("{kind},{bytes}.0,1,{bits},1");
        assert!(table.lines().any(|line| line == row), "no {row} in\n{table}");
    };
    has("int", int, "4.0");
    // Five ternary weights fit in one byte.
    let ternary = 784 * 8 + 4 + 13 + 4 + 4 * 80 + 4 * 26;
    has("ternary", ternary, "1.6");
    assert_eq!(bench.run_well().counts(), [34, 0, 34, 0, 0]);
}

const ENDS: &str = r#"Experiment(
    name: "ends",
    axes: {
        "seed": [0, 1],
    },
    nodes: {
        "mnist": Dataset(source: Mnist10k, train: 200, test: 100),
        "net": Train(data: "mnist", batch: 50, epochs: 1,
                     model: Layers([BatchNorm, Flatten, Linear(8), Relu, Linear(10)])),
        "named": Quantize(model: "net", format: E2M1, layers: {"linear1": F32}, last: Int(8)),
        "first": Quantize(model: "net", format: E2M1, first: F32, last: Int(8)),
        "both": Quantize(model: "net", format: E2M1, layers: {"linear1": F32}, first: Int(2), last: Int(8)),
        "random": Quantize(model: "net", format: E2M1, last: (rounding: Stochastic), seed: Axis("seed")),
        "fixed": Quantize(model: "net", format: E2M1, last: (rounding: TowardZero), seed: Axis("seed")),
        "plain": Quantize(model: "net", format: Ternary, scale: Real(per: Channel, fit: Mean)),
        "usual": Quantize(model: "net", format: Ternary, scale: Real(per: Channel), first: None),
    },
    tables: {
        "mse": Table(rows: [], columns: ["named.mse", "first.mse", "both.mse"]),
    },
)
"#;

/// `first` means the first layer with a matrix of weights. An entry in `layers` takes precedence over `first`. The seed
/// is part of the key only if the quantization uses random numbers.
#[test]
fn exceptions_for_the_ends_mean_what_they_say() {
    let bench = Bench::with(ENDS);
    // `fixed` is the same for both seeds, and `usual` writes the same request as `plain` in another way.
    assert_eq!(bench.run_well().counts(), [11, 9, 2, 0, 0]);
    let table = bench.stdout(["table", "x.ron", "mse", "--format", "json"]);
    let rows: serde_json::Value = serde_json::from_str(&table).expect(&table);
    let of = |name: &str| rows[0][name].as_f64().unwrap_or_else(|| panic!("{name} in {table}"));
    assert_eq!(of("named.mse"), of("first.mse"));
    assert_eq!(of("named.mse"), of("both.mse"));
}
