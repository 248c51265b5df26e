//! `export --to c`: the images of the test, the facts of the manifest, and the folder.
//! Knows nothing of the C code.

use anyhow::{Result, anyhow};
use fewbits_engine::graph::TaskId;
use fewbits_ops::dataset::images::{Images, Pixels};
use fewbits_ops::dataset::normalize::Normalize;
use fewbits_ops::export::c::Export;
use fewbits_ops::{Artifact, Op, Split};
use serde_json::{Map, Value as Json, json};

use super::super::{note, print};
use crate::cli::{ExportArgs, Global};
use crate::exit::{Coded, Exit};
use crate::found_model::FoundModel;
use crate::output;
use crate::render::number::{bytes, number};
use crate::ui::plain::printable;

/// The number of images of the test.
const GOLDEN_IMAGES: usize = 16;

/// Writes a folder of C files.
pub fn export(args: &ExportArgs, global: &Global) -> Result<Exit> {
    let folder = &args.output;
    if output::is_standard(folder) {
        return Err(Coded::usage("--to c writes several files; name a new folder with -o DIR"));
    }
    if let Some(name) = &args.name {
        Export::check_name(name).map_err(|error| Coded::usage(format!("--name: {error}")))?;
    }
    output::check_folder(folder)?;
    let found = FoundModel::of(&args.file.file, &args.task, global)?;
    let node = &found.graph.experiment.nodes[found.graph.node(found.task)].name;
    let name = args.name.clone().unwrap_or_else(|| Export::name_of(node));
    let (task, evaluations) = (found.name(), evaluations(&found));
    let inputs = TestInputs::of(&found, &evaluations)?;
    let facts = facts(&found, &evaluations)?;
    let experiment = &found.graph.experiment.name;
    let export = Export {
        name: &name,
        model: found.model()?,
        tensors: &found.tensors,
        images: &inputs.images,
        normalize: inputs.normalize.as_ref(),
        classes: &inputs.classes,
        about: &format!(
            "Task {task} of the experiment {experiment}, written by fewbits {}.",
            env!("CARGO_PKG_VERSION")
        ),
        facts: &facts,
    };
    let program = export.program().map_err(|error| anyhow!("{task}: {error}"))?;
    output::write_folder(folder, &found.inputs, &program.files)?;
    let place = folder.display();
    let mut text = format!(
        "{place}: {task} as C99: {} of tables, {} of scratch\n",
        bytes(program.weight_bytes as u64),
        bytes(program.scratch_bytes as u64)
    );
    if found.tensors.iter().all(|tensor| tensor.codes.is_none()) {
        text += "its weights are binary32: this network is not quantized\n";
    }
    for evaluation in evaluations {
        let metrics = found.metrics(evaluation)?;
        let shown = metrics.iter().filter(|(name, _)| ["accuracy", "loss"].contains(&name.as_str()));
        let shown: Vec<String> = shown.map(|(name, value)| format!("{name} {}", number(*value))).collect();
        if !shown.is_empty() {
            text += &format!("{}: {}\n", found.graph.name(evaluation), shown.join(", "));
        }
    }
    text += &one_of_several(&found);
    text += &format!(
        "`make -C {place} test` compiles it here and compares the logits of {} with those of fewbits\n",
        inputs.origin
    );
    print(&printable(&text))?;
    note(found.notes);
    Ok(Exit::Done)
}

/// Returns the tasks that evaluate the model, in the order of the file.
fn evaluations(found: &FoundModel) -> Vec<TaskId> {
    let graph = &found.graph;
    let reads = |task: &TaskId| graph.inputs(*task).first() == Some(&found.task);
    let evaluates = |task: &TaskId| graph.kind(*task).name == "Evaluate";
    graph.tasks().filter(evaluates).filter(reads).collect()
}

/// The images that the C program is tested with, and how bytes become numbers.
struct TestInputs {
    images: Images,
    normalize: Option<Normalize>,
    classes: Vec<String>,
    /// The images, in words.
    origin: String,
}

impl TestInputs {
    /// Takes the first images that an Evaluate judges the model by, else test images of the dataset that the model comes from,
    /// else draws numbers.
    fn of(found: &FoundModel, evaluations: &[TaskId]) -> Result<Self> {
        let graph = &found.graph;
        let judged = evaluations.first().and_then(|&task| {
            let Op::Evaluate(evaluate) = &graph.resolved_op(task).op else { return None };
            Some((*graph.inputs(task).get(1)?, evaluate.split))
        });
        let is_dataset = |task: &TaskId| graph.kind(*task).output == Some("dataset");
        let learned = || Some((found.ancestors().into_iter().find(is_dataset)?, Split::Test));
        let Some((task, split)) = judged.or_else(learned) else { return Self::drawn(found) };
        let artifact = found.artifact(task)?;
        let (Artifact::Dataset(dataset), Op::Dataset(op)) = (&*artifact, &graph.resolved_op(task).op) else {
            return Err(anyhow!("{}: this is no dataset", graph.name(task)));
        };
        let nonempty = [split, Split::Test, Split::Validation, Split::Train]
            .into_iter()
            .map(|split| split.images(dataset))
            .find(|images| !images.is_empty());
        let Some(images) = nonempty else { return Self::drawn(found) };
        let count = images.len().min(GOLDEN_IMAGES);
        let chosen = images.select(&(0..count as u32).collect::<Vec<_>>());
        Ok(Self {
            origin: format!("{count} images of `{}`", graph.name(task)),
            normalize: matches!(chosen.pixels, Pixels::Bytes { .. }).then(|| op.normalize().clone()),
            classes: match &images.labels {
                Some(labels) => op.class_names(labels),
                None => numbered(found.model()?.network().classes),
            },
            images: chosen,
        })
    }

    /// Draws numbers from 0 to 1.
    fn drawn(found: &FoundModel) -> Result<Self> {
        let network = found.model()?.network();
        let size: usize = network.input.iter().product();
        // A multiplicative sequence: any numbers serve, the same ones each time.
        let number = |at: usize| (at * 7919 % 10_007) as f32 / 10_006.0;
        let numbers = (0..GOLDEN_IMAGES * size).map(number).collect();
        Ok(Self {
            images: Images {
                shape: network.input,
                pixels: Pixels::Numbers { numbers, zeros: vec![0.0; network.input[0]] },
                labels: None,
            },
            normalize: None,
            classes: numbered(network.classes),
            origin: format!("{GOLDEN_IMAGES} drawn inputs"),
        })
    }
}

/// Returns names for the classes of so many outputs; a single output tells two classes apart.
fn numbered(outputs: usize) -> Vec<String> {
    let classes = if outputs == 1 { 2 } else { outputs };
    (0..classes).map(|class| class.to_string()).collect()
}

/// Returns the facts of the manifest: the task, its key, what it is made of, its metrics, and the digests of the sources.
fn facts(found: &FoundModel, evaluations: &[TaskId]) -> Result<Json> {
    let graph = &found.graph;
    let (mut metrics, mut sources) = (Map::new(), Map::new());
    for task in evaluations.iter().copied().chain([found.task]) {
        let of_task: Map<String, Json> =
            found.metrics(task)?.into_iter().map(|(name, value)| (name, json!(value))).collect();
        if !of_task.is_empty() {
            metrics.insert(graph.name(task), of_task.into());
        }
    }
    for task in found.ancestors() {
        if let (_, Some(made_of)) = found.made_of(task)? {
            sources.insert(graph.name(task), made_of["inputs"].clone());
        }
    }
    let mut facts = found.facts()?;
    // The manifest describes the tensors as they are in C.
    facts.as_object_mut().map(|facts| facts.remove("tensors"));
    facts["experiment"] = json!(graph.experiment.name);
    facts["metrics"] = metrics.into();
    facts["sources"] = sources.into();
    Ok(facts)
}

/// Says which network this is where tables average over several.
fn one_of_several(found: &FoundModel) -> String {
    let experiment = &found.graph.experiment;
    let averaged = |axis: &str| {
        let mut over =
            experiment.tables.iter().flat_map(|table| table.replicate.iter().chain(&table.average));
        over.any(|&of| experiment.axes[of].name == axis)
    };
    let point: Vec<String> = found
        .graph
        .point(found.task)
        .filter(|(axis, _)| averaged(axis))
        .map(|(axis, label)| format!("{axis}={label}"))
        .collect();
    if point.is_empty() {
        return String::new();
    }
    format!("tables average over several networks; this is the one with {}\n", point.join(", "))
}
