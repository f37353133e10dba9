//! What a person asks SLURM for, and what may not be asked.

use super::jobs::megabytes;
use super::script::quoted;

/// What to ask SLURM for, and what jobs are told.
#[derive(Debug, Clone, Default, PartialEq, clap::Args)]
#[command(next_help_heading = "SLURM")]
pub struct Request {
    /// Queue of the jobs, which SLURM calls a partition [default: the cluster's].
    #[arg(long, value_name = "NAME")]
    pub slurm_partition: Option<String>,
    /// Account that the jobs are charged to.
    #[arg(long, value_name = "NAME")]
    pub slurm_account: Option<String>,
    /// Time that a job may take, as 30 (minutes), 01:30:00 or 1-12:00:00.
    #[arg(long, value_name = "TIME")]
    pub time: Option<String>,
    /// Processors of a job; it computes with a thread on each.
    #[arg(long, value_name = "N")]
    pub cpus_per_task: Option<u16>,
    /// Memory of a job, as 4G. A worker takes some 200 MB.
    #[arg(long = "mem", value_name = "SIZE")]
    pub memory: Option<String>,
    /// Jobs of the array at a time.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub array_limit: Option<u32>,
    /// Jobs of the array, among which the tasks are shared [default: one for each task, as far as the cluster allows].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub array_size: Option<u32>,
    /// Another option for sbatch, such as --sbatch-extra=--qos=debug; may be given several times.
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    pub sbatch_extra: Vec<String>,
    /// Run tasks that were out of memory again, with so many times as much, up to three times.
    #[arg(long, value_name = "FACTOR", requires = "memory")]
    pub retry_memory_factor: Option<f64>,
    /// The program, as the nodes see it.
    #[arg(skip)]
    pub program: String,
    /// Where the buckets are, as the nodes see it.
    #[arg(skip)]
    pub store: String,
    /// Address of S3 instead of AWS.
    #[arg(skip)]
    pub endpoint_url: Option<String>,
    /// How often a job tries a task.
    #[arg(skip)]
    pub attempts: Option<u32>,
}

impl Request {
    /// The options as a person would type them, each after a space.
    pub(crate) fn to_command_line(&self) -> String {
        let text = |text: &Option<String>| text.clone();
        let given = [
            ("slurm-partition", text(&self.slurm_partition)),
            ("slurm-account", text(&self.slurm_account)),
            ("time", text(&self.time)),
            ("cpus-per-task", self.cpus_per_task.map(|cpus| cpus.to_string())),
            ("mem", text(&self.memory)),
            ("array-limit", self.array_limit.map(|limit| limit.to_string())),
            ("array-size", self.array_size.map(|size| size.to_string())),
            ("retry-memory-factor", self.retry_memory_factor.map(|factor| factor.to_string())),
        ];
        let given = given.into_iter().filter_map(|(name, value)| Some(format!(" --{name} {}", value?)));
        given
            .chain(self.sbatch_extra.iter().map(|extra| format!(" {}", quoted(&format!("--sbatch-extra={extra}")))))
            .collect()
    }

    /// What SLURM would misread, or what this program decides itself.
    ///
    /// # Errors
    /// Says which option, and why.
    pub fn check(&self) -> Result<(), String> {
        let plain = [
            ("--slurm-partition", &self.slurm_partition),
            ("--slurm-account", &self.slurm_account),
            ("--time", &self.time),
            ("--mem", &self.memory),
        ];
        for (option, value) in plain {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:,+@".contains(&byte);
            if let Some(value) = value.as_deref().filter(|value| value.is_empty() || !value.bytes().all(is_plain)) {
                return Err(format!("{option} `{value}`: a word of letters and digits is expected"));
            }
        }
        if self.memory.as_deref().is_some_and(|memory| megabytes(memory).is_none_or(|megabytes| megabytes < 1.0)) {
            return Err("--mem: a size such as 4G or 500M is expected".to_owned());
        }
        self.sbatch_extra.iter().try_for_each(|extra| check_extra(extra))?;
        match self.retry_memory_factor {
            Some(factor) if !(factor > 1.0 && factor <= 16.0) => {
                Err(format!("--retry-memory-factor {factor}: a number above 1 and up to 16 is expected"))
            }
            _ => Ok(()),
        }
    }
}

/// Whether sbatch may be told this besides what this program decides.
fn check_extra(extra: &str) -> Result<(), String> {
    const LONG: [&str; 11] = [
        "--array",
        "--dependency",
        "--output",
        "--error",
        "--job-name",
        "--wrap",
        "--wait",
        "--clusters",
        "--parsable",
        "--test-only",
        "--open-mode",
    ];
    const SHORT: [&str; 7] = ["-a", "-d", "-o", "-e", "-J", "-W", "-M"];
    let name = extra.split(['=', ' ']).next().unwrap_or_default();
    if !extra.starts_with('-') || extra.contains(char::is_control) || extra.contains(" -") {
        return Err(format!("--sbatch-extra `{extra}`: one option of sbatch is expected, such as --qos=debug"));
    }
    // sbatch takes the beginnings of its options as well.
    let is_long = name.len() > 3 && LONG.iter().any(|ours| ours.starts_with(name));
    if is_long || (!extra.starts_with("--") && SHORT.iter().any(|ours| extra.starts_with(ours))) {
        return Err(format!("--sbatch-extra `{extra}`: {name} is decided by this program"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_decided_here_cannot_be_said_otherwise() {
        for extra in ["--qos=debug", "--constraint=\"a b\"", "--mail-type=END", "-p short", "--exclusive", "--nice=5"] {
            assert_eq!(check_extra(extra), Ok(()), "{extra}");
        }
        for extra in [
            "--array=0-1",
            "--arr=0-1",
            "-a0-1",
            "-a 0-1",
            "--qos=normal --array=0-1",
            "-Jx",
            "-W",
            "-M other",
            "--outp=x",
            "--dep=afterok:1",
            "qos=debug",
            "",
            "--qos=a\n#SBATCH --array=1",
            "--wait",
            "--wrap=id",
        ] {
            assert!(check_extra(extra).is_err(), "{extra}");
        }
    }
}
