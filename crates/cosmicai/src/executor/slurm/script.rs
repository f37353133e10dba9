//! The scripts that SLURM runs. People read them, so they hold nothing but what was decided.

use std::fmt::Write;

use super::Request;
use super::submission::job_name;

/// What the two scripts of a run are made from.
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
    /// The array: jobs of these indices, of which `of` share the ranks `among` (all where None).
    pub(super) fn array(&self, indices: &str, of: Option<usize>, among: Option<&str>, memory: Option<&str>) -> String {
        let what = match of {
            None => "each job of the array does the task whose rank is its index".to_owned(),
            Some(of) => format!(
                "the {of} jobs of the array share its tasks: the one with index i does the i-th, (i + {of})-th, … of them"
            ),
        };
        let mut text = self.head(&format!("{what}.\n# A job may run again: what is finished is found and skipped"));
        let limit = self.request.array_limit.map_or_else(String::new, |limit| format!("%{limit}"));
        directive(&mut text, "array", &format!("{indices}{limit}"));
        if let Some(cpus) = self.request.cpus_per_task {
            directive(&mut text, "cpus-per-task", &cpus.to_string());
        }
        self.directives(&mut text, "%A_%a.log", memory);
        text += "#SBATCH --requeue\n";
        text += "\n# exec, so that the program itself hears of the end of its time\n";
        let mut words = vec!["worker".to_owned(), "--plan".to_owned(), quoted(&format!("{}plan.json", self.results))];
        self.add_store(&mut words);
        words.extend(["--rank".to_owned(), "\"$SLURM_ARRAY_TASK_ID\"".to_owned()]);
        if let Some(of) = of {
            words.extend(["--of".to_owned(), of.to_string()]);
        }
        if let Some(among) = among {
            words.extend(["--among".to_owned(), among.to_owned()]);
        }
        words.extend(["--threads".to_owned(), "\"$SLURM_CPUS_ON_NODE\"".to_owned()]);
        if let Some(attempts) = self.request.attempts {
            words.extend(["--attempts".to_owned(), attempts.to_string()]);
        }
        text + &self.exec(&words)
    }

    /// The job that sums up when the arrays have ended, whatever became of them.
    pub(super) fn summarize(&self, arrays: &str) -> String {
        let mut text = self.head("this sums up what the array has left, and says what is missing");
        directive(&mut text, "dependency", &format!("afterany:{arrays}"));
        self.directives(&mut text, "summarize-%j.log", self.request.memory.as_deref());
        text.push('\n');
        text + &self.exec(&["summarize".to_owned(), quoted(self.results), "--report".to_owned()])
    }

    fn head(&self, what: &str) -> String {
        let head = format!(
            "#!/bin/bash\n# Run {}: {what}.\n# Made by cosmicai {}; sbatch reads the lines that begin with #SBATCH.\n",
            self.run_id,
            env!("CARGO_PKG_VERSION")
        );
        // Of two that say otherwise sbatch takes the last, which is ours.
        self.request.sbatch_extra.iter().fold(head, |text, extra| format!("{text}#SBATCH {extra}\n"))
    }

    fn directives(&self, text: &mut String, log: &str, memory: Option<&str>) {
        let request = self.request;
        directive(text, "job-name", &job_name(self.run_id));
        directive(text, "nodes", "1");
        directive(text, "ntasks", "1");
        let given = [
            ("mem", memory),
            ("time", request.time.as_deref()),
            ("partition", request.slurm_partition.as_deref()),
            ("account", request.slurm_account.as_deref()),
        ];
        for (name, value) in given {
            if let Some(value) = value {
                directive(text, name, value);
            }
        }
        directive(text, "output", &format!("{}/{log}", self.logs.replace('%', "%%")));
        text.push_str("#SBATCH --open-mode=append\n");
    }

    fn add_store(&self, words: &mut Vec<String>) {
        words.extend(["--store".to_owned(), quoted(&self.request.store)]);
    }

    fn exec(&self, words: &[String]) -> String {
        let mut command = format!("exec {}", quoted(&self.request.program));
        if let Some(endpoint) = &self.request.endpoint_url {
            command += &format!(" --endpoint-url {}", quoted(endpoint));
        }
        for word in words {
            command += if word.starts_with("--") { " \\\n    " } else { " " };
            command += word;
        }
        command + "\n"
    }
}

/// A line for sbatch, which takes quotes as a shell does.
fn directive(text: &mut String, name: &str, value: &str) {
    let is_plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:,%+=@".contains(&byte));
    if is_plain {
        _ = writeln!(text, "#SBATCH --{name}={value}");
    } else {
        _ = writeln!(text, "#SBATCH --{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
    }
}

/// A word of a shell's command, whatever is in it.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:,+=@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
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

    #[test]
    fn an_array_that_shares_tasks() {
        insta::assert_snapshot!(script(&request()).array("0-12", Some(13), None, Some("2G")));
    }

    #[test]
    fn an_array_of_one_job_a_task_with_nothing_asked_for() {
        let request = Request { program: "/bin/it's".into(), store: "s3".into(), ..Request::default() };
        let results = "s3://sky/results/first/";
        let script = Script { run_id: "1", request: &request, logs: "/home/ada/cosmicai-logs/1", results };
        insta::assert_snapshot!(script.array("3,17-20", None, None, None));
    }

    #[test]
    fn what_sums_up() {
        insta::assert_snapshot!(script(&request()).summarize("123:456"));
    }

    #[test]
    fn any_word_survives_a_shell() {
        for word in ["plain", "", "a b", "it's", "$HOME `id` \"x\" \\ \n;|&"] {
            let echoed = std::process::Command::new("sh").args(["-c", &format!("printf %s {}", quoted(word))]).output();
            assert_eq!(String::from_utf8(echoed.unwrap().stdout).unwrap(), word);
        }
    }
}
