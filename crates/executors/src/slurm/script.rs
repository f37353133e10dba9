//! Scripts of the jobs. They set only what the run needs and what the user requested; the cluster decides the rest.
//! People read them.

use std::fmt::Write;

use records::submission::job_name;

use super::Request;
use crate::CommandLine;

/// Values from which the two scripts of a run are made.
#[derive(Debug)]
pub(super) struct Script<'a> {
    pub(super) run_id: &'a str,
    pub(super) request: &'a Request,
    /// Folder of the logs.
    pub(super) logs: &'a str,
    /// URL of the run's folder, with a slash at the end.
    pub(super) results: &'a str,
}

impl Script<'_> {
    /// Script of the array with these job indices.
    ///
    /// With `of`, that many jobs share the ranks in `among` (`None` for all ranks). Without `of`, the index of a job is
    /// the rank of its task.
    pub(super) fn array(&self, indices: &str, of: Option<usize>, among: Option<&str>, memory: Option<&str>) -> String {
        let what = match of {
            None => "the index of each job of the array is the rank of its task".to_owned(),
            Some(of) => format!(
                "the {of} jobs of the array share its tasks: job i runs the tasks i, i + {of}, i + 2 x {of}, … of the \
                 list"
            ),
        };
        let mut text = self.head(&format!("{what}.\n# A job may run again: it skips finished tasks"));
        let limit = self.request.array_limit.map_or_else(String::new, |limit| format!("%{limit}"));
        directive(&mut text, "array", &format!("{indices}{limit}"));
        if let Some(cpus) = self.request.cpus_per_task {
            directive(&mut text, "cpus-per-task", &cpus.to_string());
        }
        self.directives(&mut text, "%A_%a.log", memory);
        text += "#SBATCH --requeue\n";
        text += "\n# exec: the program replaces the shell and receives SLURM's signals\n";
        let line = self
            .command("worker")
            .option("plan", format!("{}plan.json", self.results))
            .option("store", &self.request.store)
            .shell_option("rank", "\"$SLURM_ARRAY_TASK_ID\"")
            .option_if("of", of)
            .option_if("among", among)
            .shell_option("threads", "\"$SLURM_CPUS_ON_NODE\"")
            .option_if("attempts", self.request.attempts);
        text + &exec(&line)
    }

    /// Script of the job that summarizes the run after the arrays have ended, even if jobs failed.
    pub(super) fn summarize(&self, arrays: &str) -> String {
        let mut text = self.head("summarizes the results of the array, and reports missing tasks");
        directive(&mut text, "dependency", &format!("afterany:{arrays}"));
        self.directives(&mut text, "summarize-%j.log", self.request.memory.as_deref());
        text.push('\n');
        text + &exec(&self.command("summarize").argument(self.results).flag("report", true))
    }

    fn head(&self, what: &str) -> String {
        let head = format!(
            "#!/bin/bash\n# Run {}: {what}.\n# Made by cosmicai {}; sbatch reads the lines that start with #SBATCH.\n",
            self.run_id,
            env!("CARGO_PKG_VERSION")
        );
        // If an option is set twice, sbatch uses the last one, so the options of this program come last.
        self.request.sbatch_extra.iter().fold(head, |text, extra| format!("{text}#SBATCH {extra}\n"))
    }

    fn directives(&self, text: &mut String, log: &str, memory: Option<&str>) {
        let request = self.request;
        directive(text, "job-name", &job_name(self.run_id));
        directive(text, "nodes", "1");
        directive(text, "ntasks", "1");
        let optional = [
            ("mem", memory),
            ("time", request.time.as_deref()),
            ("partition", request.slurm_partition.as_deref()),
            ("account", request.slurm_account.as_deref()),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                directive(text, name, value);
            }
        }
        directive(text, "output", &format!("{}/{log}", self.logs.replace('%', "%%")));
        text.push_str("#SBATCH --open-mode=append\n");
    }

    /// Command of this program on the nodes.
    fn command(&self, subcommand: &str) -> CommandLine {
        let Request { program, endpoint_url, .. } = self.request;
        CommandLine::new(program, subcommand).option_if("endpoint-url", endpoint_url.as_ref())
    }
}

/// Last line of a script. The program replaces the shell, so it receives the signals of the job.
fn exec(line: &CommandLine) -> String {
    format!("exec {}\n", line.for_script())
}

/// Writes an `#SBATCH` line. sbatch interprets quotes like a shell.
fn directive(text: &mut String, name: &str, value: &str) {
    let is_plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:,%+=@".contains(&byte));
    if is_plain {
        _ = writeln!(text, "#SBATCH --{name}={value}");
    } else {
        _ = writeln!(text, "#SBATCH --{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request {
            program: "/sw/cosmicai/bin/cosmicai".into(),
            store: "/scratch/ada/buckets".into(),
            slurm_partition: Some("short".into()),
            slurm_account: Some("sky".into()),
            time: Some("01:30:00".into()),
            cpus_per_task: Some(8),
            memory: Some("2G".into()),
            array_limit: Some(5),
            sbatch_extra: vec!["--qos=normal".into(), "--constraint=\"zen3|zen4\"".into()],
            ..Request::default()
        }
    }

    fn script(request: &Request) -> Script<'_> {
        let run_id = "20260102030405-0123456789abcdef";
        let results = "/scratch/ada/buckets/sky/Anomaly Detection/100%/";
        Script { run_id, request, logs: "/scratch/ada/buckets/sky/Anomaly Detection/100%/job", results }
    }

    /// Replaces the version of this program, so that a release does not change the snapshots.
    fn without_version(script: String) -> String {
        script.replace(concat!("cosmicai ", env!("CARGO_PKG_VERSION")), "cosmicai [version]")
    }

    #[test]
    fn script_of_an_array_that_shares_tasks() {
        insta::assert_snapshot!(without_version(script(&request()).array("0-12", Some(13), None, Some("2G"))));
    }

    #[test]
    fn script_of_an_array_with_one_job_per_task() {
        let request = Request { program: "/bin/it's".into(), store: "s3".into(), ..Request::default() };
        let results = "s3://sky/results/first/";
        let script = Script { run_id: "1", request: &request, logs: "/home/ada/cosmicai-logs/1", results };
        insta::assert_snapshot!(without_version(script.array("3,17-20", None, None, None)));
    }

    #[test]
    fn script_of_the_job_that_summarizes() {
        insta::assert_snapshot!(without_version(script(&request()).summarize("123:456")));
    }
}
