//! Points of a sweep: every combination of the values of each experiment, and the order in which they run.
//!
//! Experiments share no runs. A point of two experiments runs for each, so that each has its own repeats.

use std::collections::{BTreeMap, HashSet};

use accounting::statistics::Random;
use records::ExecutorKind;
use records::payload::MAX_FILES;
use records::sweep::{PointSettings, SweepPoint};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use toml::Spanned;

use super::axes::{Axis, AxisValue as _, FileLimits, One, Size};
use super::definition::{Axes, DataSection, Definition, DefinitionError, SlurmSection};

/// Largest number of runs of a sweep.
const MAX_RUNS: usize = 100_000;
/// Bytes of a binary MB.
const MB: f64 = 1_048_576.0;
/// Decimal places of a scaled size in MB; six are enough for single bytes.
const SCALED_DIGITS: i32 = 6;

/// A valid sweep.
#[derive(Debug)]
pub(crate) struct Sweep {
    pub(crate) name: String,
    /// Folder of all results in their bucket.
    pub(crate) result_path: String,
    pub(crate) seed: u64,
    pub(crate) repeats: usize,
    pub(crate) warm_up: usize,
    pub(crate) data: DataSection,
    pub(crate) cluster: SlurmSection,
    pub(crate) points: Vec<Point>,
    /// SHA-256 of everything that determines the measurements, in hexadecimal.
    pub(crate) sha256: String,
}

/// One combination of values of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Point {
    pub(crate) experiment: String,
    pub(crate) settings: PointSettings,
    /// Executor of the settings.
    #[serde(skip)]
    pub(crate) executor: ExecutorKind,
    /// Size of the partitions; its text is the name of their folder.
    #[serde(skip)]
    pub(crate) partition: Size,
}

/// One measured run: index of the point, and number of the repeat from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Repeat {
    pub(crate) point: usize,
    pub(crate) repeat: usize,
}

impl Sweep {
    /// Makes a sweep from the text of a definition; `stem` is the name of the file without its ending.
    pub(crate) fn new(
        text: &str,
        stem: &str,
        scale: f64,
        state_machine: Option<&str>,
    ) -> Result<Self, DefinitionError> {
        let definition = Definition::parse(text)?;
        let name = definition.name.map_or_else(|| stem.to_owned(), |One(name)| name.0);
        let result_path = definition.result_path.map_or_else(|| format!("sweeps/{name}"), |One(folder)| folder.0);
        let repeats = definition.repeats.map_or(1, |One(repeats)| repeats.0);
        let mut points: Vec<Point> = Vec::new();
        let mut experiments = HashSet::new();
        let none = Spanned::new(0..0, Axes::default());
        let base = definition.base.as_ref().unwrap_or(&none);
        check_base(base, text)?;
        for (index, written) in definition.experiment.iter().enumerate() {
            let complain = |problem: String| DefinitionError::at(text, written.span().start, problem);
            let Some(One(experiment)) = &written.get_ref().name else {
                return Err(complain(format!("experiment {} has no `name`", index + 1)));
            };
            if !experiments.insert(&experiment.0) {
                return Err(complain(format!("another experiment has the name `{experiment}`, too")));
            }
            let axes = MergedAxes { base: base.get_ref(), own: written.get_ref() };
            let found = axes.points(&experiment.0, scale, (MAX_RUNS / repeats).saturating_sub(points.len()));
            let mut labels = HashSet::new();
            for point in found.map_err(|problem| complain(format!("experiment `{experiment}`: {problem}")))? {
                if !labels.insert(point.label()) {
                    let problem = format!(
                        "experiment `{experiment}`: two points are the same run, {}; their sizes have the same number \
                         of files, or are equal at this scale",
                        point.label()
                    );
                    return Err(complain(problem));
                }
                points.push(point);
            }
        }
        if points.is_empty() {
            return Err(DefinitionError::at(text, text.len(), "no `[[experiment]]`; expected at least one"));
        }
        check_file_limits_of_base(base, &definition.experiment, text)?;
        let (data, cluster) = (definition.data, definition.slurm);
        if !data.simulate && data.model.is_none() {
            let problem = "`[data]` has no `model`; add one, or set `simulate = true` to generate one";
            return Err(DefinitionError::at(text, text.find("[data]").unwrap_or(0), problem));
        }
        if data.simulate && data.prefix.is_some() {
            let problem = "`[data]` has both `prefix` and `simulate = true`; remove one, as simulated galaxies have \
                their own folder";
            return Err(DefinitionError::at(text, text.find("[data]").unwrap_or(0), problem));
        }
        let seed = definition.seed.map_or(1, |One(seed)| seed.0);
        let warm_up = definition.warm_up.map_or(1, |One(runs)| runs.0 as usize);
        let mut sweep =
            Self { name, result_path, seed, repeats, warm_up, data, cluster, points, sha256: String::new() };
        sweep.sha256 = sweep.digest(state_machine);
        Ok(sweep)
    }

    /// All runs in the order of execution, shuffled with the seed so that slow changes of the machine affect all points
    /// equally.
    pub(crate) fn order(&self) -> Vec<Repeat> {
        let repeats = 1..=self.repeats;
        let of_point = |point| repeats.clone().map(move |repeat| Repeat { point, repeat });
        let mut runs: Vec<Repeat> = (0..self.points.len()).flat_map(of_point).collect();
        Random::new(self.seed).shuffle(&mut runs);
        runs
    }

    /// Results folder of a run in its bucket; `repeat` is the number of the repeat, or the name of an unrecorded run.
    pub(crate) fn folder(&self, point: &Point, repeat: &str) -> String {
        format!("{}/{}/{}/{repeat}", self.result_path, point.experiment, point.label())
    }

    /// Bucket of the results and the model.
    pub(crate) fn results_bucket(&self) -> &str {
        let One(name) = self.data.results_bucket.as_ref().unwrap_or(&self.data.bucket);
        &name.0
    }

    fn digest(&self, state_machine: Option<&str>) -> String {
        let DataSection { bucket, prefix, model, simulate, seed, results_bucket: _ } = &self.data;
        let SlurmSection { slurm_partition, slurm_account, time, array_size, sbatch_extra } = &self.cluster;
        let text = |value: &Option<One<String>>| value.as_ref().map(|One(text)| text.clone());
        let decides = json!({
            "name": self.name,
            "result_path": self.result_path,
            "seed": self.seed,
            "repeats": self.repeats,
            "warm_up": self.warm_up,
            "data": {
                "bucket": bucket.0.0,
                "results_bucket": self.results_bucket(),
                "prefix": prefix.as_ref().map(|One(folder)| &folder.0),
                "model": text(model),
                "simulate": simulate,
                "seed": seed.as_ref().map(|One(seed)| seed.0),
            },
            "slurm": {
                "slurm_partition": text(slurm_partition),
                "slurm_account": text(slurm_account),
                "time": text(time),
                "array_size": array_size.as_ref().map(|One(size)| size.0),
                "sbatch_extra": sbatch_extra.as_ref().map(|Axis(extra)| extra),
            },
            "state_machine": state_machine,
            "points": self.points,
        });
        Sha256::digest(decides.to_string()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Repeat {
    /// Run of a line.
    pub(crate) fn of(measured: &SweepPoint) -> Self {
        Self { point: measured.point, repeat: measured.repeat }
    }
}

impl Point {
    /// Name of the point's folder, which contains all settings.
    pub(crate) fn label(&self) -> String {
        let PointSettings { executor, batch_size, file_limit, precision, threads, workers, memory_mb, .. } =
            &self.settings;
        let mut label = format!("{executor}-{precision}-{}-x{file_limit}-b{batch_size}", self.partition.text);
        for (letter, count) in [("t", threads), ("w", workers)] {
            if let Some(count) = count {
                label += &format!("-{letter}{count}");
            }
        }
        if let Some(memory) = memory_mb {
            label += &format!("-m{memory}MB");
        }
        label
    }

    /// Name in messages: experiment and label.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.experiment, self.label())
    }

    /// Bytes of the partitions, by their nominal size.
    pub(crate) fn bytes(&self) -> u64 {
        self.partition.bytes.saturating_mul(self.settings.files() as u64)
    }
}

/// Values of an experiment, with those of `[base]` as defaults.
struct MergedAxes<'a> {
    base: &'a Axes,
    own: &'a Axes,
}

impl MergedAxes<'_> {
    fn axis<T: Clone>(&self, of: impl Fn(&Axes) -> &Option<Axis<T>>) -> Option<Vec<T>> {
        of(self.own).as_ref().or(of(self.base).as_ref()).map(|Axis(values)| values.clone())
    }

    /// All combinations of the values.
    ///
    /// # Errors
    /// A value is missing or contradicts another one, or there are more than `limit` points.
    fn points(&self, experiment: &str, scale: f64, limit: usize) -> Result<Vec<Point>, String> {
        let missing = |key: &str| format!("`{key}` is missing here and in `[base]`");
        let executors = self.axis(|axes| &axes.executor).unwrap_or_else(|| vec![ExecutorKind::Local]);
        let precisions = self.axis(|axes| &axes.precision).unwrap_or_else(|| vec![astromae::Precision::F32]);
        let partitions = self.axis(|axes| &axes.partition).ok_or_else(|| missing("partition"))?;
        let batches = self.axis(|axes| &axes.batch_size).ok_or_else(|| missing("batch_size"))?;
        let threads = self.axis(|axes| &axes.threads);
        let workers = self.axis(|axes| &axes.workers);
        let memories = self.axis(|axes| &axes.memory);
        for executor in &executors {
            check(*executor, threads.is_some(), memories.as_ref().map_or(0, Vec::len))?;
        }
        if let Some(size) = self.own.file_limit.as_ref().and_then(|limits| limits.first_not_in(&partitions)) {
            return Err(format!("`file_limit` has `{size}`, which is not in `partition`"));
        }
        let others = self.others();
        let mut points = Vec::new();
        for partition in &partitions {
            let (scaled, partition_mb) = partition.scaled(scale)?;
            for file_limit in self.file_limits(partition)? {
                let settings = PointSettings {
                    executor: ExecutorKind::Local,
                    batch_size: 0,
                    partition_mb,
                    file_limit,
                    precision: String::new(),
                    threads: None,
                    workers: None,
                    memory_mb: None,
                    scale,
                    others: others.clone(),
                };
                let experiment = experiment.to_owned();
                points.push(Point { experiment, settings, executor: ExecutorKind::Local, partition: scaled.clone() });
            }
        }
        let mut vary = Combinations { points, limit };
        vary.over(&batches, |point, batch| point.settings.batch_size = batch.0)?;
        vary.over(&precisions, |point, precision| point.settings.precision = precision.to_string())?;
        vary.over(threads.as_deref().unwrap_or_default(), |point, threads| point.settings.threads = Some(threads.0))?;
        vary.over(workers.as_deref().unwrap_or_default(), |point, workers| point.settings.workers = Some(workers.0))?;
        vary.over(memories.as_deref().unwrap_or_default(), |point, memory| {
            point.settings.memory_mb = Some(memory.0.mb());
        })?;
        vary.over(&executors, |point, executor| {
            point.executor = *executor;
            point.settings.executor = *executor;
        })?;
        Ok(vary.points)
    }

    /// Numbers of files for a size of partition: those of `file_limit`, or enough for each `data_size`.
    fn file_limits(&self, partition: &Size) -> Result<Vec<usize>, String> {
        let of = |axes: &Axes| (axes.file_limit.clone(), axes.data_size.clone());
        let (limits, sizes) = match of(self.own) {
            (None, None) => of(self.base),
            own => own,
        };
        match (limits, sizes) {
            (Some(_), Some(_)) => {
                Err("`file_limit` and `data_size` both set the number of files; remove one".to_owned())
            }
            (None, None) => {
                Err("`file_limit` and `data_size` are missing here and in `[base]`; add one of them".to_owned())
            }
            (Some(FileLimits::Same(limits)), None) => Ok(limits),
            (Some(FileLimits::Each(each)), None) => {
                let own = each.into_iter().find(|(size, _)| size == partition);
                own.map(|(_, limits)| limits).ok_or_else(|| format!("`file_limit` has no entry for `{partition}`"))
            }
            (None, Some(Axis(sizes))) => {
                let files = |size: &Size| match usize::try_from(size.bytes.div_ceil(partition.bytes)) {
                    _ if size.bytes < partition.bytes => {
                        Err(format!("`data_size` {size} is less than one partition of {partition}"))
                    }
                    Ok(files) if files <= MAX_FILES => Ok(files),
                    _ => Err(format!("`data_size` {size}: more than {MAX_FILES} partitions of {partition}")),
                };
                sizes.iter().map(files).collect()
            }
        }
    }

    /// Further keys of the payload.
    fn others(&self) -> BTreeMap<String, String> {
        let MergedAxes { base, own } = self;
        let world_size = own.world_size.as_ref().or(base.world_size.as_ref()).map(|One(count)| count.to_string());
        let order = own.order.as_ref().or(base.order.as_ref()).map(|One(order)| order.to_string());
        let predictions = own.predictions.as_ref().or(base.predictions.as_ref()).map(|One(kept)| kept.to_string());
        let repeat = own.repeat.as_ref().or(base.repeat.as_ref()).map(|One(times)| times.to_string());
        let given = [("world_size", world_size), ("order", order), ("predictions", predictions), ("repeat", repeat)];
        given.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
    }
}

/// Points that grow by one axis at a time.
struct Combinations {
    points: Vec<Point>,
    limit: usize,
}

impl Combinations {
    /// Replaces each point by one for each value; does nothing if there are no values.
    fn over<T>(&mut self, values: &[T], set: impl Fn(&mut Point, &T)) -> Result<(), String> {
        if self.points.len().saturating_mul(values.len().max(1)) > self.limit {
            return Err(format!("more than {MAX_RUNS} runs; remove values or lower `repeats`"));
        }
        if !values.is_empty() {
            let each = |point: &Point| {
                let of_value = |value| {
                    let mut point = point.clone();
                    set(&mut point, value);
                    point
                };
                values.iter().map(of_value).collect::<Vec<_>>()
            };
            self.points = self.points.iter().flat_map(each).collect();
        }
        Ok(())
    }
}

/// Checks that an executor uses all values.
///
/// # Errors
/// The executor would ignore a value.
fn check(executor: ExecutorKind, threads: bool, memories: usize) -> Result<(), String> {
    match executor {
        ExecutorKind::Local if memories > 0 => {
            Err("`memory` has no effect with executor local; remove it, or set `executor = \"slurm\"`".to_owned())
        }
        ExecutorKind::StepFunctions if memories > 1 => Err(
            "`memory` has several values, but a Lambda function has one; deploy a state machine for each, and run a \
             sweep for each with --state-machine"
                .to_owned(),
        ),
        ExecutorKind::StepFunctions if threads => {
            Err("`threads` has no effect on Lambda, where the memory of the function sets the cores; remove it"
                .to_owned())
        }
        _ => Ok(()),
    }
}

/// Checks that the base has no name.
fn check_base(base: &Spanned<Axes>, text: &str) -> Result<(), DefinitionError> {
    match &base.get_ref().name {
        Some(name) => {
            let problem = format!("`[base]` has the name `{}`; only experiments have names, so remove it", name.0);
            Err(DefinitionError::at(text, base.span().start, problem))
        }
        None => Ok(()),
    }
}

/// Checks that each size in the base's `file_limit` is a size of partition in an experiment.
fn check_file_limits_of_base(
    base: &Spanned<Axes>,
    experiments: &[Spanned<Axes>],
    text: &str,
) -> Result<(), DefinitionError> {
    let of = |own: &Spanned<Axes>| MergedAxes { base: base.get_ref(), own: own.get_ref() }.axis(|axes| &axes.partition);
    let partitions: Vec<Size> = experiments.iter().filter_map(of).flatten().collect();
    match base.get_ref().file_limit.as_ref().and_then(|limits| limits.first_not_in(&partitions)) {
        Some(size) => {
            let problem =
                format!("`[base]`: `file_limit` has `{size}`, which is not in the `partition` of any experiment");
            Err(DefinitionError::at(text, base.span().start, problem))
        }
        None => Ok(()),
    }
}

impl FileLimits {
    /// First size in the table that is not one of `partitions`.
    fn first_not_in(&self, partitions: &[Size]) -> Option<&Size> {
        match self {
            FileLimits::Same(_) => None,
            FileLimits::Each(each) => each.iter().map(|(size, _)| size).find(|size| !partitions.contains(size)),
        }
    }
}

impl Size {
    /// Size in binary MB.
    pub(crate) fn mb(&self) -> f64 {
        self.bytes as f64 / MB
    }

    /// This size times `scale` with the name of its folder, and the binary MB in that name; the size in bytes is
    /// rounded.
    fn scaled(&self, scale: f64) -> Result<(Size, f64), String> {
        if scale == 1.0 {
            return Ok((self.clone(), self.mb()));
        }
        let digits = 10_f64.powi(SCALED_DIGITS);
        let mb = (self.mb() * scale * digits).round() / digits;
        let size = Size::from_text(&format!("{mb}MB"));
        let size = size.ok_or_else(|| format!("partitions of {self} × {scale} are smaller than a byte"))?;
        Ok((size, mb))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STUDY: &str = include_str!("../../../../experiments/study/study.toml");

    fn sweep(base: &str, experiment: &str) -> Result<Sweep, String> {
        let text = format!(
            "[data]\nbucket = \"sky\"\nmodel = \"m\"\n[base]\n{base}\n[[experiment]]\nname = \"e\"\n{experiment}\n"
        );
        Sweep::new(&text, "stem", 1.0, None).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_the_experiments_of_the_cai_study() {
        let study = Sweep::new(STUDY, "study", 1.0, None).unwrap();
        let of = |experiment: &'static str| {
            let points = study.points.iter().filter(move |point| point.experiment == experiment);
            points.map(|point| (point.partition.text.as_str(), point.settings.file_limit, point.settings.batch_size))
        };
        let batches = [32, 64, 128, 256, 512];
        assert!(of("batch-size").eq(batches.map(|batch| ("100MB", 1, batch))));
        let partitions = [("10MB", 105), ("25MB", 42), ("50MB", 21), ("75MB", 14), ("100MB", 11)];
        assert!(of("partition-size").eq(partitions.map(|(size, files)| (size, files, 256))));
        let sizes: Vec<_> = of("data-size").map(|(size, files, _)| (size, files)).collect();
        let tens = [105, 204, 408, 612, 816].map(|files| ("10MB", files));
        let twenty_fives = [42, 82, 164, 246, 328, 410, 492].map(|files| ("25MB", files));
        assert_eq!(sizes, [&tens[..], &twenty_fives].concat());
        assert_eq!(of("local-batch-size").count() + of("local-data-size").count(), 9);

        // The number of files stays, partitions shrink, and the names of folders state the new sizes.
        let small = Sweep::new(STUDY, "study", 0.02, None).unwrap();
        assert_ne!(small.sha256, study.sha256);
        let point = small.points.iter().find(|point| point.experiment == "partition-size").unwrap();
        assert_eq!((point.partition.text.as_str(), point.settings.file_limit), ("0.2MB", 105));
        assert_eq!(point.label(), "local-f32-0.2MB-x105-b256");
        assert_eq!((point.settings.partition_mb, point.settings.scale), (0.2, 0.02));
    }

    #[test]
    fn data_size_sets_the_number_of_files() {
        let sweep =
            sweep("batch_size = 8", "partition = [\"10MB\", \"25MB\"]\ndata_size = [\"1GB\", \"30MB\"]").unwrap();
        let files: Vec<_> = sweep.points.iter().map(|point| point.settings.file_limit).collect();
        assert_eq!(files, [103, 3, 41, 2]);
    }

    #[test]
    fn reads_memory_with_units_of_sizes_and_of_slurm() {
        let enough = "batch_size = 8\npartition = \"10MB\"\nfile_limit = 1\nexecutor = \"slurm\"";
        let found = sweep(enough, "memory = [\"4G\", \"512M\", \"2 GB\"]").unwrap();
        let memories: Vec<_> = found.points.iter().map(|point| point.settings.memory_mb).collect();
        assert_eq!(memories, [Some(4096.0), Some(512.0), Some(2048.0)]);
    }

    #[test]
    fn finds_duplicates_in_a_hundred_thousand_points() {
        let numbers = |count: usize| (1..=count).map(|number| number.to_string()).collect::<Vec<_>>().join(", ");
        let axes = format!("threads = [{}]\nworkers = [{}]", numbers(1000), numbers(100));
        let found = sweep("batch_size = 8\npartition = \"10MB\"\nfile_limit = 1", &axes).unwrap();
        // Comparing all pairs would need five billion comparisons.
        assert_eq!(found.points.len(), 100_000);
    }

    #[test]
    fn every_combination_has_its_own_folder() {
        let sweep = sweep(
            "batch_size = [8, 16]\nthreads = [1, 2]\nfile_limit = [1, 2]",
            "partition = [\"10MB\", \"25MB\"]\nprecision = [\"f32\", \"bf16\"]\nworkers = [1, 2]\nexecutor = \
             [\"local\", \"slurm\"]",
        )
        .unwrap();
        let folders: std::collections::HashSet<_> = sweep.points.iter().map(|point| sweep.folder(point, "1")).collect();
        assert_eq!((sweep.points.len(), folders.len()), (128, 128));
        assert!(folders.contains("sweeps/stem/e/slurm-bf16-25MB-x2-b16-t2-w2/1"), "{folders:?}");
    }

    #[test]
    fn order_depends_on_the_seed_and_has_every_run_once() {
        let study = Sweep::new(STUDY, "study", 1.0, None).unwrap();
        let again = Sweep::new(STUDY, "other", 1.0, None).unwrap();
        assert_eq!((study.order(), &study.sha256), (again.order(), &again.sha256));
        let other = Sweep::new(&STUDY.replacen("seed = 1", "seed = 2", 1), "study", 1.0, None).unwrap();
        assert_ne!(study.order(), other.order());
        let mut runs = study.order();
        runs.sort_by_key(|run| (run.point, run.repeat));
        let expected =
            (0..study.points.len()).flat_map(|point| (1..=study.repeats).map(move |repeat| Repeat { point, repeat }));
        assert!(runs.into_iter().eq(expected));
    }

    #[test]
    fn contradictions_name_the_line_of_the_experiment() {
        let enough = "batch_size = 8\npartition = \"10MB\"\nfile_limit = 1";
        for (base, experiment, words) in [
            (enough, "data_size = \"1GB\"\nfile_limit = 2", "both set the number of files"),
            ("batch_size = 8\npartition = \"10MB\"", "", "`file_limit` and `data_size` are missing"),
            ("", enough.split_once('\n').unwrap().1, "`batch_size` is missing"),
            (enough, "memory = \"1GB\"", "executor local"),
            (enough, "executor = \"step-functions\"\nmemory = [\"1GB\", \"2GB\"]", "state machine for each"),
            (enough, "executor = [\"slurm\", \"step-functions\"]\nthreads = 2", "Lambda"),
            (enough, "partition = [\"10MB\", \"25MB\"]\nfile_limit = { 25MB = 1 }", "no entry for `10MB`"),
            (enough, "file_limit = { 10MB = 2, 30MB = 1 }", "`file_limit` has `30MB`, which is not in `partition`"),
            (
                "batch_size = 8\npartition = \"10MB\"",
                "data_size = [\"1GB\", \"9MB\"]",
                "`data_size` 9MB is less than one partition of 10MB",
            ),
            (enough, "data_size = \"99999GB\"\npartition = \"1B\"", "more than 1000000"),
        ] {
            let error = sweep(base, experiment).unwrap_err();
            let line = 5 + base.lines().count().max(1);
            assert!(error.starts_with(&format!("line {line}:")) && error.contains(words), "{experiment}: {error}");
        }
        assert!(sweep("name = \"b\"", enough).unwrap_err().contains("only experiments have names"));
        // The base is for all experiments, so one experiment with the size is enough.
        let limits = "file_limit = { 10MB = 2, 25MB = 1 }";
        let both = "partition = \"10MB\"\n[[experiment]]\nname = \"f\"\npartition = \"25MB\"";
        assert!(sweep(&format!("batch_size = 8\n{limits}"), both).is_ok());
        let error = sweep(&format!("batch_size = 8\n{limits}"), "partition = \"10MB\"").unwrap_err();
        assert!(
            error.starts_with("line 4:") && error.contains("`25MB`, which is not in the `partition` of any"),
            "{error}"
        );
        let many: Vec<String> = (1..=500).map(|count| count.to_string()).collect();
        let many = many.join(", ");
        let error = sweep(enough, &format!("threads = [{many}]\nworkers = [{many}]")).unwrap_err();
        assert!(error.contains("more than 100000 runs"), "{error}");
    }
}
