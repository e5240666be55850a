//! The plot of a soak: one panel for each figure, one line for each node.

use std::{fmt::Write, time::Duration};

use super::{
    level::{FIGURES, Figure},
    sample::Sample,
};

const WIDTH: f64 = 860.0;
const PANEL: f64 = 170.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 40.0;
/// Space below a panel, for the numbers on its axis.
const FOOT: f64 = 34.0;
/// Points of a line that can be told apart; more only make the file larger.
const POINTS_MAX: usize = 200;
/// One for each node; then they begin again.
const COLOURS: [&str; 8] = ["#1b6ca8", "#c8553d", "#3c8d5a", "#8a5aa8", "#b8860b", "#4aa3a2", "#9c3d6b", "#666666"];

/// The plot as a file.
pub(super) fn svg(samples: &[Sample], kills: &[(Duration, String)], whole: Duration) -> String {
    let height = TOP + FIGURES.len() as f64 * (PANEL + FOOT);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        LEFT + WIDTH + 20.0
    );
    let nodes = nodes(samples);
    for (idx, node) in nodes.iter().enumerate() {
        let (x, colour) = (LEFT + 80.0 * idx as f64, COLOURS[idx % COLOURS.len()]);
        let _ = writeln!(svg, "<text x=\"{x}\" y=\"16\" fill=\"{colour}\">{node}</text>");
    }
    let x = LEFT + 80.0 * nodes.len() as f64;
    let _ = writeln!(svg, "<text x=\"{x}\" y=\"16\" fill=\"#999\">dotted: a node is killed</text>");
    for (idx, figure) in FIGURES.iter().enumerate() {
        panel(&mut svg, TOP + idx as f64 * (PANEL + FOOT), figure, samples, &nodes, kills, whole);
    }
    svg.push_str("</svg>\n");
    svg
}

fn nodes(samples: &[Sample]) -> Vec<&str> {
    let mut nodes: Vec<&str> = samples.iter().map(|sample| sample.node.as_str()).collect();
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}

fn panel(
    svg: &mut String,
    top: f64,
    figure: &Figure,
    samples: &[Sample],
    nodes: &[&str],
    kills: &[(Duration, String)],
    whole: Duration,
) {
    let highest = samples.iter().map(|sample| (figure.of)(sample)).fold(1.0, f64::max) * 1.1;
    let x = |at: Duration| LEFT + WIDTH * at.as_secs_f64() / whole.as_secs_f64();
    let y = |value: f64| top + PANEL * (1.0 - value / highest);
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"{}\" font-weight=\"bold\">{} {}</text>",
        top - 5.0,
        figure.name,
        figure.unit
    );
    let _ = writeln!(
        svg,
        "<rect x=\"{LEFT}\" y=\"{top}\" width=\"{WIDTH}\" height=\"{PANEL}\" fill=\"none\" stroke=\"#bbb\"/>"
    );
    for part in 0..=4 {
        let value = highest * f64::from(part) / 4.0;
        let _ =
            writeln!(svg, "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{value:.0}</text>", LEFT - 6.0, y(value) + 4.0);
        let minutes = whole.as_secs_f64() / 60.0 * f64::from(part) / 4.0;
        let at = LEFT + WIDTH * f64::from(part) / 4.0;
        let _ = writeln!(
            svg,
            "<text x=\"{at}\" y=\"{}\" text-anchor=\"middle\">{minutes:.0} min</text>",
            top + PANEL + 14.0
        );
    }
    for (at, _) in kills {
        let x = x(*at);
        let _ = writeln!(svg, "<path d=\"M{x:.1} {top}V{}\" stroke=\"#ccc\" stroke-dasharray=\"2 3\"/>", top + PANEL);
    }
    for (idx, node) in nodes.iter().enumerate() {
        let mut path = String::new();
        let mut pid = 0;
        let of_node: Vec<&Sample> = samples.iter().filter(|sample| sample.node == *node).collect();
        for (n, sample) in of_node.iter().enumerate() {
            // A new life is a new line.
            let pen = if pid == sample.pid { 'L' } else { 'M' };
            if pen == 'L' && n % (of_node.len() / POINTS_MAX + 1) != 0 {
                continue;
            }
            pid = sample.pid;
            let _ = write!(path, "{pen}{:.1} {:.1}", x(sample.at), y((figure.of)(sample)));
        }
        let colour = COLOURS[idx % COLOURS.len()];
        let _ = writeln!(svg, "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.2\"/>");
    }
}
