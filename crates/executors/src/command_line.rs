//! Command lines that this program prints, writes into scripts, or starts.
//!
//! One builder serves all of them: the command that resumes a run, the jobs of a cluster, the child processes of sweeps
//! and benchmarks. It stores each word without quotes, and quotes it only in text for a shell.

use std::fmt;

/// Command with its arguments.
///
/// ```
/// use executors::CommandLine;
///
/// let line = CommandLine::cosmicai("run").argument("my payload.json").option("threads", 4).flag("resume", true);
/// assert_eq!(line.to_string(), "cosmicai run 'my payload.json' --threads 4 --resume");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    program: String,
    words: Vec<Word>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    /// Word that a shell must not expand.
    Plain(String),
    /// Shell expression, such as `"$SLURM_PROCID"`.
    Shell(&'static str),
}

impl CommandLine {
    /// Starts a command of this program: `cosmicai SUBCOMMAND`.
    pub fn cosmicai(subcommand: &str) -> Self {
        Self::new("cosmicai", subcommand)
    }

    /// Starts a command of the program at a path.
    pub fn new(program: &str, subcommand: &str) -> Self {
        Self { program: program.to_owned(), words: Vec::new() }.argument(subcommand)
    }

    /// Adds a positional argument. A path that starts with `-` becomes `./-…`, so that it is not read as an option.
    #[must_use]
    pub fn argument(self, word: impl Into<String>) -> Self {
        let word = word.into();
        if word.starts_with('-') { self.word(format!("./{word}")) } else { self.word(word) }
    }

    fn word(mut self, word: impl Into<String>) -> Self {
        self.words.push(Word::Plain(word.into()));
        self
    }

    /// Adds `--NAME VALUE`. A value that starts with `-` becomes `--NAME=VALUE`, so that it is not read as an option.
    #[must_use]
    pub fn option(self, name: &str, value: impl fmt::Display) -> Self {
        let value = value.to_string();
        if value.starts_with('-') {
            self.word(format!("--{name}={value}"))
        } else {
            self.word(format!("--{name}")).word(value)
        }
    }

    /// Adds `--NAME VALUE` if there is a value.
    #[must_use]
    pub fn option_if<T: fmt::Display>(self, name: &str, value: Option<T>) -> Self {
        match value {
            Some(value) => self.option(name, value),
            None => self,
        }
    }

    /// Adds `--NAME VALUE` for each value.
    #[must_use]
    pub fn options<T: fmt::Display>(self, name: &str, values: impl IntoIterator<Item = T>) -> Self {
        values.into_iter().fold(self, |line, value| line.option(name, value))
    }

    /// Adds `--NAME` if `is_set`.
    #[must_use]
    pub fn flag(self, name: &str, is_set: bool) -> Self {
        if is_set { self.word(format!("--{name}")) } else { self }
    }

    /// Adds `--NAME EXPRESSION`. The shell expands the expression.
    #[must_use]
    pub fn shell_option(mut self, name: &str, expression: &'static str) -> Self {
        self = self.word(format!("--{name}"));
        self.words.push(Word::Shell(expression));
        self
    }

    /// Arguments of the program, to start it without a shell.
    pub fn arguments(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(|word| match word {
            Word::Plain(text) => text.as_str(),
            Word::Shell(text) => text,
        })
    }

    /// Command for a shell script, with each option on its own line.
    pub fn for_script(&self) -> String {
        let mut text = quoted(&self.program);
        for word in &self.words {
            let word = word.for_shell();
            text += if word.starts_with("--") { " \\\n    " } else { " " };
            text += &word;
        }
        text
    }
}

impl Word {
    fn for_shell(&self) -> String {
        match self {
            Self::Plain(text) => quoted(text),
            Self::Shell(text) => (*text).to_owned(),
        }
    }
}

/// Writes the command on one line, for a shell.
impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quoted(&self.program))?;
        self.words.iter().try_for_each(|word| write!(f, " {}", word.for_shell()))
    }
}

/// Quotes a word for a shell, unless it has only characters that a shell leaves unchanged.
pub fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:,+=@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Words that a shell reads in a command line.
    fn through_shell(line: &CommandLine) -> Vec<String> {
        let script = format!("for word in {line}; do printf '%s\\0' \"$word\"; done");
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.split_terminator('\0').map(str::to_owned).collect()
    }

    #[test]
    fn skips_unset_options_and_flags() {
        let line = CommandLine::cosmicai("run")
            .argument("my payload.json")
            .argument("-odd.json")
            .option("store", "s3")
            .option_if("model", None::<&str>)
            .option_if("threads", Some(4))
            .options("assume", ["a=1", "b=-2"])
            .option("sbatch-extra", "--qos=debug")
            .flag("forecast", false)
            .flag("resume", true);
        assert_eq!(
            line.to_string(),
            "cosmicai run 'my payload.json' ./-odd.json --store s3 --threads 4 --assume a=1 --assume b=-2 \
             --sbatch-extra=--qos=debug --resume"
        );
        assert_eq!(line.arguments().nth(1), Some("my payload.json"));
    }

    #[test]
    fn does_not_quote_shell_expressions() {
        let line = CommandLine::new("/sw/it's", "worker").shell_option("rank", "\"$SLURM_ARRAY_TASK_ID\"");
        assert_eq!(line.for_script(), "'/sw/it'\\''s' worker \\\n    --rank \"$SLURM_ARRAY_TASK_ID\"");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn a_shell_reads_every_word_unchanged(words in proptest::collection::vec("[^\0]{0,12}", 1..5)) {
            let line = words.iter().fold(CommandLine::cosmicai("run"), |line, word| line.word(word.clone()));
            let mut expected = vec!["cosmicai".to_owned(), "run".to_owned()];
            expected.extend(words);
            prop_assert_eq!(through_shell(&line), expected);
        }
    }
}
