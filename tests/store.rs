//! The store from the user's side: its place, its lock, and the effects of damage.

use std::fs::{self, File};

use crate::fixture::{Bench, Ended, TINY, Told, end, files, wait_for};

#[test]
fn a_store_is_made_in_the_working_folder_and_found_from_below() {
    let bench = Bench::with(TINY);
    let bare = |arguments: &[&str]| {
        let mut command = bench.command(arguments);
        command.env_remove("FEWBITS_STORE");
        command
    };
    assert_eq!(end(&mut bare(&["run", "x.ron"])).code, Some(0));
    assert_eq!(fs::read_to_string(bench.path(".fewbits/.gitignore")).expect("a file").trim(), "*");
    fs::create_dir_all(bench.path("deep/er")).expect("a folder");
    let mut below = bare(&["plan", "../../x.ron"]);
    let told = end(below.current_dir(bench.path("deep/er")));
    assert!(told.stdout.contains("13 cached"), "{told:?}");
    assert!(!bench.path("store").exists());
}

#[test]
fn info_and_verify_tell_what_is_kept() {
    let bench = Bench::with(TINY);
    bench.run_well();
    let info = bench.stdout(["store", "info"]);
    assert!(info.contains("13 records") && info.contains("2 objects") && info.contains("1 run"), "{info}");
    assert!(info.contains("train: 2 records") && info.contains("quantize: 4 records"), "{info}");
    assert_eq!(bench.stdout(["store", "verify"]), "13 records and 2 objects are good\n");
}

#[test]
fn runs_are_listed_oldest_first() {
    let bench = Bench::with(TINY);
    assert_eq!(bench.stdout(["runs"]), "no runs yet\n");
    bench.run_well();
    bench.run_well();
    let listed = bench.stdout(["runs"]);
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!(lines.len(), 2, "{listed}");
    assert!(lines[0].contains("  tiny  13 tasks: 13 ran, 0 cached, 0 failed, 0 skipped"), "{listed}");
    assert!(lines[1].contains("  tiny  13 tasks: 0 ran, 13 cached, 0 failed, 0 skipped"), "{listed}");
    assert!(lines[0] < lines[1], "{listed}");
}

#[test]
fn a_second_writer_is_told_who_the_first_is_and_readers_go_on() {
    let bench = Bench::with(TINY);
    bench.edit("train: 200", "train: 2000");
    bench.edit("epochs: 1", "epochs: 1000");
    let mut first = bench.start();
    let pipe = wait_for(&mut first, |event| event["event"] == "progressed");
    let second = bench.fewbits(["run", "x.ron"]);
    assert_eq!(second.code, Some(3), "{second:?}");
    assert!(second.stderr.contains(&format!("in use by process {}", first.id())), "{}", second.stderr);
    assert_eq!(second.stderr.lines().count(), 1, "{}", second.stderr);
    let plan = bench.stdout(["plan", "x.ron"]);
    assert!(plan.contains("13 tasks: 1 cached"), "{plan}");
    assert!(bench.stdout(["runs"]).contains("tiny  going on"));
    first.kill().expect("a kill");
    first.wait().expect("an end");
    drop(pipe);
}

#[test]
fn a_lock_that_is_held_is_respected_and_one_left_behind_is_not() {
    let bench = Bench::with(TINY);
    bench.run_well();
    let lock = File::options().write(true).open(bench.path("store/lock")).expect("a lock");
    lock.try_lock().expect("nobody holds it");
    assert_eq!(bench.run().code, Some(3));
    drop(lock);
    assert_eq!(bench.run_well().count("ran"), 0);
}

#[test]
fn a_store_that_cannot_be_is_exit_code_4() {
    let bench = Bench::with(TINY);
    bench.write("file", "not a folder");
    for (place, command) in
        [("file", "run"), ("file/below", "run"), ("file", "plan"), ("/proc/nowhere/store", "run")]
    {
        let told = bench.fewbits([command, "x.ron", "--store", place]);
        assert_eq!(told.code, Some(4), "{command} {place}: {told:?}");
        assert!(
            told.stderr.contains(place) && told.stderr.trim_end().lines().count() == 1,
            "{}",
            told.stderr
        );
    }
    assert_eq!(fs::read_to_string(bench.path("file")).expect("a file"), "not a folder");
}

#[test]
fn a_store_of_a_newer_program_is_left_alone() {
    let bench = Bench::with(TINY);
    bench.run_well();
    let before = fs::read_to_string(bench.path("store/STORE")).expect("a file");
    let (body, _) = before.split_once("check ").expect("a checksum");
    let format = body.lines().find(|line| line.starts_with("format ")).expect("a format");
    let body = body.replace(format, "format 99");
    let check = &blake3::hash(body.as_bytes()).to_hex()[..16];
    let newer = format!("{body}check {check}\n");
    bench.write("store/STORE", &newer);
    for command in ["run", "plan", "table"] {
        let told = bench.fewbits([command, "x.ron"]);
        assert_eq!(told.code, Some(4), "{command}: {told:?}");
        assert!(
            told.stderr.contains("format 99") && told.stderr.contains("update fewbits"),
            "{}",
            told.stderr
        );
    }
    assert_eq!(fs::read_to_string(bench.path("store/STORE")).expect("a file"), newer);
}

#[test]
fn a_full_disk_is_exit_code_4_and_what_was_recorded_stays() {
    // A limit on the size of files stands for a full disk, because the journal cannot grow beyond it.
    let bench = Bench::with(TINY);
    let program = env!("CARGO_BIN_EXE_fewbits");
    let mut command = bench.command(["run"]);
    let limited = |blocks: u32| {
        format!("trap '' XFSZ; ulimit -f {blocks}; exec '{program}' run x.ron --ui json --jobs 1")
    };
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &limited(16)]).current_dir(bench.path(".")).env_clear();
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.args(["x.ron"]);
    let told = end(&mut shell);
    assert_eq!(told.code, Some(4), "{told:?}");
    assert!(!told.stderr.contains("fault in fewbits itself"), "{}", told.stderr);
    let done: Vec<serde_json::Value> = crate::fixture::events(&told.stdout);
    let done = done.iter().filter(|event| event["event"] == "completed").count() as u64;
    let after = bench.run_well();
    assert_eq!(after.count("cached"), done, "what was told to be done is there");
}

/// A small store has no index, and prints no message about it.
#[test]
fn a_small_store_has_no_index() {
    let bench = Bench::with(TINY);
    bench.run_well();
    assert!(!bench.path("store/index").exists());
}

#[test]
fn a_lost_or_damaged_index_changes_nothing() {
    let bench = Bench::with(TINY);
    let with_index = |arguments: &[&str]| {
        let told = end(bench.command(arguments).env("FEWBITS_INDEX_FROM", "0"));
        assert_eq!(told.code, Some(0), "{told:?}");
        told
    };
    with_index(&["run", "x.ron"]);
    let said = |told: &Ended| (told.stdout.replace("2 runs", "1 run"), told.stderr.clone());
    let commands: [&[&str]; 4] =
        [&["plan", "x.ron"], &["why", "x.ron", "net(seed=0)"], &["table", "x.ron"], &["store", "info"]];
    let truth = commands.map(|command| said(&bench.fewbits(command)));
    let unchanged = |what: &str| {
        for (command, truth) in commands.iter().zip(&truth) {
            assert_eq!(&said(&with_index(command)), truth, "{command:?} with {what}");
        }
    };
    assert!(bench.path("store/index/manifest").exists());
    unchanged("an index");
    let database = bench.path("store/index/sled/db");
    let mut bytes = fs::read(&database).expect("an index");
    bytes[100] ^= 1;
    fs::write(&database, bytes).expect("damage");
    unchanged("a damaged index");
    let told = with_index(&["run", "x.ron", "--ui", "json"]);
    assert!(Told::from(told).kinds().ends_with(&["warned", "finished"]));
    unchanged("an index that was set aside");
    bench.edit("\"e\": [2, 3]", "\"e\": [2, 3, 4]");
    with_index(&["run", "x.ron"]);
    assert!(bench.path("store/index/manifest").exists(), "it is built again");
    // The index is replaced by nonsense.
    fs::remove_dir_all(bench.path("store/index")).expect("an index");
    fs::create_dir_all(bench.path("store/index/sled")).expect("a folder");
    bench.write("store/index/manifest", "nonsense");
    bench.write("store/index/sled/db", [7; 4096]);
    bench.edit("[2, 3, 4]", "[2, 3]");
    assert_eq!(said(&with_index(&["table", "x.ron"])), truth[2]);
    assert_eq!(bench.run_well().count("ran"), 0);
}

#[test]
fn a_deleted_model_is_trained_again_and_nothing_else() {
    let bench = Bench::with(TINY);
    bench.run_well();
    let table = bench.long();
    fs::remove_file(&bench.objects()[0]).expect("an object");
    assert!(bench.fewbits(["store", "verify"]).stdout.contains("is missing: its task runs again"));
    let plan = bench.stdout(["plan", "x.ron"]);
    assert!(plan.contains("net: 1 task to run: its kept object is missing"), "{plan}");
    let told = bench.run_well();
    assert_eq!(told.counts(), [13, 1, 12, 0, 0]);
    assert!(told.tasks("completed")[0].starts_with("net("));
    assert_eq!((bench.long(), bench.objects().len()), (table, 2));
}

#[test]
fn a_damaged_model_is_trained_again_when_it_is_needed() {
    let bench = Bench::with(TINY);
    bench.run_well();
    let table = bench.long();
    for object in bench.objects() {
        let mut bytes = fs::read(&object).expect("an object");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&object, bytes).expect("an object");
    }
    let verified = bench.fewbits(["store", "verify"]);
    assert_eq!(verified.code, Some(1), "{verified:?}");
    assert_eq!(verified.stdout.matches("is damaged: its task runs again").count(), 2, "{verified:?}");
    assert_eq!(bench.run_well().count("ran"), 0, "nobody needs the models yet");
    bench.edit("\"e\": [2, 3]", "\"e\": [2, 3, 4]");
    let told = bench.run_well();
    let nets: Vec<&str> =
        told.tasks("completed").into_iter().filter(|task| task.starts_with("net")).collect();
    assert_eq!(nets, ["net(seed=0)", "net(seed=1)"]);
    assert!(
        told.tasks("completed").iter().all(|task| task.starts_with("net") || task.contains("e=4")),
        "{told:?}"
    );
    assert_eq!(bench.stdout(["store", "verify"]).lines().next(), Some("17 records and 2 objects are good"));
    bench.edit("[2, 3, 4]", "[2, 3]");
    assert_eq!(bench.long(), table);
}

#[test]
fn a_torn_or_damaged_journal_costs_what_it_lost_and_no_more() {
    let bench = Bench::with(TINY);
    bench.run_well();
    let table = bench.long();
    let journal = files(&bench.path("store/journal"))
        .into_iter()
        .max_by_key(|path| fs::metadata(path).map_or(0, |data| data.len()))
        .expect("a journal");
    let bytes = fs::read(&journal).expect("a journal");
    fs::write(&journal, &bytes[..bytes.len() - 10]).expect("a journal");
    let torn = bench.run_well();
    assert_eq!(torn.counts(), [13, 1, 12, 0, 0]);
    assert_eq!(bench.long(), table);
    let mut bytes = fs::read(&journal).expect("a journal");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    fs::write(&journal, bytes).expect("a journal");
    assert_eq!(bench.fewbits(["store", "verify"]).code, Some(1));
    // The plan counts the damaged record as a task to run.
    let plan = bench.fewbits(["plan", "x.ron"]);
    assert!(plan.stdout.contains(" 1 to run, ") && !plan.stdout.contains("13 cached"), "{plan:?}");
    assert!(plan.stderr.contains("is damaged; it will be computed again"), "{plan:?}");
    // A table leaves the damaged record out and warns about it; it never shows a wrong value.
    let shown = bench.fewbits(["table", "x.ron", "--format", "json"]);
    assert!(shown.stderr.contains("is damaged; it will be computed again"), "{}", shown.stderr);
    for (now, before) in bench.long().as_array().expect("rows").iter().zip(table.as_array().expect("rows")) {
        for (name, value) in now.as_object().expect("a row") {
            assert!(value.is_null() || *value == before[name], "{name}: {value}");
        }
    }
    // A run that finds the damage while it makes its tables computes the record again at once.
    let met = bench.fewbits(["run", "x.ron"]);
    assert!(met.stderr.contains("is damaged; it will be computed again"), "{}", met.stderr);
    assert_eq!(bench.long(), table);
    assert_eq!(bench.run_well().count("ran"), 0);
}

#[test]
fn what_no_table_shows_is_mended_too() {
    let start = TINY.find("    tables: {").expect("tables");
    let bench = Bench::with(&format!("{})", &TINY[..start]));
    let first = bench.run_well();
    let journal = bench.path("store/journal/1.fbj");
    let mut bytes = fs::read(&journal).expect("a journal");
    let evaluation = b"\"op\":\"evaluate\"";
    let at = bytes.windows(evaluation.len()).position(|part| part == evaluation).expect("an evaluation");
    bytes[at] ^= 1;
    fs::write(&journal, bytes).expect("damage");
    let plan = bench.fewbits(["plan", "x.ron"]);
    assert!(plan.stdout.contains("13 tasks: 12 cached, 1 to run, 0 waiting"), "{plan:?}");
    let mended = bench.run_well();
    assert_eq!((mended.count("ran"), mended.count("failed")), (1, 0));
    assert!(mended.kinds().contains(&"warned"), "{mended:?}");
    assert_eq!(bench.run_well().count("ran"), 0);
    assert_eq!(first.count("tasks"), mended.count("tasks"));
}
