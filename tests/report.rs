//! `report` and `plot`: a self-contained page, safe against hostile names, and working in a browser.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value as Json;

use crate::fixture::{Bench, TINY};

/// Returns an experiment that has run, with many points and with several kinds of table.
fn done() -> Bench {
    let bench = Bench::with(TINY);
    bench.edit("\"e\": [2, 3]", "\"e\": Range(1, 8)");
    bench.edit(
        "replicate: \"seed\"),\n    },",
        "replicate: \"seed\"),\n        \"list\": Table(rows: [\"seed\", \"e\"], columns: [\"small.mse\"]),\n        \
         \"effect\": Contrast(value: \"accuracy.accuracy\", between: [\"e\"], replicate: \"seed\"),\n    },",
    );
    bench.run_well();
    bench
}

fn report(bench: &Bench) -> String {
    bench.stdout(["report", "x.ron", "-o", "x.html"]);
    fs::read_to_string(bench.path("x.html")).expect("x.html")
}

#[test]
fn a_report_is_one_file_with_everything_in_it() {
    let bench = done();
    let page = report(&bench);
    for part in [
        "id=\"summary\"",
        "Recommendation",
        "id=\"table-tradeoff\"",
        "id=\"table-pareto\"",
        "Which axis matters",
        "share of the variance of accuracy.accuracy",
        "id=\"training\"",
        "id=\"layers\"",
        "id=\"weights\"",
        "id=\"graph\"",
        "activations are binary32",
        "linear1.weight",
        "fma-1 libm-0.2",
        "Dataset(source: Mnist10k",
    ] {
        assert!(page.contains(part), "{part}");
    }
    for outside in ["src=", "href=\"http", "url(", "@import", "<link", "<iframe"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert_eq!(page, report(&bench), "the same results, the same bytes");
    bench.edit("epochs: 1, seed", "epochs: 1, keep: false, seed");
    assert!(report(&bench).contains("would have to be trained or calibrated again"));
    // The report counts the tasks without a result.
    bench.edit("Range(1, 8)", "Range(0, 8)");
    assert!(report(&bench).contains("4 of them without a result"));
}

#[test]
fn hostile_names_are_harmless() {
    let bench = Bench::with(TINY);
    let hostile = "<script>document.title='hacked'</script>";
    bench.edit("name: \"tiny\"", &format!("name: \"{hostile}\", about: \"\\u{{1b}}[31m<b>&\""));
    bench.edit(
        "\"e\": [2, 3]",
        "\"e\": {\"=cmd|' /C calc'!A0\": 2, \"<img src=x onerror=alert(1)>\\u{1b}[2J\": 3}",
    );
    bench.run_well();
    let page = report(&bench);
    assert!(
        !page.contains(hostile)
            && !page.contains("<img")
            && !page.contains('\u{1b}')
            && !page.contains("<b>")
    );
    assert!(page.contains("&lt;script&gt;") && page.contains("&lt;img src=x"));
    for table in [
        vec!["table", "x.ron"],
        vec!["choose", "x.ron"],
        vec!["table", "x.ron", "tradeoff", "--format", "csv"],
    ] {
        let ended = bench.fewbits(table);
        assert!(!ended.stdout.contains('\u{1b}') && !ended.stderr.contains('\u{1b}'), "{ended:?}");
    }
    bench.stdout(["plot", "x.ron", "tradeoff", "-o", "x.svg"]);
    let figure = fs::read_to_string(bench.path("x.svg")).expect("x.svg");
    assert!(!figure.contains("<img") && !figure.contains('\u{1b}') && figure.contains("&lt;img"), "{figure}");
}

#[test]
fn figures_are_files_of_their_own() {
    let bench = done();
    for (name, kind) in
        [("pareto", "svg"), ("tradeoff", "svg"), ("list", "svg"), ("effect", "svg"), ("net", "svg")]
    {
        let path = format!("{name}.{kind}");
        bench.stdout(["plot", "x.ron", name, "-o", &path]);
        let figure = fs::read_to_string(bench.path(&path)).expect("a figure");
        assert!(figure.starts_with("<?xml") && figure.contains("</svg>"), "{figure}");
        assert!(!figure.contains("NaN") && !figure.contains("inf"), "{figure}");
    }
    bench.stdout(["plot", "x.ron", "pareto", "-o", "pareto.png"]);
    let image = fs::read(bench.path("pareto.png")).expect("an image");
    assert!(image.starts_with(b"\x89PNG") && image.len() > 10_000, "{} bytes", image.len());
    let told = |arguments: [&str; 5]| {
        let ended = bench.fewbits(arguments);
        assert_ne!(ended.code, Some(0), "{ended:?}");
        ended.stderr
    };
    let wide = ["--width", "900", "--height", "300", "--log", "--title", "a title"];
    let figure =
        bench.stdout(["plot", "x.ron", "pareto", "-o", "-", "--format", "svg"].into_iter().chain(wide));
    assert!(figure.contains("width=\"900\"") && figure.contains("height=\"324\""), "{figure}");
    assert!(
        figure.contains(">a title</text>") && figure.contains("bits_per_weight, logarithmic"),
        "{figure}"
    );
    let curves = bench.stdout(["plot", "x.ron", "net", "-o", "-", "--format", "svg", "--log"]);
    assert!(curves.contains(">epoch</text>"), "{curves}");
    // A smoothed curve is a line, and its values stay as faint dots; `--by` groups trainings.
    let curves = |more: &[&'static str]| {
        let arguments = ["plot", "x.ron", "net", "-o", "-", "--format", "svg"];
        bench.stdout(arguments.iter().chain(more))
    };
    let smoothed = curves(&["--smooth", "3"]);
    assert!(
        smoothed.contains("mean of 3 epochs") && smoothed.contains("fill-opacity=\"0.35\""),
        "{smoothed}"
    );
    assert!(!curves(&["--smooth", "1"]).contains("mean of"));
    let grouped = curves(&["--by", "seed"]);
    assert!(grouped.contains("<polygon") && grouped.contains(">seed=1</text>"), "{grouped}");
    for (arguments, sentence) in [
        (&["net", "--smooth", "2"][..], "write an odd number below 1000"),
        (&["net", "--by", "e"], "--by: `net` has no axis `e`; only `seed` is valid here"),
        (&["pareto", "--smooth", "3"], "`--smooth` and `--by` are for curves"),
    ] {
        let ended = bench.fewbits([&["plot", "x.ron", "-o", "x.svg"], arguments].concat());
        assert!(ended.code == Some(2) && ended.stderr.contains(sentence), "{ended:?}");
    }
    let ended = bench.fewbits(["plot", "x.ron", "tradeoff", "-o", "x.svg", "--width", "900"]);
    assert!(ended.code == Some(2) && ended.stderr.contains("are for charts"), "{ended:?}");
    assert!(told(["plot", "x.ron", "paret", "-o", "x.svg"]).contains("did you mean `pareto`?"));
    assert!(told(["plot", "x.ron", "pareto", "-o", "x.pdf"]).contains("as .svg or .png"));
    assert!(told(["plot", "x.ron", "mnist", "-o", "x.svg"]).contains("has no curves"));
}

/// A script that clicks and points as a reader would, and stores the results in an attribute of the page.
const READER: &str = r##"<script>
const rows = (id) => [...document.querySelector(`#${id} ~ figure table.data`).tBodies[0].rows];
const column = (id, at) => rows(id).map((row) => row.cells[at].textContent);
const table = document.querySelector("#table-list ~ figure table.data");
const seen = {};
seen.before = column("table-list", 2);
table.tHead.rows[0].cells[2].querySelector("button").click();
seen.ascending = column("table-list", 2);
table.tHead.rows[0].cells[2].querySelector("button").click();
seen.descending = column("table-list", 2);
seen.sort = table.tHead.rows[0].cells[2].getAttribute("aria-sort");
const field = table.closest("figure").querySelector("input");
field.value = "seed=1 e=3";
field.dispatchEvent(new Event("input"));
const dot = document.querySelector("#table-pareto ~ figure .dot");
const place = dot.getBoundingClientRect();
dot.dispatchEvent(new PointerEvent("pointermove", { bubbles: true, clientX: place.x, clientY: place.y }));
seen.tip = document.getElementById("tip").textContent;
seen.shown = getComputedStyle(document.getElementById("tip")).display;
setTimeout(() => {
  seen.filtered = rows("table-list").filter((row) => !row.hidden).map((row) => row.textContent);
  seen.count = table.closest("figure").querySelector(".count").textContent;
  document.documentElement.dataset.seen = JSON.stringify(seen);
}, 300);
</script></body>"##;

/// Returns the browser that `FEWBITS_BROWSER` names, or else Chromium; `None` if there is none.
fn browser() -> Option<String> {
    let named = std::env::var("FEWBITS_BROWSER").ok();
    let names = named.into_iter().chain(["chromium", "chromium-browser", "google-chrome"].map(str::to_owned));
    names
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok_and(|said| said.status.success()))
}

fn browse(browser: &str, home: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(browser);
    command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]);
    command.arg(format!("--user-data-dir={}", home.display())).args(arguments).env("HOME", home);
    let ended = command.output().expect("the browser");
    assert!(ended.status.success(), "{ended:?}");
    String::from_utf8(ended.stdout).expect("text")
}

#[test]
fn a_browser_sorts_filters_points_and_prints() {
    let Some(browser) = browser() else {
        println!("there is no Chromium: the report was not opened in a browser");
        return;
    };
    let bench = done();
    let page = report(&bench);
    bench.write("read.html", page.replace("</body>", READER));
    let (home, url) = (bench.path("home"), format!("file://{}", bench.path("read.html").display()));
    let dom = browse(&browser, &home, &["--virtual-time-budget=4000", "--dump-dom", &url]);
    let seen = dom.split("data-seen=\"").nth(1).and_then(|rest| rest.split('"').next()).expect(&dom);
    let seen: Json = serde_json::from_str(&seen.replace("&quot;", "\"").replace("&amp;", "&")).expect(seen);
    let numbers = |name: &str| -> Vec<f64> {
        let texts = seen[name].as_array().expect(name).iter();
        texts.map(|text| text.as_str().and_then(|text| text.parse().ok()).expect("a number")).collect()
    };
    let mut sorted = numbers("before");
    assert_eq!(sorted.len(), 16);
    assert!(!sorted.is_sorted(), "{seen}");
    sorted.sort_by(f64::total_cmp);
    assert_eq!(numbers("ascending"), sorted);
    sorted.reverse();
    assert_eq!((numbers("descending"), &seen["sort"]), (sorted, &Json::from("descending")));
    let filtered = seen["filtered"].as_array().expect("rows");
    assert!(filtered.len() == 1 && filtered[0].as_str().is_some_and(|row| row.starts_with("13")), "{seen}");
    assert_eq!((&seen["count"], &seen["shown"]), (&Json::from("1 of 16 rows"), &Json::from("block")));
    assert!(
        seen["tip"].as_str().is_some_and(|tip| tip.starts_with("e=") && tip.contains("accuracy.accuracy")),
        "{seen}"
    );
    let paper = bench.path("x.pdf");
    let (print, url) =
        (format!("--print-to-pdf={}", paper.display()), format!("file://{}", bench.path("x.html").display()));
    browse(&browser, &home, &[&print, &url]);
    let paper = fs::read(paper).expect("a PDF");
    assert!(paper.starts_with(b"%PDF") && paper.len() > 20_000, "{} bytes", paper.len());
}

/// An experiment in which one of two trainings fails.
const HALF_FAILING: &str = r#"Experiment(
    name: "half",
    axes: { "lr": [0.01, 1e30], "e": [2, 3] },
    nodes: {
        "mnist": Dataset(source: Mnist10k, train: 200, test: 100),
        "net": Train(data: "mnist", model: Mlp(hidden: [8]), optimizer: Sgd(lr: Axis("lr")), epochs: 2),
        "small": Quantize(model: "net", format: Float(e: Axis("e"), m: 1)),
        "accuracy": Evaluate(model: "small", data: "mnist"),
    },
    tables: {
        "grid": Pivot(value: "accuracy.accuracy", rows: ["lr"], columns: ["e"]),
        "list": Table(columns: ["accuracy.accuracy"]),
    },
)"#;

#[test]
fn failures_are_told_with_what_they_take_along() {
    let bench = Bench::with(HALF_FAILING);
    let before = bench.stdout(["table", "x.ron", "grid"]);
    assert!(before.contains("4 results are not there yet") && !before.contains("failed"), "{before}");
    let ended = bench.fewbits(["run", "x.ron"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let grid = bench.stdout(["table", "x.ron", "grid"]);
    assert!(grid.contains("2 rows have no result because a task failed\n"), "{grid}");
    let row = grid.lines().find(|line| line.trim_start().starts_with("1e30")).expect(&grid);
    assert_eq!(row.matches("failed").count(), 2, "{grid}");
    assert!(!grid.contains('…') && !grid.contains("not there yet"), "{grid}");
    let page = report(&bench);
    let section = page.split("id=\"failures\"").nth(1).and_then(|rest| rest.split("</section>").next());
    let section = section.expect("a section of failures");
    assert!(section.contains("net(lr=1e30)") && section.contains("loss"), "{section}");
    assert!(section.contains("4 more tasks without a result because of it"), "{section}");
    assert_eq!(page.matches("<td class=\"none\">failed</td>").count(), 4);
    // A damaged run log has no failures, and no table fails because of it.
    for file in fs::read_dir(bench.path("store/runs")).expect("run logs") {
        let path = file.expect("a file").path();
        if path.is_file() {
            let log = fs::read(&path).expect("a run log");
            fs::write(&path, b"\xff no run log").expect("a damaged run log");
            assert!(bench.stdout(["table", "x.ron", "grid"]).contains("not there yet"));
            fs::write(&path, log).expect("the run log");
        }
    }
    // A task that has changed since is not a failed one.
    bench.edit("1e30", "0.02");
    let page = report(&bench);
    assert!(!page.contains("id=\"failures\"") && page.contains("<td class=\"none\">…</td>"), "{page}");
}

/// A page that opens a report in frames of several widths, on the screen and as it is printed, and stores in an attribute
/// how far its contents go beyond the frame, in pixels.
const FRAMES: &str = r#"<!DOCTYPE html><html><body><script>
const page = PAGE;
const printed = page.replaceAll("@media print", "@media all");
const seen = {};
const open = (name, width, html, look) => new Promise((done) => {
  const frame = document.createElement("iframe");
  frame.style.cssText = `width: ${width}px; height: 900px; border: 0`;
  frame.onload = () => { seen[name] = look(frame.contentDocument); done(); };
  frame.srcdoc = html;
  document.body.append(frame);
});
// What goes beyond the page, though a table may scroll inside its own box.
const beyond = (doc) => doc.documentElement.scrollWidth - doc.documentElement.clientWidth;
// What goes beyond the paper; the boxes of tables do not scroll there.
const lost = (doc) => {
  // How far the letters of a part go beyond the part or the paper.
  const past = (part) => {
    const range = doc.createRange();
    range.selectNodeContents(part);
    const right = Math.max(0, ...[...range.getClientRects()].map((line) => line.right));
    const edge = Math.min(part.getBoundingClientRect().right, doc.documentElement.clientWidth);
    return Math.max(right, part.getBoundingClientRect().right) - Math.max(edge, 0);
  };
  const worst = [...doc.querySelectorAll("th, td, svg, pre, dd, p, h1")].sort((a, b) => past(b) - past(a))[0];
  seen.worst = worst.outerHTML.slice(0, 200);
  return past(worst);
};
(async () => {
  await open("phone", 320, page, beyond);
  await open("zoomed", 640, page, beyond);
  await open("a4", 718, printed, lost);
  await open("letter", 739, printed, lost);
  document.documentElement.dataset.seen = JSON.stringify(seen);
})();
</script></body></html>"#;

/// A script that counts the labels of figures which lie on a bar, or on another label.
const LABELS: &str = r##"<script>
const overlap = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
  && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
const box = (part) => part.getBoundingClientRect();
const seen = { figures: 0, covered: [] };
for (const figure of document.querySelectorAll("#weights ~ svg, #weights svg")) {
  seen.figures += 1;
  const labels = [...figure.querySelectorAll("text")];
  const bars = [...figure.querySelectorAll("rect")];
  labels.forEach((label, at) => {
    const others = [...bars, ...labels.slice(at + 1)];
    if (others.some((other) => overlap(box(label), box(other)))) seen.covered.push(label.textContent);
  });
}
document.documentElement.dataset.seen = JSON.stringify(seen);
</script></body>"##;

#[test]
fn labels_of_histograms_lie_on_nothing() {
    let Some(browser) = browser() else {
        println!("there is no Chromium: the labels of histograms were not measured");
        return;
    };
    let bench = done();
    bench.write("labels.html", report(&bench).replace("</body>", LABELS));
    let seen = seen(&browser, &bench.path("home"), &bench.path("labels.html"));
    assert!(seen["figures"].as_u64().is_some_and(|figures| figures >= 4), "{seen}");
    assert_eq!(seen["covered"], serde_json::json!([]), "{seen}");
}

/// Tables with many columns, and with long names.
const WIDE: &str = r#"Experiment(
    name: "a_name_of_an_experiment_that_is_longer_than_a_telephone_is_wide_and_has_no_space_in_it",
    axes: {
        "a_name_of_an_axis_that_is_much_longer_than_its_values": { "a label with many words that need more than one line": 2, "b": 3, "c": 4 },
        "seed": [0, 1],
        "m": Range(0, 9),
        "rounding": [Nearest, Stochastic],
    },
    nodes: {
        "mnist": Dataset(source: Mnist10k, train: 100, test: 50),
        "net": Train(data: "mnist", model: Mlp(hidden: [4]), epochs: 1, seed: Axis("seed")),
        "small": Quantize(model: "net", format: Float(e: Axis("a_name_of_an_axis_that_is_much_longer_than_its_values"), m: Axis("m")), rounding: Axis("rounding")),
        "accuracy": Evaluate(model: "small", data: "mnist"),
    },
    tables: {
        "grid": Pivot(value: "accuracy.accuracy", rows: ["a_name_of_an_axis_that_is_much_longer_than_its_values"], columns: ["rounding", "m"], replicate: "seed"),
        "list": Table(columns: { "bits": "small.bits_per_weight", "accuracy": "accuracy.accuracy", "loss": "accuracy.loss", "mse": "small.mse", "ratio": "accuracy.accuracy / small.bits_per_weight", "flushed": "small.flushed", "bytes": "small.bytes" }, replicate: "seed"),
    },
)"#;

/// Returns what a page stored in the attribute `data-seen` of its document.
fn seen(browser: &str, home: &Path, page: &Path) -> Json {
    let url = format!("file://{}", page.display());
    let dom = browse(browser, home, &["--virtual-time-budget=8000", "--dump-dom", &url]);
    let seen = dom.split("data-seen=\"").nth(1).and_then(|rest| rest.split('"').next()).expect(&dom);
    serde_json::from_str(&seen.replace("&quot;", "\"").replace("&amp;", "&")).expect(seen)
}

#[test]
fn nothing_is_lost_on_paper_and_on_a_small_screen() {
    let Some(browser) = browser() else {
        println!("there is no Chromium: the report was not measured");
        return;
    };
    let bench = Bench::with(WIDE);
    bench.run_well();
    let page = report(&bench);
    let text = serde_json::to_string(&page).expect("JSON").replace("</", "<\\/");
    bench.write("frames.html", FRAMES.replace("PAGE", &text));
    let seen = seen(&browser, &bench.path("home"), &bench.path("frames.html"));
    for name in ["phone", "zoomed", "a4", "letter"] {
        let beyond = seen[name].as_f64().expect(name);
        assert!(beyond <= 1.0, "{name}: {beyond} pixels of the page cannot be seen: {seen}");
    }
}

/// A script that sorts two columns of a table with close, infinite, undefined and missing values.
const SORTER: &str = r#"<table class="data"><thead><tr><th>x</th></tr></thead><tbody>
<tr><td data-v="0.21500000000000002">0.215</td></tr><tr><td data-v="0.215">0.215</td></tr><tr><td class="none">failed</td></tr>
<tr><td data-v="NaN">NaN</td></tr><tr><td data-v="Infinity">inf</td></tr><tr><td data-v="-2">-2</td></tr>
<tr><td data-v="0.3">0.1–0.5</td></tr><tr><td></td></tr><tr><td class="none">…</td></tr>
</tbody></table>
<script>
addEventListener("load", () => {
  const table = [...document.querySelectorAll("table.data")].at(-1);
  const seen = {};
  for (const way of ["ascending", "descending"]) {
    table.tHead.rows[0].cells[0].querySelector("button").click();
    seen[way] = [...table.tBodies[0].rows].map((row) => row.cells[0].dataset.v ?? row.cells[0].textContent);
  }
  document.documentElement.dataset.seen = JSON.stringify(seen);
});
</script><main>"#;

#[test]
fn a_report_sorts_by_exact_values() {
    let bench = done();
    let page = report(&bench);
    // The page has the numbers of the exported table, in full.
    let rows: Vec<Json> =
        serde_json::from_str(&bench.stdout(["table", "x.ron", "list", "--format", "json"])).expect("rows");
    for row in &rows {
        let exact = format!("data-v=\"{}\"", row["small.mse"].as_f64().expect("a number"));
        assert!(page.contains(&exact), "{exact}");
    }
    let Some(browser) = browser() else {
        println!("there is no Chromium: the report was not sorted");
        return;
    };
    let with_table = page.replacen("<main>", SORTER, 1);
    // The table of the test comes before the page's own script.
    let table = SORTER.split("<script>").next().expect("a table");
    let with_table = with_table.replacen(table, "", 1).replacen("</main>", &format!("{table}</main>"), 1);
    bench.write("sorted.html", with_table);
    let seen = seen(&browser, &bench.path("home"), &bench.path("sorted.html"));
    let values = ["-2", "0.215", "0.21500000000000002", "0.3", "Infinity"];
    let list = |way: &str| -> Vec<String> {
        seen[way]
            .as_array()
            .expect("rows")
            .iter()
            .map(|value| value.as_str().unwrap_or_default().to_owned())
            .collect()
    };
    assert_eq!(list("ascending")[..5], values, "{seen}");
    let backwards: Vec<&str> = values.into_iter().rev().collect();
    assert_eq!(list("descending")[..5], backwards[..], "{seen}");
    for way in ["ascending", "descending"] {
        assert_eq!(
            list(way)[5..],
            ["failed", "NaN", "", "…"],
            "{way}: empty cells and NaN come last: {seen}"
        );
    }
}
