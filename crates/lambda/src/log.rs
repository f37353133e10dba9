//! Log of an invocation: lines of JSON on stderr, one for each phase and one at the end.
//!
//! Lambda keeps the lines. Each line has the id of the request, which also identifies Lambda's own line on billed time.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use pipeline::event::{Event, EventSink, Stopwatch, memory_peak_mb};
use records::report::TaskReport;
use serde_json::{Map, Value, json};

use crate::fault::Fault;

/// Log of one invocation.
#[derive(Debug)]
pub(crate) struct Log {
    request_id: String,
    /// Configured memory in MB.
    memory_mb: usize,
    watch: Stopwatch,
    /// Number of images predicted so far.
    samples: AtomicU64,
    /// Fields that all following lines have.
    fields: std::sync::Mutex<Map<String, Value>>,
}

impl Log {
    /// Starts the log of a request on a function with `memory_mb` MB of memory.
    pub(crate) fn new(request_id: &str, memory_mb: usize) -> Self {
        let (samples, fields) = Default::default();
        Self { request_id: request_id.to_owned(), memory_mb, watch: Stopwatch::start(), samples, fields }
    }

    /// Number of images predicted so far.
    pub(crate) fn samples(&self) -> u64 {
        self.samples.load(Ordering::Relaxed)
    }

    /// Adds a field to all following lines, such as the run id or the rank.
    pub(crate) fn add_field(&self, key: &str, value: impl Into<Value>) {
        self.fields.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(key.to_owned(), value.into());
    }

    /// Logs that the environment is initialized, before the first invocation.
    pub(crate) fn init(&self, seconds: f64) {
        self.line(json!({"phase": "init", "cold": true, "seconds": seconds, "memory_peak_mb": memory_peak_mb()}));
    }

    /// Logs that a task begins. The line is written at once, because an invocation that Lambda stops writes no more
    /// lines.
    pub(crate) fn begin(&self) {
        self.line(json!({"phase": "begin"}));
    }

    /// Logs a phase of an invocation.
    pub(crate) fn phase(&self, phase: &str, seconds: f64) {
        self.line(json!({"phase": phase, "seconds": seconds}));
    }

    /// Logs the phases of a task. The phase `model` is reading the model, if this environment had not read it before.
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

    /// Logs the end of an invocation. Lambda bills the configured memory for each started millisecond.
    pub(crate) fn invocation(&self, fault: Option<&Fault>) {
        let seconds = self.watch.seconds();
        let mut line = json!({
            "phase": "invocation", "seconds": seconds, "billed_ms_here": (seconds * 1e3).ceil(),
            "samples": self.samples(),
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
        for (key, value) in self.fields.lock().unwrap_or_else(std::sync::PoisonError::into_inner).iter() {
            line[key] = value.clone();
        }
        // An invocation must not fail because its log cannot be written.
        drop(writeln!(std::io::stderr(), "{line}"));
    }
}

/// Logs a warning of the stores, which no request has caused alone.
pub(crate) fn warning(text: &str) {
    // An invocation must not fail because its log cannot be written.
    drop(writeln!(std::io::stderr(), "{}", json!({"warning": text})));
}

impl EventSink for Log {
    fn record(&self, event: &Event) {
        if let Event::BatchPredicted { samples, .. } = event {
            self.samples.fetch_add(*samples as u64, Ordering::Relaxed);
        }
    }
}
