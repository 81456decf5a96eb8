//! Runs this program under callgrind.

use std::{
    env, fs, io,
    path::PathBuf,
    process::{self, Command, Stdio},
};

/// How many instructions a message, or a frame, takes on this path.
pub(crate) fn count(path: &str) -> Result<f64, String> {
    let report = Report::new();
    let ourselves = env::current_exe().map_err(|error| format!("this program cannot be found: {error}"))?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet", "--toggle-collect=*counted_part*"])
        .arg(format!("--callgrind-out-file={}", report.0.display()))
        .arg(ourselves)
        .args(["--run", path])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => "valgrind is not installed".to_owned(),
            _ => format!("valgrind cannot be run: {error}"),
        })?;
    if !output.status.success() {
        return Err(format!("valgrind, or {path} under it, ended with {}", output.status));
    }
    let times = String::from_utf8_lossy(&output.stdout);
    let times: u32 = times.trim().parse().map_err(|_| format!("{path} says that it ran {times:?} times"))?;
    let text = fs::read_to_string(&report.0).map_err(|error| format!("callgrind's report cannot be read: {error}"))?;
    match total(&text) {
        Some(total) if total > 0 && times > 0 => Ok(f64::from(total) / f64::from(times)),
        _ => Err(format!("callgrind has counted nothing on the path {path}")),
    }
}

fn total(report: &str) -> Option<u32> {
    report.lines().find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok())
}

/// Removed when it was read.
struct Report(PathBuf);

impl Report {
    fn new() -> Self {
        Self(env::temp_dir().join(format!("lamq-instructions.{}", process::id())))
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_found_in_a_report() {
        assert_eq!(total("events: Ir\n\nfn=(1) main\n12 30\n\ntotals: 4711\n"), Some(4711));
        assert_eq!(total("events: Ir\n"), None);
    }
}
