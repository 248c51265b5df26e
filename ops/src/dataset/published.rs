//! The published datasets: their files, sizes, checksums, addresses and licences.
//! Constants only; knows nothing of the files on this machine.

/// A published dataset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Published {
    /// Name on the command line and of the folder in the data directory.
    pub name: &'static str,
    /// The common name of the dataset.
    pub title: &'static str,
    /// The licence and its holders.
    pub licence: &'static str,
    /// Addresses of the folder that holds the files, tried in turn.
    pub addresses: &'static [&'static str],
    /// The files.
    pub files: &'static [PublishedFile],
}

/// A published file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PublishedFile {
    /// The file's name.
    pub name: &'static str,
    /// The file's length in bytes.
    pub bytes: u64,
    /// The file's SHA-256, in lower-case hexadecimal digits.
    pub sha256: &'static str,
}

/// Image and label counts of the files of the MNIST family, in the order of `Published::files`.
pub const MNIST_COUNTS: [usize; 4] = [60_000, 60_000, 10_000, 10_000];

/// The blake3 sums of MNIST's four files, decompressed: those whose MD5 sums are 6bbc9ace898e44ae57da46a324031adb,
/// a25bea736e30d166cdddb491f175f624, 2646ac647ad5339dbf082846283269ea and 27ae3e4e09519cfbb04c329615203637.
pub const MNIST_CONTENT: [&str; 4] = [
    "c6e6fd8c67d07c8a9b7bffa7dd0413ff4b8af241607b049b7721107f379df9fd",
    "8ebcfdf2fe191516f9cb37fceb75d2d19289d91ee92026534ed45e44144b5642",
    "f8d502322cd9f186e155a74a3dff598ed56c1a7b5a5c8d312749ac47c4a2bec7",
    "6d43ea317fa8f5851bb85404bb7358defd48b0294cf31f60cdcde8106fe2c3ad",
];

/// The licence of MNIST, embedded or not.
pub const MNIST_LICENCE: &str = "CC BY-SA 3.0 (Yann LeCun and Corinna Cortes)";

/// MNIST.
pub const MNIST: Published = Published {
    name: "mnist",
    title: "MNIST",
    licence: MNIST_LICENCE,
    addresses: &[
        "https://storage.googleapis.com/cvdf-datasets/mnist",
        "https://ossci-datasets.s3.amazonaws.com/mnist",
    ],
    files: &[
        PublishedFile {
            name: "train-images-idx3-ubyte.gz",
            bytes: 9_912_422,
            sha256: "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        },
        PublishedFile {
            name: "train-labels-idx1-ubyte.gz",
            bytes: 28_881,
            sha256: "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        },
        PublishedFile {
            name: "t10k-images-idx3-ubyte.gz",
            bytes: 1_648_877,
            sha256: "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        },
        PublishedFile {
            name: "t10k-labels-idx1-ubyte.gz",
            bytes: 4_542,
            sha256: "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
    ],
};

/// Fashion-MNIST: the same file names as MNIST.
pub const FASHION_MNIST: Published = Published {
    name: "fashion-mnist",
    title: "Fashion-MNIST",
    licence: "MIT (Zalando SE)",
    addresses: &["http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"],
    files: &[
        PublishedFile {
            name: "train-images-idx3-ubyte.gz",
            bytes: 26_421_880,
            sha256: "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        },
        PublishedFile {
            name: "train-labels-idx1-ubyte.gz",
            bytes: 29_515,
            sha256: "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        },
        PublishedFile {
            name: "t10k-images-idx3-ubyte.gz",
            bytes: 4_422_102,
            sha256: "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        },
        PublishedFile {
            name: "t10k-labels-idx1-ubyte.gz",
            bytes: 5_148,
            sha256: "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        },
    ],
};

/// CIFAR-10, binary version.
pub const CIFAR10: Published = Published {
    name: "cifar10",
    title: "CIFAR-10",
    licence: "published without a licence, to be cited (Krizhevsky 2009)",
    addresses: &["https://www.cs.toronto.edu/~kriz"],
    files: &[PublishedFile {
        name: "cifar-10-binary.tar.gz",
        bytes: 170_052_171,
        sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    }],
};
