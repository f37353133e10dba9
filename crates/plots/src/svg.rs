//! SVG writer. Text stays text, and the SVG has a title and a description. Numbers are rounded to a hundredth of a
//! pixel, so that equal figures give equal files. A stand-alone file states its colours; an inline element uses the
//! page's.

use super::colours::{Colour, ROLES, WHITE};
use super::figure::{
    Anchor, Cell, Figure, HALO_WIDTH, Mark, Point, Run, SUBSCRIPT_SHIFT, SUBSCRIPT_SIZE, Stroke, Style, Text,
};
use super::font::FAMILIES;

/// Function that formats a colour.
type Ink = fn(Colour) -> String;

/// Writes a stand-alone file.
pub(super) fn write(figure: &Figure) -> String {
    let Figure { width, height, .. } = figure;
    element(figure, &format!("width=\"{width}\" height=\"{height}\""), "", hex)
}

/// Writes an inline element for a page: full width, with ids that begin with `prefix`, in the page's colours.
pub(super) fn write_inline(figure: &Figure, prefix: &str) -> String {
    let letter = |letter: char| if letter.is_ascii_alphanumeric() || letter == '_' { letter } else { '-' };
    let prefix: String = prefix.chars().map(letter).collect();
    element(figure, "width=\"100%\"", &format!("{prefix}-"), variable)
}

fn element(figure: &Figure, size: &str, prefix: &str, ink: Ink) -> String {
    let Figure { width, height, title, description, marks } = figure;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" {size} viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-labelledby=\"{prefix}title {prefix}desc\" font-family=\"{FAMILIES}\">\n\
         <title id=\"{prefix}title\">{}</title>\n<desc id=\"{prefix}desc\">{}</desc>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"{}\"/>\n",
        escaped(title),
        escaped(description),
        ink(WHITE)
    );
    for mark in marks {
        svg += &match mark {
            Mark::Cells { cells, fill } => {
                let path: String = cells.iter().map(cell).collect();
                format!("<path fill=\"{}\" shape-rendering=\"crispEdges\" d=\"{path}\"/>\n", ink(*fill))
            }
            Mark::Area { corners, fill } => format!("<path fill=\"{}\" d=\"{}z\"/>\n", ink(*fill), line(corners)),
            Mark::Lines { lines, stroke } => {
                let path: String = lines.iter().map(|points| line(points)).collect();
                format!("<path fill=\"none\" {} d=\"{path}\"/>\n", stroked(stroke, ink))
            }
            // A line of length 0 with round ends is a disc, and takes half the characters of a circle.
            Mark::Dots { centres, radius, fill } => {
                let path: String = centres.iter().map(|(x, y)| format!("M{} {}h0", rounded(*x), rounded(*y))).collect();
                let (colour, width) = (ink(*fill), rounded(2.0 * radius));
                format!("<path stroke=\"{colour}\" stroke-width=\"{width}\" stroke-linecap=\"round\" d=\"{path}\"/>\n")
            }
            Mark::Text(text) => words(text, ink),
        };
    }
    svg + "</svg>\n"
}

fn cell(cell: &Cell) -> String {
    let [x, y, width, height] = [cell.x, cell.y, cell.width, cell.height].map(rounded);
    format!("M{x} {y}h{width}v{height}h-{width}z")
}

fn line(points: &[Point]) -> String {
    let mut path = String::new();
    for (index, (x, y)) in points.iter().enumerate() {
        path += &format!("{}{} {}", if index == 0 { 'M' } else { 'L' }, rounded(*x), rounded(*y));
    }
    path
}

fn stroked(stroke: &Stroke, ink: Ink) -> String {
    let Stroke { colour, width, dash } = stroke;
    let mut attributes = format!("stroke=\"{}\" stroke-width=\"{}\"", ink(*colour), rounded(*width));
    if let Some((dash, gap)) = dash {
        attributes += &format!(" stroke-dasharray=\"{} {}\"", rounded(*dash), rounded(*gap));
    }
    attributes
}

fn words(text: &Text, ink: Ink) -> String {
    let Text { at: (x, y), anchor, size, colour, upwards, halo, runs } = text;
    let (x, y) = (rounded(*x), rounded(*y));
    let mut svg = format!("<text x=\"{x}\" y=\"{y}\" font-size=\"{}\" fill=\"{}\"", rounded(*size), ink(*colour));
    match anchor {
        Anchor::Start => {}
        Anchor::Middle => svg += " text-anchor=\"middle\"",
        Anchor::End => svg += " text-anchor=\"end\"",
    }
    if *upwards {
        svg += &format!(" transform=\"rotate(-90 {x} {y})\"");
    }
    if *halo {
        svg += &format!(
            " paint-order=\"stroke\" stroke=\"{}\" stroke-width=\"{}\" stroke-linejoin=\"round\"",
            ink(WHITE),
            rounded(HALO_WIDTH)
        );
    }
    svg += ">";
    let mut lowered = false;
    for Run { words, style } in runs {
        let lower = *style == Style::Subscript;
        let shift = match (lowered, lower) {
            (false, true) => format!(" dy=\"{}\"", rounded(size * SUBSCRIPT_SHIFT)),
            (true, false) => format!(" dy=\"-{}\"", rounded(size * SUBSCRIPT_SHIFT)),
            _ => String::new(),
        };
        lowered = lower;
        let words = escaped(words);
        svg += &match style {
            Style::Upright if shift.is_empty() => words,
            Style::Upright => format!("<tspan{shift}>{words}</tspan>"),
            Style::Italic => format!("<tspan{shift} font-style=\"italic\">{words}</tspan>"),
            Style::Subscript => {
                format!("<tspan{shift} font-size=\"{}\">{words}</tspan>", rounded(size * SUBSCRIPT_SIZE))
            }
        };
    }
    svg + "</text>\n"
}

/// Formats a colour as `#rrggbb`.
pub(super) fn hex(Colour([red, green, blue]): Colour) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// Returns the CSS variable of the colour's role, with the light colour as fallback.
fn variable(colour: Colour) -> String {
    let role = ROLES.iter().find(|role| role.light == colour);
    role.map_or_else(|| hex(colour), |role| format!("var(--plot-{}, {})", role.name, hex(colour)))
}

/// Formats a number rounded to a hundredth, without trailing zeros.
fn rounded(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_no_trailing_zeros() {
        assert_eq!([0.0, -0.001, 1.5, 100.0, 2.346, -3.0].map(rounded), ["0", "0", "1.5", "100", "2.35", "-3"]);
        assert_eq!(escaped("a < b & c"), "a &lt; b &amp; c");
    }
}
