//! The page of `report` in a browser: it sorts, filters and prints, and nothing lies beyond its edges. Tests that find no
//! browser say so.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value as Json;

use crate::fixture::Bench;
use crate::report::{done, report};

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
    let mut pages = vec![report(&bench)];
    // FEWBITS_REPORTS names pages of studies that are too long for a test, separated by colons.
    let named = std::env::var("FEWBITS_REPORTS").unwrap_or_default();
    for path in named.split(':').filter(|path| !path.is_empty()) {
        let page = fs::read_to_string(path).expect(path);
        assert!(page.len() <= 2_000_000, "{path} has {} bytes", page.len());
        pages.push(page);
    }
    for page in pages {
        let text = serde_json::to_string(&page).expect("JSON").replace("</", "<\\/");
        bench.write("frames.html", FRAMES.replace("PAGE", &text));
        let seen = seen(&browser, &bench.path("home"), &bench.path("frames.html"));
        for name in ["phone", "zoomed", "a4", "letter"] {
            let beyond = seen[name].as_f64().expect(name);
            assert!(beyond <= 1.0, "{name}: {beyond} pixels of the page cannot be seen: {seen}");
        }
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
