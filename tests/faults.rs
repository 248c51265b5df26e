//! Experiment files with one fault each, and the expected messages beside them. `FEWBITS_BLESS=1` writes the current
//! messages.

use std::fs;
use std::path::{Path, PathBuf};

use crate::fixture::{Bench, end, files};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/faults")
}

/// Checks a file, from within the folder of the faulty files.
fn check(name: &str, arguments: &[&str]) -> crate::fixture::Ended {
    end(Bench::new().command(["check", name]).args(arguments).current_dir(folder()))
}

#[test]
fn every_fault_is_told_as_written_beside_it() {
    let mut experiments: Vec<PathBuf> = files(&folder());
    experiments.retain(|path| path.extension().is_some_and(|extension| extension == "ron"));
    assert!(experiments.len() > 100, "{} files", experiments.len());
    let mut wrong = vec![];
    for path in experiments {
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        let text = fs::read_to_string(&path).expect(name);
        let arguments = text.lines().next().and_then(|line| line.strip_prefix("// arguments: "));
        let told =
            check(name, &arguments.map(|text| text.split(' ').collect::<Vec<_>>()).unwrap_or_default());
        assert_eq!((told.code, told.stdout.as_str()), (Some(2), ""), "{name}: {told:?}");
        let beside = path.with_extension("stderr");
        if std::env::var_os("FEWBITS_BLESS").is_some() {
            fs::write(&beside, &told.stderr).expect(name);
        } else if fs::read_to_string(&beside).unwrap_or_default() != told.stderr {
            wrong.push(format!("{name} tells:\n{}", told.stderr));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// One mistake gives one error, unless the file's name states another number.
#[test]
fn one_mistake_is_told_once() {
    for path in files(&folder()) {
        if path.extension().is_some_and(|extension| extension == "stderr") {
            let name = path.file_stem().and_then(|name| name.to_str()).expect("a name");
            let wanted = match name.split('-').next() {
                Some("five") => "5 errors",
                Some("two") => "2 errors",
                _ => "1 error",
            };
            let told = fs::read_to_string(&path).expect(name);
            assert!(told.trim_end().ends_with(&format!("{name}.ron: {wanted}")), "{told}");
        }
    }
}

#[test]
fn other_commands_refuse_a_faulty_file_in_the_same_words() {
    let told = check("range-batch.ron", &[]);
    for command in ["run", "plan", "table"] {
        let bench = Bench::new();
        let other = end(bench.command([command, "range-batch.ron"]).current_dir(folder()));
        assert_eq!((other.code, &other.stderr), (Some(2), &told.stderr), "{command}");
        assert!(!bench.path("store").exists(), "{command} made a store");
    }
}
