//! Exported folders of C: compiled and run here, and on emulated microcontrollers with the files of `docs/c.md`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::fixture::{Bench, data_dir};

/// A processor: its name, the compiler's options, the emulator's board.
pub struct Core {
    pub name: &'static str,
    options: &'static [&'static str],
    board: &'static str,
}

pub const CORES: [Core; 4] = [
    Core { name: "Cortex-M0", options: &["-mcpu=cortex-m0", "-mfloat-abi=soft"], board: "mps2-an385" },
    Core { name: "Cortex-M3", options: &["-mcpu=cortex-m3", "-mfloat-abi=soft"], board: "mps2-an385" },
    M4,
    Core {
        name: "Cortex-M7",
        options: &["-mcpu=cortex-m7", "-mfpu=fpv5-sp-d16", "-mfloat-abi=hard"],
        board: "mps2-an500",
    },
];

pub const M4: Core = Core {
    name: "Cortex-M4",
    options: &["-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"],
    board: "mps2-an386",
};

pub const STRICT: [&str; 5] = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"];

/// Returns whether a program is there; says so if not.
pub fn has(program: &str) -> bool {
    let is_there = Command::new(program).arg("--version").output().is_ok();
    if !is_there {
        eprintln!("not tested: `{program}` is missing");
    }
    is_there
}

/// Runs a command, which must succeed, and returns its standard output.
pub fn done(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("a program");
    assert!(status.success(), "{command:?}: {status}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).expect("text")
}

/// Returns a file of `docs/c.md`.
pub fn of_manual(name: &str) -> &'static str {
    let (_, rest) = include_str!("../docs/c.md").split_once(&format!("`{name}`:\n\n```")).expect(name);
    let (_, text) = rest.split_once('\n').expect(name);
    text.split_once("```").expect(name).0
}

/// A folder of C files.
pub struct Folder<'a> {
    pub path: PathBuf,
    pub name: &'a str,
}

impl Folder<'_> {
    pub fn export<'a>(bench: &Bench, task: &str, name: &'a str) -> Folder<'a> {
        let mut command = bench.command(["export", "x.ron", task, "--to", "c", "-o", name, "--name", name]);
        command.envs(data_dir().map(|dir| ("FEWBITS_DATA_DIR", dir)));
        done(&mut command);
        Folder { path: bench.path(name), name }
    }

    /// Returns the paths of the network's files, with the test's if wanted.
    pub fn sources(&self, with_test: bool) -> Vec<PathBuf> {
        let name = self.name;
        let network = [format!("{name}.c"), format!("{name}_weights.c")];
        let test = [format!("{name}_golden.c"), "test.c".to_owned()];
        let all = network.into_iter().chain(test.into_iter().filter(|_| with_test));
        all.map(|file| self.path.join(file)).collect()
    }

    /// Compiles and runs the test on this machine.
    pub fn test_here(&self, compiler: &str, options: &[&str]) {
        let program = self.path.join("here");
        let mut compile = Command::new(compiler);
        compile.args(STRICT).args(options).arg("-o").arg(&program).args(self.sources(true)).arg("-lm");
        done(&mut compile);
        all_equal(&done(&mut Command::new(program)), compiler);
    }

    /// Compiles and runs the test on an emulated processor.
    pub fn test_on(&self, core: &Core) {
        // Compilers may fuse products and sums of their own accord; it must not change a bit.
        all_equal(&self.run_on(core, &["-O2", "-ffp-contract=fast"], &self.sources(true), &[]), core.name);
    }

    pub fn run_on(&self, core: &Core, options: &[&str], sources: &[PathBuf], emulator: &[&str]) -> String {
        let [startup, script, program] =
            ["startup.c", "board.ld", "board.elf"].map(|name| self.path.join(name));
        fs::write(&startup, of_manual("startup.c")).expect("a file");
        fs::write(&script, of_manual("board.ld")).expect("a file");
        let mut compile = Command::new("arm-none-eabi-gcc");
        compile.args(["-std=c99", "-mthumb", "-Wall", "-Wextra", "-Werror"]).args(core.options);
        compile.args(options).args(["--specs=rdimon.specs", "-nostartfiles", "-T"]).arg(&script);
        compile.arg("-o").arg(&program).arg(&startup).args(sources).arg("-lm");
        done(&mut compile);
        let mut run = Command::new("timeout");
        run.args([
            "120",
            "qemu-system-arm",
            "-M",
            core.board,
            "-nographic",
            "-monitor",
            "none",
            "-serial",
            "none",
        ]);
        run.args(["-semihosting-config", "enable=on,target=native"])
            .args(emulator)
            .arg("-kernel")
            .arg(&program);
        done(&mut run)
    }

    /// Returns the bytes of tables and of code on a Cortex-M4 with `-Os`.
    pub fn sizes(&self) -> [u64; 2] {
        let size = |file: &PathBuf| {
            let object = self.path.join("size.o");
            let mut compile = Command::new("arm-none-eabi-gcc");
            compile.args(["-std=c99", "-Os", "-mthumb", "-c", "-o"]).arg(&object).args(M4.options).arg(file);
            done(&mut compile);
            let text = done(Command::new("arm-none-eabi-size").arg(&object));
            let numbers = text.lines().nth(1).expect("sizes").split_whitespace();
            let [text, data, bss] =
                numbers.take(3).map(|size| size.parse().expect("a size")).collect::<Vec<u64>>()[..]
            else {
                panic!("{text}")
            };
            assert_eq!([data, bss], [0, 0], "nothing is written to");
            text
        };
        let [code, tables] = &self.sources(false)[..] else { panic!("two files") };
        [size(tables), size(code)]
    }

    /// Returns the text of the header.
    pub fn header(&self) -> String {
        fs::read_to_string(self.path.join(format!("{}.h", self.name))).expect("a header")
    }

    /// Returns whether the network computes with integers.
    pub fn is_integer(&self) -> bool {
        self.header().contains("_quantize_input")
    }

    /// Returns the bytes of the scratch buffer.
    pub fn scratch_bytes(&self) -> u64 {
        let header = self.header();
        let line = header.lines().find(|line| line.contains("_SCRATCH_BYTES ")).expect("a size");
        line.rsplit(' ').next().and_then(|bytes| bytes.parse().ok()).expect("a size")
    }

    /// Returns the instructions of one inference on a Cortex-M4, with the network's own code or that of `mcu/plain.c`.
    pub fn instructions(&self, plain: Option<&str>) -> u64 {
        let mcu = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/mcu");
        let mut sources = self.sources(false);
        sources.push(mcu.join("count.c"));
        let infer = match plain {
            Some(network) => {
                sources[0] = mcu.join("plain.c");
                vec!["-DPLAIN".to_owned(), format!("-D{network}")]
            }
            None if self.is_integer() => {
                vec![format!("-DINFER={}_infer", self.name), "-DINTEGER".to_owned()]
            }
            None => vec![format!("-DINFER={}_infer", self.name)],
        };
        let options: Vec<&str> = infer.iter().map(String::as_str).chain(["-O2"]).collect();
        let told = self.run_on(&M4, &options, &sources, &["-icount", "shift=0"]);
        told.split_whitespace().next().and_then(|count| count.parse().ok()).expect("a count")
    }
}

pub fn all_equal(told: &str, which: &str) {
    assert!(told.ends_with("16 of 16 images equal to the bit\n"), "{which}: {told}");
}

pub fn has_boards() -> bool {
    has("arm-none-eabi-gcc") && has("qemu-system-arm")
}
