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
    assert!(report(&bench).contains("would have to be trained again"));
    // The report counts the tasks without a result.
    bench.edit("Range(1, 8)", "Range(0, 8)");
    assert!(report(&bench).contains("4 of them without a result yet"));
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
