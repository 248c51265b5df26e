//! The description of an experiment for a paper: methods, provenance, sources, BibTeX.
//! Knows nothing of the tables' content.

use std::collections::BTreeMap;

use fewbits_engine::cite::{Citation, Replication};
use fewbits_engine::statistics::method::Method;
use serde_json::{Value as Json, json};

use crate::render::number::count;

/// The version of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

const STUDENT: &str = "Student (1908). The probable error of a mean. Biometrika 6(1), 1–25";
const WILSON: &str = "Wilson, E. B. (1927). Probable inference, the law of succession, and statistical inference. \
                      Journal of the American Statistical Association 22(158), 209–212";
const SOBOL: &str = "Sobol', I. M. (1993). Sensitivity estimates for nonlinear mathematical models. Mathematical Modelling \
                     and Computational Experiments 1(4), 407–414";
const HUTTER: &str = "Hutter, F., Hoos, H., Leyton-Brown, K. (2014). An efficient approach for assessing hyperparameter \
                      importance. ICML 2014, 754–762";
const HOLM: &str = "Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scandinavian Journal of \
                    Statistics 6(2), 65–70";
const PIAGGIO: &str = "Piaggio, G., Elbourne, D. R., Pocock, S. J., Evans, S. J. W., Altman, D. G. (2012). Reporting \
                       of noninferiority and equivalence randomized trials. JAMA 308(24), 2594–2604";
const FAGERLAND: &str = "Fagerland, M. W., Lydersen, S., Laake, P. (2013). The McNemar test for binary matched-pairs \
                         data. BMC Medical Research Methodology 13, 91";
const DORFMAN: &str = "Dorfman, D. D., Berbaum, K. S., Metz, C. E. (1992). Receiver operating characteristic rating \
                       analysis. Investigative Radiology 27(9), 723–731";
const HILLIS: &str = "Hillis, S. L. (2007). A comparison of denominator degrees of freedom methods for multiple \
                      observer ROC analysis. Statistics in Medicine 26(3), 596–619";
const HSU: &str = "Hsu, J. C. (1996). Multiple Comparisons: Theory and Methods. Chapman and Hall";

/// The paper that asks fewbits' question.
const TOSTADO: &str = "@inproceedings{tostado2019,
  author    = {Tostado and Pedroni and Cauwenberghs},
  title     = {Performance Trade-offs in Weight Quantization for Memory-Efficient Inference},
  booktitle = {IEEE International Conference on Artificial Intelligence Circuits and Systems (AICAS)},
  year      = {2019},
}
";

/// Renders the description as text: method, provenance, sources, BibTeX entries.
#[must_use]
pub fn text(cite: &Citation) -> String {
    let mut text = cite.experiment.clone();
    if !cite.about.is_empty() {
        text += &format!(": {}", cite.about);
    }
    text += "\n\nMethod\n";
    text += &method(cite).iter().map(|sentence| format!("  {sentence}\n")).collect::<String>();
    text += "\nProvenance\n";
    let facts = provenance(cite);
    let width = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    text += &facts.iter().map(|(name, value)| format!("  {name:width$}  {value}\n")).collect::<String>();
    let sources = sources(cite);
    if !sources.is_empty() {
        text += "\nSources\n";
        text += &sources.iter().map(|source| format!("  {source}.\n")).collect::<String>();
    }
    text + "\n" + &bibtex(cite)
}

/// Renders the same description as a JSON object.
#[must_use]
pub fn json(cite: &Citation) -> Json {
    let data: BTreeMap<&String, BTreeMap<&str, String>> = cite
        .data
        .iter()
        .map(|(task, parts)| (task, parts.iter().map(|(part, digest)| (*part, digest.to_string())).collect()))
        .collect();
    let replication = |of: &Replication| {
        json!({
            "axis": of.axis,
            "average": of.average,
            "n": of.units.map(|(least, most)| [least, most]),
        })
    };
    json!({
        "experiment": cite.experiment,
        "about": cite.about,
        "method": method(cite),
        "methods": cite.methods,
        "replications": cite.replications.iter().map(replication).collect::<Vec<_>>(),
        "fewbits": VERSION,
        "made_by": cite.provenance,
        "tasks": cite.tasks,
        "missing": cite.missing,
        "blake3": {
            "text": cite.text.to_string(),
            "keys": cite.keys.to_string(),
            "results": cite.results.to_string(),
        },
        "data": data,
        "sources": sources(cite),
        "bibtex": bibtex(cite),
    })
}

/// Describes the methods, one sentence per element.
#[must_use]
pub fn method(cite: &Citation) -> Vec<String> {
    let axes: Vec<String> = cite.axes.iter().map(|(axis, values)| format!("{axis} ({values})")).collect();
    let over = if axes.is_empty() { String::new() } else { format!(" over {}", axes.join(", ")) };
    let (tasks, nodes) = (count(cite.tasks, "task"), count(cite.nodes, "node"));
    let mut said = vec![format!("The experiment has {tasks} in {nodes}{over}.")];
    said.extend(cite.replications.iter().map(replication));
    if cite.replications.is_empty() {
        said.push("No table replicates anything: values are of single networks.".to_owned());
    }
    if !cite.averaged.is_empty() {
        let axes: Vec<&str> = cite.averaged.iter().map(String::as_str).collect();
        said.push(format!("Tables without replication average over {}.", axes.join(", ")));
    }
    said.extend(cite.methods.iter().map(|method| sentence(*method).to_owned()));
    let remark = cite.remark.as_ref().map_or(String::new(), |remark| format!("; {remark}"));
    let quantized = cite.quantized.unwrap_or("No network is quantized");
    said.push(format!("{quantized}, {}{remark}.", cite.activations));
    said
}

fn replication(of: &Replication) -> String {
    let first = if of.average.is_empty() {
        String::new()
    } else {
        format!(", values of {} averaged within each first", of.average.join(", "))
    };
    let n = match of.units {
        None => "no results yet".to_owned(),
        Some((least, most)) if least == most => format!("n = {least}"),
        Some((least, most)) => format!("n = {least} to {most}"),
    };
    format!("The unit of replication is {} ({n}){first}.", of.axis)
}

fn sentence(method: Method) -> &'static str {
    match method {
        Method::TInterval => {
            "Means over units have 95 % t intervals (Student 1908); paired values are subtracted within units first."
        }
        Method::Wilson => "Shares of images for one network have 95 % intervals over images (Wilson 1927).",
        Method::Images => {
            "Means over images, for these networks alone, have 95 % t intervals (Student 1908), for one network \
             Wilson's (1927)."
        }
        Method::NetworksAndImages => {
            "Intervals over networks and images at once are those of readers and cases (Dorfman, Berbaum and Metz \
             1992) with Hillis's degrees of freedom (2007)."
        }
        Method::NonInferiority => {
            "A loss counts as small where a one-sided t test puts it below its margin at 5 % (non-inferiority; Piaggio \
             et al. 2012)."
        }
        Method::LowerBound => {
            "A value keeps a lower limit where its one-sided 95 % confidence bound does (Student 1908)."
        }
        Method::ZeroEffect => {
            "Effects are tested against zero by two-sided t tests within units (Student 1908)."
        }
        Method::Holm => {
            "Tests are adjusted for all tests of their table (Holm 1979); points of equal networks count as one."
        }
        Method::MayBeBest => {
            "A point may be the best unless a one-sided paired t test, at 5 % over the number of other points, finds \
             another better (comparison with the best, Hsu 1996)."
        }
        Method::VarianceShares => {
            "The share of variance that an axis explains is its main effect's, and that of a pair its interaction's, in \
             the decomposition of Sobol' (1993), as for hyperparameters (Hutter, Hoos and Leyton-Brown 2014)."
        }
        Method::McNemar => {
            "Two networks are compared on the same images by McNemar's test in its mid-p form (Fagerland, Lydersen and \
             Laake 2013)."
        }
    }
}

/// Returns the sources of the methods that the experiment's tables and ops use.
#[must_use]
pub fn sources(cite: &Citation) -> Vec<&'static str> {
    let of = |method: &Method| -> &[&'static str] {
        match method {
            Method::TInterval | Method::ZeroEffect | Method::LowerBound => &[STUDENT],
            Method::Wilson => &[WILSON],
            Method::Images => &[STUDENT, WILSON],
            Method::NetworksAndImages => &[DORFMAN, HILLIS],
            Method::NonInferiority => &[PIAGGIO],
            Method::Holm => &[HOLM],
            Method::MayBeBest => &[HSU],
            Method::VarianceShares => &[SOBOL, HUTTER],
            Method::McNemar => &[FAGERLAND],
        }
    };
    let mut all: Vec<&str> = cite.methods.iter().flat_map(of).chain(&cite.literature).copied().collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Returns names and values: the programs and machines that made the results, and the digests of experiment, keys,
/// results and data.
#[must_use]
pub fn provenance(cite: &Citation) -> Vec<(String, String)> {
    let mut facts = vec![("shown by".to_owned(), format!("fewbits {VERSION}"))];
    for (name, values) in &cite.provenance {
        let name = if name == "fewbits" { "made by" } else { name };
        let values: Vec<String> = values
            .iter()
            .map(|value| if name == "made by" { format!("fewbits {value}") } else { value.clone() })
            .collect();
        facts.push((name.to_owned(), values.join("; ")));
    }
    facts.push(("experiment".to_owned(), format!("blake3 {}", cite.text)));
    facts.push(("keys".to_owned(), format!("blake3 {} ({})", cite.keys, count(cite.different, "key"))));
    facts.push(("results".to_owned(), format!("blake3 {}", cite.results)));
    if cite.missing > 0 {
        let missing =
            format!("{} without a result: keys and results will change", count(cite.missing, "task"));
        facts.push(("unfinished".to_owned(), missing));
    }
    for (task, parts) in &cite.data {
        facts.extend(
            parts.iter().map(|(part, digest)| (format!("{task} {part}"), format!("blake3 {digest}"))),
        );
    }
    facts
}

/// Returns BibTeX entries for this program with these results, and for the paper that asks its question.
#[must_use]
pub fn bibtex(cite: &Citation) -> String {
    let (text, results) = (cite.text, cite.results);
    format!(
        "@software{{fewbits,
  author  = {{{{The authors of fewbits}}}},
  title   = {{fewbits: how few bits per weight does a trained network need?}},
  version = {{{VERSION}}},
  note    = {{Experiment blake3 {text}, results blake3 {results}}},
}}

{TOSTADO}"
    )
}
