//! The pictures of the README, made from the quickstart experiment: the dashboard on a terminal as SVG, and a Pareto figure.
//!
//! `cargo test --release --workspace --test cli picture -- --ignored` writes them to `docs/pictures`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use vt100::{Cell, Color, Screen};

use crate::fixture::Bench;
use crate::terminal::Terminal;

/// The size of a character, in SVG units: monospaced fonts are 0.6 of their height wide.
const CHARACTER: (f64, f64) = (8.4, 18.0);
/// The background and the text of a dark terminal.
const COLORS: [&str; 2] = ["#16181d", "#d8dee9"];
/// The first sixteen indexed colors, as xterm has them.
const ANSI: [&str; 16] = [
    "#000000", "#cd3131", "#0dbc79", "#e5e510", "#2472c8", "#bc3fbc", "#11a8cd", "#e5e5e5", "#666666",
    "#f14c4c", "#23d18b", "#f5f543", "#3b8eea", "#d670d6", "#29b8db", "#ffffff",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn color(color: Color, default: &str) -> String {
    match color {
        Color::Default => default.to_owned(),
        Color::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
        Color::Idx(at @ 0..=15) => ANSI[usize::from(at)].to_owned(),
        // xterm's cube of 6 × 6 × 6 colors, and its ramp of 24 grays.
        Color::Idx(at @ 16..=231) => {
            let level = |place: u8| [0, 95, 135, 175, 215, 255][usize::from((at - 16) / place % 6)];
            format!("#{:02x}{:02x}{:02x}", level(36), level(6), level(1))
        }
        Color::Idx(at) => {
            let gray = 8 + 10 * (at - 232);
            format!("#{gray:02x}{gray:02x}{gray:02x}")
        }
    }
}

/// Returns the text color and the background of a cell; no background where it is the terminal's own.
fn colors(cell: &Cell) -> (String, Option<String>) {
    let (text, back) = (color(cell.fgcolor(), COLORS[1]), color(cell.bgcolor(), COLORS[0]));
    let (text, back) = if cell.inverse() { (back, text) } else { (text, back) };
    (text, Some(back).filter(|back| back != COLORS[0]))
}

fn x_of(column: usize) -> f64 {
    8.0 + column as f64 * CHARACTER.0
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Draws a screen: every cell at its own place, so that the picture does not depend on the widths of a font.
fn svg(screen: &Screen) -> String {
    let (rows, columns) = screen.size();
    let (width, height) =
        (f64::from(columns.get()) * CHARACTER.0 + 16.0, f64::from(rows.get()) * CHARACTER.1 + 16.0);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"14\" shape-rendering=\"crispEdges\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"{}\"/>\n",
        COLORS[0]
    );
    for row in 0..rows.get() {
        let y = 8.0 + f64::from(row) * CHARACTER.1;
        let cells: Vec<&Cell> = (0..columns.get()).filter_map(|column| screen.cell(row, column)).collect();
        let mut column = 0;
        // Neighbors with one background are one rectangle, so that no seam shows between them.
        for run in cells.chunk_by(|one, next| colors(one).1 == colors(next).1) {
            if let (_, Some(back)) = colors(run[0]) {
                let (x, width) = (x_of(column), run.len() as f64 * CHARACTER.0);
                let _ = writeln!(
                    text,
                    "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{}\" fill=\"{back}\"/>",
                    CHARACTER.1
                );
            }
            column += run.len();
        }
        for (column, cell) in
            cells.into_iter().enumerate().filter(|(_, cell)| !cell.contents().trim().is_empty())
        {
            let weight = if cell.bold() { " font-weight=\"bold\"" } else { "" };
            let faint = if cell.dim() { " opacity=\"0.6\"" } else { "" };
            let (x, y, ink) = (x_of(column), y + 13.5, colors(cell).0);
            let _ = writeln!(
                text,
                "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"{ink}\"{weight}{faint}>{}</text>",
                escaped(cell.contents())
            );
        }
    }
    text + "</svg>\n"
}

#[test]
#[ignore = "it writes the pictures of the README"]
fn pictures_of_the_readme() {
    let text = fs::read_to_string(root().join("experiments/quickstart.ron")).expect("the experiment");
    let bench = Bench::with(&text);
    let folder = root().join("docs/pictures");
    fs::create_dir_all(&folder).expect("a folder");
    let terminal = Terminal::open(&bench, 118, 30);
    terminal.run("COLORTERM=truecolor fewbits run x.ron");
    terminal.wait_for_dashboard();
    // A dashboard in use stays open at the end of the run.
    terminal.press("3", "full  drop");
    terminal.wait_for("the end", |text| text.contains("the run is over"));
    terminal.press("t", "scale=scaled");
    let picture = terminal.with(svg);
    fs::write(folder.join("dashboard.svg"), picture).expect("a picture");
    terminal.send("q");
    assert_eq!(terminal.wait_for_shell(), 0);
    let figure = folder.join("pareto.svg");
    let figure = figure.to_str().expect("a path");
    bench.stdout(["plot", "x.ron", "pareto", "-o", figure]);
}

/// How Neovim of the person who looks at the picture is set up.
const NEOVIM: &str = r#"
vim.o.number = true
vim.o.termguicolors = true
vim.o.completeopt = "menuone,noselect"
vim.o.pumheight = 8
vim.o.cmdheight = 1
vim.o.laststatus = 0
vim.cmd("colorscheme slate")
vim.cmd("highlight Pmenu guibg=#3a3f4b guifg=#dddddd")
vim.cmd("highlight PmenuThumb guibg=#888888")
vim.cmd("highlight DiagnosticVirtualTextError guifg=#ff8888")
vim.cmd("highlight SignColumn guibg=NONE")
vim.cmd("set syntax=rust nowrap")
vim.diagnostic.config({ update_in_insert = true })
local id = vim.lsp.start_client({ name = "fewbits", cmd = { os.getenv("FEWBITS"), "lsp" }, root_dir = vim.fn.getcwd() })
vim.lsp.buf_attach_client(0, id)
vim.bo.omnifunc = "v:lua.vim.lsp.omnifunc"
"#;

#[test]
#[ignore = "it writes the picture of an editor, Neovim"]
fn picture_of_an_editor() {
    let text = fs::read_to_string(root().join("experiments/quickstart.ron")).expect("the experiment");
    let text = text.replacen(
        "Evaluate(model: \"net\", data: \"mnist\")",
        "Evaluate(model: \"net\", data: \"minst\")",
        1,
    );
    let bench = Bench::with(&text);
    bench.write("init.lua", NEOVIM);
    let terminal = Terminal::open(&bench, 118, 26);
    terminal.run("COLORTERM=truecolor nvim --clean -n x.ron -S init.lua");
    terminal.wait_for("the editor", |text| text.contains("DropOut"));
    terminal.send("/tensors\r");
    terminal.wait_for("the fault", |text| text.contains("did you mean"));
    terminal.press("O\u{18}\u{f}", "random_bits");
    std::thread::sleep(std::time::Duration::from_secs(1));
    fs::write(root().join("docs/pictures/editor.svg"), terminal.with(svg)).expect("a picture");
    terminal.send("\u{1b}:q!\r");
    terminal.wait_for_shell();
}
