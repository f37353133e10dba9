//! Layout of `-h` and `--help`: commands by group, examples that are never reflowed, global options at the end.

use clap::builder::{StyledStr, Styles};

/// Heading of the options that every command has.
pub(crate) const GLOBAL: &str = "Global options";
/// Heading of the examples of a command.
const EXAMPLES: &str = "Examples";

/// Groups of commands, in the order in which help lists them.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Predict and run", &["demo", "predict", "run", "worker", "summarize"]),
    ("Data", &["ingest", "simulate", "split", "concat", "inspect"]),
    ("Measure and account", &["metrics", "bench", "sweep", "report", "audit", "cost", "forecast", "validate-forecast"]),
    ("AWS and clusters", &["status", "logs", "stop", "executions", "deploy"]),
    ("Models and shell", &["convert", "model-init", "completions", "man-pages"]),
];

/// Template of the help of the program itself. clap cannot list commands by group, so they come in as `before-help`.
pub(crate) fn template() -> StyledStr {
    let styles = Styles::default();
    let header = styles.get_header();
    StyledStr::from(format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{{before-help}}\
         {header}{GLOBAL}:{header:#}\n{{options}}{{after-help}}"
    ))
}

/// Lists the commands of `program` by group. `between` separates groups.
pub(crate) fn commands(program: &clap::Command, between: &str) -> StyledStr {
    let width = program.get_subcommands().map(|command| command.get_name().len()).max().unwrap_or_default();
    let styles = Styles::default();
    let literal = styles.get_literal();
    let line = |name: &&str| {
        let about = program.find_subcommand(name).and_then(clap::Command::get_about).cloned().unwrap_or_default();
        format!("{literal}{name}{literal:#}{:1$}  {about}", "", width - name.len())
    };
    let groups = GROUPS.map(|(title, names)| (title, names.iter().map(line).collect::<Vec<_>>().join("\n")));
    StyledStr::from(join(groups.iter().map(|(title, lines)| (*title, lines.as_str())), between))
}

/// Sections of lines that keep their breaks.
pub(crate) fn sections<const N: usize>(sections: &[(&str, &str); N]) -> StyledStr {
    StyledStr::from(join(sections.iter().copied(), "\n\n"))
}

/// Examples of a command, one a line. clap wraps only lines that are longer than the terminal is wide.
pub(crate) fn examples<const N: usize>(lines: [&str; N]) -> StyledStr {
    sections(&[(EXAMPLES, &lines.join("\n"))])
}

/// A section of lines that keep their breaks, then the examples.
pub(crate) fn section_and_examples<const N: usize>(section: (&str, &str), lines: [&str; N]) -> StyledStr {
    sections(&[section, (EXAMPLES, &lines.join("\n"))])
}

/// Writes headings with indented lines below them.
fn join<'a>(sections: impl Iterator<Item = (&'a str, &'a str)>, between: &str) -> String {
    let styles = Styles::default();
    let header = styles.get_header();
    let sections = sections.enumerate().map(|(index, (title, lines))| {
        // clap takes a line that starts with a style for a continuation of the line before, and wraps it too early. So
        // the style starts before the line does.
        let between = if index == 0 { "" } else { between };
        let lines: String = lines.lines().map(|line| format!("\n  {line}")).collect();
        format!("{header}{between}{title}:{header:#}{lines}")
    });
    sections.collect()
}

#[cfg(test)]
mod tests;
