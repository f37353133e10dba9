use clap::{CommandFactory, Parser, Subcommand};

use super::*;
use crate::args::{Args, Command};

/// Most lines that `-h` of a command may have, at 80 columns.
const SHORT_HELP_LINES_MAX: usize = 30;
/// The same for the program, whose help lists all commands.
const PROGRAM_HELP_LINES_MAX: usize = 44;
const WIDTHS: [usize; 3] = [80, 100, 120];

/// Name and help of the program and of every command, at a width.
fn pages(width: usize, is_long: bool) -> Vec<(String, String)> {
    fn collect(command: &mut clap::Command, is_long: bool, pages: &mut Vec<(String, String)>) {
        let help = if is_long { command.render_long_help() } else { command.render_help() };
        pages.push((command.get_bin_name().unwrap_or_default().to_owned(), help.to_string()));
        for command in command.get_subcommands_mut().filter(|command| command.get_name() != "help") {
            collect(command, is_long, pages);
        }
    }
    let mut command = Args::command().bin_name("cosmicai").term_width(width);
    command.build();
    let mut pages = Vec::new();
    collect(&mut command, is_long, &mut pages);
    assert!(pages.len() > 20, "{pages:?}");
    pages
}

/// Lines of the examples of a page, with continued lines as they are.
fn example_lines(page: &str) -> Vec<&str> {
    let lines = page.lines().skip_while(|line| *line != format!("{EXAMPLES}:")).skip(1);
    lines.take_while(|line| !line.is_empty()).collect()
}

#[test]
fn every_command_is_in_exactly_one_group() {
    let mut grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    let program = Command::augment_subcommands(clap::Command::new("cosmicai"));
    let mut all: Vec<&str> = program.get_subcommands().map(clap::Command::get_name).collect();
    grouped.sort_unstable();
    all.sort_unstable();
    assert_eq!(grouped, all);
}

#[test]
fn about_is_one_short_line() {
    for command in Args::command().get_subcommands() {
        let about = command.get_about().map(StyledStr::to_string).unwrap_or_default();
        assert!((10..=72).contains(&about.chars().count()), "{}: {about}", command.get_name());
    }
}

#[test]
fn help_fits_the_terminal() {
    for width in WIDTHS {
        for (name, page) in pages(width, false).into_iter().chain(pages(width, true)) {
            for line in page.lines() {
                assert!(line.chars().count() <= width, "{name}, {width} columns: {line}");
            }
        }
    }
}

#[test]
fn short_help_fits_a_screen() {
    for (name, page) in pages(80, false) {
        let most = if name == "cosmicai" { PROGRAM_HELP_LINES_MAX } else { SHORT_HELP_LINES_MAX };
        assert!(page.lines().count() <= most, "{name}: {} lines\n{page}", page.lines().count());
    }
}

#[test]
fn examples_are_the_same_lines_at_every_width() {
    let [narrow, wide] = [80, 120].map(|width| pages(width, true));
    for ((name, narrow), (_, wide)) in narrow.iter().zip(&wide) {
        let lines = example_lines(narrow);
        assert!(!lines.is_empty() || ["cosmicai", "cosmicai deploy"].contains(&name.as_str()), "{name}: no example");
        assert_eq!(lines, example_lines(wide), "{name}");
    }
}

/// An option that an example names but the command lacks fails here.
#[test]
fn every_example_parses() {
    for (name, page) in pages(80, true) {
        let lines = example_lines(&page).join("\n").replace("\\\n", " ");
        for line in lines.lines() {
            let line = line.strip_prefix("  ").unwrap_or(line);
            assert!(line.starts_with("cosmicai "), "{name}: {line}");
            // The shell's own part, such as a redirection, is not for the program.
            let script = format!("cosmicai() {{ printf '%s\\0' cosmicai \"$@\"; }}\n{line}");
            let output = std::process::Command::new("sh")
                .args(["-c", &script.replace(" > ", " | cat # ")])
                .env("SLURM_PROCID", "3")
                .output()
                .unwrap();
            let words = String::from_utf8(output.stdout).unwrap();
            Args::try_parse_from(words.split_terminator('\0')).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }
}
