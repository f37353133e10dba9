//! The report as one self-contained HTML page, without scripts, fonts or network requests.

use std::fmt::Write as _;

use plots::charts::{CSS_DARK, CSS_LIGHT, Chart};

use super::document::Report;
use super::sheets::{Column, Sheet, SheetRow};

const CSS: &str = include_str!("page.css");

/// Writes a report as HTML.
pub(crate) fn write(report: &Report) -> String {
    let mut page = String::with_capacity(1 << 16);
    let title = escaped(&report.title);
    let (light, dark) = (&*CSS_LIGHT, &*CSS_DARK);
    let mut add = |text: &str| page.push_str(text);
    add("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    add("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    // Forbid all requests, even if a name in the report contained HTML that were not escaped.
    add("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n");
    add(&format!("<title>{title}</title>\n<style>\n{CSS}"));
    add(&format!(":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"));
    add(&format!("@media print {{ :root {{ {light} }} }}\n</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n"));
    add(&format!("<p class=\"caption\">{}</p>\n", escaped(&report.subtitle())));
    add(&key_numbers(report));
    add("<nav aria-label=\"Parts of the report\"><ul>");
    if !report.charts.is_empty() {
        add("<li><a href=\"#figures\">Figures</a></li>");
    }
    for (index, sheet) in report.sheets.iter().enumerate() {
        add(&format!("<li><a href=\"#sheet-{index}\">{}</a></li>", escaped(&sheet.title)));
    }
    add("</ul></nav>\n</header>\n<main>\n");
    // The main tables come before the figures, details after them.
    let (first, rest) = report.sheets.split_at(report.first_sheets().min(report.sheets.len()));
    for (index, sheet) in first.iter().enumerate() {
        add(&table(index, sheet));
    }
    if !report.charts.is_empty() {
        add("<section id=\"figures\">\n<h2>Figures</h2>\n<div class=\"figures\">\n");
        for chart in &report.charts {
            add(&figure(chart));
        }
        add("</div>\n</section>\n");
    }
    for (index, sheet) in rest.iter().enumerate() {
        add(&table(first.len() + index, sheet));
    }
    add(&format!(
        "</main>\n<footer>\n<p>Made on {} with {}. To make it again: <code>{}</code></p>\n</footer>\n\
         </body>\n</html>\n",
        escaped(&report.facts.created),
        escaped(&report.facts.program),
        escaped(&report.facts.command)
    ));
    page
}

fn key_numbers(report: &Report) -> String {
    let mut list = "<dl class=\"key\">".to_owned();
    for (name, value) in report.key_numbers() {
        let _ = write!(list, "<div><dt>{}</dt><dd>{}</dd></div>", escaped(&name), escaped(&value));
    }
    list + "</dl>\n"
}

fn figure(chart: &Chart) -> String {
    format!(
        "<figure>\n{}\n<details><summary class=\"caption\">Description: {}</summary>\
         <figcaption>{}</figcaption></details>\n</figure>\n",
        chart.svg_inline(),
        escaped(chart.title()),
        escaped(chart.description())
    )
}

fn table(index: usize, sheet: &Sheet) -> String {
    let title = escaped(&sheet.title);
    let mut text = format!(
        "<section id=\"sheet-{index}\">\n<h2>{title}</h2>\n<p class=\"caption\">{}</p>\n\
         <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{title}\">\n<table>\n<thead><tr>",
        escaped(&sheet.caption)
    );
    for column in &sheet.columns {
        let unit =
            if column.unit.is_empty() { String::new() } else { format!("<small>{}</small>", escaped(&column.unit)) };
        let _ = write!(text, "<th scope=\"col\"{}>{}{unit}</th>", class(column), escaped(&column.name));
    }
    text += "</tr></thead>\n<tbody>\n";
    for row in &sheet.rows {
        match row {
            SheetRow::Heading(heading) => {
                let columns = sheet.columns.len();
                let _ = writeln!(
                    text,
                    "<tr class=\"heading\"><th scope=\"rowgroup\" colspan=\"{columns}\">{}</th></tr>",
                    escaped(heading)
                );
            }
            SheetRow::Cells(cells) => {
                text += "<tr>";
                for (index, (column, cell)) in sheet.columns.iter().zip(cells).enumerate() {
                    let (tag, scope) = if index == 0 { ("th", " scope=\"row\"") } else { ("td", "") };
                    let _ = write!(text, "<{tag}{scope}{}>{}</{tag}>", class(column), escaped(cell));
                }
                text += "</tr>\n";
            }
        }
    }
    text + "</tbody>\n</table>\n</div>\n</section>\n"
}

fn class(column: &Column) -> &'static str {
    match (column.is_number, column.is_study) {
        (true, true) => " class=\"n study\"",
        (true, false) => " class=\"n\"",
        (false, _) => "",
    }
}

/// Escapes text for HTML, and replaces control characters.
fn escaped(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    for letter in raw.chars() {
        match letter {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            '\'' => text.push_str("&#39;"),
            letter if letter.is_control() && letter != '\n' => text.push(' '),
            letter => text.push(letter),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_html_in_text() {
        assert_eq!(
            escaped("<script>\"a\" & 'b'\u{0}</script>"),
            "&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39; &lt;/script&gt;"
        );
    }
}
