//! A sweep as a person writes it, in TOML: what is measured, over which values, how often.
//!
//! In: the text of a file. Out: a [`Definition`] all of whose values are known to be possible, or one error that names
//! the line. What contradicts what between values is found where points are made of them.

use std::fmt;

use pipeline::payload::{MAX_BATCH_SIZE, MAX_TASKS};
use serde::Deserialize;
use toml::Spanned;

use super::axes::{Axis, Count, FileLimits, Folder, Kept, Memory, Name, One, Orders, Size, Whole, Word};
use crate::commands::run::Where;

/// The largest definition that is read, in bytes.
pub(super) const MAX_DEFINITION_BYTES: u64 = 1 << 20;
/// The most repeats of a point.
pub(super) const MAX_REPEATS: usize = 1_000;
/// The most runs before an experiment that do not count.
const MAX_WARM_UP: u64 = 255;
/// The most threads or workers, as of `cosmicai run`.
const MAX_PARALLEL: usize = 1_024;

/// A sweep, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Definition {
    /// Its name; that of its file where it has none.
    pub(super) name: Option<One<Name>>,
    /// Folder of all results in their bucket; `sweeps/<name>` where it has none.
    pub(super) result_path: Option<One<Folder>>,
    /// What the order of the runs is drawn from.
    pub(super) seed: Option<One<Whole<{ u64::MAX }>>>,
    /// Measured runs of each point.
    pub(super) repeats: Option<One<Count<MAX_REPEATS>>>,
    /// Runs before them that are not recorded, of the first point of each experiment.
    pub(super) warm_up: Option<One<Whole<MAX_WARM_UP>>>,
    pub(super) data: Data,
    /// What SLURM is asked for besides what an axis says.
    #[serde(default)]
    pub(super) slurm: Cluster,
    /// What holds where an experiment says nothing else.
    pub(super) base: Option<Spanned<Axes>>,
    pub(super) experiment: Vec<Spanned<Axes>>,
}

/// What is predicted, and by which model.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Data {
    /// Bucket of the partitions.
    pub(super) bucket: One<Name>,
    /// Bucket of the results and of the model; that of the partitions where it is not given.
    pub(super) results_bucket: Option<One<Name>>,
    /// Folder of the folders of partitions (`25MB`, …), where they lie in one.
    pub(super) prefix: Option<One<Folder>>,
    /// URL of the model, or its key in the bucket of the results.
    pub(super) model: Option<One<String>>,
    /// Whether galaxies are simulated and split where they are not there yet.
    #[serde(default)]
    pub(super) simulate: bool,
    /// Seed of the simulated galaxies.
    pub(super) seed: Option<One<Whole<{ u64::MAX }>>>,
}

/// Options of `cosmicai run` for SLURM that no axis has.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cluster {
    pub(super) slurm_partition: Option<One<String>>,
    pub(super) slurm_account: Option<One<String>>,
    pub(super) time: Option<One<String>>,
    pub(super) array_size: Option<One<Count<MAX_TASKS>>>,
    pub(super) sbatch_extra: Option<Axis<String>>,
}

/// Values over which an experiment runs, in every combination, and what is the same in all its runs.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Axes {
    pub(super) name: Option<One<Name>>,
    pub(super) executor: Option<Axis<Where>>,
    pub(super) precision: Option<Axis<astromae::Precision>>,
    pub(super) partition: Option<Axis<Size>>,
    pub(super) file_limit: Option<FileLimits>,
    pub(super) data_size: Option<Axis<Size>>,
    pub(super) batch_size: Option<Axis<Count<MAX_BATCH_SIZE>>>,
    pub(super) threads: Option<Axis<Count<MAX_PARALLEL>>>,
    pub(super) workers: Option<Axis<Count<MAX_PARALLEL>>>,
    pub(super) memory: Option<Axis<Memory>>,
    pub(super) world_size: Option<One<Count<MAX_TASKS>>>,
    pub(super) order: Option<One<Word<Orders>>>,
    pub(super) predictions: Option<One<Word<Kept>>>,
}

/// Why there is no sweep, and where in the file.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line}: {problem}")]
pub(super) struct DefinitionError {
    /// Counted from 1.
    pub(super) line: usize,
    pub(super) problem: String,
}

impl DefinitionError {
    /// At a byte of the text.
    pub(super) fn at(text: &str, byte: usize, problem: impl fmt::Display) -> Self {
        let before = &text.as_bytes()[..byte.min(text.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Self { line, problem: problem.to_string() }
    }
}

impl Definition {
    /// Reads a definition.
    pub(super) fn parse(text: &str) -> Result<Self, DefinitionError> {
        toml::from_str(text).map_err(|error: toml::de::Error| {
            let byte = error.span().map_or(text.len(), |span| span.start);
            DefinitionError::at(text, byte, error.message().replace('\n', ", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A whole definition, with `changed` instead of one of its lines.
    fn text(line: &str, changed: &str) -> String {
        let whole = "name = \"a\"\n\
             seed = 1\n\
             repeats = 2\n\
             [data]\n\
             bucket = \"sky\"\n\
             [[experiment]]\n\
             name = \"batches\"\n\
             batch_size = [32, 64]\n\
             partition = \"25MB\"\n\
             file_limit = 3\n\
             precision = [\"f32\", \"bf16\"]\n";
        assert!(whole.contains(line), "{line}");
        whole.replacen(line, changed, 1)
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (line, changed, at, words) in [
            ("seed = 1", "sed = 1", 2, "sed"),
            ("seed = 1", "seed = -1", 2, "-1`, expected a whole number, 0 or more"),
            ("seed = 1", "seed = \"one\"", 2, "one"),
            ("repeats = 2", "repeats = 0", 3, "from 1 to 1000"),
            ("repeats = 2", "repeats = 2\nrepeats = 3", 4, "duplicate"),
            ("repeats = 2", "repeats = 2.5", 3, "2.5"),
            ("repeats = 2", "warm_up = 1000", 3, "1000`, expected a whole number, 0 or more, up to 255"),
            ("repeats = 2", "warm_up = -1", 3, "-1`, expected a whole number, 0 or more"),
            ("\"sky\"", "\"sky\"\nseed = -1", 6, "-1`, expected a whole number, 0 or more"),
            ("\"a\"", "\"../a\"", 1, "../a"),
            ("\"a\"", "\"\"", 1, "a name"),
            ("\"sky\"", "\"sky/..\"", 5, "sky/.."),
            ("bucket", "buckets", 5, "buckets"),
            ("\"sky\"", "\"sky\"\nprefix = \"a/../b\"", 6, "a/../b"),
            ("\"batches\"", "\".hidden\"", 7, ".hidden"),
            ("[32, 64]", "[]", 8, "empty"),
            ("[32, 64]", "[32, -64]", 8, "-64"),
            ("[32, 64]", "[32, 0]", 8, "from 1 to"),
            ("[32, 64]", "[32, 64, 32]", 8, "`32` is in the list twice"),
            ("[32, 64]", "[32, \"64\"]", 8, "64"),
            ("[32, 64]", "[32, [64]]", 8, "sequence"),
            ("[32, 64]", "nan", 8, "float"),
            ("[32, 64]", "true", 8, "a list of such"),
            ("batch_size", "batch_sizes", 8, "batch_sizes"),
            ("\"25MB\"", "\"MB\"", 9, "25MB"),
            ("\"25MB\"", "\"-25MB\"", 9, "-25MB"),
            ("\"25MB\"", "25", 9, "25"),
            ("\"25MB\"", "[\"1024MB\", \"1GB\"]", 9, "`1GB` is in the list twice"),
            ("file_limit = 3", "file_limit = {}", 10, "empty"),
            ("file_limit = 3", "file_limit = { 25MB = 0 }", 10, "from 1 to"),
            ("file_limit = 3", "file_limit = { big = 3 }", 10, "big"),
            ("file_limit = 3", "file_limit = { 1GB = 3, 1024MB = 4 }", 10, "twice"),
            ("[\"f32\", \"bf16\"]", "\"f8\"", 11, "f8"),
            ("precision = [\"f32\", \"bf16\"]", "memory = \"4096\"", 11, "with its unit"),
            ("precision = [\"f32\", \"bf16\"]", "memory = [\"4G\", \"4096MB\"]", 11, "`4096MB` is in the list twice"),
            ("precision = [\"f32\", \"bf16\"]", "executor = \"cloud\"", 11, "step-functions"),
        ] {
            let text = text(line, changed);
            let error = Definition::parse(&text).unwrap_err();
            assert_eq!(error.line, at, "{changed}: {error}");
            assert!(error.to_string().contains(words), "{changed}: {error}");
        }
        assert!(Definition::parse("").unwrap_err().to_string().contains("data"));
    }

    #[test]
    fn one_value_and_a_list_of_one_are_the_same() {
        let one = Definition::parse(&text("[32, 64]", "32")).unwrap();
        let list = Definition::parse(&text("[32, 64]", "[32]")).unwrap();
        assert_eq!(one.experiment[0].get_ref().batch_size, list.experiment[0].get_ref().batch_size);
        let each = Definition::parse(&text("file_limit = 3", "file_limit = { 25MB = [3, 4], 10MB = 9 }")).unwrap();
        let Some(FileLimits::Each(each)) = &each.experiment[0].get_ref().file_limit else { panic!("{each:?}") };
        assert_eq!(each.iter().map(|(_, files)| files.len()).collect::<Vec<_>>(), [1, 2]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[\\[\\]={}\"a-z0-9. ,\n-]{0,200}") {
            let _ = Definition::parse(&text);
        }

        #[test]
        fn any_value_anywhere_is_read_or_refused_with_a_line_of_the_file(
            line in 0_usize..11,
            value in "(-?[0-9]{1,20}|nan|inf|\"[a-zA-Z0-9./ -]{0,12}\"|\\[[0-9, ]{0,9}\\]|\\{\\}|true)",
        ) {
            let whole = text("seed", "seed");
            let lines: Vec<String> = whole.lines().enumerate().map(|(index, text)| match text.split_once('=') {
                Some((key, _)) if index == line => format!("{key}= {value}"),
                _ => text.to_owned(),
            }).collect();
            if let Err(error) = Definition::parse(&lines.join("\n")) {
                prop_assert!((1..=11).contains(&error.line), "{}", error);
            }
        }
    }
}
