//! What an invocation did, as lines of JSON on standard error, which Lambda keeps: one for each phase, and one at the
//! end. They bear the request's id, under which Lambda says what it bills.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use pipeline::event::{Event, EventSink, Stopwatch, memory_peak_mb};
use pipeline::report::TaskReport;
use serde_json::{Map, Value, json};

use crate::fault::Fault;

/// One invocation.
#[derive(Debug)]
pub(crate) struct Log {
    request_id: String,
    /// Configured memory.
    memory_mb: usize,
    watch: Stopwatch,
    /// Images predicted so far.
    samples: AtomicU64,
    about: std::sync::Mutex<Map<String, Value>>,
}

impl Log {
    pub(crate) fn new(request_id: &str, memory_mb: usize) -> Self {
        let (samples, about) = Default::default();
        Self { request_id: request_id.to_owned(), memory_mb, watch: Stopwatch::start(), samples, about }
    }

    /// Images predicted so far.
    pub(crate) fn samples(&self) -> u64 {
        self.samples.load(Ordering::Relaxed)
    }

    /// What all lines from here on say: the run, the task.
    pub(crate) fn about(&self, key: &str, value: impl Into<Value>) {
        self.about.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(key.to_owned(), value.into());
    }

    /// The environment is there; no invocation yet.
    pub(crate) fn init(&self, seconds: f64) {
        self.line(json!({"phase": "init", "cold": true, "seconds": seconds, "memory_peak_mb": memory_peak_mb()}));
    }

    /// An invocation knows what it is about. Said at once, as one that Lambda ends says no more.
    pub(crate) fn begin(&self) {
        self.line(json!({"phase": "begin"}));
    }

    /// A phase of an invocation.
    pub(crate) fn phase(&self, phase: &str, seconds: f64) {
        self.line(json!({"phase": phase, "seconds": seconds}));
    }

    /// The phases of a task; `model` is reading the model, where the environment had not done so before.
    pub(crate) fn task(&self, report: &TaskReport) {
        let seconds = &report.seconds;
        if !report.warm {
            self.line(json!({"phase": "model", "cold": true, "seconds": seconds.init}));
        }
        let phases = [
            ("list", seconds.list),
            ("read", seconds.read),
            ("decode", seconds.decode),
            ("infer", seconds.infer),
            ("write", seconds.write),
        ];
        phases.into_iter().for_each(|(phase, seconds)| self.phase(phase, seconds));
    }

    /// The end of an invocation. Lambda bills configured memory by the millisecond begun.
    pub(crate) fn invocation(&self, fault: Option<&Fault>) {
        let seconds = self.watch.seconds();
        let mut line = json!({
            "phase": "invocation", "seconds": seconds, "billed_ms_here": (seconds * 1e3).ceil(), "samples": self.samples(),
            "memory_mb": self.memory_mb, "memory_peak_mb": memory_peak_mb()
        });
        if let Some(fault) = fault {
            line["error_type"] = fault.name.into();
            line["error"] = fault.message.clone().into();
        }
        self.line(line);
    }

    fn line(&self, mut line: Value) {
        line["request_id"] = self.request_id.clone().into();
        for (key, value) in self.about.lock().unwrap_or_else(std::sync::PoisonError::into_inner).iter() {
            line[key] = value.clone();
        }
        // A log that cannot be written is no reason to stop.
        drop(writeln!(std::io::stderr(), "{line}"));
    }
}

impl EventSink for Log {
    fn record(&self, event: &Event) {
        if let Event::BatchPredicted { samples, .. } = event {
            self.samples.fetch_add(*samples as u64, Ordering::Relaxed);
        }
    }
}
