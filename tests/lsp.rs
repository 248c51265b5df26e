//! The language server, asked by a scripted editor over pipes.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::editor::Editor;
use crate::fixture::{Bench, TINY, end};

fn labels(found: &Json) -> Vec<&str> {
    found.as_array().into_iter().flatten().filter_map(|item| item["label"].as_str()).collect()
}

#[test]
fn every_request_is_answered() {
    let bench = Bench::new();
    let mut editor = Editor::open(&bench, &["utf-16"], TINY);
    assert_eq!(editor.faults(), Vec::<Json>::new());
    // Faults are those of `check`, with their places and hints.
    let faulty = TINY.replace("epochs: 1", "epochs: 0").replace("Mlp(", "Mpl(");
    let faults = editor.replace(&faulty);
    bench.write("x.ron", &faulty);
    let checked = bench.fewbits(["check", "x.ron"]).stderr;
    assert_eq!(faults.len(), checked.matches("error: ").count(), "{faults:#?}\n{checked}");
    for fault in &faults {
        let message = fault["message"].as_str().expect("a message").split("; ").next().unwrap_or_default();
        let line = fault["range"]["start"]["line"].as_u64().expect("a line") + 1;
        assert!(
            checked.contains(message) && checked.contains(&format!("x.ron:{line}:")),
            "{fault}\n{checked}"
        );
    }
    // A quick fix for the misspelt word.
    let range =
        faults.iter().find(|fault| fault["message"].as_str().is_some_and(|text| text.contains("Mpl")));
    let range = range.expect("a fault")["range"].clone();
    let params =
        json!({ "textDocument": { "uri": editor.uri }, "range": range, "context": { "diagnostics": [] } });
    let fixes = editor.ask("textDocument/codeAction", &params);
    let edit = &fixes[0]["edit"]["changes"][&editor.uri][0];
    assert_eq!((&fixes[0]["title"], &edit["newText"]), (&"write `Mlp`".into(), &"Mlp".into()), "{fixes}");
    editor.replace(TINY);
    // Completion: what is missing, variants, names, metrics.
    let found = editor.ask_at("textDocument/completion", "Mnist10k, ", 0, &json!({}));
    assert!(labels(&found).contains(&"validation") && !labels(&found).contains(&"train"), "{found}");
    let found = editor.ask_at("textDocument/completion", "scale: PowerOfTwo", 0, &json!({}));
    assert!(labels(&found).contains(&"Real"), "{found}");
    let found = editor.ask_at("textDocument/completion", "value: \"accuracy.", 0, &json!({}));
    assert!(labels(&found).contains(&"loss"), "{found}");
    let found = editor.ask_at("textDocument/completion", "seed: Axis(\"", 0, &json!({}));
    assert_eq!(labels(&found), ["seed", "e"]);
    // Hover: a field, a format, an axis, a node.
    let mut words = |text: &str, back| {
        let told = editor.ask_at("textDocument/hover", text, back, &json!({}));
        told["contents"]["value"].as_str().unwrap_or_default().to_owned()
    };
    let about = "The passes over the training images.";
    let expected = format!("`epochs` of `Train`: a whole number from 1 to 1000000; default 10\n\n{about}");
    assert_eq!(words("epochs", 2), expected);
    assert!(words("scale", 2).starts_with("`scale` of `Quantize`: a scale"), "{}", words("scale", 2));
    assert_eq!(words("\"seed\"", 2), "axis `seed`: 2 values: 0, 1");
    assert_eq!(words("\"small\"", 2), "node `small`: `Quantize`, 4 tasks over seed, e");
    assert!(
        words("\"tradeoff\"", 2).starts_with("table `tradeoff`: accuracy.accuracy"),
        "{}",
        words("\"tradeoff\"", 2)
    );
    // Definition, references, rename.
    let defined = editor.ask_at("textDocument/definition", "model: \"small", 1, &json!({}));
    let lines = |text: &str| TINY.lines().position(|line| line.contains(text)).expect("a line");
    assert_eq!(defined["range"]["start"]["line"], lines("\"small\":"));
    let used = editor.ask_at(
        "textDocument/references",
        "\"seed",
        1,
        &json!({ "context": { "includeDeclaration": true } }),
    );
    assert_eq!(used.as_array().expect("places").len(), 4, "{used}");
    let renamed = editor.ask_at("textDocument/rename", "\"seed", 1, &json!({ "newName": "training" }));
    let edits = renamed["changes"][&editor.uri].as_array().expect("edits");
    let mut text = TINY.to_owned();
    for edit in edits.iter().rev() {
        let line = edit["range"]["start"]["line"].as_u64().expect("a line") as usize;
        let start: usize = TINY.lines().take(line).map(|line| line.len() + 1).sum();
        let [from, to] = ["start", "end"]
            .map(|end| start + edit["range"][end]["character"].as_u64().expect("a place") as usize);
        text.replace_range(from..to, "training");
    }
    // A name is no part of a key.
    bench.write("x.ron", TINY);
    bench.run_well();
    bench.write("x.ron", &text);
    assert_eq!(bench.run_well().count("ran"), 0, "{text}");
    let refused = json!({ "textDocument": { "uri": editor.uri }, "position": { "line": 3, "character": 10 }, "newName": "e" });
    assert!(
        editor.answer("textDocument/rename", &refused)["error"]["message"]
            .as_str()
            .is_some_and(|text| text.contains("already"))
    );
    for (place, name) in
        [("\"tradeoff", "accuracies"), ("\"seed", "true"), ("\"seed", "Seed"), ("\"seed", "net")]
    {
        let at = TINY.find(place).expect("a place") + 1;
        let position = json!({ "line": TINY[..at].matches('\n').count(), "character": at - TINY[..at].rfind('\n').map_or(0, |at| at + 1) });
        let refused = json!({ "textDocument": { "uri": editor.uri }, "position": position, "newName": name });
        let answer = editor.answer("textDocument/rename", &refused);
        assert_eq!(answer["error"].is_null(), name == "accuracies", "{name}: {answer}");
    }
    editor.close();
}

#[test]
fn outline_counts_folds_and_layout_are_those_of_the_text() {
    let bench = Bench::with(TINY);
    bench.run_well();
    let mut editor = Editor::open(&bench, &["utf-16"], TINY);
    editor.faults();
    let lines = |text: &str| TINY.lines().position(|line| line.contains(text)).expect("a line");
    let document = json!({ "textDocument": { "uri": editor.uri } });
    let symbols = editor.ask("textDocument/documentSymbol", &document);
    assert_eq!(symbols.as_array().expect("symbols").len(), 9, "{symbols}");
    assert_eq!(editor.counts(), ["1 task", "2 tasks", "2 tasks", "4 tasks", "4 tasks"].map(all_cached));
    let folds = editor.ask("textDocument/foldingRange", &document);
    let nodes = json!({ "startLine": lines("nodes: {"), "endLine": lines("tables: {") - 2 });
    assert!(folds.as_array().is_some_and(|folds| folds.contains(&nodes)), "{folds}");
    let mut format = document;
    format["options"] = json!({ "tabSize": 4, "insertSpaces": true });
    let laid = editor.ask("textDocument/formatting", &format);
    bench.write("y.ron", TINY);
    bench.stdout(["fmt", "y.ron"]);
    assert_eq!(laid[0]["newText"], fs::read_to_string(bench.path("y.ron")).expect("the file"));
    editor.close();
}

fn all_cached(tasks: &str) -> String {
    let (number, _) = tasks.split_once(' ').expect("a number");
    format!("{tasks}, {number} cached")
}

/// An editor knows the store: a run changes the counts, and the time of the rest is that of measured tasks.
#[test]
fn results_are_counted_while_they_are_stored() {
    let bench = Bench::new();
    bench.write("x.ron", TINY);
    let mut editor = Editor::open(&bench, &["utf-16"], TINY);
    editor.faults();
    assert_eq!(editor.counts(), ["1 task", "2 tasks", "2 tasks", "4 tasks", "4 tasks"], "there is no store");
    bench.run_well();
    while editor.receive()["method"] != "workspace/inlayHint/refresh" {}
    // The number of the request is free for the editor's own.
    editor.send(&json!({ "jsonrpc": "2.0", "id": 1, "result": null }));
    assert_eq!(editor.counts(), ["1 task", "2 tasks", "2 tasks", "4 tasks", "4 tasks"].map(all_cached));
    let more = TINY.replace("\"e\": [", "\"e\": [7, ");
    editor.replace(&more);
    assert_eq!(editor.counts()[3], "6 tasks, 4 cached");
    let told = editor.ask_at("textDocument/hover", "\"small\"", 2, &json!({}));
    let told = told["contents"]["value"].as_str().expect("words");
    assert!(told.contains("4 of 6 cached; the others take about ") && told.contains(" a task"), "{told}");
    editor.close();
}

/// A completion takes the place of the whole word at the cursor, and writes no colon or comma twice.
#[test]
fn a_completion_replaces_the_word_at_the_cursor() {
    let bench = Bench::new();
    let mut editor = Editor::open(&bench, &["utf-16"], TINY);
    editor.faults();
    let mut completed = |text: &str, back: usize, label: &str| {
        let found = editor.ask_at("textDocument/completion", text, back, &json!({}));
        let item = found.as_array().expect("items").iter().find(|item| item["label"] == label);
        let edit = &item.unwrap_or_else(|| panic!("{label}: {found}"))["textEdit"];
        let end = |end: &str| edit["range"][end]["character"].as_u64().expect("a place") as usize;
        let line = edit["range"]["start"]["line"].as_u64().expect("a line") as usize;
        let line = TINY.lines().nth(line).expect("a line");
        format!(
            "{}{}{}",
            &line[..end("start")],
            edit["newText"].as_str().expect("a text"),
            &line[end("end")..]
        )
    };
    let line = |text: &str| TINY.lines().find(|line| line.contains(text)).expect("a line").to_owned();
    assert_eq!(completed("Evaluate", 4, "Evaluate"), line("Evaluate"));
    assert_eq!(
        completed("epochs", 3, "schedule").trim(),
        line("epochs").replace("epochs", "schedule").trim()
    );
    // No completion in a comment, and none of a node's own name.
    editor.replace(&TINY.replace("Experiment(", "// Exp\nExperiment("));
    assert_eq!(
        labels(&editor.ask_at("textDocument/completion", "// Exp", 0, &json!({}))),
        Vec::<&str>::new()
    );
    editor.replace(TINY);
    let found = editor.ask_at("textDocument/completion", "Quantize(model: \"", 0, &json!({}));
    assert_eq!(labels(&found), ["net"], "{found}");
    editor.close();
}

/// Edits that come at once are checked together, a closed text has no faults, and the shutdown is the protocol's.
#[test]
fn a_session_ends_as_the_protocol_says() {
    let bench = Bench::new();
    let mut editor = Editor::open(&bench, &["utf-16"], TINY);
    editor.faults();
    let mut edits = String::new();
    for version in 2..32 {
        let text = TINY.replace("epochs: 1", &format!("epochs: {version}"));
        let document = json!({ "uri": editor.uri, "version": version });
        let params = json!({ "textDocument": document, "contentChanges": [{ "text": text }] });
        let edit =
            json!({ "jsonrpc": "2.0", "method": "textDocument/didChange", "params": params }).to_string();
        edits += &format!("Content-Length: {}\r\n\r\n{edit}", edit.len());
    }
    editor.to.write_all(edits.as_bytes()).expect("a server that listens");
    let mut checks = 0;
    loop {
        let told = editor.receive();
        checks += 1;
        if told["params"]["version"] == 31 {
            break;
        }
    }
    assert!(checks < 30, "{checks} checks of 30 edits");
    // Another text is open beside it; a text that is no experiment has no faults.
    let other = format!("{}y", editor.uri);
    let document = json!({ "uri": other, "languageId": "ron", "version": 1, "text": "Settings(volume: 3)" });
    editor.tell("textDocument/didOpen", &json!({ "textDocument": document }));
    let told = editor.receive();
    assert_eq!(
        (&told["params"]["uri"], &told["params"]["diagnostics"]),
        (&other.as_str().into(), &json!([]))
    );
    editor.version = 31;
    assert!(!editor.replace("Experiment(").is_empty());
    let document = json!({ "textDocument": { "uri": editor.uri } });
    editor.tell("textDocument/didClose", &document);
    let told = editor.receive();
    assert_eq!(
        (&told["params"]["uri"], &told["params"]["diagnostics"]),
        (&editor.uri.as_str().into(), &json!([]))
    );
    assert!(editor.ask("textDocument/documentSymbol", &document).is_null());
    editor.ask("shutdown", &Json::Null);
    assert_eq!(editor.answer("textDocument/documentSymbol", &document)["error"]["code"], -32600);
    editor.tell("exit", &Json::Null);
    assert_eq!(editor.process.wait().expect("an end").code(), Some(0));
    let mut editor = Editor::open(&bench, &["utf-16"], TINY);
    editor.tell("exit", &Json::Null);
    assert_eq!(editor.process.wait().expect("an end").code(), Some(1), "without a shutdown");
}

/// Whatever the edits, the faults are those of the text as a whole.
#[test]
fn edits_in_any_order_give_the_faults_of_the_whole_text() {
    let bench = Bench::new();
    for encodings in [&["utf-16"][..], &["utf-8", "utf-16"]] {
        let is_utf8 = encodings.contains(&"utf-8");
        let start = TINY.replace("\"tiny\"", "\"tiny é𝄞\"");
        let mut editor = Editor::open(&bench, encodings, &start);
        editor.faults();
        let mut seed = 11_u64;
        let mut drawn = |most: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as usize % most.max(1)
        };
        let pieces = ["", "(", ")", "\"", "e", "Axis(\"e\")", ",", "\n", "é𝄞", "// x\n", ": 1", "Int(3)"];
        for _ in 0..5000 {
            let boundary = |mut at: usize, text: &str| {
                while !text.is_char_boundary(at) {
                    at -= 1;
                }
                at
            };
            let from = boundary(drawn(editor.text.len() + 1), &editor.text);
            let to = boundary((from + drawn(6)).min(editor.text.len()), &editor.text).max(from);
            let piece = pieces[drawn(pieces.len())];
            let position = |at: usize| {
                let before = &editor.text[..at];
                let line = before.rsplit('\n').next().unwrap_or_default();
                let character = if is_utf8 { line.len() } else { line.encode_utf16().count() };
                json!({ "line": before.matches('\n').count(), "character": character })
            };
            let change =
                json!([{ "range": { "start": position(from), "end": position(to) }, "text": piece }]);
            editor.text.replace_range(from..to, piece);
            editor.change(&change);
            let edited = editor.faults();
            let text = editor.text.clone();
            assert_eq!(edited, editor.replace(&text), "{text}");
            if drawn(10) == 0 {
                editor.replace(&start);
            }
        }
        editor.close();
    }
}

#[test]
fn nonsense_is_answered_and_nothing_else() {
    let bench = Bench::new();
    let mut editor = Editor::open(&bench, &["utf-16"], TINY);
    editor.faults();
    for (method, params) in [
        ("textDocument/hover", json!({})),
        (
            "textDocument/hover",
            json!({ "textDocument": { "uri": "file:///nowhere" }, "position": { "line": 0, "character": 0 } }),
        ),
        ("textDocument/completion", json!([1, 2])),
        ("textDocument/rename", Json::Null),
        ("workspace/no_such_thing", json!({})),
    ] {
        let answer = editor.answer(method, &params);
        assert!(answer["result"].is_null(), "{answer}");
    }
    editor.tell("textDocument/didChange", &json!({ "textDocument": { "uri": 3 } }));
    editor.tell("no/such/thing", &json!({}));
    let far = json!({ "line": 4_000_000_000_u32, "character": 4_000_000_000_u32 });
    editor.change(&json!([{ "range": { "start": far, "end": { "line": 0, "character": 0 } }, "text": "" }]));
    assert!(!editor.faults().is_empty());
    let large = format!("// {}\n{TINY}", "x".repeat(2 << 20));
    let told = editor.replace(&large);
    assert!(told[0]["message"].as_str().is_some_and(|text| text.contains("larger than 1 MiB")), "{told:?}");
    editor.close();
}

/// Faults of an experiment of 300 lines come fast; the time is that of a debug build on a machine that is busy.
#[test]
fn faults_come_while_one_types() {
    let bench = Bench::new();
    let nodes: Vec<String> = (0..280)
        .map(|at| {
            format!(
                "\"s{at}\": Quantize(model: \"net\", format: Float(e: Axis(\"e\"), m: {}), seed: {at}),",
                at % 8
            )
        })
        .collect();
    let text = TINY.replace("\"small\":", &format!("{}\n\"small\":", nodes.join("\n")));
    let mut editor = Editor::open(&bench, &["utf-16"], &text);
    assert_eq!(editor.faults(), Vec::<Json>::new());
    let mut times = vec![];
    for epochs in 2..13 {
        let edited = text.replace("epochs: 1", &format!("epochs: {epochs}"));
        let start = Instant::now();
        editor.replace(&edited);
        times.push(start.elapsed());
    }
    times.sort_unstable();
    assert!(times[5] < Duration::from_secs(1), "{times:?}");
    editor.close();
}

/// What a person sees in an editor: Neovim without a screen, if it is there.
#[test]
fn neovim_shows_faults_and_completes() {
    if Command::new("nvim").arg("--version").output().is_err() {
        eprintln!("left out: there is no nvim");
        return;
    }
    let bench = Bench::new();
    let quick = include_str!("../experiments/quickstart.ron");
    bench.write("x.ron", quick.replace("Stochastic]", "Stochastc]").replace("tensors: All", "tens"));
    bench.write("script.lua", NEOVIM);
    let mut command = Command::new("timeout");
    command.args([
        "60",
        "nvim",
        "--headless",
        "--clean",
        "-u",
        "NONE",
        "-c",
        "luafile script.lua",
        "-c",
        "qall!",
    ]);
    command.current_dir(bench.path(".")).stdin(Stdio::null());
    command.env("FEWBITS", env!("CARGO_BIN_EXE_fewbits")).env("HOME", bench.path("."));
    let ended = end(&mut command);
    let told = fs::read_to_string(bench.path("told.txt")).unwrap_or_else(|_| panic!("{ended:?}"));
    assert!(told.contains("fault: there is no rounding `Stochastc`; did you mean `Stochastic`?"), "{told}");
    assert!(told.contains("completion: tensors: "), "{told}");
}

const NEOVIM: &str = r#"
local out = io.open("told.txt", "w")
vim.cmd("edit x.ron")
local id = vim.lsp.start_client({ name = "fewbits", cmd = { os.getenv("FEWBITS"), "lsp" }, root_dir = vim.fn.getcwd() })
vim.lsp.buf_attach_client(0, id)
-- A word that is half written is a mistake of syntax, so the fault behind it comes once it is whole.
vim.wait(20000, function() return #vim.diagnostic.get(0) > 0 end, 20)
vim.fn.search("tens,")
vim.cmd("normal! 4l")
local params = vim.lsp.util.make_position_params(0, "utf-16")
local answers = vim.lsp.buf_request_sync(0, "textDocument/completion", params, 20000)
for _, answer in pairs(answers or {}) do
    for _, item in ipairs(answer.result or {}) do
        out:write("completion: " .. item.textEdit.newText .. "\n")
    end
end
vim.cmd("%s/tens,/tensors: All,/")
vim.wait(20000, function()
    local all = vim.diagnostic.get(0)
    return #all > 0 and all[1].message:find("Stochastc")
end, 20)
for _, fault in ipairs(vim.diagnostic.get(0)) do
    out:write("fault: " .. fault.message .. "\n")
end
out:close()
vim.cmd("qall!")
"#;
