//! The processor's own answers: the oracle program of tests/oracle/run.c, built for this host, given the lines.

use crate::line::Line;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

/// Each line as the processor completes it, or why it cannot be asked.
pub(crate) fn run(lines: &[Line]) -> Result<Vec<String>, String> {
    if !cfg!(target_arch = "x86_64") {
        return Err("the lines are for x86_64".to_owned());
    }
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("insn-oracle");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/run.c");
    let built = Command::new("cc").arg("-O1").arg("-o").arg(&program).arg(source).status();
    if !built.is_ok_and(|status| status.success()) {
        return Err("cc does not build tests/oracle/run.c".to_owned());
    }
    let mut child = Command::new(&program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{}: {error}", program.display()))?;
    let questions: String = lines.iter().map(|line| format!("{}\n", line.question())).collect();
    let mut input = child.stdin.take().expect("a pipe");
    let writer = thread::spawn(move || input.write_all(questions.as_bytes()));
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    writer.join().expect("writer").map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}
