//! Programs that a test starts, signals and waits for, without the environment variables of the tester.

use std::ffi::OsStr;
use std::io::Read;
use std::process::{Child, Command, ExitStatus};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Command with only `PATH` and, if set, `COSMICAI_ISA` in its environment.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", std::env::var("PATH").unwrap_or_default());
    if let Ok(isa) = std::env::var("COSMICAI_ISA") {
        command.env("COSMICAI_ISA", isa);
    }
    command
}

/// Process that is killed if the test fails before the process ends.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Running {
        Running(command.spawn().unwrap())
    }

    pub(crate) fn send(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id().try_into().unwrap()), signal).unwrap();
    }

    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Waits for the end of the process. Returns its exit status and its standard error, if that is a pipe.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        let mut messages = Vec::new();
        if let Some(mut pipe) = self.0.stderr.take() {
            pipe.read_to_end(&mut messages).unwrap();
        }
        (self.0.wait().unwrap(), String::from_utf8_lossy(&messages).into_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both calls fail if the process has ended, which is the usual case.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
