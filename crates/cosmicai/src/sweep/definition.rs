//! Definition of a sweep in TOML: the data, the experiments and their values, and the number of repeats.
//!
//! In: the text of a file. Out: a [`Definition`] with valid values, or an error that names the line. Contradictions
//! between values are found later, when [`Sweep::new`](super::points::Sweep::new) makes the points.

use std::fmt;

use records::ExecutorKind;
use records::payload::{MAX_BATCH_SIZE, MAX_FILES, MAX_TASKS};
use serde::Deserialize;
use toml::Spanned;

use super::axes::{
    Axis, Count, FileLimits, Folder, Memory, Name, One, OrderWords, PredictionsWords, Size, Whole, Word,
};

/// Largest definition that is read, in bytes.
pub(crate) const MAX_DEFINITION_BYTES: u64 = 1 << 20;
/// Largest number of repeats of a point.
pub(crate) const MAX_REPEATS: usize = 1_000;
/// Largest number of warm-up runs of an experiment.
const MAX_WARM_UP: u64 = 255;
/// Largest number of threads or workers, as for `cosmicai run`.
const MAX_PARALLEL: usize = 1_024;

/// Definition of a sweep.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Definition {
    /// Name of the sweep. Default: the name of the file without its ending.
    pub(crate) name: Option<One<Name>>,
    /// Folder of all results in their bucket. Default: `sweeps/<name>`.
    pub(crate) result_path: Option<One<Folder>>,
    /// Seed of the order of the runs.
    pub(crate) seed: Option<One<Whole<{ u64::MAX }>>>,
    /// Number of measured runs of each point.
    pub(crate) repeats: Option<One<Count<MAX_REPEATS>>>,
    /// Number of unrecorded runs of the first point of each experiment, before the measured runs.
    pub(crate) warm_up: Option<One<Whole<MAX_WARM_UP>>>,
    pub(crate) data: DataSection,
    /// Options of SLURM that are not axes.
    #[serde(default)]
    pub(crate) slurm: SlurmSection,
    /// Default values for all experiments.
    pub(crate) base: Option<Spanned<Axes>>,
    pub(crate) experiment: Vec<Spanned<Axes>>,
}

/// Table `[data]`: partitions and model.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DataSection {
    /// Bucket of the partitions.
    pub(crate) bucket: One<Name>,
    /// Bucket of the results and of the model. Default: the bucket of the partitions.
    pub(crate) results_bucket: Option<One<Name>>,
    /// Folder that contains the folders of partitions (`25MB`, …). Default: the root of the bucket.
    pub(crate) prefix: Option<One<Folder>>,
    /// URL of the model, or its key in the results bucket.
    pub(crate) model: Option<One<String>>,
    /// True to simulate missing partitions.
    #[serde(default)]
    pub(crate) simulate: bool,
    /// Seed of the simulated galaxies.
    pub(crate) seed: Option<One<Whole<{ u64::MAX }>>>,
}

/// Table `[slurm]`: options of `cosmicai run` for SLURM that are not axes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SlurmSection {
    pub(crate) slurm_partition: Option<One<String>>,
    pub(crate) slurm_account: Option<One<String>>,
    pub(crate) time: Option<One<String>>,
    pub(crate) array_size: Option<One<Count<MAX_TASKS>>>,
    pub(crate) sbatch_extra: Option<Axis<String>>,
}

/// Values of an experiment. Every combination of the axes is a point; the other values are the same in all runs.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Axes {
    pub(crate) name: Option<One<Name>>,
    pub(crate) executor: Option<Axis<ExecutorKind>>,
    pub(crate) precision: Option<Axis<astromae::Precision>>,
    pub(crate) partition: Option<Axis<Size>>,
    pub(crate) file_limit: Option<FileLimits>,
    pub(crate) data_size: Option<Axis<Size>>,
    pub(crate) batch_size: Option<Axis<Count<MAX_BATCH_SIZE>>>,
    pub(crate) threads: Option<Axis<Count<MAX_PARALLEL>>>,
    pub(crate) workers: Option<Axis<Count<MAX_PARALLEL>>>,
    pub(crate) memory: Option<Axis<Memory>>,
    pub(crate) world_size: Option<One<Count<MAX_TASKS>>>,
    pub(crate) order: Option<One<Word<OrderWords>>>,
    pub(crate) predictions: Option<One<Word<PredictionsWords>>>,
    pub(crate) repeat: Option<One<Count<MAX_FILES>>>,
}

/// Error in a definition, with its line.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line}: {problem}")]
pub(crate) struct DefinitionError {
    /// Line number from 1.
    pub(crate) line: usize,
    pub(crate) problem: String,
}

impl DefinitionError {
    /// Makes an error for the line of a byte of the text.
    pub(crate) fn at(text: &str, byte: usize, problem: impl fmt::Display) -> Self {
        let before = &text.as_bytes()[..byte.min(text.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Self { line, problem: problem.to_string() }
    }
}

impl Definition {
    /// Reads a definition.
    pub(crate) fn parse(text: &str) -> Result<Self, DefinitionError> {
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

    /// A complete definition in which `changed` replaces `line`.
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
    fn errors_name_the_line() {
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
            ("[32, 64]", "true", 8, "a list of these"),
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
    fn reads_one_value_like_a_list_of_one() {
        let one = Definition::parse(&text("[32, 64]", "32")).unwrap();
        let list = Definition::parse(&text("[32, 64]", "[32]")).unwrap();
        assert_eq!(one.experiment[0].get_ref().batch_size, list.experiment[0].get_ref().batch_size);
        let each = Definition::parse(&text("file_limit = 3", "file_limit = { 25MB = [3, 4], 10MB = 9 }")).unwrap();
        let Some(FileLimits::Each(each)) = &each.experiment[0].get_ref().file_limit else { panic!("{each:?}") };
        assert_eq!(each.iter().map(|(_, files)| files.len()).collect::<Vec<_>>(), [1, 2]);
    }

    proptest! {
        #[test]
        fn never_panics_on_any_text(text in "[\\[\\]={}\"a-z0-9. ,\n-]{0,200}") {
            let _ = Definition::parse(&text);
        }

        #[test]
        fn errors_for_any_value_name_a_line_of_the_file(
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
