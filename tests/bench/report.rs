//! The tables and the chart.
//!
//! In: rows of figures, the first of each the native one. Out: Markdown, and an SVG with a bar for each program and
//! translator on a logarithmic scale.

use crate::runner::{Kind, Runner};
use std::fmt::Write as _;

/// A row of the table.
pub(crate) struct Row {
    pub(crate) group: String,
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    /// One for each runner, native first; or why there is none.
    pub(crate) figures: Vec<Result<f64, String>>,
}

impl Row {
    /// A runner's figure as a multiple of native.
    fn ratio(&self, index: usize) -> Option<f64> {
        let (Ok(native), Ok(figure)) = (self.figures[0].as_ref(), self.figures[index].as_ref()) else { return None };
        Some(figure / native)
    }
}

/// A group of rows, and what Philae is to reach in it.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    /// What it measures.
    pub(crate) about: &'static str,
    /// The geometric mean is to be no more than this multiple of native.
    goal: Option<f64>,
}

const fn group(name: &'static str, about: &'static str, goal: Option<f64>) -> Group {
    Group { name, about, goal }
}

/// Every group, in the order in which they are measured and shown.
pub(crate) const GROUPS: [Group; 13] = [
    group("integer", "integer kernels, steady state", Some(1.5)),
    group("fp", "floating-point and vector kernels, steady state", Some(1.6)),
    group("compressor", "Debian's compressors and sort", Some(2.0)),
    group("compiler", "Debian's cc1", Some(3.0)),
    group("interpreter", "Debian's interpreters", Some(2.5)),
    group("jit", "Debian's node, java and luajit", Some(3.0)),
    group("media", "Debian's audio and video encoders", Some(5.0)),
    group("openssl", "Debian's openssl", Some(3.0)),
    group("start-up", "programs that start and end", Some(5.0)),
    group("processes", "a configure script's 1,000 short processes", None),
    group("threads", "threads beside each other", Some(1.5)),
    group("costs", "calls of the kernel", None),
    group("memory", "largest resident set", None),
];

/// What comes after the groups that are compared with native.
pub(crate) const TRANSLATING: &str = "translating";

fn geometric_mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| (values.iter().map(|value| value.ln()).sum::<f64>() / values.len() as f64).exp())
}

/// The mean of a column over the rows in which every runner that has any figure in this group has one.
fn mean(rows: &[&Row], index: usize) -> Option<f64> {
    let columns: Vec<usize> =
        (1..rows.first()?.figures.len()).filter(|&column| rows.iter().any(|row| row.ratio(column).is_some())).collect();
    let complete = rows.iter().filter(|row| columns.iter().all(|&column| row.ratio(column).is_some()));
    geometric_mean(&complete.filter_map(|row| row.ratio(index)).collect::<Vec<f64>>())
}

fn in_group<'a>(rows: &'a [Row], name: &str) -> Vec<&'a Row> {
    rows.iter().filter(|row| row.group == name).collect()
}

fn number(value: f64) -> String {
    let digits = if value < 10.0 { 2 } else { usize::from(value < 1000.0) };
    format!("{value:.digits$}")
}

fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), number)
}

/// Both tables as Markdown: means of groups against their goals, and every row.
pub(crate) fn markdown(rows: &[Row], runners: &[Runner]) -> String {
    format!("{}\n{}", summary(rows, runners), details(rows, runners))
}

fn summary(rows: &[Row], runners: &[Runner]) -> String {
    let mut text = String::from("| group | what | rows | goal |");
    for runner in &runners[1..] {
        write!(text, " {} |", runner.name()).expect("a string");
    }
    write!(text, "\n|---|---|---:|---:|{}\n", "---:|".repeat(runners.len() - 1)).expect("a string");
    for group in GROUPS {
        let members = in_group(rows, group.name);
        if members.is_empty() {
            continue;
        }
        let goal = group.goal.map_or_else(|| "–".to_owned(), |goal| format!("{goal:.1}"));
        write!(text, "| {} | {} | {} | {goal} |", group.name, group.about, members.len()).expect("a string");
        for index in 1..runners.len() {
            write!(text, " {} |", shown(mean(&members, index))).expect("a string");
        }
        text.push('\n');
    }
    text
}

fn details(rows: &[Row], runners: &[Runner]) -> String {
    let mut text = String::from("| program | group | native |");
    for runner in &runners[1..] {
        write!(text, " {} |", runner.name()).expect("a string");
    }
    write!(text, "\n|---|---|---:|{}\n", "---:|".repeat(runners.len() - 1)).expect("a string");
    for row in rows {
        let native = row.figures[0].as_ref().map(|&native| format!("{} {}", number(native), row.unit));
        write!(text, "| {} | {} | {} |", row.name, row.group, native.as_deref().unwrap_or("–")).expect("a string");
        for (index, figure) in row.figures.iter().enumerate().skip(1) {
            let cell = match figure {
                Err(error) if error == "–" || error.starts_with("SKIPPED") => "–".to_owned(),
                Err(_) => "FAILED".to_owned(),
                Ok(_) if row.ratio(index).is_some() => shown(row.ratio(index)),
                Ok(figure) => format!("{} {}", number(*figure), row.unit),
            };
            write!(text, " {cell} |").expect("a string");
        }
        text.push('\n');
    }
    text
}

/// Pixels.
const BAR: usize = 9;
const LEFT: usize = 170;
const WIDTH: usize = 560;
/// What the scale ends at, as multiples of native.
const LARGEST: f64 = 128.0;

fn position(ratio: f64) -> f64 {
    LEFT as f64 + ratio.clamp(0.25, LARGEST).log2().mul_add(WIDTH as f64 / 9.0, 2.0 * WIDTH as f64 / 9.0)
}

fn colour(kind: Kind) -> &'static str {
    match kind {
        Kind::Native => "#888888",
        Kind::Qemu => "#d08a3c",
        Kind::Philae => "#2f6fb0",
    }
}

/// The chart: time as a multiple of native for each row that has both figures.
pub(crate) fn chart(rows: &[Row], runners: &[Runner]) -> String {
    let rows: Vec<&Row> =
        rows.iter().filter(|row| (1..runners.len()).any(|index| row.ratio(index).is_some())).collect();
    let step = (runners.len() - 1) * BAR + 6;
    let height = rows.len() * step + 60;
    let total = LEFT + WIDTH + 70;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {total} {height}\" font-family=\"sans-serif\" \
         font-size=\"10\">\n<rect width=\"{total}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    for (place, runner) in runners[1..].iter().enumerate() {
        let (x, fill, name) = (LEFT + place * 170, colour(runner.kind), runner.name());
        writeln!(text, "<rect x=\"{x}\" y=\"8\" width=\"9\" height=\"9\" fill=\"{fill}\"/>").expect("a string");
        writeln!(text, "<text x=\"{}\" y=\"16\">{name}, × native</text>", x + 13).expect("a string");
    }
    for power in -2..=7_i32 {
        let (ratio, bottom) = (2f64.powi(power), height - 10);
        let x = position(ratio);
        let stroke = if power == 0 { "#444444" } else { "#dddddd" };
        writeln!(text, "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"38\" y2=\"{bottom}\" stroke=\"{stroke}\"/>")
            .expect("a string");
        writeln!(text, "<text x=\"{x:.1}\" y=\"34\" text-anchor=\"middle\">{ratio}</text>").expect("a string");
    }
    for (place, row) in rows.iter().enumerate() {
        text += &bars(row, runners, 42 + place * step);
    }
    text + "</svg>\n"
}

fn bars(row: &Row, runners: &[Runner], top: usize) -> String {
    let mut text = String::new();
    let label = format!("{} · {}", row.group, row.name);
    writeln!(text, "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{label}</text>", LEFT - 6, top + BAR)
        .expect("a string");
    let start = position(0.25);
    for (index, runner) in runners.iter().enumerate().skip(1) {
        let Some(ratio) = row.ratio(index) else { continue };
        let (y, end, fill) = (top + (index - 1) * BAR, position(ratio), colour(runner.kind));
        let width = end - start;
        writeln!(
            text,
            "<rect x=\"{start:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{}\" fill=\"{fill}\"/>",
            BAR - 1
        )
        .expect("a string");
        writeln!(text, "<text x=\"{:.1}\" y=\"{}\">{}</text>", end + 3.0, y + BAR - 1, number(ratio))
            .expect("a string");
    }
    text
}
