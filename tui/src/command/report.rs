//! `report` and `plot`: the results in the store as a page, or as one figure.
//! Computes no new results.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use fewbits_engine::plan::Planner;
use fewbits_engine::spec::experiment::Experiment;
use fewbits_engine::text::fault::suggest;

use super::why::find;
use super::{note, print};
use crate::cli::{FigureFormat, Global, PlotArgs, ReportArgs};
use crate::exit::{Coded, Exit};
use crate::figure::options::FigureOptions;
use crate::figure::svg::{Figure, stack};
use crate::figure::{self, image};
use crate::inputs::Inputs;
use crate::output;
use crate::render::number::bytes;
use crate::report::{DrawnConfusions, Material, confusion, confusions, curves, page};
use crate::session::{open, reader};
use crate::ui::plain::printable;

/// Writes the report of an experiment.
pub fn report(args: &ReportArgs, global: &Global) -> Result<Exit> {
    with_material(&args.file.file, global, |material| {
        let written =
            write(&args.output, &inputs(material, &args.file.file, global)?, page(material)?.as_bytes());
        note(material.table_failures());
        written.map(|()| if material.failed.is_empty() { Exit::Done } else { Exit::Failed })
    })
}

fn inputs(material: &Material<'_>, file: &Path, global: &Global) -> Result<Inputs> {
    Inputs::collect(&material.session.graph, &material.session.ops, file, global)
}

/// Writes one figure.
pub fn plot(args: &PlotArgs, global: &Global) -> Result<Exit> {
    let format = figure_format(args)?;
    with_material(&args.file.file, global, |material| {
        let options = options(args, &material.graph().experiment)?;
        let svg = figure(material, &args.name, &args.file.file, &options)?.alone();
        let content = match format {
            FigureFormat::Svg => svg.into_bytes(),
            FigureFormat::Png => {
                let image = image::png(&svg)?;
                note(image.warnings);
                image.bytes
            }
        };
        write(&args.output, &inputs(material, &args.file.file, global)?, &content)?;
        Ok(Exit::Done)
    })
}

/// Returns the format of a figure: the one asked for, else that of the file's ending.
fn figure_format(args: &PlotArgs) -> Result<FigureFormat> {
    let path = args.output.display();
    let ending = args.output.extension().and_then(OsStr::to_str).unwrap_or_default().to_lowercase();
    let of_ending = match ending.as_str() {
        "svg" => Some(FigureFormat::Svg),
        "png" => Some(FigureFormat::Png),
        _ => None,
    };
    match (args.format, of_ending) {
        (Some(asked), Some(named)) if asked != named => {
            Err(Coded::usage(format!("{path}: the ending and `--format` differ; leave out one of them")))
        }
        (Some(format), _) | (None, Some(format)) => Ok(format),
        (None, None) if output::is_standard(&args.output) => {
            Err(Coded::usage("-: standard output needs a format: give `--format svg` or `--format png`"))
        }
        (None, None) => {
            Err(Coded::usage(format!("{path}: a figure is written as .svg or .png; name such a file")))
        }
    }
}

fn with_material(
    file: &Path,
    global: &Global,
    work: impl FnOnce(&Material<'_>) -> Result<Exit>,
) -> Result<Exit> {
    let session = open(file, global)?;
    let store = Arc::new(reader(global)?);
    let planner = Planner::new(&session.graph, &*session.ops, &store);
    let plan = planner.plan()?;
    let material = Material::new(&session, &plan, &store)?;
    let result = work(&material);
    note(planner.notes().into_iter().chain(store.warnings()));
    result
}

fn write(path: &Path, inputs: &Inputs, content: &[u8]) -> Result<()> {
    match output::write(path, inputs, |file| Ok(file.write_all(content)?))? {
        Some(size) => print(&printable(&format!("{}: {}\n", path.display(), bytes(size)))),
        None => Ok(()),
    }
}

/// Draws a table, or the counts or the curves of a node.
fn figure(material: &Material<'_>, name: &str, file: &Path, options: &FigureOptions) -> Result<Figure> {
    if let Some((table, made)) = material.tables.iter().find(|(table, _)| table.name == *name) {
        let figure = figure::table::draw(&material.graph().experiment, table, made, options)
            .with_context(|| format!("table `{name}`"))?;
        return Ok(titled(figure, options));
    }
    let nodes = &material.graph().experiment.nodes;
    if let Some(node) = material.graph().experiment.node(name) {
        let DrawnConfusions { figures, left_out } =
            confusions(material, node)?.map_err(|why| anyhow!("node `{name}`: {why}"))?;
        if left_out > 0 {
            note([format!("{left_out} more tasks of `{name}` are left out; a task's name draws that task")]);
        }
        if !figures.is_empty() {
            return Ok(titled(stack(&figures), options));
        }
        let figures = curves(material, node, options)?;
        let has_result = |task| material.results.metrics(task).is_some();
        if figures.is_empty() && !material.graph().tasks_of(node).any(has_result) {
            return Err(anyhow!("node `{name}`: there are no results to draw yet"));
        }
        if figures.is_empty() {
            return Err(anyhow!(
                "{}: `{name}` has no curves and no counts; Train and Confusion have",
                file.display()
            ));
        }
        let figures: Vec<_> = figures.into_iter().map(|figure| (String::new(), figure)).collect();
        return Ok(titled(stack(&figures), options));
    }
    if let Ok(task) = find(material.graph(), material.plan, name)
        && let Some(drawn) = confusion(material, task)?
    {
        let (_, figure) = drawn.map_err(|why| anyhow!("{name}: {why}"))?;
        return Ok(titled(figure, options));
    }
    if let Some((_, error)) = material.failed.iter().find(|(table, _)| table.name == *name) {
        return Err(anyhow!("table `{name}`: {error}"));
    }
    let names = material.tables.iter().map(|(table, _)| table.name.as_str());
    let hint = suggest(name, names.chain(nodes.iter().map(|node| node.name.as_str())));
    Err(Coded::usage(format!("{}: there is no table or node `{name}`; {hint}", file.display())))
}

/// Puts the title that a person asks for above a figure.
fn titled(figure: Figure, options: &FigureOptions) -> Figure {
    match &options.title {
        Some(title) => stack(&[(printable(title), figure)]),
        None => figure,
    }
}

fn options(args: &PlotArgs, experiment: &Experiment) -> Result<FigureOptions> {
    // A name that is no node's is a table's, or a fault that is found later.
    let node = experiment.node(&args.name).map(|node| &experiment.nodes[node]);
    let axes = node.map_or(vec![], |node| node.axes.clone());
    let axis = |name: &String| {
        experiment.axis(name).filter(|axis| node.is_none() || axes.contains(axis)).ok_or_else(|| {
            let hint = suggest(name, experiment.axis_names(&axes));
            let (file, node) = (args.file.file.display(), &args.name);
            Coded::usage(format!("{file}: --by: `{node}` has no axis `{name}`; {hint}"))
        })
    };
    let by = args.by.iter().map(axis).collect::<Result<Vec<_>>>()?;
    Ok(FigureOptions {
        width: args.width.map(f64::from),
        height: args.height.map(f64::from),
        is_logarithmic: args.log,
        smoothing: args.smooth,
        group_by: Some(by).filter(|by| !by.is_empty()),
        title: args.title.clone(),
    })
}
