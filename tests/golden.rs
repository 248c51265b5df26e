//! A store that an earlier program made: its results are results of this one, but where a number has changed since.

use std::fs;
use std::path::Path;

use crate::fixture::{Bench, files};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for path in files(from) {
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, target).expect("a copy");
        }
    }
}

#[test]
fn a_store_of_version_0_1_0_is_used_for_works_whose_version_is_unchanged() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
    let text = fs::read_to_string(golden.join("before.ron")).expect("before.ron");
    let bench = Bench::with(&text);
    copy(&golden.join("store"), &bench.path("store"));
    let plan = bench.stdout(["plan", "x.ron"]);
    // New versions: a normalization behind a convolution may have one number per channel, k-means is exact, zeros of
    // Binary stay zero, and networks without an answer do not agree.
    let expected = [
        "before: 74 tasks: 55 cached, 9 to run, 10 waiting for results that decide whether they run",
        "  conv: 1 task to run: new",
        "  small: 8 tasks to run: new",
        "  accuracy: 8 tasks waiting for small",
        "  percentile: 1 task waiting for conv",
        "  change: 1 task waiting for percentile",
    ];
    assert_eq!(plan.lines().collect::<Vec<_>>(), expected);
    let told = bench.run_well();
    let ran = told.tasks("completed");
    let is_newer = |task: &&&str| {
        task.starts_with("conv")
            || task.starts_with("change")
            || task.contains("kmeans")
            || task.contains("binary")
    };
    // Every batch has more than one image, so the retrained network is identical and the tasks that read it are cached.
    assert_eq!(ran.iter().filter(is_newer).count(), ran.len(), "{ran:?}");
    assert!(ran.contains(&"conv") && !ran.contains(&"percentile"), "{ran:?}");
    assert_eq!(bench.run_well().count("ran"), 0);
}
