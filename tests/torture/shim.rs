//! The layer `shim.c` between the binary and the C library's file functions: compiling it, and running commands under
//! it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::fixture::Bench;

/// Returns the path of the compiled layer.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/torture");
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("shim-{}.so", std::process::id()));
        let mut cc = Command::new("cc");
        cc.args(["-O1", "-shared", "-fPIC", "-o"]).arg(&library).arg(folder.join("shim.c"));
        assert!(cc.args(["-ldl", "-lpthread"]).status().expect("a C compiler").success());
        library
    })
}

/// The kinds of calls at which a fault can be made.
pub const CALLS: [&str; 7] = ["open", "write", "fsync", "rename", "unlink", "mkdir", "truncate"];

/// A fault at a call.
#[derive(Clone, Copy, Debug)]
pub enum Deed {
    /// The process is killed before the call.
    Kill,
    /// The process is killed after half of a write.
    Torn,
    /// The call fails with this errno.
    Fail(i32),
    /// The call and all later ones fail with this errno.
    FailOn(i32),
}

/// Returns a command with a fault at the `at`th of these calls on its store.
pub fn struck<const N: usize>(
    bench: &Bench,
    arguments: [&str; N],
    calls: &str,
    at: usize,
    deed: Deed,
) -> Command {
    let mut command = under(bench, arguments);
    command.env("SHIM_CALLS", calls).env("SHIM_AT", at.to_string());
    match deed {
        Deed::Kill => command.env("SHIM_DO", "kill"),
        Deed::Torn => command.env("SHIM_DO", "torn"),
        Deed::Fail(errno) => command.env("SHIM_DO", errno.to_string()),
        Deed::FailOn(errno) => command.env("SHIM_DO", errno.to_string()).env("SHIM_ON", "1"),
    };
    command
}

/// Returns a command that logs the calls on its store to a file.
pub fn logged<const N: usize>(bench: &Bench, arguments: [&str; N], log: &Path) -> Command {
    let mut command = under(bench, arguments);
    command.env("SHIM_LOG", log);
    command
}

fn under<const N: usize>(bench: &Bench, arguments: [&str; N]) -> Command {
    let mut command = bench.command(arguments);
    command.env("LD_PRELOAD", library()).env("SHIM_ROOT", bench.path("store"));
    command
}
